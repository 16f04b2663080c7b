"""The summary of one run: what happened, in numbers and in a sentence, and how to go on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from orchestrator.model import DONE, PROTECTED, Outcome, RunRecord, Tallied, Verification, meets
from orchestrator.report import wording
from orchestrator.report.residual import Statement
from orchestrator.report.wording import Record
from orchestrator.units import plural, timestamp

STATUS = {
    None: ("not over", "The run is still under way, or it was cut off before it could finish."),
    0: ("all good", "Every target meets what the plan requires."),
    3: ("not all good", "The run finished, and some targets do not meet what the plan requires."),
    5: ("stopped midway", "The run stopped at its failure threshold or its deadline; what was left was not attempted."),
    6: ("nothing matched", "No target matched, and the plan does not say that this is all right."),
    130: ("interrupted", "The run was interrupted; no new calls were made."),
    143: ("terminated", "The run was told to stop; no new calls were made."),
}
UNCHECKED = "could not be looked at afterwards: they count as the service said, and may live."
SOURCE_FAILED = (
    "not all could be read",
    "The run finished, but not everything that it was to read could be read; targets may be missing.",
)


class Summary(NamedTuple):
    """One run in numbers; `counts` has every outcome, `lanes` the same by `service@connection`.

    `tally` is what both are sums of, and tells how targets were verified; `in_flight` targets were sent and have no
    outcome. `residual` is what may still work, where the run is about a person.
    """

    facts: RunRecord
    tally: Sequence[Tallied]
    counts: Mapping[str, int]
    lanes: Mapping[str, Mapping[str, int]]
    in_flight: int
    notes: Sequence[str]
    folder: str
    residual: Statement | None = None

    @property
    def protected(self) -> int:
        """Return how many of `not_attempted` the plan protects; these are good."""
        return sum(one.number for one in self.tally if one.protected)

    @property
    def verifications(self) -> Mapping[str, int]:
        """Return how many targets were verified how; what was left pending is unavailable."""
        found = dict.fromkeys(("confirmed", "contradicted", "unavailable", "not_requested"), 0)
        for one in self.tally:
            name = "unavailable" if one.verification == Verification.PENDING else one.verification
            found[name] = found.get(name, 0) + one.number
        return found

    @property
    def settled(self) -> int:
        """Return how many targets have an outcome."""
        return sum(self.counts.values())

    @property
    def total(self) -> int:
        """Return how many targets there are, those in flight included."""
        return self.settled + self.in_flight

    @property
    def good(self) -> int:
        """Return how many targets meet what the plan requires."""
        return sum(one.number for one in self.tally if self._meets(one))

    @property
    def not_good(self) -> int:
        """Return how many targets do not."""
        return self.total - self.good

    @property
    def met(self) -> bool:
        """Return whether the run ended well, and every target is as the plan requires."""
        return self.facts.exit_code == 0 and not self.not_good

    @property
    def unchecked(self) -> int:
        """Return how many targets were to be looked at afterwards, and could not be."""
        return self.verifications["unavailable"]

    @property
    def green(self) -> bool:
        """Return whether nobody has to be told: all is as required, and every look saw something."""
        return self.met and not self.unchecked

    @property
    def duration(self) -> float | None:
        """Return the seconds from start to end, None while the run is not over."""
        return None if self.facts.ended is None else self.facts.ended - self.facts.started

    def is_good(self, outcome: str) -> bool:
        """Return whether all targets of an outcome are good, those aside that the plan protects."""
        return all(self._meets(one) for one in self.tally if one.outcome == outcome and not one.protected)

    def meets(self, record: Record) -> bool:
        """Return whether the target of one record is good."""
        outcome, verification = str(record.get("outcome")), str(record.get("verification"))
        protected = outcome == "not_attempted" and record.get("reason") == PROTECTED
        return meets(self.facts.require, outcome, verification, protected=protected)

    def open_counts(self) -> list[tuple[str, int]]:
        """Return (outcome, count) of the targets that are not good, the worst first, those in flight last."""
        return [*self._counted(good=False), *([(wording.IN_FLIGHT, self.in_flight)] if self.in_flight else [])]

    def good_counts(self) -> list[tuple[str, int]]:
        """Return (outcome, count) of the targets that are good, the least sure first, the protected last."""
        return [*self._counted(good=True), *([(PROTECTED, self.protected)] if self.protected else [])]

    def _counted(self, *, good: bool) -> list[tuple[str, int]]:
        found: dict[str, int] = {}
        for one in sorted(self.tally, key=lambda one: wording.rank(one.outcome)):
            if one.number and not one.protected and self._meets(one) is good:
                found[one.outcome] = found.get(one.outcome, 0) + one.number
        return list(found.items())

    def _meets(self, one: Tallied) -> bool:
        return meets(self.facts.require, one.outcome, one.verification, protected=one.protected)

    @property
    def status(self) -> str:
        """Return how the run ended in two or three words."""
        return self._words[0]

    @property
    def meaning(self) -> str:
        """Return in a sentence what the exit code means."""
        return self._words[1]

    @property
    def remarks(self) -> tuple[str, ...]:
        """Return what the bare numbers would hide: what accepted does not say, and what was left alone."""
        numbers = (("accepted", self.counts.get("accepted", 0)), (PROTECTED, self.protected))
        told = tuple(f"{count:,} {outcome}: {wording.meaning(outcome)}." for outcome, count in numbers if count)
        return (*told, f"{self.unchecked:,} {UNCHECKED}") if self.met and self.unchecked else told

    @property
    def cut_off(self) -> str:
        """Return who was left alone for having signed in lately, and where nobody could tell."""
        moment = wording.moment(self.facts.cut_off)
        called = {one.service for one in self.tally if one.outcome != Outcome.NOT_ATTEMPTED}
        left_alone = f"Sessions that began after {moment} are left alone where the service tells when one began."
        if not (blind := sorted(called & set(self.facts.ageless))):
            return left_alone
        where = " and ".join([*([", ".join(blind[:-1])] if blind[1:] else []), blind[-1]])
        return f"{left_alone} Of {where} it is not known when: who had signed in again there may have been signed out."

    @property
    def sentence(self) -> str:
        """Return in a sentence how many targets are in which state; what is not good comes first."""
        if not self.total:
            return "There was no target."
        number, counts = (self.not_good, self.open_counts()) if self.not_good else (self.good, self.good_counts())
        words = "not good" if self.not_good else "good"
        return f"{number:,} of {plural(self.total, 'target')} {words}: {listed(counts)}."

    @property
    def headline(self) -> str:
        """Return the whole run in one line."""
        return f"{self.facts.plan}: {self.status}. {self.sentence}"

    @property
    def left(self) -> int:
        """Return how many targets a resume may make good: it sends them again, or looks at them again.

        Which services let a call be repeated, or can be asked afterwards, is not on record, so that `unknown` and
        `unavailable` targets of those that do not are counted too.
        """
        unasked = (one.outcome in DONE and one.verification == Verification.NOT_REQUESTED for one in self.tally)
        pairs = zip(self.tally, unasked, strict=True)
        return self.in_flight + sum(one.number for one, final in pairs if not final and not self._meets(one))

    @property
    def resume(self) -> str | None:
        """Return the command to go on with, None where nothing is left."""
        code = self.facts.exit_code
        unread = code == 3 and not self.not_good
        left = self.left or self.facts.unfinished or unread
        return self.facts.resume_command if left else None

    @property
    def _words(self) -> tuple[str, str]:
        code = self.facts.exit_code
        if code == 0 and self.not_good:  # never a false green, whoever made the mistake
            code = 3
        if code == 3 and not self.not_good:
            return SOURCE_FAILED
        if self.met and self.unchecked:
            return "good, and not all could be checked", STATUS[0][1]
        unknown = ("failed", f"Exit code {code} is not one that the program knows: it counts as a failure.")
        return STATUS.get(code, unknown)

    def to_json(self) -> dict[str, Any]:
        """Return report.json: plain values under stable keys, times in UTC."""
        facts = self.facts
        return {
            "version": 1,
            "run": facts.run,
            "plan": facts.plan,
            "headline": self.headline,
            "exit_code": facts.exit_code,
            "meaning": self.meaning,
            "reason": facts.reason,
            "require": facts.require,
            "started": timestamp(facts.started),
            "ended": timestamp(facts.ended),
            "cut_off": timestamp(facts.cut_off or None),
            "not_told_when_begun": list(facts.ageless),
            "duration_ms": None if self.duration is None else round(self.duration * 1000),
            "total": self.total,
            "good": self.good,
            "not_good": self.not_good,
            "protected": self.protected,
            "in_flight": self.in_flight,
            "counts": dict(self.counts),
            "verification": dict(self.verifications),
            "residual": self.residual.to_json() if self.residual else None,
            "lanes": {lane: dict(counts) for lane, counts in self.lanes.items()},
            "notes": list(self.notes),
            "resume": self.resume,
            "folder": self.folder,
            "plan_path": facts.plan_path,
            "config_path": facts.config_path,
            "plan_digest": facts.digest,
            "seal": facts.seal or None,
            "inputs": dict(facts.inputs),
            "variables": dict(facts.variables),
        }


def listed(counts: Iterable[tuple[str, int]]) -> str:
    """Return `3 still active, 12 failed`."""
    return ", ".join(f"{count:,} {wording.name(outcome)}" for outcome, count in counts)


def summarize(
    facts: RunRecord,
    tally: Iterable[Tallied],
    *,
    folder: object,
    in_flight: int = 0,
    notes: Iterable[str] = (),
    residual: Statement | None = None,
) -> Summary:
    """Build the summary; `folder` is the report's."""
    known = tuple(tally)
    totals = _empty()
    lanes: dict[str, dict[str, int]] = {}
    for one in known:
        lane = lanes.setdefault(_encodable(f"{one.service}@{one.connection}"), _empty())
        for counts in (totals, lane):
            counts[one.outcome] = counts.get(one.outcome, 0) + one.number
    ordered = dict(sorted(lanes.items()))
    texts = tuple(map(_encodable, notes))
    return Summary(_clean(facts), known, totals, ordered, in_flight, texts, _encodable(str(folder)), residual)


def _empty() -> dict[str, int]:
    return {str(outcome): 0 for outcome in Outcome}


def _clean(facts: RunRecord) -> RunRecord:
    return facts._replace(
        run=_encodable(facts.run),
        plan=_encodable(facts.plan),
        plan_path=_encodable(facts.plan_path),
        config_path=None if facts.config_path is None else _encodable(facts.config_path),
        variables={_encodable(key): _encodable(value) for key, value in facts.variables.items()},
        inputs={_encodable(key): value for key, value in facts.inputs.items()},
        reason=_encodable(facts.reason),
        subject=_encodable(facts.subject),
    )


def _encodable(text: str) -> str:
    """Return text that UTF-8 can carry: a file name that is none may have come in as surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()
