"""The embedded journal: SQLite in WAL mode, every commit on disk before anybody is told of it.

An intent (`sent`) is waited for; an outcome is queued, and counted when it is durable.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from orchestrator import amending
from orchestrator.errors import JournalError
from orchestrator.journal import statements as sql
from orchestrator.journal.writer import Writer, outcome_row
from orchestrator.model import Batch, Outcome, RunRecord, Settled, Tallied, Target

CUT_OFF = "sent, or about to be, and no answer is on record: the program ended before it came"


class SqliteJournal:
    """One journal file. `counts` has the durable outcomes of this process by lane and outcome.

    Who is only `reading` makes no file, and can do so where nothing may be written.
    """

    def __init__(self, path: Path, *, reading: bool = False) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self._path = path
        self._writer = Writer(path, self.counts)
        try:
            self._connection = _for_reading(path) if reading else _made(path)
            sql.prepare(self._connection)
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"the journal {path} cannot be opened: {error}") from None

    # Runs

    def add(self, record: RunRecord) -> None:
        """Note a run that begins."""
        self._execute(sql.ADD_RUN, [*map(_packed, record)])

    def reopen(self, run: str) -> None:
        """Note that a run goes on."""
        self._execute(sql.REOPEN_RUN, (run,))

    def finish(self, record: RunRecord) -> None:
        """Note how a run ended, and what was learned of it on the way."""
        told = [record.ended, record.exit_code, record.reason, record.notes, record.ageless]
        self._execute(sql.FINISH_RUN, [*map(_packed, told), record.run])

    def runs(self) -> list[RunRecord]:
        """Return every run, the oldest first."""
        return [_run_record(row) for row in self._execute(sql.RUNS)]

    def find(self, run: str) -> RunRecord | None:
        """Return the run of this id."""
        return next((_run_record(row) for row in self._execute(sql.RUN, (run,))), None)

    def latest(self, lock_name: str) -> RunRecord | None:
        """Return the latest run of a plan."""
        return next((_run_record(row) for row in self._execute(sql.LATEST_RUN, (lock_name,))), None)

    # Targets, while a run is under way

    def start(self) -> None:
        """Start the writer; call it once, before `sent` and `settle`."""
        try:
            connection = _connect(self._path)
        except sqlite3.Error as error:
            raise JournalError(f"the journal {self._path} cannot be opened: {error}") from None
        self._writer.start(connection)

    async def sent(self, run: str, batches: Sequence[Batch]) -> None:
        """Note that calls for these batches are about to be made; it is on disk when this returns."""
        self._writer.sent(run, batches)
        await self.flush()

    def settle(self, run: str, settled: Sequence[Settled]) -> None:
        """Queue outcomes, pending ones too; they are counted when they are on disk."""
        self._writer.settle(run, settled)

    def note_unknown(self, run: str, settled: Sequence[Settled]) -> None:
        """Put at once on disk, uncounted, what an earlier part of the run left in flight: nothing is from then on."""
        if not settled:
            return
        names = {(run, one.target.service, one.target.connection) for one in settled}
        lanes = {name: sql.lane_number(*name) for name in names}
        rows = [outcome_row(lanes[run, one.target.service, one.target.connection], run, one) for one in settled]
        with self._guarded(), self._connection:  # which commits, or rolls back
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(sql.ADD_LANE, [(number, *name) for name, number in lanes.items()])
            self._connection.executemany(sql.SETTLED, rows)
            self._connection.execute(sql.ALL_OVER, (run,))

    async def flush(self) -> None:
        """Return when all that was queued so far is on disk."""
        await self._writer.flush()

    def close(self) -> None:
        """Write what is queued, stop the writer, close the file."""
        self._writer.close()
        self._connection.close()

    # Reading

    def outcomes(self, run: str) -> Iterator[tuple[str, str, str, str]]:
        """Return (service, connection, target, outcome) of every target that has an outcome."""
        yield from self._execute(sql.OUTCOMES, (run,))

    def identities(self, run: str) -> Iterator[tuple[str, str, str]]:
        """Return (service, connection, target) of every target that is on record."""
        yield from self._execute(sql.IDENTITIES, (run,))

    def refused(self, run: str) -> Iterator[tuple[str, str, str]]:
        """Return (service, connection, target) of every target that failed with a refusal."""
        yield from self._execute(sql.REFUSED, (run,))

    def in_flight(self, run: str) -> Iterator[Settled]:
        """Return every target that was sent and has no outcome: as unknown, because the call may have taken effect.

        What was seen to be gone before that stays so.
        """
        flying: dict[tuple[int, str], Settled] = {}  # of what was announced twice, the later one
        now = time.time()
        for lane, service, connection, stage, sent, ids, numbers in self._execute(sql.ANNOUNCED, (run,)):
            known = {target: (outcome, gone) for target, outcome, gone in self._execute(sql.KNOWN, (lane, ids))}
            for target, batch in zip(orjson.loads(ids), orjson.loads(numbers), strict=True):
                outcome, gone = known.get(target, (None, None))
                if outcome is not None:
                    continue
                called = Target(service, connection, target, {}, stage)
                cut_off = Settled(called, Outcome.UNKNOWN, CUT_OFF, batch=batch, first_sent=sent, settled=now)
                told = amending.once_more(Outcome(gone), cut_off, confirmed=True) if gone else cut_off
                flying[lane, target] = told
        yield from flying.values()

    def records(self, run: str) -> Iterator[str]:
        """Return the lines of outcomes.jsonl in the order in which the targets had their first outcome."""
        for (record,) in self._execute(sql.RECORDS, (run,)):
            yield record

    def last_batch(self, run: str) -> int:
        """Return the highest number of a batch so far."""
        return int(next(iter(self._execute(sql.LAST_BATCH, (run,))))[0] or 0)

    def tally(self, run: str, stage: str | None = None) -> list[Tallied]:
        """Return how many targets (of one stage, or of all) fared how, by lane."""
        rows = self._execute(sql.COUNTS, (run, stage, stage))
        return [
            Tallied(a, b, outcome, seen, bool(protected), number) for a, b, outcome, seen, protected, number in rows
        ]

    def unverified(self, run: str) -> Iterator[tuple[str, str, str, str, str, str]]:
        """Return what was to be looked at and was not, or in vain, and what got no clear answer.

        These are (service, connection, target, outcome, verification, line of outcomes.jsonl).
        """
        yield from self._execute(sql.UNVERIFIED, (run,))

    def confirmed(self, run: str) -> Iterator[tuple[str, str, str, str]]:
        """Return (service, connection, target, outcome) of every target that was seen to be gone."""
        yield from self._execute(sql.CONFIRMED, (run,))

    def add_listing(self, run: str, section: int, listed: int, failure: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep what a service listed for a group of the plan."""
        self._execute(sql.ADD_LISTING, (run, section, listed, failure, orjson.dumps(list(rows)).decode()))

    def listings(self, run: str) -> dict[int, tuple[int, str, list[dict[str, Any]]]]:
        """Return (how many were listed, why the list is not whole, the rows that are targets) by group."""
        found = self._execute(sql.LISTINGS, (run,))
        return {section: (listed, failure, orjson.loads(rows)) for section, listed, failure, rows in found}

    def read(self, statement: str, values: Sequence[Any] | Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        """Return the rows of one of the statements, as they come."""
        return self._execute(statement, values)

    def _execute(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> Iterator[Any]:
        """Yield the rows of a statement; one that has none is carried out all the same."""
        with self._guarded():
            cursor = self._connection.execute(statement, values)
        return self._fetched(cursor)

    def _fetched(self, cursor: sqlite3.Cursor) -> Iterator[Any]:
        with self._guarded():
            for row in cursor:  # noqa: UP028  which would close the cursor of who stops midway, after its journal
                yield row

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise JournalError(f"the journal {self._path} failed: {error}") from None


def _made(path: Path) -> sqlite3.Connection:
    """Open the file, and make it, for its owner alone, where there is none."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    return _connect(path)


def _for_reading(path: Path) -> sqlite3.Connection:
    """Open the file as it is; of one that nobody may write, and no writer left anything beside, nothing changes."""
    if not path.exists():
        return sqlite3.connect(":memory:", isolation_level=None)
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return _connect(path)
    beside = path.with_name(f"{path.name}-wal")
    how = "mode=ro" if beside.exists() and beside.stat().st_size else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, isolation_level=None)


def _connect(path: Path) -> sqlite3.Connection:
    """Open the file; the writer's connection is made in one thread, where failing is told, and used in another."""
    connection = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _packed(value: object) -> Any:
    """Return what a column holds: texts and numbers as they are, the rest as JSON."""
    return value if value is None or isinstance(value, str | int | float) else orjson.dumps(value).decode()


def _run_record(row: Sequence[Any]) -> RunRecord:
    values = dict(zip(RunRecord._fields, row, strict=True))
    for name in ("selectors", "variables", "inputs", "notes", "residual", "ageless"):
        values[name] = orjson.loads(values[name])
    return RunRecord(**values)
