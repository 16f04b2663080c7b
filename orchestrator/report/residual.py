"""The residual-access statement: what may still work for the person a run was about, and until when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.model import CHECKS, DONE, RunRecord, Tallied, Verification

OPEN = "not all ended"
ORDERED = "ordered, not seen to be gone"
SAID = "ended, as the service says"
GONE = "seen to be gone"
NONE = "no target"
STATES = (OPEN, ORDERED, SAID, NONE, GONE)  # the worst first


@dataclass(frozen=True, slots=True)
class Left:
    """One thing that may still work: of which service, how that one's targets fared, until when, what would end it."""

    service: str
    state: str
    what: str
    until: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What may still work for `subject`; `untouched` are services of the config that the plan left alone."""

    subject: str
    sentence: str
    left: Sequence[Left]
    untouched: Mapping[str, Sequence[str]]

    def to_json(self) -> dict[str, Any]:
        """Return the statement as plain values."""
        return {
            "subject": self.subject,
            "sentence": self.sentence,
            "left": [asdict(one) for one in self.left],
            "untouched": {service: list(names) for service, names in self.untouched.items()},
        }


def statement(facts: RunRecord, tally: Iterable[Tallied], in_flight: int) -> Statement | None:
    """Return the statement of a run that was about somebody; None of any other."""
    if not facts.subject:
        return None
    counted = list(tally)
    declared: Mapping[str, Any] = facts.residual.get("left", {})
    untouched: Mapping[str, Sequence[str]] = facts.residual.get("untouched", {})
    states = {service: _state([one for one in counted if one.service == service]) for service in declared}
    left = [
        Left(service, states[service], one["what"], one["until"], one["remedy"])
        for service, said in declared.items()
        for one in [*_session(states[service]), *said]
    ]
    left.sort(key=lambda one: STATES.index(one.state))
    return Statement(facts.subject, _sentence(facts.subject, states, left, untouched, in_flight), left, untouched)


def _state(tally: Sequence[Tallied]) -> str:
    """Return how the targets of one service fared, the worst of them."""
    wanted = [one for one in tally if one.number and not one.protected]
    if not wanted:
        return NONE
    if any(one.outcome not in DONE for one in wanted):
        return OPEN
    if all(one.verification == Verification.CONFIRMED or one.outcome in CHECKS for one in wanted):
        return GONE
    return ORDERED if any(one.outcome == "accepted" for one in wanted) else SAID


def _session(state: str) -> list[dict[str, str]]:
    """Return the line about the sessions themselves, where nobody has seen them go."""
    if state in (GONE, NONE):
        return []
    remedy = "see the targets that are not good" if state == OPEN else "look at the service itself"
    return [
        {"what": "the sessions themselves", "until": "until somebody has seen that they are gone", "remedy": remedy}
    ]


def _sentence(
    subject: str,
    states: Mapping[str, str],
    left: Sequence[Left],
    untouched: Mapping[str, Sequence[str]],
    in_flight: int,
) -> str:
    """Return what an on-call can paste; it never says that nothing is left unless that was seen."""
    sure = [service for service, state in states.items() if state == GONE]
    unsure = [service for service, state in states.items() if state != GONE]
    parts = []
    if unsure or in_flight:
        parts.append(f"it was not seen that {subject}'s access over {', '.join(unsure) or 'calls in flight'} is gone")
    if sure:
        parts.append(f"{subject}'s sessions over {', '.join(sure)} were seen to be gone")
    if left:
        parts.append(f"{len(left)} thing{'s' if len(left) > 1 else ''} may still work for a while, as listed")
    if untouched:
        parts.append(f"{', '.join(untouched)} {'were' if len(untouched) > 1 else 'was'} not touched by this plan")
    if not (unsure or left or untouched or in_flight):
        parts.append("nothing else is known to remain")
    said = "; ".join(parts)
    return said[:1].upper() + said[1:] + "."
