"""The thread that writes a journal, and commits in groups: what is queued when it comes round, some 250 rows or 50 ms'
worth, or at once when somebody waits.
"""

from __future__ import annotations

import asyncio
import itertools
import queue
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import JournalError
from orchestrator.journal import statements as sql
from orchestrator.journal.record import encode
from orchestrator.model import PROTECTED, Batch, Outcome, Settled

GROUP_ROWS = 250
GROUP_SECONDS = 0.05


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
        self._queue: queue.SimpleQueue[_Intents | _Outcomes | _Barrier | None] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    def start(self, connection: sqlite3.Connection) -> None:
        """Begin to write, through a connection that nobody else uses."""
        self._thread = threading.Thread(target=self._write, args=(connection,), name="journal", daemon=True)
        self._thread.start()

    def sent(self, run: str, batches: Sequence[Batch]) -> None:
        """Queue intents."""
        self._put(_Intents(run, batches, time.time()))

    def settle(self, run: str, settled: Sequence[Settled]) -> None:
        """Queue outcomes; they are counted when they are on disk."""
        self._put(_Outcomes(run, settled))

    async def flush(self) -> None:
        """Return when all that was queued so far is on disk."""
        loop = asyncio.get_running_loop()
        barrier = _Barrier(loop, loop.create_future())
        self._put(barrier)
        await barrier.done

    def close(self) -> None:
        """Write what is queued, and stop."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    def _put(self, item: _Intents | _Outcomes | _Barrier) -> None:
        if self._failure is not None:
            raise JournalError(f"the journal {self._path} cannot be written: {self._failure}")
        self._queue.put(item)

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
        self._counts.update(fresh)


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
            known = (item for item in items if isinstance(item, _Outcomes))
            outcomes = (row for item in known for row in outcome_rows(item.run, item.settled, fresh))
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
