"""The embedded journal: SQLite in WAL mode, every commit on disk before anybody is told of it.

One thread writes, and commits in groups: what is queued when it comes round, some 250 rows or 50 ms' worth, or at
once when somebody waits. An intent (`sent`) is waited for; an outcome is queued, and counted when it is durable.
"""

from __future__ import annotations

import asyncio
import itertools
import queue
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import orjson

from orchestrator.errors import JournalError
from orchestrator.journal import statements as sql
from orchestrator.journal.record import encode
from orchestrator.model import PROTECTED, Batch, Outcome, RunRecord, Settled, Tallied, Target

GROUP_ROWS = 250
GROUP_SECONDS = 0.05

CUT_OFF = "sent, or about to be, and no answer is on record: the program ended before it came"


@dataclass(slots=True)
class _Intents:
    run: str
    batches: Sequence[Batch]
    at: float


@dataclass(slots=True)
class _Outcomes:
    run: str
    settled: Sequence[Settled]


@dataclass(slots=True)
class _Barrier:
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]


class SqliteJournal:
    """One journal file. `counts` has the durable outcomes of this process by lane and outcome."""

    def __init__(self, path: Path) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self._path = path
        self._queue: queue.SimpleQueue[_Intents | _Outcomes | _Barrier | None] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._writer: threading.Thread | None = None
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._connection = _connect(path)
            sql.prepare(self._connection)
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"the journal {path} cannot be opened: {error}") from None

    # Runs

    def add(self, record: RunRecord) -> None:
        """Note a run that begins."""
        row = [_packed(getattr(record, field.name)) for field in fields(RunRecord)]
        self._execute(sql.ADD_RUN, row)

    def reopen(self, run: str) -> None:
        """Note that a run goes on."""
        self._execute(sql.REOPEN_RUN, (run,))

    def finish(self, run: str, ended: float, exit_code: int, reason: str, notes: Sequence[str]) -> None:
        """Note how a run ended."""
        self._execute(sql.FINISH_RUN, (ended, exit_code, reason, _packed(notes), run))

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
        self._writer = threading.Thread(target=self._write, args=(connection,), name="journal", daemon=True)
        self._writer.start()

    async def sent(self, run: str, batches: Sequence[Batch]) -> None:
        """Note that calls for these batches are about to be made; it is on disk when this returns."""
        self._check()
        self._queue.put(_Intents(run, batches, time.time()))
        await self.flush()

    def settle(self, run: str, settled: Sequence[Settled]) -> None:
        """Queue final outcomes; they are counted when they are on disk."""
        self._check()
        self._queue.put(_Outcomes(run, settled))

    def note_unknown(self, run: str, settled: Sequence[Settled]) -> None:
        """Put at once on disk, uncounted, what an earlier part of the run left in flight."""
        with self._guarded():
            self._connection.executemany(sql.SETTLED, _outcome_rows(_Outcomes(run, settled), Counter()))

    async def flush(self) -> None:
        """Return when all that was queued so far is on disk."""
        loop = asyncio.get_running_loop()
        barrier = _Barrier(loop, loop.create_future())
        self._check()
        self._queue.put(barrier)
        await barrier.done

    def close(self) -> None:
        """Write what is queued, stop the writer, close the file."""
        if self._writer is not None:
            self._queue.put(None)
            self._writer.join()
        self._connection.close()

    # Reading

    def outcomes(self, run: str) -> Iterator[tuple[str, str, str, str]]:
        """Return (service, connection, target, outcome) of every target that has an outcome."""
        yield from self._execute(sql.OUTCOMES, (run,))

    def identities(self, run: str) -> Iterator[tuple[str, str, str]]:
        """Return (service, connection, target) of every target that is on record."""
        yield from self._execute(sql.IDENTITIES, (run,))

    def in_flight(self, run: str) -> Iterator[Settled]:
        """Return as unknown every target that was sent and has no outcome: the call may have taken effect."""
        for service, connection, target, stage, batch, sent in self._execute(sql.IN_FLIGHT, (run,)):
            cut_off = Target(service, connection, target, {}, stage)
            yield Settled(cut_off, Outcome.UNKNOWN, CUT_OFF, batch=batch, first_sent=sent, settled=time.time())

    def records(self, run: str) -> Iterator[str]:
        """Return the lines of outcomes.jsonl in the order in which the targets were taken up."""
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
        """Return what was to be looked at and was not, or in vain.

        These are (service, connection, target, outcome, verification, line of outcomes.jsonl).
        """
        yield from self._execute(sql.UNVERIFIED, (run,))

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

    # The writer

    def _execute(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> Iterator[Any]:
        """Yield the rows of a statement; one that has none is carried out all the same."""
        with self._guarded():
            cursor = self._connection.execute(statement, values)
        return self._fetched(cursor)

    def _fetched(self, cursor: sqlite3.Cursor) -> Iterator[Any]:
        with self._guarded():
            yield from cursor

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise JournalError(f"the journal {self._path} failed: {error}") from None

    def _check(self) -> None:
        if self._failure is not None:
            raise JournalError(f"the journal {self._path} cannot be written: {self._failure}")

    def _write(self, connection: sqlite3.Connection) -> None:
        open_for_more = True
        while open_for_more:
            group, open_for_more = self._next_group()
            try:
                if self._failure is None:
                    self._commit(connection, group)
            except Exception as error:  # noqa: BLE001  whatever it is, nothing may be counted from here on
                self._failure = error
            _release(group, self._failure)
        connection.close()

    def _next_group(self) -> tuple[list[_Intents | _Outcomes | _Barrier], bool]:
        """Return what to commit together, and whether there may be more."""
        group: list[_Intents | _Outcomes | _Barrier] = []
        rows, until = 0, 0.0
        while rows < GROUP_ROWS:
            try:
                item = self._queue.get(timeout=max(0.0, until - time.monotonic()) if group else None)
            except queue.Empty:
                break
            if item is None:
                return group, False
            group.append(item)
            if isinstance(item, _Barrier):  # somebody waits: take what is there already, and no more
                until = time.monotonic()
            else:
                until = until or time.monotonic() + GROUP_SECONDS
                rows += _rows(item)
        return group, True

    def _commit(self, connection: sqlite3.Connection, group: Sequence[_Intents | _Outcomes | _Barrier]) -> None:
        fresh: Counter[tuple[str, str, str]] = Counter()
        connection.execute("BEGIN IMMEDIATE")
        try:
            for one, together, rows in _statements(group, fresh):
                _execute_rows(connection, one, together, list(rows))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # when the disk is full, SQLite has rolled it back already
                connection.execute("ROLLBACK")
            raise
        self.counts.update(fresh)


def _connect(path: Path) -> sqlite3.Connection:
    """Open the file; the writer's connection is made in one thread, where failing is told, and used in another."""
    connection = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _rows(item: _Intents | _Outcomes) -> int:
    return len(item.settled) if isinstance(item, _Outcomes) else sum(len(batch.targets) for batch in item.batches)


def _statements(
    group: Iterable[_Intents | _Outcomes | _Barrier], fresh: Counter[tuple[str, str, str]]
) -> Iterator[tuple[str, str, Iterator[tuple[Any, ...]]]]:
    """Yield what is to be executed for a group, for all that follow one another and are of one kind.

    That is a statement for one row, one for `TOGETHER` rows, and the rows.

    The order stays: a target's outcome and its next intent may be in one group, and the later one must win.
    """
    for kind, items in itertools.groupby((item for item in group if not isinstance(item, _Barrier)), type):
        if kind is _Intents:
            intents = (row for item in items if isinstance(item, _Intents) for row in _intent_rows(item))
            yield sql.SENT, sql.SENT_TOGETHER, intents
        else:
            outcomes = (row for item in items if isinstance(item, _Outcomes) for row in _outcome_rows(item, fresh))
            yield sql.SETTLED, sql.SETTLED_TOGETHER, outcomes


def _execute_rows(connection: sqlite3.Connection, one: str, together: str, rows: Sequence[tuple[Any, ...]]) -> None:
    whole = len(rows) - len(rows) % sql.TOGETHER
    for start in range(0, whole, sql.TOGETHER):
        connection.execute(together, list(itertools.chain.from_iterable(rows[start : start + sql.TOGETHER])))
    connection.executemany(one, rows[whole:])


def _intent_rows(item: _Intents) -> Iterator[tuple[Any, ...]]:
    for batch in item.batches:
        for target in batch.targets:
            yield (item.run, target.service, target.connection, target.id, target.stage, batch.number, item.at)


def _outcome_rows(item: _Outcomes, fresh: Counter[tuple[str, str, str]]) -> Iterator[tuple[Any, ...]]:
    for settled in item.settled:
        target = settled.target
        lane = (target.service, target.connection)
        fresh[*lane, settled.stands] += 1
        if settled.instead_of is not None:
            fresh[*lane, settled.instead_of] -= 1
        protected = settled.outcome is Outcome.NOT_ATTEMPTED and settled.reason == PROTECTED
        facts = (settled.batch, settled.outcome, settled.verification, protected, encode(item.run, settled).decode())
        yield (item.run, *lane, target.id, target.stage, *facts)


def _release(group: Sequence[object], failure: BaseException | None) -> None:
    for item in group:
        if isinstance(item, _Barrier):
            item.loop.call_soon_threadsafe(_resolve, item.done, failure)


def _resolve(done: asyncio.Future[None], failure: BaseException | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(JournalError(f"the journal cannot be written: {failure}"))


def _packed(value: object) -> Any:
    """Return what a column holds: texts and numbers as they are, the rest as JSON."""
    return value if value is None or isinstance(value, str | int | float) else orjson.dumps(value).decode()


def _run_record(row: Sequence[Any]) -> RunRecord:
    values = dict(zip((field.name for field in fields(RunRecord)), row, strict=True))
    for name in ("selectors", "variables", "inputs", "notes", "residual", "ageless"):
        values[name] = orjson.loads(values[name])
    return RunRecord(**values)
