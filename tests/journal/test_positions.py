"""A run's lines come by position; those of other runs, before, beside and after it, are none of them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from orchestrator.journal import SqliteJournal
from orchestrator.journal import statements as sql
from orchestrator.model import Outcome, RunRecord, Settled, Target

RECORD = RunRecord("", "p", "p.yaml", None, "d", "accepted", 1.0)


def settled(*names: str) -> list[Settled]:
    return [Settled(Target("s", "c", name, {}), Outcome.ENDED) for name in names]


def lines(journal: SqliteJournal, run: str) -> list[str]:
    return [line.split('"target":"')[1].split('"')[0] for line in journal.records(run)]


@pytest.fixture
async def journal(tmp_path: Path) -> SqliteJournal:
    made = SqliteJournal(tmp_path / "journal.sqlite")
    made.start()
    return made


async def told(journal: SqliteJournal, run: str, *names: str) -> None:
    journal.settle(run, settled(*names))
    await journal.flush()


async def test_runs_that_alternate_are_told_apart(journal: SqliteJournal) -> None:
    for run in "ab":
        journal.add(RECORD._replace(run=run))
    for number in range(3):
        await told(journal, "a", f"a{number}")
        await told(journal, "b", f"b{number}")
    journal.finish(RECORD._replace(run="a", ended=2.0, exit_code=0))
    await told(journal, "b", "b3")
    assert lines(journal, "a") == ["a0", "a1", "a2"]
    assert lines(journal, "b") == ["b0", "b1", "b2", "b3"]
    journal.close()


async def test_a_run_that_goes_on_after_a_later_one_has_all_its_lines(journal: SqliteJournal) -> None:
    journal.add(RECORD._replace(run="first"))
    await told(journal, "first", "one")
    journal.finish(RECORD._replace(run="first", ended=2.0, exit_code=5))
    journal.add(RECORD._replace(run="later"))
    await told(journal, "later", "other")
    journal.finish(RECORD._replace(run="later", ended=3.0, exit_code=0))
    journal.reopen("first")
    await told(journal, "first", "two")
    assert lines(journal, "first") == ["one", "two"]  # also before it is over once more
    journal.finish(RECORD._replace(run="first", ended=4.0, exit_code=0))
    assert lines(journal, "first") == ["one", "two"]
    assert lines(journal, "later") == ["other"]
    journal.close()


def test_nothing_is_sorted_to_tell_the_lines() -> None:
    database = sqlite3.connect(":memory:")
    sql.prepare(database)
    plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {sql.RECORDS}", ("run",))]
    assert "rowid>? AND rowid<?" in plan[0]
    assert not any("TEMP B-TREE" in step for step in plan)
    database.close()
