"""Two runs compared: what got worse, what got better, what came and what went; nothing is kept but counts.

Every target of either run has exactly one change. Good is what meets the `require` of the run that it is of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator import history
from orchestrator.errors import InvalidInput
from orchestrator.journal import SqliteJournal
from orchestrator.journal.pairs import Pair, listing_failures, pairs
from orchestrator.model import Outcome, RunRecord, meets

DOUBT = "what is gone from it may only not have been reached"
_NAMES = {"require": "require", "selectors": "--only", "variables": "variables (--var)"}


class Change(StrEnum):
    """What became of a target from one run to the next; in the order in which people want to know."""

    NEWLY_FAILING = "newly_failing"
    NEWLY_UNKNOWN = "newly_unknown"
    STILL_FAILING = "still_failing"
    RECOVERED = "recovered"
    NEW = "new"
    GONE = "gone"
    STILL_GOOD = "still_good"


WORSE = (Change.NEWLY_FAILING, Change.NEWLY_UNKNOWN)


def change(before: bool | None, after: bool | None, outcome: str | None) -> Change:
    """Return the change from good, not good or not there (None) to the same; `outcome` is the later one.

    A target that is new and not good is newly failing (or unknown) all the same: nobody should look for it elsewhere.
    """
    if after is None:
        return Change.GONE
    if after:
        return {None: Change.NEW, True: Change.STILL_GOOD, False: Change.RECOVERED}[before]
    if before is False:
        return Change.STILL_FAILING
    return Change.NEWLY_UNKNOWN if outcome == Outcome.UNKNOWN else Change.NEWLY_FAILING


@dataclass(slots=True)
class Comparison:
    """Two runs; `counts` and `totals` (targets of the earlier and of the later one) are complete after `changes`."""

    journal: SqliteJournal
    before: RunRecord
    after: RunRecord
    counts: Counter[Change] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    doubtful: bool = False
    totals: list[int] = field(default_factory=lambda: [0, 0])

    def __post_init__(self) -> None:
        taken_up = sum(one.number for one in self.journal.tally(self.after.run))  # less, where a list changed meanwhile
        unread = taken_up < self.after.planned or bool(listing_failures(self.journal, self.after.run))
        self.doubtful = self.after.unfinished or unread
        self.notes = list(self._notes())

    def changes(self) -> Iterator[tuple[Change, Pair]]:
        """Yield every target of either run with what became of it."""
        self.counts.clear()
        self.totals = [0, 0]
        for pair in pairs(self.journal, self.before.run, self.after.run):
            found = change(
                _good(self.before, pair.before, pair.before_verification, pair.before_protected),
                _good(self.after, pair.after, pair.after_verification, pair.after_protected),
                pair.after,
            )
            self.counts[found] += 1
            self.totals[0] += pair.before is not None
            self.totals[1] += pair.after is not None
            yield found, pair

    @property
    def exit_code(self) -> int:
        """Return 3 when something is newly not good, or is gone from a run that may not have looked at it; else 0."""
        worse = any(self.counts[one] for one in WORSE)
        return 3 if worse or (self.doubtful and self.counts[Change.GONE]) else 0

    def _notes(self) -> Iterator[str]:
        """Say what makes the two runs hard to compare."""
        before, after = self.before, self.after
        if (before.started, before.run) > (after.started, after.run):
            yield f"{before.run} is the later one of the two, and is taken for the earlier one"
        if before.plan != after.plan:
            yield f"these are runs of two plans, {before.plan} and {after.plan}"
        for name, said in _NAMES.items():
            if before.plan == after.plan and getattr(before, name) != getattr(after, name):
                yield f"the two runs do not have the same {said}"
        if before.unfinished:
            yield f"{before.run} did not finish: what is new may only not have been reached by it"
        if after.unfinished:
            yield f"{after.run} did not finish: {DOUBT}"
        for failure in listing_failures(self.journal, after.run):
            yield f"a list of {after.run} is not whole ({failure}): {DOUBT}"


def _good(record: RunRecord, outcome: str | None, verification: str | None, protected: int) -> bool | None:
    if outcome is None:
        return None
    return meets(record.require, outcome, verification or "", protected=bool(protected))


def find(journal: SqliteJournal, first: str, second: str | None) -> tuple[RunRecord, RunRecord]:
    """Return the earlier and the later run of one or two names; one is held against the run of its plan before it."""
    found = history.find(journal, first)
    if second is None:
        return earlier(journal, found), found
    other = history.find(journal, second)
    if found.run == other.run:
        raise InvalidInput.one("diff", f"{first!r} and {second!r} are the same run, {found.run}")
    return found, other


def earlier(journal: SqliteJournal, record: RunRecord) -> RunRecord:
    """Return the run of the same plan before a run: with the same variables where there is one."""
    moment = (record.started, record.run)
    known = [one for one in journal.runs() if one.plan == record.plan and (one.started, one.run) < moment]
    alike = [one for one in known if one.lock_name == record.lock_name]
    if not known:
        raise InvalidInput.one("diff", f"there is no run of the plan {record.plan!r} before {record.run}; name two")
    return (alike or known)[-1]
