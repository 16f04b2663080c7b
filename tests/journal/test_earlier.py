"""A journal that an earlier version of the program began is gone on with."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.journal import SqliteJournal
from orchestrator.journal import statements as sql


def _earlier(statement: str) -> str:
    """Return a statement of the schema without the columns that were added since."""
    for name in sql.ADDED:
        statement = re.sub(rf",\s*{name} (TEXT|REAL|INTEGER)( NOT NULL DEFAULT ('[^']*'|0))?", "", statement)
    return statement


def test_a_journal_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as earlier:
        for statement in sql.SCHEMA.values():
            earlier.execute(_earlier(statement))
        columns = sql.RUN_COLUMNS.removesuffix(", seal, subject, residual, cut_off, ageless")
        earlier.execute(
            f"INSERT INTO runs ({columns}) VALUES ('r', 'p', 'p', NULL, 'd', 'accepted', 1, 'l', 'f', '[]', 0, "
            "'{}', '{}', NULL, NULL, '', '[]')"
        )
        earlier.commit()
    for _ in range(2):
        with closing(SqliteJournal(path)) as journal:
            assert [record.seal for record in journal.runs()] == [""]
            assert [(record.subject, record.residual) for record in journal.runs()] == [("", {})]
            assert [(record.cut_off, record.ageless) for record in journal.runs()] == [(0.0, [])]


TARGETS = """
    CREATE TABLE targets (
        position INTEGER PRIMARY KEY, run TEXT NOT NULL, service TEXT NOT NULL, connection TEXT NOT NULL,
        target TEXT NOT NULL, stage TEXT NOT NULL, batch INTEGER, sent REAL, outcome TEXT, record TEXT, earlier TEXT,
        verification TEXT, protected INTEGER,
        UNIQUE (run, service, connection, target))
"""
PLAIN = (None, "not_requested", 0)  # no earlier outcome
ROWS = [
    ("r", "s", "c", "done", "one", 1, 1.5, "ended", '{"target":"done"}', *PLAIN),
    ("r", "s", "c", "flying", "one", 2, 2.5, None, None, None, None, None),
    ("r", "s", "d", "once more", "two", 3, 3.5, None, '{"target":"once more"}', "ended", "confirmed", 0),
    ("other", "s", "c", "done", "one", 1, 1.5, "failed", '{"target":"done"}', *PLAIN),
    ("other", "s", "c", "flying", "one", 9, 1.5, "failed", '{"target":"flying"}', *PLAIN),
]


def test_what_a_journal_of_an_earlier_version_knows_of_targets_is_known(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as earlier:
        earlier.execute(sql.SCHEMA["runs"])
        earlier.execute(TARGETS)
        earlier.executemany(
            "INSERT INTO targets (run, service, connection, target, stage, batch, sent, outcome, record, earlier, "
            "verification, protected) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ROWS,
        )
        earlier.commit()
    for _ in range(2):
        with closing(SqliteJournal(path)) as journal:
            assert list(journal.records("r")) == ['{"target":"done"}']
            flying = [(f.target.connection, f.target.id, f.target.stage, f.batch) for f in journal.in_flight("r")]
            assert flying == [("c", "flying", "one", 2), ("d", "once more", "two", 3)]
            assert [settled.first_sent for settled in journal.in_flight("r")] == pytest.approx([2.5, 3.5], abs=1e-6)
            assert journal.tally("r") == [("s", "c", "ended", "not_requested", False, 1)]
            assert list(journal.outcomes("other")) == [("s", "c", "done", "failed"), ("s", "c", "flying", "failed")]
            assert (journal.last_batch("r"), journal.last_batch("other")) == (3, 9)
            assert not list(journal.in_flight("other"))
