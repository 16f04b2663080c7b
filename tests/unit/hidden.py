"""A service with a hidden limit and a lane that calls it, in virtual time: quick, and the same every time."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.lane import STUBBORN
from orchestrator.learning import Learner
from orchestrator.pacing import AHEAD
from orchestrator.slots import AT_FIRST

FIRST_REST = 0.125  # seconds that a target rests at most after its first refusal, where the service names no wait


class Bucket:
    """A service's token bucket, whose rate may change."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst, self.level, self.at = rate, burst, burst, 0.0

    def change(self, rate: float) -> None:
        self.rate = rate

    def take(self, now: float) -> bool:
        self.level = min(self.burst, self.level + (now - self.at) * self.rate)
        self.at = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


class Window(Bucket):
    """A service that counts in windows, by the clock, or back from each call where they slide."""

    def __init__(self, rate: float, seconds: float, *, slides: bool) -> None:
        super().__init__(rate, 0.0)
        self._limit, self._seconds, self._slides = round(rate * seconds), seconds, slides
        self._let_through: deque[float] = deque()

    def change(self, rate: float) -> None:
        self._limit = round(rate * self._seconds)

    def take(self, now: float) -> bool:
        begins = now - self._seconds if self._slides else now - now % self._seconds
        while self._let_through and self._let_through[0] < begins:
            self._let_through.popleft()
        if len(self._let_through) >= self._limit:
            return False
        self._let_through.append(now)
        return True


@dataclass(frozen=True, slots=True)
class Hidden:
    """A scenario: calls a second, how many at once, seconds to an answer, seconds of Retry-After, a change midway.

    `late` is by how many seconds a timer may be late, `uneven` the share by which an answer may take longer;
    `stall` is for how long the machine does something else, in every hundredth moment; after the first `early` targets
    there is nothing to call for `idle` seconds. After a refusal the service has the lane wait for `pause`; to refuse
    may take another time than an answer. It has no bucket where it counts in a `window` of seconds.
    """

    rate: float = 200.0
    burst: float = 20.0
    latency: float = 0.02
    retry_after: float | None = None
    then: float | None = None
    count: int = 4000
    slots: int = 128
    ceiling: float = 10_000.0
    start: float | None = None
    late: float = 0.001
    uneven: float = 0.1
    stall: float = 0.0
    early: int = 0
    idle: float = 0.0
    pause: float = 0.0
    refusal: float | None = None
    window: float = 0.0
    slides: bool = False

    @property
    def ideal(self) -> float:
        if self.idle:  # long enough for the bucket to be full again
            return (max(0.0, self.early - self.burst) + self.count - self.early - self.burst) / self.rate + self.idle
        if self.then is None:
            return (self.count - self.burst) / self.rate
        half = self.count // 2
        return (half - self.burst) / self.rate + (self.count - half) / self.then


@dataclass(frozen=True, slots=True)
class Came:
    """What came of it: seconds until the last call was let through over the ideal, share refused, the learner."""

    over: float
    refused: float
    learner: Learner


class Simulation:
    """One lane against one bucket."""

    def __init__(self, scenario: Hidden, learner: Learner, seed: int = 1) -> None:
        self.scenario, self.learner = scenario, learner
        self.bucket = Bucket(scenario.rate, scenario.burst)
        if scenario.window:
            self.bucket = Window(scenario.rate, scenario.window, slides=scenario.slides)
        self.now = self.last = 0.0
        self.fresh, self.done, self.refused = scenario.early or scenario.count, 0, 0
        self._more_at = math.inf  # when there is more to call
        self._paused_at = -math.inf
        self.trace: Callable[[float, float], None] = lambda now, pace: None
        self._slot = 0.0
        self._slots = min(scenario.slots, AT_FIRST)
        self._random = random.Random(seed)
        self._flying: list[tuple[float, float, bool, int]] = []
        self._resting: list[tuple[float, int]] = []

    def run(self) -> Came:
        while self.done < self.scenario.count:
            while self._go():
                pass
            self.now = self._next()
            if self.now >= self._more_at:
                self.fresh, self._more_at = self.scenario.count - self.scenario.early, math.inf
            while self._flying and self._flying[0][0] <= self.now:
                self._land(*heapq.heappop(self._flying)[1:])
        return Came(self.last / self.scenario.ideal, self.refused / (self.done + self.refused), self.learner)

    def _ready(self) -> bool:
        return self.fresh > 0 or bool(self._resting and self._resting[0][0] <= self.now)

    def _wait(self) -> float:
        return max(self.learner.wait(self.now), self._slot - self.now)

    def _go(self) -> bool:
        """Make a call if there is one to make, a slot for it, and it is due."""
        if len(self._flying) >= self._slots or not self._ready() or self._wait() > 0:
            return False
        tries = 0
        if self._resting and self._resting[0][0] <= self.now:
            _, tries = heapq.heappop(self._resting)
        else:
            self.fresh -= 1
        self.learner.ending = self.fresh <= AHEAD * (self.learner.pace or 0.0)
        self.learner.go(self.now)
        self._slot = max(self._slot, self.now - 0.005) + 1 / self.scenario.ceiling
        self.trace(self.now, self.learner.pace or 0.0)
        let_through = self.bucket.take(self.now)
        if let_through:
            self.last = self.now
            self.done += 1
            if self.scenario.then is not None and self.done == self.scenario.count // 2:
                self.bucket.change(self.scenario.then)
        latency = self.scenario.latency
        if not let_through and self.scenario.refusal is not None:
            latency = self.scenario.refusal
        latency *= 1 + self._random.uniform(0, self.scenario.uneven)
        heapq.heappush(self._flying, (self.now + latency, self.now, let_through, tries))
        return True

    def _next(self) -> float:
        """Return when something happens next."""
        moments = [self._more_at]
        if self._flying:
            moments.append(self._flying[0][0])
        if len(self._flying) < self._slots:
            if self._ready():
                late = self._random.uniform(0, self.scenario.late)
                moments.append(self.now + self._wait() + late)
            elif self._resting:
                moments.append(self._resting[0][0])
        stall = self.scenario.stall if self._random.random() < 0.01 else 0.0
        return max(self.now, min(moments)) + stall

    def _land(self, began: float, let_through: bool, tries: int) -> None:
        self._slots = self.scenario.slots
        if let_through:
            self.learner.accepted(began, self.now)
            if self.done == self.scenario.early and not self._flying:
                self._more_at = self.now + self.scenario.idle
            return
        self.refused += 1
        rest = self.scenario.retry_after
        if self.scenario.pause:
            rest = 0.0
            self._pause(began)
        elif tries >= STUBBORN:
            self.learner.refused_again(began, self.now)
        else:
            self.learner.refused(began, self.now)
        if rest is None:
            rest = self._random.uniform(0, min(60.0, FIRST_REST * 2.0**tries))
        heapq.heappush(self._resting, (self.now + rest, tries + 1))

    def _pause(self, began: float) -> None:
        if began <= self._paused_at:  # it was under way when the lane was told
            return
        self.learner.held_off(began, self.now, self.scenario.pause)
        self.learner.paused(self.now + self.scenario.pause)
        self._paused_at, self._slot = self.now, self.now + self.scenario.pause


def simulate(scenario: Hidden, seed: int = 1) -> Came:
    """Run a scenario with a lane that knows nothing, or knows too high a rate (`start` is None)."""
    return Simulation(scenario, Learner(scenario.ceiling, scenario.start), seed).run()
