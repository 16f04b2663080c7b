"""What a person may still get in with after a run, and until when: what was declared, joined with how the run went.

It is made from the run's own record, so that it says the same when the catalogue and the config have changed since.
Nothing in it says that nothing remains, unless every target was seen to be gone and every service was touched.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from orchestrator.model import CHECKS, DONE, PROTECTED, RunRecord, Tallied, Verification
from orchestrator.report import wording
from orchestrator.report.wording import one_line
from orchestrator.units import timestamp

# How the targets of a service fared, what may still live first.
OPEN, ACCEPTED, ENDED, NO_TARGET, CONFIRMED, UNTOUCHED = (
    "open",
    "accepted",
    "ended",
    "no_target",
    "confirmed",
    "untouched",
)
STATES = {
    OPEN: "not all ended",
    ACCEPTED: "accepted only",
    ENDED: "ended, nobody looked",
    NO_TARGET: "no target in the run",
    CONFIRMED: "confirmed gone, or denied",
    UNTOUCHED: "not touched by the plan",
}
_RANK = {state: rank for rank, state in enumerate(STATES)}
_SESSIONS = {
    OPEN: "live sessions or access",
    ACCEPTED: "sessions whose end was ordered and not seen",
    ENDED: "sessions that only the service's answer calls over",
    NO_TARGET: "whatever there is, for the run had no target there",
    CONFIRMED: "",
    UNTOUCHED: "whatever there is, for the plan did not touch it",
}
_UNTIL = {
    OPEN: "until they are ended",
    ACCEPTED: "until the service has carried out the order",
    ENDED: "not known until somebody looks",
    NO_TARGET: "not known until somebody looks",
    UNTOUCHED: "not known until somebody looks",
}
_LOOK = "look in the service itself"
_REMEDIES = {OPEN: "go on with the run, or end them in the service itself", UNTOUCHED: f"add it to a plan, or {_LOOK}"}
_UNTAKEN = "never_taken_up"

Say = Callable[[str], str]


class Row(NamedTuple):
    """One thing that may still work; `at` is when it is over at the latest, in seconds since the epoch.

    `kind` is `sessions` (those of the run's own targets), `declared` (by the description) or `untouched`.
    """

    kind: str
    service: str
    connections: Sequence[str]
    state: str
    counts: Mapping[str, int]
    what: str
    until: str
    seconds: float | None = None
    at: float | None = None
    remedy: str = ""

    @property
    def fared(self) -> str:
        """Return how many of the service's targets fared how."""
        return ", ".join(f"{count:,} {wording.name(outcome)}" for outcome, count in self.counts.items())

    @property
    def when(self) -> str:
        """Return until when, with the point in time where there is one."""
        if self.at is not None:
            return f"{self.until}: {wording.moment(self.at)} at the latest"
        return f"{self.until}, counted from when the session is ended" if self.seconds else self.until

    def clause(self, say: Say) -> str:
        """Return what is declared as a part of the sentence; `say` makes others' text harmless."""
        if self.at is not None:
            return f"{say(self.what)} ({say(self.service)}) until {wording.moment(self.at)}"
        return f"{say(self.what)} ({say(self.service)}; {say(self.when)})"

    def place(self, say: Say) -> str:
        """Return the service, and how its targets fared or else what reaches it."""
        beside = self.fared if self.state != UNTOUCHED else ", ".join(map(say, self.connections))
        return f"{say(self.service)} ({beside})" if beside else say(self.service)

    def to_json(self) -> dict[str, Any]:
        """Return the row for report.json."""
        return {
            "kind": self.kind,
            "service": self.service,
            "connections": list(self.connections),
            "state": self.state,
            "targets": dict(self.counts),
            "what": self.what,
            "until": self.until,
            "until_time": timestamp(self.at),
            "remedy": self.remedy,
        }


class Statement(NamedTuple):
    """The rows, what may still live first; `doubts` say why more than that may remain."""

    subject: str
    rows: Sequence[Row]
    doubts: Sequence[str] = ()

    @property
    def latest(self) -> float | None:
        """Return when the last of it is over, None where that is not known of every row."""
        moments = [row.at for row in self.rows if row.at is not None]
        return max(moments) if moments and len(moments) == len(self.rows) and not self.doubts else None

    def opening(self, say: Say = one_line) -> str:
        """Return how the sentence begins."""
        if self.rows:
            return f"{say(self.subject)} may still have"
        return f"{say(self.subject)} {'may still have access' if self.doubts else 'has no access that is known'}"

    def closing(self) -> str:
        """Return how the sentence ends."""
        if self.doubts:
            remains = "whether more than that remains" if self.rows else "what remains"
            return f"{remains} is not known, because {' and '.join(self.doubts)}"
        if not self.rows:
            return "every target was seen to be gone, and the plan touched every service of the config"
        beyond = "that" if self.latest is None else wording.moment(self.latest)
        return f"nothing known remains beyond {beyond}"

    def sentence(self, say: Say = one_line) -> str:
        """Return the whole for a ticket; `say` makes others' text harmless where it is put."""
        clauses = "; ".join(self.clauses(say))
        return f"{self.opening(say)}{' ' if clauses else ''}{clauses}; {self.closing()}."

    def clauses(self, say: Say = one_line) -> Iterator[str]:
        """Yield what may still work in the order of the rows; sessions that fared alike stand together."""
        for state, words in _SESSIONS.items():
            alike = [row for row in self.rows if row.state == state]
            if places := [row.place(say) for row in alike if row.kind != "declared"]:
                yield f"{words}, in {', '.join(places)}"
            yield from (row.clause(say) for row in alike if row.kind == "declared")

    def to_json(self) -> dict[str, Any]:
        """Return `residual` of report.json."""
        return {
            "subject": self.subject,
            "sentence": self.sentence(),
            "doubts": list(self.doubts),
            "latest": timestamp(self.latest),
            "rows": [row.to_json() for row in self.rows],
        }


def statement(
    facts: RunRecord, tally: Iterable[Tallied], in_flight: Mapping[str, int], last: Mapping[str, float]
) -> Statement | None:
    """Return what remains after a run, None where it is about nobody.

    `in_flight` has how many targets of a service were sent and have no outcome, `last` the moment of its last call.
    """
    if not facts.subject:
        return None
    known, states = list(tally), []
    rows: list[Row] = []
    for declared in facts.residual.get("services", ()):
        counts, state = _fared(declared, known, in_flight.get(declared["service"], 0))
        states.append(state)
        rows += _rows(declared, counts, state, last.get(declared["service"]))
    rows += map(_untouched, facts.residual.get("not_touched", ()))
    rows.sort(key=lambda row: _RANK[row.state])
    return Statement(facts.subject, rows, tuple(_doubts(facts, states)))


def _doubts(facts: RunRecord, states: Sequence[str]) -> Iterator[str]:
    if facts.exit_code is None:
        yield "the run is not over"
    if not states:
        yield "what the plan's services leave is not on record"
    if facts.selectors:
        yield "only a part of the plan was run"
    if any(state != CONFIRMED for state in states):
        yield "not every target was seen to be gone"
    elif facts.exit_code:
        yield f"the run ended with exit code {facts.exit_code}"
    if facts.residual.get("not_touched"):
        yield "the plan did not touch every service of the config"


def _fared(declared: Mapping[str, Any], tally: Iterable[Tallied], in_flight: int) -> tuple[dict[str, int], str]:
    """Return how many targets of a service fared how, the worst first, and what that comes to."""
    found: Counter[str] = Counter()
    states: set[str] = set()
    for one in tally:
        if one.service == declared["service"] and one.number:
            found[PROTECTED if one.protected else one.outcome] += one.number
            states.add(_state(one))
    if declared.get("without_target"):
        states.add(NO_TARGET)
    missing = {wording.IN_FLIGHT: in_flight, _UNTAKEN: declared.get("planned", 0) - found.total() - in_flight}
    left = {name: number for name, number in missing.items() if number > 0}
    counts = dict(sorted({**found, **left}.items(), key=lambda item: wording.rank(item[0])))
    return counts, min({*states, *([OPEN] if left else [])}, key=_RANK.__getitem__, default=NO_TARGET)


def _state(one: Tallied) -> str:
    """Return what one outcome comes to: a link that was issued lets somebody in, whoever asked for it."""
    lives = one.outcome not in DONE or one.verification == Verification.CONTRADICTED
    if one.protected or lives or one.outcome == "issued":
        return OPEN
    if one.outcome in CHECKS or one.verification == Verification.CONFIRMED:
        return CONFIRMED
    return ACCEPTED if one.outcome == "accepted" else ENDED


def _rows(declared: Mapping[str, Any], counts: Mapping[str, int], state: str, last: float | None) -> Iterator[Row]:
    """Yield the sessions themselves, unless they were seen to be gone, and what the description declares."""
    place = (declared["service"], declared["connections"], state, counts)
    if state != CONFIRMED:
        yield Row("sessions", *place, _SESSIONS[state], _UNTIL[state], remedy=_REMEDIES.get(state, _LOOK))
    counts_from = last if state in (ENDED, CONFIRMED) else None  # what is not over yet is counted from its end
    for entry in declared["residual"]:
        seconds = entry.get("seconds")
        at = None if counts_from is None or not seconds else float(math.ceil(counts_from + seconds))
        yield Row("declared", *place, entry["what"], entry["until"], seconds, at, entry.get("remedy", ""))


def _untouched(one: Mapping[str, Any]) -> Row:
    place = (one["service"], one["connections"], UNTOUCHED)
    return Row("untouched", *place, {}, _SESSIONS[UNTOUCHED], _UNTIL[UNTOUCHED], remedy=_REMEDIES[UNTOUCHED])
