"""Every statement of the journal, in plain SQL.

A target is known by its lane's number and its id. What is about to be called is one row for many targets, in
`announced`, until all of them have an outcome; a target gets its row in `targets` with its first outcome.
"""

from __future__ import annotations

import functools
import hashlib
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
    "lanes": """
    CREATE TABLE lanes (
        lane INTEGER PRIMARY KEY, run TEXT NOT NULL, service TEXT NOT NULL, connection TEXT NOT NULL,
        UNIQUE (run, service, connection))
    """,
    # outcome is NULL while a target is called once more; earlier and record then have what stands of it
    "targets": """
    CREATE TABLE targets (
        position INTEGER PRIMARY KEY, lane INTEGER NOT NULL, target TEXT NOT NULL, stage TEXT NOT NULL, batch INTEGER,
        outcome TEXT, verification TEXT, protected INTEGER, record TEXT, earlier TEXT,
        UNIQUE (lane, target))
    """,
    # targets of which a call is about to be made, and the batch of each, as JSON lists; at is in nanoseconds
    "announced": """
    CREATE TABLE announced (
        lane INTEGER NOT NULL, at INTEGER NOT NULL, stage TEXT NOT NULL, targets TEXT NOT NULL, batches TEXT NOT NULL,
        PRIMARY KEY (lane, at))
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

LANE_ROW = "(?, ?, ?, ?)"
SETTLED_ROW = "(?, ?, ?, ?, ?, ?, ?, ?)"
ADD_LANE = f"INSERT INTO lanes (lane, run, service, connection) VALUES {LANE_ROW} ON CONFLICT DO NOTHING"  # noqa: S608
ANNOUNCE = "INSERT INTO announced (lane, at, stage, targets, batches) VALUES (?, ?, ?, ?, ?)"
CALL_AGAIN = """
    UPDATE targets SET outcome = NULL, earlier = outcome
    WHERE lane = ? AND target IN (SELECT value FROM json_each(?)) AND outcome IS NOT NULL
"""
OVER = "DELETE FROM announced WHERE lane = ? AND at = ?"
ALL_OVER = "DELETE FROM announced WHERE lane IN (SELECT lane FROM lanes WHERE run = ?)"
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
    INSERT INTO targets (lane, target, stage, batch, outcome, verification, protected, record)
    VALUES {SETTLED_ROW}
    ON CONFLICT (lane, target)
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


LANE = Insert(ADD_LANE, LANE_ROW)
OUTCOME = Insert(SETTLED, SETTLED_ROW)

_OF_RUN = "FROM lanes JOIN targets USING (lane) WHERE run = ? AND outcome IS NOT NULL"
OUTCOMES = f"SELECT service, connection, target, outcome {_OF_RUN}"
IDENTITIES = """
    SELECT service, connection, target FROM lanes JOIN targets USING (lane) WHERE run = ?1
    UNION ALL
    SELECT service, connection, value FROM lanes JOIN announced USING (lane), json_each(targets) WHERE run = ?1
"""
ANNOUNCED = """
    SELECT lane, service, connection, stage, at / 1e9, targets, batches FROM lanes JOIN announced USING (lane)
    WHERE run = ? ORDER BY at
"""
# what of the announced ones has an outcome since, and what was seen to be gone before it was called once more
KNOWN = """
    SELECT target, outcome, CASE WHEN verification = 'confirmed' THEN earlier END FROM targets
    WHERE lane = ? AND target IN (SELECT value FROM json_each(?))
"""
# by position, so that nothing is sorted: the plus keeps SQLite from the index, whose order is another
RECORDS = """
    SELECT record FROM targets
    WHERE position > COALESCE((SELECT first FROM runs WHERE run = ?1), 0)
    AND position <= COALESCE((SELECT last FROM runs WHERE run = ?1), 9223372036854775807)
    AND +lane IN (SELECT lane FROM lanes WHERE run = ?1) AND outcome IS NOT NULL ORDER BY position
"""
LAST_BATCH = """
    SELECT MAX(batch) FROM (
        SELECT batch FROM lanes JOIN targets USING (lane) WHERE run = ?1
        UNION ALL SELECT value FROM lanes JOIN announced USING (lane), json_each(batches) WHERE run = ?1)
"""
COUNTS = f"""
    SELECT service, connection, outcome, verification, protected, COUNT(*) {_OF_RUN} AND (stage = ? OR ? IS NULL)
    GROUP BY lane, outcome, verification, protected
    ORDER BY service, connection, outcome, verification, protected
"""
UNVERIFIED = f"""
    SELECT service, connection, target, outcome, verification, record {_OF_RUN}
    AND (verification IN ('pending', 'unavailable', 'contradicted') OR outcome IN ('unknown', 'still_active'))
"""
CONFIRMED = f"SELECT service, connection, target, outcome {_OF_RUN} AND verification = 'confirmed'"
REFUSED = f"""
    SELECT service, connection, target {_OF_RUN}
    AND outcome = 'failed' AND json_extract(record, '$.http_status') BETWEEN 400 AND 499
"""
ADD_LISTING = "INSERT OR REPLACE INTO listings (run, section, listed, failure, rows) VALUES (?, ?, ?, ?, ?)"
LISTINGS = "SELECT section, listed, failure, rows FROM listings WHERE run = ?"
LISTING_FAILURES = "SELECT failure FROM listings WHERE run = ? AND failure <> '' ORDER BY section"

# Every target of two runs that has a row, in the order of the indexes, so that nothing is sorted and nothing is held in
# memory. A side that does not have the target is NULL; one that is in flight is unknown.
PAIRS = """
    SELECT nl.service, nl.connection, n.target,
           CASE WHEN o.position IS NOT NULL THEN COALESCE(o.outcome, 'unknown') END,
           o.verification, o.outcome IS NOT NULL AND o.protected,
           COALESCE(n.outcome, 'unknown'), n.verification, n.outcome IS NOT NULL AND n.protected,
           CASE WHEN n.outcome IS NOT NULL THEN n.record END
    FROM lanes nl JOIN targets n ON n.lane = nl.lane
    LEFT JOIN lanes ol ON ol.run = :before AND ol.service = nl.service AND ol.connection = nl.connection
    LEFT JOIN targets o ON o.lane = ol.lane AND o.target = n.target
    WHERE nl.run = :after
    UNION ALL
    SELECT ol.service, ol.connection, o.target,
           COALESCE(o.outcome, 'unknown'), o.verification, o.outcome IS NOT NULL AND o.protected,
           NULL, NULL, 0, NULL
    FROM lanes ol JOIN targets o ON o.lane = ol.lane
    WHERE ol.run = :before AND NOT EXISTS (
        SELECT 1 FROM lanes nl JOIN targets n ON n.lane = nl.lane
        WHERE nl.run = :after AND nl.service = ol.service AND nl.connection = ol.connection AND n.target = o.target)
    ORDER BY 1, 2, 3
"""


def lane_number(run: str, service: str, connection: str) -> int:
    """Return the number of a lane of a run: the same for everybody who asks, so that nobody has to be asked for it."""
    name = "\0".join((run, service, connection)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(name, digest_size=7).digest(), "big")


# A journal in which each target had its lane's names, and its intent, in its own row.
_EARLIER_TARGETS = (
    "ALTER TABLE targets RENAME TO earlier_targets",
    SCHEMA["targets"],
    """
    INSERT INTO lanes (lane, run, service, connection)
    SELECT lane_number(run, service, connection), run, service, connection FROM earlier_targets
    GROUP BY run, service, connection
    """,
    """
    INSERT INTO targets (position, lane, target, stage, batch, outcome, verification, protected, record, earlier)
    SELECT position, lane, target, stage, batch, outcome, verification, protected, record, earlier
    FROM earlier_targets JOIN lanes USING (run, service, connection) WHERE COALESCE(outcome, earlier) IS NOT NULL
    """,
    """
    INSERT INTO announced (lane, at, stage, targets, batches)
    SELECT lane, CAST(MAX(sent) * 1e9 AS INTEGER) + MIN(position), stage,
           json_group_array(target), json_group_array(batch)
    FROM earlier_targets JOIN lanes USING (run, service, connection) WHERE outcome IS NULL GROUP BY lane, stage
    """,
    "DROP TABLE earlier_targets",
    """
    UPDATE runs SET
        first = (SELECT COALESCE(MIN(position), 1) - 1 FROM lanes JOIN targets USING (lane) WHERE lanes.run = runs.run),
        last = CASE WHEN ended IS NOT NULL THEN
            (SELECT COALESCE(MAX(position), 0) FROM lanes JOIN targets USING (lane) WHERE lanes.run = runs.run) END
    """,
)


def prepare(connection: sqlite3.Connection) -> None:
    """Make what is not there, and make of the tables of an earlier version what they are now, in one transaction."""
    if not _lacking(connection):
        return
    connection.create_function("lane_number", 3, lane_number, deterministic=True)
    connection.execute("BEGIN IMMEDIATE")  # somebody else may be about to do the same
    for statement in _lacking(connection):
        connection.execute(statement)
    connection.execute("COMMIT")


def _lacking(connection: sqlite3.Connection) -> list[str]:
    there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    columns = {
        table: {row[1] for row in connection.execute(f"PRAGMA table_info({table})")} for table in ("runs", "targets")
    }
    new = [statement for name, statement in SCHEMA.items() if name not in there]
    new += [statement for name, statement in ADDED.items() if columns["runs"] and name not in columns["runs"]]
    return new + list(_EARLIER_TARGETS if "run" in columns["targets"] else ())
