"""A journal that an earlier version of the program began is gone on with."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from orchestrator.journal import SqliteJournal
from orchestrator.journal import statements as sql


def _earlier(statement: str) -> str:
    """Return a statement of the schema without the columns that were added since."""
    for name in sql.ADDED:
        statement = re.sub(rf",\s*{name} (TEXT|REAL) NOT NULL DEFAULT ('[^']*'|0)", "", statement)
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
