"""The thread that writes a journal, and commits in groups: 3,000 rows or 0.2 s' worth, or at once when somebody waits.

It is woken once for a group, not for every row: to wake a thread costs more than to write a row, and each time it
takes the interpreter away from the calls. For the same reason rows are made by whoever brings them, but for the last
few of a group: the thread has little to do but to hand them to SQLite, which lets go of the interpreter meanwhile. They
are made some at a time, because in between calls each takes twice as long: the processor has other things in its cache.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

from orchestrator.errors import JournalError
from orchestrator.journal import statements as sql
from orchestrator.journal.record import encode
from orchestrator.model import PROTECTED, Batch, Outcome, Settled

GROUP_ROWS = 3000
GROUP_SECONDS = 0.2
MADE_TOGETHER = 64  # rows
IN_A_STATEMENT = 512  # rows in a statement, where SQLite takes that many values
_NOT_ATTEMPTED = Outcome.NOT_ATTEMPTED

Announced = tuple[int, int]  # a lane's number, and when something of it was announced, in nanoseconds
Queued = tuple[Callable[[str, Any], None], str, Any]  # what makes the rows of something, its run, and that
Waiting = tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]


@dataclass(slots=True, eq=False)
class _Group:
    """What is committed together, in the order in which it came: a target's later row must win.

    `parts` has statements with their values, for one row or for rows that follow one another; `over` the announcements
    of which every target has an outcome, `fresh` what is to be counted then, `waiting` who is to be told.
    """

    parts: list[tuple[sql.Insert | str, list[Any]]] = field(default_factory=list)
    over: list[Announced] = field(default_factory=list)
    fresh: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    waiting: list[Waiting] = field(default_factory=list)
    rows: int = 0

    def values(self, insert: sql.Insert) -> list[Any]:
        """Return the list that the values of the next rows of a kind are added to."""
        if not self.parts or self.parts[-1][0] is not insert:
            self.parts.append((insert, []))
        return self.parts[-1][1]


class Writer:
    """Takes what is to be written, and writes it from `start` on; `counts` has what is durable by lane and outcome."""

    def __init__(self, path: object, counts: Counter[tuple[str, str, str]]) -> None:
        self._path = path
        self._counts = counts
        self._group = _Group()
        self._new: deque[Queued] = deque()  # whose rows are not in the group yet ...
        self._unmade = 0  # ... which are at most so many: what the thread took is not told of
        self._lanes: dict[tuple[str, str, str], int] = {}
        self._at = 0  # when something was announced last
        self._open: dict[tuple[int, str], Announced] = {}  # the targets without an outcome, by lane and id
        self._left: Counter[Announced] = Counter()  # so many of them are there yet
        self._lock = threading.Lock()  # around emptying what is new into the group, and taking the group
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
        self._check()
        self._new.append((self._announce_all, run, batches))
        self._make()

    def settle(self, run: str, settled: Sequence[Settled]) -> None:
        """Queue outcomes, which are not changed any more; they are counted when they are on disk."""
        self._check()
        self._new.append((self._settle_all, run, settled))
        self._unmade += len(settled)
        if self._unmade >= MADE_TOGETHER:
            self._make()
        else:
            self._wake()

    def _make(self) -> None:
        """Make the rows of all that is new, and let the thread know of them."""
        self._unmade = 0
        with self._lock:
            self._add_to_group()
        self._wake()

    def _add_to_group(self) -> None:
        while self._new:
            make, run, what = self._new.popleft()
            try:
                make(run, what)
            except Exception as error:  # noqa: BLE001  told by the next call, as where the file cannot be written
                self._failure = error

    def _announce_all(self, run: str, batches: Sequence[Batch]) -> None:
        told: dict[tuple[int, str], tuple[list[str], list[int]]] = {}
        for batch in batches:
            for target in batch.targets:
                lane = self._lane(run, target.service, target.connection)
                if (lane, target.id) not in self._open:  # else that it is about to be called is known
                    ids, numbers = told.setdefault((lane, target.stage), ([], []))
                    ids.append(target.id)
                    numbers.append(batch.number)
        for (lane, stage), (ids, numbers) in told.items():
            self._announce(lane, stage, ids, numbers)

    def _announce(self, lane: int, stage: str, ids: list[str], numbers: list[int]) -> None:
        """Queue one row for targets that are about to be called, whatever is on record of them."""
        self._at = max(self._at + 1, time.time_ns())  # no two at the same moment
        announced, targets = (lane, self._at), orjson.dumps(ids).decode()
        row = [*announced, stage, targets, orjson.dumps(numbers).decode()]
        self._group.parts += [(sql.ANNOUNCE, row), (sql.CALL_AGAIN, [lane, targets])]
        self._group.rows += len(ids)
        self._left[announced] = len(ids)
        self._open.update(dict.fromkeys([(lane, one) for one in ids], announced))

    def _settle_all(self, run: str, settled: Sequence[Settled]) -> None:
        for one in settled:
            self._settle(run, one)

    def _settle(self, run: str, settled: Settled) -> None:
        """Queue one outcome; with the last one that was announced together, the announcement is over."""
        group, target = self._group, settled.target
        lane = self._lane(run, target.service, target.connection)
        row = outcome_row(lane, run, settled)
        group.values(sql.OUTCOME).extend(row)
        group.rows += 1
        _count(settled, group.fresh)
        announced = self._open.pop((lane, target.id), None)
        if announced is None:
            return
        left = self._left[announced] = self._left[announced] - 1
        if not left:
            del self._left[announced]
            group.over.append(announced)

    def _lane(self, run: str, service: str, connection: str) -> int:
        """Return the number of a lane, which has a row before anything of it has."""
        name = (run, service, connection)
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = sql.lane_number(*name)
            self._group.values(sql.LANE).extend((lane, *name))
        return lane

    async def flush(self) -> None:
        """Return when all that was queued so far is on disk."""
        self._check()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        with self._lock:
            self._group.waiting.append((loop, done))
        self._enough.set()
        self._wake()
        await done

    def close(self) -> None:
        """Write what is queued, and stop."""
        if self._thread is not None:
            self._closing = True
            self._enough.set()
            self._some.set()
            self._thread.join()

    def _check(self) -> None:
        if self._failure is not None:
            raise JournalError(f"the journal {self._path} cannot be written: {self._failure}")

    def _wake(self) -> None:
        """Let the thread know; after the group was added to, so that whoever clears the events finds it."""
        if self._group.rows >= GROUP_ROWS and not self._enough.is_set():
            self._enough.set()
        if not self._some.is_set():
            self._some.set()

    def _write(self, connection: sqlite3.Connection) -> None:
        while not self._closing or self._new or self._group.parts or self._group.waiting:
            group = self._next_group()
            try:
                if self._failure is None:
                    self._commit(connection, group)
            except Exception as error:  # noqa: BLE001  whatever it is, nothing may be counted from here on
                self._failure = error
            for loop, done in group.waiting:
                with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                    loop.call_soon_threadsafe(_resolve, done, self._failure)
        connection.close()

    def _next_group(self) -> _Group:
        """Return what to commit together."""
        self._some.wait()
        self._enough.wait(GROUP_SECONDS)
        with self._lock:
            self._some.clear()
            self._enough.clear()
            self._add_to_group()
            group, self._group = self._group, _Group()
        return group

    def _commit(self, connection: sqlite3.Connection, group: _Group) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement, values in group.parts:
                if isinstance(statement, str):
                    connection.execute(statement, values)
                else:
                    _execute_rows(connection, statement, values)
            connection.executemany(sql.OVER, group.over)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # when the disk is full, SQLite has rolled it back already
                connection.execute("ROLLBACK")
            raise
        self._counts.update(group.fresh)


def outcome_row(lane: int, run: str, settled: Settled) -> tuple[Any, ...]:
    """Return the row of an outcome; `lane` is the number of its lane.

    Its values are plain ones: for any other sqlite3 looks for an adapter, and that is half of what a row takes.
    """
    target = settled.target
    protected = settled.outcome is _NOT_ATTEMPTED and settled.reason == PROTECTED
    record = encode(run, settled).decode()
    fate = (str(settled.outcome), str(settled.verification), int(protected))
    return (lane, target.id, target.stage, settled.batch, *fate, record)


def _count(settled: Settled, fresh: Counter[tuple[str, str, str]]) -> None:
    service, connection = settled.target.service, settled.target.connection
    fresh[service, connection, settled.stands] += 1
    if settled.instead_of is not None:
        fresh[service, connection, settled.instead_of] -= 1


def _execute_rows(connection: sqlite3.Connection, insert: sql.Insert, values: Sequence[Any]) -> None:
    """Put in rows, in as few statements as may be: around each the interpreter is let go of and waited for.

    They are of 512, 256, 128 rows and so on, so that each is compiled once.
    """
    width = insert.values
    most = min(IN_A_STATEMENT, connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // width)
    start, end = 0, len(values) // width
    while left := end - start:
        number = 1 << min(left, most).bit_length() - 1
        connection.execute(insert.of(number), values[start * width : (start + number) * width])
        start += number


def _resolve(done: asyncio.Future[None], failure: BaseException | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(JournalError(f"the journal cannot be written: {failure}"))
