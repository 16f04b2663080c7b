"""From the last ruling on a batch, and all that went before, to the outcome of its targets."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.model import Outcome, Ruling, Verdict

AGAIN = frozenset({Verdict.RETRY, Verdict.THROTTLE})
OUTCOMES = {
    Verdict.ENDED: Outcome.ENDED,
    Verdict.ACCEPTED: Outcome.ACCEPTED,
    Verdict.ABSENT: Outcome.ALREADY_ENDED,
    Verdict.DENIED: Outcome.DENIED,
    Verdict.ISSUED: Outcome.ISSUED,
    Verdict.ACTIVE: Outcome.STILL_ACTIVE,
}


@dataclass(slots=True)
class Trail:
    """What has happened to a batch so far; a half of a split batch goes on with its parent's."""

    attempts: int = 0
    first_sent: float | None = None
    lost: bool = False
    in_doubt: bool = False
    last: Ruling | None = None

    def note(self, ruling: Ruling) -> None:
        """Remember the ruling, and whether an answer was lost or left open whether the call took effect."""
        self.last = ruling
        self.lost = self.lost or ruling.lost
        self.in_doubt = self.in_doubt or ruling.lost or (ruling.status or 0) >= 500


def conclusion(ruling: Ruling, trail: Trail, *, repeatable: bool) -> tuple[Outcome, str]:
    """Return the outcome that the last ruling means after all that went before, and the reason for it.

    What got no answer, and may have taken effect, is unknown rather than failed.
    """
    if ruling.verdict in OUTCOMES:
        return OUTCOMES[ruling.verdict], ruling.reason
    if trail.in_doubt and not repeatable and ruling.verdict not in AGAIN:
        return Outcome.UNKNOWN, f"may have taken effect, and must not be repeated: {summary(ruling)}"
    if ruling.verdict in AGAIN:
        doubtful = trail.lost or (trail.in_doubt and not repeatable)
        tries = f"gave up after {trail.attempts} attempts" if trail.attempts > 1 else "must not be repeated"
        return (Outcome.UNKNOWN if doubtful else Outcome.FAILED), f"{tries}: {summary(ruling)}"
    if trail.in_doubt and ruling.status in (400, 404):
        said = "an earlier attempt got no clear answer and may have ended it; the last one was refused"
        return Outcome.UNKNOWN, f"{said}: {summary(ruling)}"
    return Outcome.FAILED, ruling.reason or summary(ruling)


def splits(ruling: Ruling) -> bool:
    """Return whether a batch should be halved: it was refused, or one of it may be what keeps the service busy."""
    if ruling.verdict is Verdict.SPLIT:
        return True
    return ruling.verdict is Verdict.RETRY and ruling.status in (400, 403, 404, 409)


def summary(ruling: Ruling) -> str:
    """Return a ruling in a few words: the reason, the status, the code."""
    status = f"HTTP {ruling.status}" if ruling.status is not None else None
    facts = ", ".join(filter(None, (status, ruling.code)))
    return f"{ruling.reason} ({facts})" if ruling.reason and facts else ruling.reason or facts or ruling.verdict
