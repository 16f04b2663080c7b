"""When the next call of a lane may go: never more than the rate in any second, plus one.

An aiolimiter with a bucket of the whole rate lets twice the rate through in its first second, and a bucket of one
cannot catch up after a late timer. So the bucket is small (about 10 ms of the rate) and its rate is lower by it, and
only one worker at a time waits at it, because many waiters cost it dearly.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio
from aiolimiter import AsyncLimiter

from orchestrator.learning import Learner
from orchestrator.units import Rate

MIDWAY = 5  # the exit code of a run that its deadline cut short
T = TypeVar("T")


class Stop:
    """Tells everybody that no new call may begin, and why; the first reason stays.

    `deadline` (seconds of the monotonic clock) is when that will be at the latest.
    """

    def __init__(self, deadline: float | None = None) -> None:
        self.deadline = deadline
        self.reason = ""
        self.exit_code: int | None = None
        self._event = asyncio.Event()

    def set(self, reason: str, exit_code: int) -> None:
        """Stop for a reason, which is what targets that were never sent are reported with."""
        if not self.is_set():
            self.reason, self.exit_code = reason, exit_code
            self._event.set()

    def would_be_late(self, moment: float) -> bool:
        """Return whether a moment is past the deadline; what is given up for that ends the run midway."""
        late = self.deadline is not None and moment > self.deadline
        if late:
            self.cut_short("the deadline left no time for what is not done")
        return late

    def cut_short(self, reason: str) -> None:
        """Note that a part of the run ends midway, although the rest goes on."""
        if self.exit_code is None:
            self.reason, self.exit_code = reason, MIDWAY

    def is_set(self) -> bool:
        """Return whether new calls are over."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Return when there is a reason to stop."""
        await self._event.wait()

    async def rest(self, seconds: float) -> bool:
        """Wait for so long; return False, early, when there is a reason to stop."""
        if seconds > 0:
            with anyio.move_on_after(seconds):
                await self._event.wait()
        return not self.is_set()

    async def unless_set(self, action: Callable[[], Awaitable[T]]) -> T | None:
        """Do something that is not worth finishing once there is a reason to stop: then it is cancelled."""
        result: T | None = None

        async def do() -> None:
            nonlocal result
            result = await action()
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(do)
            await self._event.wait()
            group.cancel_scope.cancel()
        return result


class Pacer:
    """The one place of a lane where calls wait for their turn."""

    def __init__(self, rates: Sequence[Rate], stop: Stop, clock: Callable[[], float] = time.monotonic) -> None:
        self.paused_until = 0.0
        self.per_second = min(rate.per_second for rate in rates)
        self.learner = Learner(self.per_second)
        self._limiter = _limiter(self.per_second)
        self._stop = stop
        self._clock = clock
        self._turn = asyncio.Lock()

    @property
    def pace(self) -> float:
        """Return how many calls a second go: the rate, or less where less has been learned."""
        return self.per_second if self.learner.pace is None else min(self.per_second, self.learner.pace)

    async def take(self, before: Callable[[], Awaitable[object]] | None = None) -> bool:
        """Wait for a turn; False when there will be none, because of a reason to stop.

        `before` is what has to be done just before the call; the turn is the moment after it.
        """
        async with self._turn:
            if not await self._due():
                return False
            if before is not None:
                await before()
                if not await self._due():
                    return False
            await self._limiter.acquire()
            self.learner.go(self._clock())
            return True

    async def _due(self) -> bool:
        """Wait until a call may go; False when there is a reason to stop."""
        while (wait := max(self.paused_until - self._clock(), self.learner.wait(self._clock()))) > 0:
            if not await self._stop.rest(wait):
                return False
        if not self._limiter.has_capacity():
            await self._wait()
        return not self._stop.is_set()

    async def unpaused(self) -> None:
        """Wait until a pause is over, holding nothing that others need; or until there is a reason to stop."""
        while (pause := self.paused_until - self._clock()) > 0 and await self._stop.rest(pause):
            pass

    def pause(self, until: float) -> None:
        """Let nothing go before `until` (seconds of the monotonic clock)."""
        self.paused_until = max(self.paused_until, until)

    def slow_to(self, per_second: float) -> None:
        """Go no faster than the service announced; never speeds up."""
        if 0 < per_second < self.per_second:
            self.per_second = per_second
            self._limiter = _limiter(per_second)

    async def _wait(self) -> None:
        """Wait until the limiter has room or there is a reason to stop; long waits must not outlive the run."""
        limiter = self._limiter
        if limiter.time_period > 1.0:
            while not limiter.has_capacity() and await self._stop.rest(min(limiter.time_period, 0.25)):
                pass


def _limiter(per_second: float) -> AsyncLimiter:
    """Return a limiter of which any window of one second sees at most the rate plus one."""
    if per_second < 50:
        return AsyncLimiter(1, 1 / per_second)
    bucket = max(2, round(per_second / 100))
    return AsyncLimiter(bucket, bucket / (per_second - bucket))
