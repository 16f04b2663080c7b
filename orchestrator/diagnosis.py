"""What the facts about a connection mean, and what to do about them: pure, and in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from orchestrator.auth.refusal import SIGNATURE_LIFE, clock_skew
from orchestrator.conclusion import summary
from orchestrator.model import Lost, Response, Ruling, Verdict

UNDESCRIBED = "is not in the description"  # how `classify` begins where it has nothing to say
NOTICEABLE = 60.0  # seconds by which a clock may be off before it is worth a word
_MARGIN = 10.0  # a Date header has whole seconds and was on its way for some
_GATEWAYS = frozenset({502, 503, 504})
ORDER = ("references", "reachable", "clock", "credentials", "permission", "time")


class Status(StrEnum):
    """How a check came out; what was skipped says nothing."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what, about which address or service, how it came out, what to do."""

    name: str
    status: Status
    said: str
    about: str = ""
    do: str = ""

    def to_json(self) -> dict[str, str]:
        """Return the check for the document."""
        return {"check": self.name, "about": self.about, "status": self.status, "said": self.said, "do": self.do}


@dataclass(slots=True)
class Diagnosis:
    """All checks of one connection; `who` is what the service calls the caller, where it tells."""

    connection: str
    auth: str
    checks: list[Check] = field(default_factory=list)
    who: str = ""

    @property
    def verdict(self) -> Status:
        """Return the worst of the checks."""
        found = {check.status for check in self.checks}
        return next((one for one in (Status.FAILED, Status.WARNING) if one in found), Status.OK)

    @property
    def do(self) -> str:
        """Return what to do about the first of the worst checks."""
        worst = (check for check in self.checks if check.status is self.verdict)
        return "" if self.verdict is Status.OK else next((check.do for check in worst if check.do), "")

    def sort(self) -> None:
        """Put the checks into the order in which people read them."""
        self.checks.sort(key=lambda check: (ORDER.index(check.name), check.about))

    def to_json(self) -> dict[str, Any]:
        """Return the connection for the document."""
        facts = {"connection": self.connection, "auth": self.auth, "verdict": self.verdict, "who": self.who or None}
        return {**facts, "do": self.do, "checks": [check.to_json() for check in self.checks]}


class Found(StrEnum):
    """What the answer to a read-only question shows."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # the credential itself
    FORBIDDEN = "forbidden"  # the credential is known, and may not do this
    THROTTLED = "throttled"
    TROUBLE = "trouble"  # no answer, or one that may pass
    ODD = "odd"  # the service objects to something else
    STRANGE = "strange"  # nothing that the service would say


def judge(ruling: Ruling, *, refused: bool) -> Found:
    """Return what an answer shows; only what the service would say counts as an answer of the service."""
    if refused:
        return Found.REFUSED
    if ruling.verdict is Verdict.ENDED:
        return Found.ACCEPTED
    if ruling.verdict is Verdict.THROTTLE:
        return Found.THROTTLED
    if ruling.verdict is Verdict.RETRY:
        return Found.TROUBLE
    if ruling.verdict is Verdict.REAUTH or (ruling.status == 403 and ruling.code):
        return Found.FORBIDDEN
    return Found.ODD if ruling.code or ruling.status is None else Found.STRANGE


# Reachable

_TRUST = "give the connection tls.ca_file with the certificate of whoever signed it, or tls.fingerprint"
_CONNECTING: tuple[tuple[str, str, str], ...] = (
    ("fingerprint is not the configured", "", "compare the certificate with tls.fingerprint: it was renewed, or "
     "somebody else answers"),
    ("self.signed", "the certificate is self-signed, and nothing here trusts it", _TRUST),
    ("unable to get (local )?issuer", "the certificate comes from an authority that nothing here trusts", _TRUST),
    ("has expired", "the certificate has expired", "have it renewed, and check this machine's clock"),
    ("not yet valid", "the certificate is not valid yet", "check this machine's clock"),
    ("mismatch|not valid for", "the certificate is for another name than the address has", "write the name that it "
     "is for into the endpoint, or give tls.fingerprint"),
    ("certificate", "", "look at the certificate, and at the connection's tls"),
    ("wrong.version|record layer|unknown protocol|packet length", "what answers there does not speak TLS", "check the "
     "port, and whether the address begins with http://"),
    ("name or service|name resolution|nodename|no address|dns|getaddrinfo", "the host's name is not known", "check "
     "the name, the region, and this machine's name server"),
    ("refused|connect call failed", "", "check the port, and whether the service runs there"),
    ("in time|unreachable|no route|timed out", "", "check the address, the firewall, the VPN and the proxy"),
    ("no answer", "", "something takes connections there and says nothing: check the address and the proxy"),
)  # fmt: skip


def reachable(url: str, answer: Response | Lost) -> Check:
    """Say whether something answers at an address, and what is wrong with the way there."""
    if isinstance(answer, Lost):
        words, do = trouble(answer.reason)
        return Check("reachable", Status.FAILED, words, url, do)
    over = "TLS" if url.startswith("https:") else "no TLS"
    if answer.status == 407:
        return Check("reachable", Status.FAILED, "the proxy asks who is calling (HTTP 407)", url, "check `proxy`")
    if answer.status in _GATEWAYS:
        said = f"something answers in its stead (HTTP {answer.status}, {over})"
        return Check("reachable", Status.WARNING, said, url, "ask again later; the service behind it may be down")
    return Check("reachable", Status.OK, f"it answers (HTTP {answer.status}, {over})", url)


def trouble(reason: str) -> tuple[str, str]:
    """Return what a lost connection means in words, and what to do about it."""
    for pattern, words, do in _CONNECTING:
        if re.search(pattern, reason, re.IGNORECASE):
            return (f"{words} ({reason})" if words else reason), do
    return reason, "check the address, and what lies between"


def soften(checks: Sequence[Check]) -> list[Check]:
    """Make the failures of single addresses warnings where others answer: not every service need be used."""
    if all(check.status is Status.FAILED for check in checks):
        return list(checks)
    return [_warning(check) if check.status is Status.FAILED else check for check in checks]


def _warning(check: Check) -> Check:
    return Check(check.name, Status.WARNING, check.said, check.about, check.do)


# The clock


def clock(dates: Mapping[str, str | None], now: float, *, signs: bool) -> Check:
    """Compare this machine's clock with what the addresses say; a signature is only good for some minutes."""
    known = [skew for date in dates.values() if (skew := clock_skew(date, now)) is not None]
    if not known:
        return Check("clock", Status.SKIPPED, "no answer says what time it is")
    skew = max(known, key=abs)
    said = f"this machine's is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
    if abs(skew) < NOTICEABLE:
        return Check("clock", Status.OK, said if abs(skew) >= _MARGIN else "they agree")
    if signs and abs(skew) >= SIGNATURE_LIFE - _MARGIN:
        limit = f"; signatures that are off by more than {SIGNATURE_LIFE / 60:.0f} minutes are refused"
        return Check("clock", Status.FAILED, said + limit, do="set the clock")
    return Check("clock", Status.WARNING, said, do="set the clock")


# Credentials

_REFUSED: tuple[tuple[str, str], ...] = (
    ("reach the limit|locked|IAM.0061", "wait five minutes before anything else is tried; then check the key"),
    ("signature expired|clock differs", "set the clock"),
    ("verify aksk signature", "check secret_key: it is not the one of this access key"),
    ("get secretkey", "check access_key: it is not known, not active, or it has expired"),
    ("security token|IAM.1108", "get new temporary keys: these have expired"),
    ("token expires|decrypt token|0307|IAM.006[67]|must be updated", "get a new token, of this region"),
    ("does not answer as IAM", "check the cloud, the region, or endpoints.iam"),
    ("could not find the project|IAM.1109", "check project_id or project"),
    ("password|username|IAM", "check user, domain and password; a few wrong ones lock the account"),
)
NONE = "nothing is asked for"


def credentials(kind: str, found: Sequence[tuple[Found, str]], who: str) -> Check:
    """Say whether a credential is accepted, from all that was asked with it (what each answer shows, and its words)."""
    if kind == "none":
        return Check("credentials", Status.OK, NONE)
    by = dict(reversed(found))  # of several, the first counts
    if Found.REFUSED in by:
        return Check("credentials", Status.FAILED, by[Found.REFUSED], do=remedy(by[Found.REFUSED]))
    if Found.ACCEPTED in by:
        return Check("credentials", Status.OK, f"accepted: {who}" if who else "accepted")
    if Found.FORBIDDEN in by:
        return Check("credentials", Status.OK, "known, and may not do what was asked")
    if not found:
        said = f"cannot be told: no service of the catalogue can be asked anything harmless with {kind}"
        return Check("credentials", Status.WARNING, said, do="describe a listing of the service; see `listings`")
    worst, text = found[0]
    if worst is Found.THROTTLED:
        return Check("credentials", Status.WARNING, f"cannot be told: {text}", do="ask again later")
    do = "check the endpoint: it does not answer as the service does" if worst is Found.STRANGE else "ask again later"
    return Check("credentials", Status.FAILED, f"cannot be told: {text}", do=do)


def remedy(said: str) -> str:
    """Return what to do about a refused credential."""
    fitting = (do for pattern, do in _REFUSED if re.search(pattern, said, re.IGNORECASE))
    return next(fitting, "check the credential: it may be wrong, expired or taken back")


# Permission

_PERMISSION: Mapping[Found, tuple[str, str]] = {
    Found.FORBIDDEN: ("may not list {listing}: {said}", "grant it{needs}"),
    Found.REFUSED: ("{said}", ""),
    Found.THROTTLED: ("is throttled: {said}", "ask again later"),
    Found.TROUBLE: ("does not answer: {said}", "ask again later"),
    Found.ODD: ("objects: {said}", "check project_id, region and endpoint, and whether the service is open"),
    Found.STRANGE: ("does not answer as the service does: {said}", "check the endpoint"),
}


def permission(service: str, listing: str, needed: str, found: Found, ruling: Ruling, *, strict: bool) -> Check:
    """Say what a listing shows about a service; `needed` is the permission to end, which nothing harmless can show."""
    if found is Found.ACCEPTED:
        rest = f"; ending needs {needed}, which only an ending can show" if needed else ""
        return Check("permission", Status.OK, f"may list {listing}{rest}", service)
    said, do = _PERMISSION[found]
    needs = f", and {needed} to end" if needed else ""
    status = Status.FAILED if strict and found is not Found.THROTTLED else Status.WARNING
    return Check(
        "permission", status, said.format(listing=listing, said=words(ruling)), service, do.format(needs=needs)
    )


def words(ruling: Ruling) -> str:
    """Return what was answered, with the service's own message: that one names a permission that is missing."""
    reason, message = ruling.reason, ruling.message or ""
    if message not in reason:
        undescribed = not reason or UNDESCRIBED in reason
        return summary(replace(ruling, reason=message if undescribed else f"{reason}: {message}"))
    told = ruling.status is None or f"HTTP {ruling.status}" in reason
    return reason if reason and told else summary(ruling)


def unusable(service: str, auth: str) -> Check:
    """Say that a connection cannot be used for a service at all."""
    said = f"cannot be used for it: its auth is {auth}, or it has no project, or the service is not offered there"
    return Check("permission", Status.FAILED, said, service, "name another connection, or correct this one")


def not_asked(service: str, needed: str) -> Check:
    """Say that nothing of a service can be asked without ending something."""
    rest = f"; needs {needed}" if needed else ""
    return Check("permission", Status.SKIPPED, f"nothing of it can be asked without ending something{rest}", service)
