"""Every statement of the journal, in plain SQL."""

from __future__ import annotations

import functools
import sqlite3
from typing import NamedTuple

from orchestrator.model import NEWER

# what a journal has, by name; the targets of a run are behind the position `first` and, when it is over, up to `last`
SCHEMA = {
    "runs": """
    CREATE TABLE runs (
        run TEXT PRIMARY KEY, plan TEXT NOT NULL, plan_path TEXT NOT NULL, config_path TEXT, digest TEXT NOT NULL,
        lock_name TEXT NOT NULL, require TEXT NOT NULL, started REAL NOT NULL, folder TEXT NOT NULL,
        selectors TEXT NOT NULL, planned INTEGER NOT NULL, variables TEXT NOT NULL, inputs TEXT NOT NULL,
        ended REAL, exit_code INTEGER, reason TEXT NOT NULL, notes TEXT NOT NULL, seal TEXT NOT NULL DEFAULT '',
        subject TEXT NOT NULL DEFAULT '', residual TEXT NOT NULL DEFAULT '{}',
        cut_off REAL NOT NULL DEFAULT 0, ageless TEXT NOT NULL DEFAULT '[]',
        first INTEGER NOT NULL DEFAULT 0, last INTEGER)
    """,
    # outcome is NULL from the moment before the call until there is one; earlier and record then have the one before
    "targets": """
    CREATE TABLE targets (
        position INTEGER PRIMARY KEY, run TEXT NOT NULL, service TEXT NOT NULL, connection TEXT NOT NULL,
        target TEXT NOT NULL, stage TEXT NOT NULL, batch INTEGER, sent REAL, outcome TEXT, record TEXT, earlier TEXT,
        verification TEXT, protected INTEGER,
        UNIQUE (run, service, connection, target))
    """,
    # what a service listed when the run began, by the number of the plan's group; rows is JSON, without secrets
    "listings": """
    CREATE TABLE listings (
        run TEXT NOT NULL, section INTEGER NOT NULL, listed INTEGER NOT NULL, failure TEXT NOT NULL, rows TEXT NOT NULL,
        PRIMARY KEY (run, section))
    """,
    "runs_by_lock": "CREATE INDEX runs_by_lock ON runs (lock_name, started)",
}

# columns of runs that a journal which was begun by an earlier version lacks
ADDED = {
    "seal": "ALTER TABLE runs ADD COLUMN seal TEXT NOT NULL DEFAULT ''",
    "subject": "ALTER TABLE runs ADD COLUMN subject TEXT NOT NULL DEFAULT ''",
    "residual": "ALTER TABLE runs ADD COLUMN residual TEXT NOT NULL DEFAULT '{}'",
    "cut_off": "ALTER TABLE runs ADD COLUMN cut_off REAL NOT NULL DEFAULT 0",
    "ageless": "ALTER TABLE runs ADD COLUMN ageless TEXT NOT NULL DEFAULT '[]'",
    "first": "ALTER TABLE runs ADD COLUMN first INTEGER NOT NULL DEFAULT 0",
    "last": "ALTER TABLE runs ADD COLUMN last INTEGER",
}

RUN_COLUMNS = (
    "run, plan, plan_path, config_path, digest, require, started, lock_name, folder, selectors, planned, variables, "
    "inputs, ended, exit_code, reason, notes, seal, subject, residual, cut_off, ageless"
)
_POSITION = "(SELECT COALESCE(MAX(position), 0) FROM targets)"
ADD_RUN = f"INSERT INTO runs ({RUN_COLUMNS}, first) VALUES ({', '.join('?' * 22)}, {_POSITION})"  # noqa: S608  constants
REOPEN_RUN = "UPDATE runs SET ended = NULL, exit_code = NULL, reason = '', notes = '[]', last = NULL WHERE run = ?"
FINISH_RUN = f"""
    UPDATE runs SET ended = ?, exit_code = ?, reason = ?, notes = ?, ageless = ?, last = {_POSITION} WHERE run = ?
"""  # noqa: S608
RUNS = f"SELECT {RUN_COLUMNS} FROM runs ORDER BY started, run"  # noqa: S608
RUN = f"SELECT {RUN_COLUMNS} FROM runs WHERE run = ?"  # noqa: S608
LATEST_RUN = f"SELECT {RUN_COLUMNS} FROM runs WHERE lock_name = ? ORDER BY started DESC, run DESC LIMIT 1"  # noqa: S608

SENT_ROW = "(?, ?, ?, ?, ?, ?, ?, NULL, NULL)"
SETTLED_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
SENT = f"""
    INSERT INTO targets (run, service, connection, target, stage, batch, sent, outcome, record)
    VALUES {SENT_ROW}
    ON CONFLICT (run, service, connection, target)
    DO UPDATE SET batch = excluded.batch, sent = excluded.sent, outcome = NULL,
                  earlier = COALESCE(targets.outcome, targets.earlier)
"""  # noqa: S608
# What a call came to is not replaced by a later `not_attempted`; that its session has given way to a newer one is told.
_CALLED = """
    excluded.outcome = 'not_attempted'
    AND COALESCE(targets.outcome, targets.earlier, 'not_attempted') <> 'not_attempted'
"""
_KEPT = f"""
    CASE WHEN json_extract(excluded.record, '$.reason') = '{NEWER}' AND instr(targets.record, '{NEWER}') = 0
    THEN json_set(targets.record, '$.reason',
        ltrim(json_extract(targets.record, '$.reason') || '; not called again: {NEWER}', '; '))
    ELSE targets.record END
"""
SETTLED = f"""
    INSERT INTO targets (run, service, connection, target, stage, batch, outcome, verification, protected, record)
    VALUES {SETTLED_ROW}
    ON CONFLICT (run, service, connection, target)
    DO UPDATE SET
        batch = excluded.batch,
        record = CASE WHEN {_CALLED} THEN {_KEPT} ELSE excluded.record END,
        verification = CASE WHEN {_CALLED} THEN targets.verification ELSE excluded.verification END,
        protected = CASE WHEN {_CALLED} THEN targets.protected ELSE excluded.protected END,
        outcome = CASE WHEN {_CALLED} THEN COALESCE(targets.outcome, targets.earlier) ELSE excluded.outcome END
"""  # noqa: S608  constants only


class Insert(NamedTuple):
    """A statement that puts a row into the journal, and the place for the row's values in it."""

    statement: str
    row: str

    @property
    def values(self) -> int:
        """Return how many values a row has."""
        return self.row.count("?")

    @functools.cache  # noqa: B019  there are two of these
    def of(self, rows: int) -> str:
        """Return the statement for so many rows."""
        return self.statement.replace(self.row, ", ".join([self.row] * rows))


INTENT = Insert(SENT, SENT_ROW)
OUTCOME = Insert(SETTLED, SETTLED_ROW)

OUTCOMES = "SELECT service, connection, target, outcome FROM targets WHERE run = ? AND outcome IS NOT NULL"
IDENTITIES = "SELECT service, connection, target FROM targets WHERE run = ?"
IN_FLIGHT = """
    SELECT service, connection, target, stage, batch, sent, CASE WHEN verification = 'confirmed' THEN earlier END
    FROM targets WHERE run = ? AND outcome IS NULL ORDER BY position
"""
# by position, so that nothing is sorted: the plus keeps SQLite from the index, whose order is another
RECORDS = """
    SELECT record FROM targets
    WHERE position > COALESCE((SELECT first FROM runs WHERE run = ?1), 0)
    AND position <= COALESCE((SELECT last FROM runs WHERE run = ?1), 9223372036854775807)
    AND +run = ?1 AND outcome IS NOT NULL ORDER BY position
"""
LAST_BATCH = "SELECT MAX(batch) FROM targets WHERE run = ?"
COUNTS = """
    SELECT service, connection, outcome, verification, protected, COUNT(*) FROM targets
    WHERE run = ? AND (stage = ? OR ? IS NULL) AND outcome IS NOT NULL
    GROUP BY service, connection, outcome, verification, protected
    ORDER BY service, connection, outcome, verification, protected
"""
UNVERIFIED = """
    SELECT service, connection, target, outcome, verification, record FROM targets
    WHERE run = ? AND outcome IS NOT NULL
    AND (verification IN ('pending', 'unavailable', 'contradicted') OR outcome IN ('unknown', 'still_active'))
"""
CONFIRMED = """
    SELECT service, connection, target, outcome FROM targets
    WHERE run = ? AND outcome IS NOT NULL AND verification = 'confirmed'
"""
REFUSED = """
    SELECT service, connection, target FROM targets
    WHERE run = ? AND outcome = 'failed' AND json_extract(record, '$.http_status') BETWEEN 400 AND 499
"""
ADD_LISTING = "INSERT OR REPLACE INTO listings (run, section, listed, failure, rows) VALUES (?, ?, ?, ?, ?)"
LISTINGS = "SELECT section, listed, failure, rows FROM listings WHERE run = ?"
LISTING_FAILURES = "SELECT failure FROM listings WHERE run = ? AND failure <> '' ORDER BY section"

# Every target of two runs, in the order of the unique index, so that nothing is sorted and nothing is held in memory.
# A side that does not have the target is NULL; one that is in flight is unknown.
PAIRS = """
    SELECT n.service, n.connection, n.target,
           CASE WHEN o.position IS NOT NULL THEN COALESCE(o.outcome, 'unknown') END,
           o.verification, o.outcome IS NOT NULL AND o.protected,
           COALESCE(n.outcome, 'unknown'), n.verification, n.outcome IS NOT NULL AND n.protected,
           CASE WHEN n.outcome IS NOT NULL THEN n.record END
    FROM targets n LEFT JOIN targets o
         ON o.run = :before AND o.service = n.service AND o.connection = n.connection AND o.target = n.target
    WHERE n.run = :after
    UNION ALL
    SELECT o.service, o.connection, o.target,
           COALESCE(o.outcome, 'unknown'), o.verification, o.outcome IS NOT NULL AND o.protected,
           NULL, NULL, 0, NULL
    FROM targets o
    WHERE o.run = :before AND NOT EXISTS (
        SELECT 1 FROM targets n
        WHERE n.run = :after AND n.service = o.service AND n.connection = o.connection AND n.target = o.target)
    ORDER BY 1, 2, 3
"""


def prepare(connection: sqlite3.Connection) -> None:
    """Make what is not there, and add what tables of an earlier version lack, in one transaction."""
    if not _lacking(connection):
        return
    connection.execute("BEGIN IMMEDIATE")  # somebody else may be about to do the same
    for statement in _lacking(connection):
        connection.execute(statement)
    connection.execute("COMMIT")


def _lacking(connection: sqlite3.Connection) -> list[str]:
    there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    columns = {row[1] for row in connection.execute("PRAGMA table_info(runs)")}
    new = [statement for name, statement in SCHEMA.items() if name not in there]
    return new + [statement for name, statement in ADDED.items() if columns and name not in columns]
