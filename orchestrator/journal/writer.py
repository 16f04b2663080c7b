"""The thread that writes a journal, and commits in groups: 1,000 rows or 50 ms' worth, or at once when somebody waits.

It is woken once for a group, not for every row: to wake a thread costs more than to write a row, and each time it
takes the interpreter away from the calls.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import JournalError
from orchestrator.journal import statements as sql
from orchestrator.journal.record import encode
from orchestrator.model import PROTECTED, Batch, Outcome, Settled

GROUP_ROWS = 1000
GROUP_SECONDS = 0.05
TOGETHER = 256  # rows in a statement, where SQLite takes that many values


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


class Writer:
    """Takes what is to be written, and writes it from `start` on; `counts` has what is durable by lane and outcome."""

    def __init__(self, path: object, counts: Counter[tuple[str, str, str]]) -> None:
        self._path = path
        self._counts = counts
        self._queue: deque[_Intents | _Outcomes | _Barrier] = deque()
        self._rows = 0  # of the group that is being gathered
        self._some = threading.Event()  # there is a group to gather
        self._enough = threading.Event()  # it is not to wait any longer
        self._closing = False
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    def start(self, connection: sqlite3.Connection) -> None:
        """Begin to write, through a connection that nobody else uses."""
        self._thread = threading.Thread(target=self._write, args=(connection,), name="journal", daemon=True)
        self._thread.start()

    def sent(self, run: str, batches: Sequence[Batch]) -> None:
        """Queue intents."""
        self._put(_Intents(run, batches, time.time()), sum(len(batch.targets) for batch in batches))

    def settle(self, run: str, settled: Sequence[Settled]) -> None:
        """Queue outcomes; they are counted when they are on disk."""
        self._put(_Outcomes(run, settled), len(settled))

    async def flush(self) -> None:
        """Return when all that was queued so far is on disk."""
        loop = asyncio.get_running_loop()
        barrier = _Barrier(loop, loop.create_future())
        self._put(barrier, GROUP_ROWS)
        await barrier.done

    def close(self) -> None:
        """Write what is queued, and stop."""
        if self._thread is not None:
            self._closing = True
            self._enough.set()
            self._some.set()
            self._thread.join()

    def _put(self, item: _Intents | _Outcomes | _Barrier, rows: int) -> None:
        if self._failure is not None:
            raise JournalError(f"the journal {self._path} cannot be written: {self._failure}")
        self._queue.append(item)  # before the events: whoever clears them looks at the queue afterwards
        self._rows += rows
        if self._rows >= GROUP_ROWS and not self._enough.is_set():
            self._enough.set()
        if not self._some.is_set():
            self._some.set()

    def _write(self, connection: sqlite3.Connection) -> None:
        while not self._closing or self._queue:
            group = self._next_group()
            try:
                if self._failure is None:
                    self._commit(connection, group)
            except Exception as error:  # noqa: BLE001  whatever it is, nothing may be counted from here on
                self._failure = error
            _release(group, self._failure)
        connection.close()

    def _next_group(self) -> list[_Intents | _Outcomes | _Barrier]:
        """Return what to commit together."""
        self._some.wait()
        self._enough.wait(GROUP_SECONDS)
        self._some.clear()
        self._enough.clear()
        self._rows = 0
        return [self._queue.popleft() for _ in range(len(self._queue))]

    def _commit(self, connection: sqlite3.Connection, group: Sequence[_Intents | _Outcomes | _Barrier]) -> None:
        fresh: Counter[tuple[str, str, str]] = Counter()
        connection.execute("BEGIN IMMEDIATE")
        try:
            for insert, rows in _statements(group, fresh):
                _execute_rows(connection, insert, list(rows))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # when the disk is full, SQLite has rolled it back already
                connection.execute("ROLLBACK")
            raise
        self._counts.update(fresh)


def _statements(
    group: Iterable[_Intents | _Outcomes | _Barrier], fresh: Counter[tuple[str, str, str]]
) -> Iterator[tuple[sql.Insert, Iterator[tuple[Any, ...]]]]:
    """Yield what is to be executed for a group: a statement, and the rows that follow one another and are of its kind.

    The order stays: a target's outcome and its next intent may be in one group, and the later one must win.
    """
    for kind, items in itertools.groupby((item for item in group if not isinstance(item, _Barrier)), type):
        if kind is _Intents:
            intents = (row for item in items if isinstance(item, _Intents) for row in _intent_rows(item))
            yield sql.INTENT, intents
        else:
            known = (item for item in items if isinstance(item, _Outcomes))
            outcomes = (row for item in known for row in outcome_rows(item.run, item.settled, fresh))
            yield sql.OUTCOME, outcomes


def _execute_rows(connection: sqlite3.Connection, insert: sql.Insert, rows: Sequence[tuple[Any, ...]]) -> None:
    """Put in rows, in as few statements as may be: around each the interpreter is let go of and waited for.

    They are of 256, 128, 64 rows and so on, so that each is compiled once.
    """
    most = min(TOGETHER, connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // insert.values)
    start = 0
    while left := len(rows) - start:
        number = 1 << min(left, most).bit_length() - 1
        values = itertools.chain.from_iterable(rows[start : start + number])
        connection.execute(insert.of(number), list(values))
        start += number


def _intent_rows(item: _Intents) -> Iterator[tuple[Any, ...]]:
    for batch in item.batches:
        for target in batch.targets:
            yield (item.run, target.service, target.connection, target.id, target.stage, batch.number, item.at)


def outcome_rows(
    run: str, outcomes: Iterable[Settled], fresh: Counter[tuple[str, str, str]]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of outcomes, and count them."""
    for settled in outcomes:
        target = settled.target
        lane = (target.service, target.connection)
        fresh[*lane, settled.stands] += 1
        if settled.instead_of is not None:
            fresh[*lane, settled.instead_of] -= 1
        protected = settled.outcome is Outcome.NOT_ATTEMPTED and settled.reason == PROTECTED
        facts = (settled.batch, settled.outcome, settled.verification, protected, encode(run, settled).decode())
        yield (run, *lane, target.id, target.stage, *facts)


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
