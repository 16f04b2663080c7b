"""What a later word on a target makes of the one before: the rules by which an outcome is replaced, kept or doubted.

That no call was made takes nothing back, either: see `Settled.stands`, and SETTLED among the journal's statements.
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator.model import Outcome, Settled, Verification
from orchestrator.units import joined

UNTAKEN = frozenset({Outcome.UNKNOWN, Outcome.STILL_ACTIVE})  # of these the last order is not known to have been taken
_ORDERS = {
    Outcome.UNKNOWN: "no clear answer is on record",
    Outcome.ALREADY_ENDED: "the service said that there was none to end",
}
PENDING, CONTRADICTED, UNAVAILABLE = Verification.PENDING, Verification.CONTRADICTED, Verification.UNAVAILABLE


def gone(one: Settled, settled: float) -> Settled:
    """Return what is known of a target that a look saw to be gone."""
    outcome = one.outcome if one.outcome is Outcome.ALREADY_ENDED else Outcome.ENDED
    reason = joined(one.reason, "seen to be gone all the same") if one.outcome in UNTAKEN else one.reason
    return replace(one, outcome=outcome, verification=Verification.CONFIRMED, reason=reason, settled=settled)


def living(one: Settled, sight: str, settled: float) -> Settled:
    """Return what is known of a target that was seen alive when time was up."""
    order = _ORDERS.get(one.outcome, "the service took the order")
    said = one.reason if one.outcome is Outcome.STILL_ACTIVE else f"{order}, and the session still lives"
    reason = f"{said} ({sight})"
    return replace(one, outcome=Outcome.STILL_ACTIVE, verification=CONTRADICTED, reason=reason, settled=settled)


def doubted(one: Settled, sight: str, why: str, *, stopped: bool) -> Settled:
    """Take back that a target is ended: it was seen alive, and nobody could look again; a resume may, where it stopped.

    It is not said to live on, because effects show late; and it is not good, whatever the plan requires.
    """
    said = joined(one.reason, f"seen alive ({sight}), and not again: {why}")
    return replace(one, outcome=called(one), verification=PENDING if stopped else CONTRADICTED, reason=said)


def unseen(one: Settled, why: str) -> Settled:
    """Return what is known of a target that could not be looked at."""
    return replace(one, verification=UNAVAILABLE, reason=joined(one.reason, f"could not be checked: {why}"))


def called(one: Settled) -> Outcome:
    """Return the most that can be said of a target that was called, and seen alive after that."""
    return one.outcome if one.outcome in UNTAKEN else Outcome.ACCEPTED


def again(alive: Settled, one: Settled) -> Settled:
    """Return what a further call came to, for a target that was seen alive before it."""
    if one.outcome is Outcome.NOT_ATTEMPTED:
        return replace(alive, reason=f"{alive.reason}; it was not ended again: {one.reason}")
    one = replace(one, attempts=alive.attempts + one.attempts, first_sent=alive.first_sent)
    if one.outcome is Outcome.FAILED:  # the call before it may have shown late
        said = f"{alive.reason}; ended again, which failed: {one.reason}"
        return replace(one, outcome=Outcome.STILL_ACTIVE, reason=said, verification=PENDING)
    return replace(one, outcome=Outcome.ENDED) if one.outcome is Outcome.ALREADY_ENDED else one


def once_more(before: Outcome, one: Settled, *, confirmed: bool) -> Settled:
    """Return what the call of a second pass came to, for a target that was settled as `before` in the first.

    What was seen to be gone is not undone by a call, or a look, that comes to nothing; that is told. What the first
    pass ended was not over before the run.
    """
    in_vain = one.outcome in (Outcome.FAILED, Outcome.UNKNOWN) or one.verification is UNAVAILABLE
    if confirmed and in_vain and one.verification not in (CONTRADICTED, PENDING):
        said = joined(f"seen to be gone before; called once more: {one.outcome}", one.reason)
        return replace(one, outcome=before, verification=UNAVAILABLE, reason=said)
    ended_before = one.outcome is Outcome.ALREADY_ENDED and before in (Outcome.ENDED, Outcome.ACCEPTED)
    return replace(one, outcome=Outcome.ENDED) if ended_before else one
