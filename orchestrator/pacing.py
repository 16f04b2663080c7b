"""When the next call of a lane may go: never more than the rate in any second, plus one.

An aiolimiter with a bucket of the whole rate lets twice the rate through in its first second, and a bucket of one
cannot catch up after a late timer. So the bucket is one call and 5 ms of the rate, and its rate is lower by a little
more: calls go in even slots, and one that is late by up to 5 ms moves no other. Only one worker at a time waits at it,
because many waiters cost it dearly, and it is asked for a millisecond of calls together, where that is more than one.
Of several rates the one over the shortest time is kept that way; what the others allow in a longer time may be used up
at that pace, and is counted call by call, because a bucket would let twice of it through. A burst, which somebody has
to ask for, makes the bucket as large as that.
"""

from __future__ import annotations

import asyncio
import math
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence

from aiolimiter import AsyncLimiter

from orchestrator.learning import CATCH_UP, Learner
from orchestrator.stop import Stop
from orchestrator.units import Rate

UNEVEN = 0.003  # of a fast rate: what arrives a little early or late must still fit into its second
LOGGED = 1_000_000  # moments that are kept of a window, 8 bytes each; of one with more calls, those of every so many
LEEWAY = 0.05  # seconds by which a window is longer here than at the service, for calls that travel at unequal speed
GLANCE = 0.25  # seconds that a wait may outlive a stop
FASTEST = 10_000.0  # calls a second, where nobody says what a service takes
TOGETHER = 0.001  # seconds of calls for which the limiter is asked at once: a third of UNEVEN
SOON = 1.0  # seconds; who waits for a longer pause does so elsewhere
STANDS = 0.25  # seconds in which answers announce more, and ...
SEVERAL = 4  # ... calls in it at least, before the limit has risen
AHEAD = 1.25  # seconds of calls: when no more are left, the pace is one at which none is refused and has to wait


Look = Callable[[], None]


def nothing() -> None:
    """Look at nothing."""


class Window:
    """At most so many calls in any stretch of time, however they lie in it."""

    def __init__(self, rate: Rate) -> None:
        number = max(1, int(rate.calls))
        seconds = number / rate.per_second
        self.seconds = seconds + min(LEEWAY, CATCH_UP * seconds)
        self._step = math.ceil(number / LOGGED)  # calls that are counted together; one of them may be in two windows
        self._kept = number // self._step - (self._step > 1)
        self._began = array("d")  # when every so many calls began: it grows, and then goes round
        self._calls = 0

    @property
    def number(self) -> int:
        """Return how many calls are let through before the first of them has to be so long ago."""
        return self._kept * self._step

    def wait(self, now: float) -> float:
        """Return for how many seconds the next call has to wait; 0 when it may go."""
        mark, between = divmod(self._calls, self._step)
        if between or mark < self._kept:
            return 0.0
        return max(0.0, self._began[mark % self._kept] + self.seconds - now)

    def go(self, now: float) -> None:
        """Note that a call goes."""
        mark, between = divmod(self._calls, self._step)
        if mark < self._kept and not between:
            self._began.append(now)
        elif not between:
            self._began[mark % self._kept] = now
        self._calls += 1


class Pacer:
    """The one place of a lane where calls wait for their turn; `per_second` is what it can keep up for long.

    Without rates it finds the service's limit by itself, from `start` calls a second on. With rates it goes at
    them from the first call, or begins at `start` where an earlier run learned that the service takes less. So many
    calls as `burst` says may go at once, where the rate over the shortest time left room for them.
    """

    def __init__(
        self,
        rates: Sequence[Rate],
        clock: Callable[[], float] = time.monotonic,
        *,
        start: float | None = None,
        burst: int = 1,
    ) -> None:
        self.paused_until = 0.0
        first, *longer = telling(rates or (Rate(FASTEST, 1.0),))
        self._rates = [rate.per_second for rate in (first, *longer)]
        self.per_second = min(self._rates)
        self._pace = first.per_second
        self._follows = False  # whether that is what answers announce that are no refusals ...
        self._higher_since = math.inf  # ... and since when they announce more
        self._went = self._not_before = -math.inf  # when the last call went, and the next may
        self._windows = [Window(rate) for rate in longer]
        self.learner = Learner(self._pace, start if start is not None or rates else 1.0)
        self._limiter = _limiter(self._pace, burst)
        self._together = _together(self._pace)
        self._granted = 0  # so many calls may go for which the limiter has been asked
        self._clock = clock
        self._turn = asyncio.Lock()

    @property
    def pace(self) -> float:
        """Return how many calls a second go: the rate, or less where less has been learned."""
        return self.per_second if self.learner.pace is None else min(self.per_second, self.learner.pace)

    @property
    def pace_now(self) -> float:
        """Return how many calls a second go as long as the rates over a longer time allow it."""
        return self._pace if self.learner.pace is None else min(self._pace, self.learner.pace)

    async def take(
        self, stop: Stop, look: Look = nothing, before: Callable[[], Awaitable[object]] | None = None
    ) -> bool:
        """Wait for a turn; False when there will be none: because of a reason to stop, or not soon because of a pause.

        `look` has a look at the pause before it is waited for, and may be the reason; `before` is what has to be done
        just before the call; the turn is the moment after it.
        """
        if before is None and self.take_now(stop):
            return True
        async with self._turn:
            if before is not None:
                if not await self._due(stop, look):
                    return False
                await before()
            while await self._due(stop, look, patient=before is not None):
                if self._granted:
                    self._go(self._clock())
                    return True
                await self._ask()
            return False

    def take_now(self, stop: Stop) -> bool:
        """Take a turn if there is one at once: several calls of a fast rate are let go together, whoever waits."""
        if self._granted and not stop.is_set() and self._held_back(now := self._clock()) <= 0:
            self._go(now)
            return True
        return False

    async def _ask(self) -> None:
        """Ask the limiter for calls; an answer of one that was replaced meanwhile is worth nothing."""
        limiter, calls = self._limiter, self._together
        await limiter.acquire(calls)
        if limiter is self._limiter:
            self._granted = calls

    def _go(self, now: float) -> None:
        """Note that a call goes."""
        self._granted -= 1
        self._went = now
        self.learner.go(now)
        for window in self._windows:
            window.go(now)

    async def _due(self, stop: Stop, look: Look, *, patient: bool = True) -> bool:
        """Wait until a call may go, the even slots aside; False when there is a reason to stop, or to come again."""
        while True:
            if self._slow and not self._granted:
                await self._nearly(stop)
            wait = self._held_back(now := self._clock())
            if wait <= 0 or stop.is_set():
                return not stop.is_set()
            look()
            if not patient and self.paused_until - now > SOON:
                return False
            await stop.rest(wait)

    def _held_back(self, now: float) -> float:
        """Return for how many seconds no call may go."""
        wait = max(self.paused_until - now, self._not_before - now, self.learner.wait(now))
        for window in self._windows:
            wait = max(wait, window.wait(now))
        return wait

    async def unpaused(self, stop: Stop, look: Look = nothing) -> None:
        """Wait until a pause is over, holding nothing that others need; or until there is a reason to stop."""
        while (pause := self.paused_until - self._clock()) > 0 and not stop.is_set():
            look()
            await stop.rest(pause)

    def pause(self, until: float) -> None:
        """Let nothing go before `until` (seconds of the monotonic clock)."""
        self.paused_until = max(self.paused_until, until)
        self.learner.paused(until)

    def heed(self, per_second: float, *, may_rise: bool = False) -> bool:
        """Go no faster than the service announced; return whether that is slower than before.

        Where answers that are no refusals announced the pace that is kept, and go on to announce more for a moment, the
        limit `may_rise`: the lane goes at that, up to its rate. What a refusal told may be another limit, and holds.
        """
        pace = min(per_second, self._rates[0])
        slower = 0 < pace < self._pace
        if slower:
            self._go_at(pace)
        if slower or pace == self._pace:
            self._follows, self._higher_since = may_rise or (self._follows and not slower), math.inf
        elif may_rise and self._follows:
            now = self._clock()
            self._higher_since = min(self._higher_since, now)
            if now - self._higher_since >= max(STANDS, SEVERAL / self._pace):
                self._go_at(pace)
                self._higher_since = math.inf
        return slower

    def _go_at(self, per_second: float) -> None:
        """Let the service's word be the pace from now on; the calls before count, as if it had been that then."""
        self._pace = per_second
        self.per_second = min(per_second, *self._rates)
        self._limiter = _limiter(per_second)  # what is announced is no burst
        self._together, self._granted = _together(per_second), 0
        self._not_before = self._went + 1 / per_second
        self.learner.limit(per_second)

    def near_end(self, few: Callable[[int], bool]) -> None:
        """Note whether few calls are left; it matters only where a limit has been found."""
        self.learner.ending = self.learner.estimate is not None and few(int(AHEAD * self.pace))

    @property
    def _slow(self) -> bool:
        """Return whether the limiter may have a call wait for longer than it may outlive a stop."""
        return self._limiter.time_period > GLANCE * self._limiter.max_rate

    async def _nearly(self, stop: Stop) -> None:
        """Wait until the limiter is about to have room or there is a reason to stop: a long wait must not outlive it.

        What is short of a whole call then is for the limiter to wait for, which does it to the millisecond.
        """
        limiter = self._limiter
        nearly = 1 - GLANCE * limiter.max_rate / limiter.time_period
        while not limiter.has_capacity(nearly) and await stop.rest(GLANCE):
            pass


def telling(rates: Sequence[Rate]) -> list[Rate]:
    """Return the rates that say something, that over the shortest time first: each is lower than those before it."""
    found: list[Rate] = []
    for rate in sorted(rates, key=lambda rate: (rate.seconds, rate.per_second)):
        if not found or rate.per_second < found[-1].per_second:
            found.append(rate)
    return found


def spread(calls: int, rates: Sequence[Rate], burst: int = 1) -> float:
    """Return the seconds from the first of so many calls to the last, as a pacer lets them go."""
    if calls < 1:
        return 0.0
    first, *longer = telling(rates)
    began = 0.0
    for window in map(Window, reversed(longer)):
        began += (calls - 1) // window.number * window.seconds
        calls = (calls - 1) % window.number + 1
    bucket, refill = _bucket(first.per_second, burst)
    return began + max(0.0, (calls - bucket) / refill)


def _limiter(per_second: float, burst: int = 1) -> AsyncLimiter:
    """Return a limiter of which any window of one second sees at most the rate plus the burst, which is one call."""
    bucket, refill = _bucket(per_second, burst)
    return AsyncLimiter(bucket, bucket / refill)


def _together(per_second: float) -> int:
    """Return for how many calls the limiter is asked at once: to ask for each of a fast rate takes too long."""
    return max(1, int(per_second * TOGETHER))


def _bucket(per_second: float, burst: int) -> tuple[float, float]:
    """Return how many calls may go at once, with those that may be caught up with, and how many a second after them."""
    share = 1 - CATCH_UP - UNEVEN * min(1.0, per_second / 1000)
    return burst + per_second * CATCH_UP, per_second * share
