"""How a run is going: a live table on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, repeat
from typing import TYPE_CHECKING, NamedTuple

import anyio

from orchestrator.lane import Lane
from orchestrator.model import DONE
from orchestrator.units import plural
from orchestrator.view import View, Watch

if TYPE_CHECKING:
    from rich.table import Table

PLAIN_SECONDS = (1.0, 1.0, 3.0, 5.0)  # a short run says little, a long one every ten seconds
LAST_PLAIN_SECONDS = 10.0
LIVE_SECONDS = 0.25
WINDOW = 40


class Row(NamedTuple):
    """One lane at one moment; `rate` is targets per second, `left` seconds or None when nobody can tell."""

    name: str
    done: int
    planned: int
    rate: float
    not_good: int
    waits: str
    left: float | None
    at_work: bool
    halted: bool = False

    @property
    def moves(self) -> bool:
        """Return whether there is anything to tell: a lane at work that is stuck is worth a line, too."""
        return bool(self.waits) or self.rate > 0 or (self.at_work and self.done < self.planned)


class Pulse:
    """Turns the journal's durable counts into rows, with a rate over the last moments."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._past: dict[tuple[str, str], deque[tuple[float, int]]] = {}

    def rows(self, now: float) -> list[Row]:
        """Return a row for every lane."""
        return [self._row(lane, now) for lane in self._view.lanes]

    def _row(self, lane: Lane, now: float) -> Row:
        name = lane.name
        counts = {
            outcome: n for (*where, outcome), n in list(self._view.journal.counts.items()) if tuple(where) == name
        }
        done, planned = sum(counts.values()), self._view.planned.get(name, 0)
        past = self._past.setdefault(name, deque(maxlen=WINDOW))
        past.append((now, done))
        elapsed = now - past[0][0]
        rate = (done - past[0][1]) / elapsed if elapsed > 0 else 0.0
        bad = sum(number for outcome, number in counts.items() if outcome not in DONE)
        pause = max(0.0, lane.pacer.paused_until - now)
        left = pause + (planned - done) / rate if rate > 0 else None
        waits, at_work, halted = _waits(lane, self._view, now), lane.busy.locked(), bool(lane.halted)
        return Row("@".join(name), done, planned, rate, bad, waits, left, at_work, halted)


def chosen(how: str) -> Watch:
    """Return the progress display for `auto`, `plain` or `none`."""
    if how == "none":
        return _nothing
    show = _live if how == "auto" and sys.stderr.isatty() else _plain

    async def watch(view: View) -> None:
        with suppress(OSError):  # nobody is there to see it any more, which is no reason to stop
            await show(view)

    return watch


async def _nothing(view: View) -> None:
    """Show nothing."""


async def _plain(view: View) -> None:
    pulse = Pulse(view)
    pulse.rows(time.monotonic())
    for seconds in chain(PLAIN_SECONDS, repeat(LAST_PLAIN_SECONDS)):
        await anyio.sleep(seconds)
        for row in pulse.rows(time.monotonic()):
            if row.moves:
                print(_line(row), file=sys.stderr, flush=True)  # noqa: T201


async def _live(view: View) -> None:
    from rich.console import Console
    from rich.live import Live

    pulse = Pulse(view)
    with Live(_table(view, []), console=Console(stderr=True), auto_refresh=False) as live:
        try:
            while True:
                live.update(_table(view, pulse.rows(time.monotonic())), refresh=True)
                await anyio.sleep(LIVE_SECONDS)
        finally:
            live.update(_table(view, pulse.rows(time.monotonic())), refresh=True)


def _table(view: View, rows: list[Row]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"{view.record.plan}  {view.record.run}", title_justify="left", box=None, pad_edge=False)
    table.add_column("lane")
    for name in ("done", "of", "per s", "not good", "left"):
        table.add_column(name, justify="right")
    table.add_column("waits for")
    for row in rows:
        bad = f"[red]{row.not_good}[/]" if row.not_good else "0"
        cells = (row.name, str(row.done), str(row.planned), f"{row.rate:.1f}", bad, _clock(row), escape(row.waits))
        table.add_row(*cells)
    return table


def _line(row: Row) -> str:
    waits = f"; {row.waits}" if row.waits else ""
    left = _clock(row)
    time_left = f", {left} left" if left else ""
    return f"{row.name}: {row.done} of {row.planned} done, {row.rate:.1f}/s, {row.not_good} not good{time_left}{waits}"


def _clock(row: Row) -> str:
    if row.done >= row.planned or row.halted:
        return ""
    return "?" if row.left is None else f"{int(row.left) // 60}:{int(row.left) % 60:02}"


def _waits(lane: Lane, view: View, now: float) -> str:
    return next(_reasons(lane, view, now), "")


def _reasons(lane: Lane, view: View, now: float) -> Iterator[str]:
    if view.stop.is_set() and lane.calling:
        yield f"{plural(lane.calling, 'call')} in flight; stopping: {view.stop.reason}"
    if lane.halted:
        yield f"stopped: {lane.halted}"
    if lane.looks_at:
        yield f"looks whether {lane.looks_at} are gone"
    if lane.pacer.paused_until > now:
        yield f"the service's limit, until {_at(lane.pacer.paused_until - now)}"
    if lane.resting_until > now:
        yield f"another attempt, at {_at(lane.resting_until - now)}"
    if lane.calling:
        yield f"{lane.calling} call{'s' if lane.calling > 1 else ''} in flight"


def _at(seconds: float) -> str:
    """Return the local time so many seconds from now."""
    return time.strftime("%H:%M:%S", time.localtime(time.time() + seconds))
