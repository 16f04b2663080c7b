"""From the last ruling on a batch, and all that went before, to the outcome of its targets."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.model import Outcome, Ruling, Verdict

AGAIN = frozenset({Verdict.RETRY, Verdict.THROTTLE, Verdict.REAUTH})
THROTTLES = 50  # so often a batch is throttled before it is given up; its lane waits in between
OUTCOMES = {
    Verdict.ENDED: Outcome.ENDED,
    Verdict.ACCEPTED: Outcome.ACCEPTED,
    Verdict.ABSENT: Outcome.ALREADY_ENDED,
    Verdict.DENIED: Outcome.DENIED,
    Verdict.ISSUED: Outcome.ISSUED,
    Verdict.ACTIVE: Outcome.STILL_ACTIVE,
}
_FAIL, _REAUTH = Verdict.FAIL, Verdict.REAUTH


@dataclass(slots=True, eq=False)
class Budget:
    """How many more attempts a batch gets.

    A throttle is the lane's affair, and a token that had to be replaced nobody's fault: neither is held against the
    batch, but neither goes on for ever.
    """

    attempts: int
    used: int = 0
    throttled: int = 0
    renewed: bool = False

    @property
    def tries(self) -> int:
        """Return how many attempts there were for which a longer pause is due each time."""
        return self.used + self.throttled

    def allows(self, verdict: Verdict) -> bool:
        """Take the attempt that ended like this off, and return whether another one may be made."""
        if verdict is Verdict.THROTTLE:
            self.throttled += 1
            return self.throttled < THROTTLES
        if verdict is Verdict.REAUTH and not self.renewed:
            self.renewed = True
            return True
        self.used += 1
        return self.used < self.attempts


@dataclass(slots=True, eq=False)
class Trail:
    """What has happened to a batch so far; a part of a split batch goes on with its parent's.

    `calling` is set while a call is under way.
    """

    attempts: int = 0
    first_sent: float | None = None
    lost: bool = False
    in_doubt: bool = False
    last: Ruling | None = None
    calling: bool = False

    def begin(self, now: float) -> None:
        """Note that a call begins."""
        self.attempts += 1
        self.calling = True
        if self.first_sent is None:
            self.first_sent = now

    def note(self, ruling: Ruling) -> None:
        """Remember the ruling, and whether an answer was lost or left open whether the call took effect."""
        self.calling = False
        if ruling.verdict is _REAUTH and ruling.status is None:  # the credential was dropped: nothing was sent
            self.attempts -= 1
            self.first_sent = self.first_sent if self.attempts else None
        self.last = ruling if self.attempts else None
        self.lost = self.lost or ruling.lost
        self.in_doubt = self.in_doubt or _doubtful(ruling)


def conclusion(ruling: Ruling, trail: Trail, *, repeatable: bool) -> tuple[Outcome, str]:
    """Return the outcome that the last ruling means after all that went before, and the reason for it.

    What got no answer, and may have taken effect, is unknown rather than failed; what was never sent is neither.
    """
    if trail.attempts == 0:
        return Outcome.NOT_ATTEMPTED, ruling.reason
    if ruling.verdict in OUTCOMES:
        return OUTCOMES[ruling.verdict], ruling.reason
    if trail.in_doubt and not repeatable and ruling.verdict not in AGAIN:
        return Outcome.UNKNOWN, f"may have taken effect, and must not be repeated: {summary(ruling)}"
    if ruling.verdict in AGAIN:
        doubtful = trail.lost or (trail.in_doubt and not repeatable)
        many = f"{trail.attempts} attempts" if trail.attempts > 1 else "one attempt"
        tries = f"gave up after {many}" if repeatable or trail.attempts > 1 else "must not be repeated"
        return (Outcome.UNKNOWN if doubtful else Outcome.FAILED), f"{tries}: {summary(ruling)}"
    halted = ruling.verdict is Verdict.HALT  # which is not about the target
    if (trail.in_doubt and ruling.status in (None, 400, 404)) or (trail.lost and halted):
        said = "an earlier attempt got no clear answer and may have ended it; then"
        return Outcome.UNKNOWN, f"{said}: {summary(ruling)}"
    return Outcome.FAILED, ruling.reason or summary(ruling)


def again(ruling: Ruling, repeatable: bool) -> bool:
    """Return whether another attempt may be made: one that could act twice must not, unless it surely did not."""
    if ruling.verdict not in AGAIN:
        return False
    harmless = ruling.verdict is Verdict.THROTTLE or not (ruling.lost or (ruling.status or 0) >= 500)
    return repeatable or harmless


def _doubtful(ruling: Ruling) -> bool:
    """Return whether the call may have taken effect although nothing says so; a strange 200 may well say so."""
    status = ruling.status or 0
    return ruling.lost or status >= 500 or (ruling.verdict is _FAIL and 200 <= status < 300)


def splits(ruling: Ruling) -> bool:
    """Return whether a batch should be divided: it was refused, or one of it may be what keeps the service busy."""
    status = ruling.status or 0
    if ruling.verdict is Verdict.SPLIT:
        return True
    if status == 404 and ruling.code in (None, "404"):  # there is nothing at this address, for a part neither
        return False
    if ruling.verdict is Verdict.FAIL:  # a refusal of the whole says nothing of each
        return 400 <= status < 500
    return ruling.verdict is Verdict.RETRY and status in (400, 403, 404, 409)


def told(trail: Trail, ruling: Ruling) -> dict[str, object]:
    """Return what a log line tells of an attempt."""
    return {
        "attempt": trail.attempts,
        "verdict": ruling.verdict,
        "http_status": ruling.status,
        "error_code": ruling.code,
        "reason": ruling.reason,
        "request_id": ruling.request_id,
    }


def summary(ruling: Ruling) -> str:
    """Return a ruling in a few words: the reason, the status, the code."""
    status = f"HTTP {ruling.status}" if ruling.status is not None else None
    facts = ", ".join(filter(None, (status, ruling.code)))
    return f"{ruling.reason} ({facts})" if ruling.reason and facts else ruling.reason or facts or ruling.verdict
