"""The words of the program as plain data: what a target, a request, a ruling and an outcome are."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from dataclasses import dataclass as word
else:

    def word(*, frozen: bool, slots: bool):
        """Make a dataclass that only the type checker keeps frozen: to do it at run time takes six times as long.

        A target has some ten of these made for it.
        """
        return dataclass(slots=slots)


class Secret:
    """A value that must never be printed; anything but `reveal()` shows its short fingerprint instead."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself; call it only where the bytes of a request or a secret file are made."""
        return self._value

    @property
    def fingerprint(self) -> str:
        """Return the first 16 hex digits of the value's SHA-256, enough to tell millions of secrets apart."""
        return "sha256:" + hashlib.sha256(self._value.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def __str__(self) -> str:
        return self.fingerprint

    def __repr__(self) -> str:
        return f"Secret({self.fingerprint})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Unread(Secret):
    """A reference that stands where its secret will be, so that nothing about its form can be checked."""

    __slots__ = ()


FieldValue = str | int | bool | Secret
LaneName = tuple[str, str]  # a service, and the connection on which it is called


class Verdict(StrEnum):
    """What one response means for what happens next. It never reaches a report.

    Who asks for each call keeps a member by a name of its own: in Python 3.11 a look into an enum takes 70 ns.
    """

    ENDED = "ended"
    ACCEPTED = "accepted"
    ABSENT = "absent"
    DENIED = "denied"
    ISSUED = "issued"
    ACTIVE = "active"
    RETRY = "retry"
    THROTTLE = "throttle"
    REAUTH = "reauth"
    SPLIT = "split"
    FAIL = "fail"
    HALT = "halt"


class Outcome(StrEnum):
    """The final word on one target; exactly one per target and run."""

    ENDED = "ended"
    ALREADY_ENDED = "already_ended"
    ACCEPTED = "accepted"
    DENIED = "denied"
    ISSUED = "issued"
    STILL_ACTIVE = "still_active"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_ATTEMPTED = "not_attempted"


class Verification(StrEnum):
    """What the read-back after the call said, if there was one."""

    PENDING = "pending"  # never in a report: there it is unavailable
    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    UNAVAILABLE = "unavailable"
    NOT_REQUESTED = "not_requested"


@word(frozen=True, slots=True)
class Target:
    """One thing whose outcome is reported: a desktop, a Web CLI session, a CAS ticket.

    `id` is its identity within (service, connection): its key fields joined by `/`, a secret one as its
    fingerprint. `verify` says that it is to be looked at afterwards; `began` is since when the session is
    there, in seconds since the epoch, where the service tells. `names` is what else a listing calls it, such as the
    person whose session it is. A `suspect` was refused in an earlier part of the run, and is put with its like.
    """

    service: str
    connection: str
    id: str
    fields: Mapping[str, FieldValue]
    stage: str = ""
    expect: str = ""
    verify: bool = False
    began: float | None = None
    names: Sequence[str] = ()
    suspect: bool = False


@dataclass(slots=True)
class Batch:
    """The targets of one call; `number` is unique in the run and names the call in the report."""

    targets: Sequence[Target]
    number: int


@word(frozen=True, slots=True)
class Request:
    """One HTTP request, finished but for authentication.

    `path` is percent-encoded, `query` is already in the canonical order and encoding that is signed and sent.
    """

    method: str
    base_url: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # these two hold secrets
    body: bytes = field(default=b"", repr=False)

    @property
    def url(self) -> str:
        """Return the URL exactly as it goes on the wire."""
        return f"{self.base_url}{self.path}?{self.query}" if self.query else f"{self.base_url}{self.path}"


@word(frozen=True, slots=True)
class Response:
    """What the service answered: `headers` has lower-case names, `cookies` the raw Set-Cookie lines.

    `body` is cut at the caller's bound.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    cookies: Sequence[str] = ()


@word(frozen=True, slots=True)
class Lost:
    """There is no answer: `sent` says whether the service may have seen the request all the same.

    `final` says that there will be none to another call either: whoever answers there was never trusted.
    """

    reason: str
    sent: bool
    final: bool = False


Item = Mapping[str, tuple[str, ...]]  # what a listing tells of one thing: every value of every field it has


class Page(NamedTuple):
    """One page: `total` is the number of all items, where the service tells it, `more` whether it links to others."""

    items: Sequence[Item]
    total: int | None = None
    more: bool = False


@word(frozen=True, slots=True)
class Ruling:
    """What one answer means, and the facts that the report quotes.

    `wait` is the pause in seconds that the service asked for, if it did; `pace` the calls per second that it
    announced, `left` how many calls it lets through until `wait` is over; `lost` says that there was no answer although
    the request may have arrived; `page` is what a listing told, where one was asked for; `described` that the answer is
    one that the description knows.
    """

    verdict: Verdict
    reason: str = ""
    status: int | None = None
    code: str | None = None
    message: str | None = None
    request_id: str | None = None
    wait: float | None = None
    pace: float | None = None
    left: int | None = None
    lost: bool = False
    handover: Secret | None = None
    page: Page | None = None
    described: bool = False


@word(frozen=True, slots=True)
class Settled:
    """One target's line in the report: its outcome, and what is known about how it came to it.

    Times are seconds since the epoch; `first_sent` is None for a target that was never sent. `instead_of` is the
    outcome that is on record already, where the target was settled before in this run.
    """

    target: Target
    outcome: Outcome
    reason: str = ""
    http_status: int | None = None
    error_code: str | None = None
    error_message: str | None = None
    request_id: str | None = None
    attempts: int = 0
    batch: int | None = None
    first_sent: float | None = None
    settled: float = 0.0
    verification: Verification = Verification.NOT_REQUESTED
    instead_of: Outcome | None = None

    @property
    def stands(self) -> Outcome:
        """Return the outcome that is on record from now on: that no call was made takes nothing back."""
        return self.outcome if self.instead_of is None or self.outcome is not Outcome.NOT_ATTEMPTED else self.instead_of


DONE = frozenset({"ended", "already_ended", "accepted", "denied", "issued"})
BAD = frozenset({"failed", "unknown", "still_active"})
GOOD = {"accepted": DONE, "ended": DONE - {"accepted"}}
CHECKS = frozenset({"denied", "issued"})  # these are the answer themselves: there is nothing more to look at
PROTECTED = "protected"
NEWER = "newer than the cut-off"


class Tallied(NamedTuple):
    """So many targets of one lane that fared the same."""

    service: str
    connection: str
    outcome: str
    verification: str
    protected: bool
    number: int


def meets(require: str, outcome: str, verification: str, *, protected: bool = False) -> bool:
    """Return whether a target is good enough for what a plan requires."""
    if protected:
        return True
    if verification == Verification.CONTRADICTED:
        return False  # the last that was seen of it is that it lives
    if require == "verified":
        return outcome in CHECKS or (outcome in DONE and verification == Verification.CONFIRMED)
    if require == "ended" and verification in (Verification.UNAVAILABLE, Verification.PENDING):
        return False  # who could be asked, and was not or in vain, is not known to be out
    return outcome in GOOD.get(require, ())


UNFINISHED = frozenset({None, 5, 130, 143})  # exit codes
_NOTHING: Mapping[str, Any] = {}


class RunRecord(NamedTuple):
    """What is known of a run as a whole; times are seconds since the epoch, None while it is not over.

    `inputs` has the SHA-256 of every source by its name, `planned` the number of targets there were when it began,
    `selectors` what of the plan it was limited to, `folder` where its report lies, `notes` what went wrong beside
    single targets, `seal` the SHA-256 of the sealed plan that it carries out, if it does. `subject` is the person
    whose access it ends, if it is about one, and `residual` what was known when it began of what remains. Sessions that
    began after `cut_off` are left alone; `ageless` are the services that do not tell when one began.
    """

    run: str
    plan: str
    plan_path: str
    config_path: str | None
    digest: str
    require: str
    started: float
    lock_name: str = ""
    folder: str = ""
    selectors: Sequence[str] = ()
    planned: int = 0
    variables: Mapping[str, str] = _NOTHING
    inputs: Mapping[str, str] = _NOTHING
    ended: float | None = None
    exit_code: int | None = None
    reason: str = ""
    notes: Sequence[str] = ()
    seal: str = ""
    subject: str = ""
    residual: Mapping[str, Any] = _NOTHING
    cut_off: float = 0.0
    ageless: Sequence[str] = ()

    @property
    def unfinished(self) -> bool:
        """Return whether it stopped before it was through, or is still under way."""
        return self.exit_code in UNFINISHED

    @property
    def resume_command(self) -> str:
        """Return the command that goes on with the run."""
        config = f" --config {shlex.quote(self.config_path)}" if self.config_path else ""
        return f"orchestrator resume {shlex.quote(self.run)}{config}"
