"""Two runs compared: every kind of change, what stands in the way of comparing, which run is before which."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from orchestrator import comparison
from orchestrator.comparison import Change, Comparison, change
from orchestrator.errors import InvalidInput
from orchestrator.journal import BACKENDS, SqliteJournal
from orchestrator.model import PROTECTED, Batch, Outcome, RunRecord, Settled, Target, Verification

EARLIER = RunRecord(
    *("20261121-a", "nightly", "/p.yaml", None, "d", "accepted", 1.0, "n"),
    selectors=[],
    exit_code=0,
    notes=[],
    ageless=[],
)
LATER = EARLIER._replace(run="20261122-b", started=2.0)
Fared = Outcome | tuple[Outcome, Verification] | str | None


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    made = BACKENDS["sqlite"](tmp_path / "journal.sqlite")
    made.start()
    yield made
    made.close()


async def a_run(journal: SqliteJournal, record: RunRecord, targets: Mapping[str, Fared]) -> None:
    """Note a run with its targets: an outcome, one with its verification, protected, or in flight (None)."""
    journal.add(record)
    for name, fared in targets.items():
        target = Target("dcs.webcli", "prod", name, {}, "stage")
        await journal.sent(record.run, [Batch([target], 1)])
        if fared == PROTECTED:
            journal.settle(record.run, [Settled(target, Outcome.NOT_ATTEMPTED, PROTECTED)])
        elif fared is not None:
            outcome, seen = fared if isinstance(fared, tuple) else (Outcome(fared), Verification.NOT_REQUESTED)
            journal.settle(record.run, [Settled(target, outcome, verification=seen)])
    await journal.flush()


async def compared(
    journal: SqliteJournal,
    before: Mapping[str, Fared],
    after: Mapping[str, Fared],
    records: tuple[RunRecord, RunRecord] = (EARLIER, LATER),
) -> tuple[Comparison, dict[str, Change]]:
    await a_run(journal, records[0], before)
    await a_run(journal, records[1], after)
    found = Comparison(journal, *records)
    return found, {pair.target: kind for kind, pair in found.changes()}


@pytest.mark.parametrize(
    ("before", "after", "outcome", "expected"),
    [
        (True, False, "failed", Change.NEWLY_FAILING),
        (True, False, "not_attempted", Change.NEWLY_FAILING),
        (True, False, "unknown", Change.NEWLY_UNKNOWN),
        (None, False, "failed", Change.NEWLY_FAILING),
        (None, False, "unknown", Change.NEWLY_UNKNOWN),
        (False, False, "failed", Change.STILL_FAILING),
        (False, False, "unknown", Change.STILL_FAILING),
        (False, True, "ended", Change.RECOVERED),
        (None, True, "ended", Change.NEW),
        (True, True, "ended", Change.STILL_GOOD),
        (True, None, None, Change.GONE),
        (False, None, None, Change.GONE),
    ],
)
def test_every_change(before: bool | None, after: bool | None, outcome: str | None, expected: Change) -> None:
    assert change(before, after, outcome) is expected


async def test_two_runs_are_joined_by_target_in_order(journal: SqliteJournal) -> None:
    before = {"d": Outcome.ENDED, "a": Outcome.ENDED, "b": Outcome.FAILED, "gone": Outcome.ENDED, "f": Outcome.FAILED}
    after = {"f": Outcome.UNKNOWN, "b": Outcome.ACCEPTED, "new": Outcome.ENDED, "a": Outcome.FAILED, "d": None}
    found, changes = await compared(journal, before, after)
    assert list(changes) == ["a", "b", "d", "f", "gone", "new"]
    assert changes == {
        "a": Change.NEWLY_FAILING,
        "b": Change.RECOVERED,
        "d": Change.NEWLY_UNKNOWN,
        "f": Change.STILL_FAILING,
        "gone": Change.GONE,
        "new": Change.NEW,
    }
    assert (found.totals, sum(found.counts.values()), found.exit_code) == ([5, 5], 6, 3)


async def test_each_run_is_held_against_its_own_requirement(journal: SqliteJournal) -> None:
    records = (EARLIER, LATER._replace(require="verified"))
    seen = (Outcome.ENDED, Verification.CONFIRMED)
    before: dict[str, Fared] = {"a": Outcome.ACCEPTED, "b": Outcome.ENDED, "c": Outcome.ENDED, "p": PROTECTED}
    after: dict[str, Fared] = {"a": Outcome.ACCEPTED, "b": Outcome.ENDED, "c": seen, "p": PROTECTED}
    found, changes = await compared(journal, before, after, records)
    assert changes == {
        "a": Change.NEWLY_FAILING,
        "b": Change.NEWLY_FAILING,
        "c": Change.STILL_GOOD,
        "p": Change.STILL_GOOD,
    }
    assert found.notes == ["the two runs do not have the same require"]


async def test_what_is_still_not_good_or_is_gone_is_nothing_new(journal: SqliteJournal) -> None:
    before, after = {"a": Outcome.FAILED, "b": Outcome.ENDED}, {"a": Outcome.STILL_ACTIVE}
    found, _ = await compared(journal, before, after)
    assert (found.exit_code, found.notes) == (0, [])


async def test_gone_from_a_run_that_did_not_finish_is_no_good_news(journal: SqliteJournal) -> None:
    found, _ = await compared(journal, {"a": Outcome.ENDED}, {}, (EARLIER, LATER._replace(exit_code=130)))
    assert found.exit_code == 3
    assert comparison.DOUBT in found.notes[0]


async def test_gone_from_a_list_that_was_not_whole_is_no_good_news(journal: SqliteJournal) -> None:
    journal.add_listing(LATER.run, 0, 0, "page 3 could not be read", [])
    found, _ = await compared(journal, {"a": Outcome.ENDED}, {})
    assert found.exit_code == 3
    assert "page 3 could not be read" in found.notes[0]


async def test_what_makes_them_hard_to_compare_is_said(journal: SqliteJournal) -> None:
    other = EARLIER._replace(plan="weekly", exit_code=None)
    found, _ = await compared(journal, {}, {}, (LATER, other))
    assert [note.partition(" ")[0] for note in found.notes] == [LATER.run, "these", EARLIER.run]
    limited = Comparison(journal, EARLIER, LATER._replace(selectors=["stage=a"], variables={"a": "b"}))
    assert [note.rpartition("same ")[2] for note in limited.notes] == ["--only", "variables (--var)"]


async def test_one_run_is_held_against_the_one_before_it(journal: SqliteJournal) -> None:
    others = EARLIER._replace(run="other-vars", lock_name="m", started=1.5), LATER._replace(run="weekly", plan="weekly")
    for record in (EARLIER, LATER, *others):
        journal.add(record)
    assert comparison.find(journal, LATER.run, None) == (EARLIER, LATER)
    assert comparison.find(journal, "other", None) == (EARLIER, others[0])
    assert comparison.find(journal, LATER.run, "20261121") == (LATER, EARLIER)
    with pytest.raises(InvalidInput, match="no run of the plan 'weekly' before"):
        comparison.find(journal, "weekly", None)
    with pytest.raises(InvalidInput, match="are the same run"):
        comparison.find(journal, "20261122", LATER.run)
    with pytest.raises(InvalidInput, match="there is no run 'nothing'"):
        comparison.find(journal, "latest", "nothing")


def test_neither_run_is_sorted_nor_kept_in_memory(tmp_path: Path) -> None:
    from orchestrator.journal import statements as sql

    journal = BACKENDS["sqlite"](tmp_path / "journal.sqlite")
    steps = [row[3] for row in journal.read(f"EXPLAIN QUERY PLAN {sql.PAIRS}", {"before": "a", "after": "b"})]
    journal.close()
    assert not any("TEMP" in step or "SCAN" in step for step in steps), steps
