"""How long calls take: at the rate of a lane and with its slots, the looks that follow them, and the worst of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.bounds import Bounds
from orchestrator.pacing import FASTEST, spread, telling
from orchestrator.slots import workers
from orchestrator.units import Rate
from orchestrator.verify import Timing

ASSUMED = 0.1  # seconds that a call is taken to take, where nobody knows


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the calls of a lane go; `latency` is what one takes, in seconds."""

    bounds: Bounds
    latency: float = ASSUMED

    @property
    def rates(self) -> Sequence[Rate]:
        """Return the rates of the lane; one that nobody knows is taken not to hold it back."""
        return self.bounds.rates or (Rate(FASTEST, 1.0),)

    @property
    def rate(self) -> float:
        """Return the calls per second that the pacer can keep up: of several windows the one that allows least."""
        return min(rate.per_second for rate in self.rates)

    @property
    def slots(self) -> int:
        """Return how many calls may be under way at once."""
        return self.bounds.concurrency

    @property
    def bound(self) -> str:
        """Return what holds the lane back: its rate, or its slots where calls take long."""
        return "concurrency" if self.latency > 0 and self.slots / self.latency < self.rate else "rate"

    @property
    def per_second(self) -> float:
        """Return how many calls a second there will be."""
        return self.slots / self.latency if self.bound == "concurrency" else self.rate

    def __str__(self) -> str:
        if self.bound == "concurrency":
            return f"{self.per_second:g}/s, all that its slots allow"
        return " and ".join(map(str, telling(self.rates)))

    def seconds(self, calls: int) -> float:
        """Return how long so many calls take, if each is answered at the first attempt."""
        if not calls:
            return 0.0
        return max(
            spread(calls, self.rates, self.bounds.burst) + self.latency,
            math.ceil(calls / self.slots) * self.latency,
        )

    def worst(self, calls: int) -> float:
        """Return how long so many calls take if each uses all its attempts, and each attempt all its time."""
        if not calls:
            return 0.0
        attempts, timeout = self.bounds.attempts, self.bounds.timeout
        base, cap = self.bounds.backoff, self.bounds.backoff_cap
        one = attempts * timeout + sum(min(cap, base * 2.0**n) for n in range(attempts - 1))
        others = calls - 1
        waiting = (
            spread(others * attempts + 1, self.rates, self.bounds.burst),
            others * attempts * timeout / self.slots,
            others * one / workers(self.slots),
        )
        return one + max(waiting)


def pages(items: int, page_size: int | None) -> int:
    """Return the calls that read a listing of so many; pages overlap, and what looks like the only one is followed."""
    if page_size is None:
        return 1
    return 2 if items <= page_size else 1 + math.ceil((items - page_size) / max(1, page_size - 1))


@dataclass(frozen=True, slots=True)
class LookBack:
    """What looking at a lane's targets afterwards takes: one listing of `listed` items at least, or a question each.

    `page_size` is None where a listing has one page only.
    """

    pace: Pace
    timing: Timing
    by_listing: bool
    page_size: int | None = None
    listed: int = 0

    def calls(self, targets: int) -> int:
        """Return the calls of one look at so many targets."""
        return pages(max(targets, self.listed), self.page_size) if targets and self.by_listing else targets

    def seconds(self, targets: int, lag: float | None = None) -> float:
        """Return how long it takes if everything is seen to be gone at the first look.

        `lag` is the one of these targets, where it is more than the service's own.
        """
        return (self.timing.lag if lag is None else lag) + self.pace.seconds(self.calls(targets)) if targets else 0.0

    def worst(self, targets: int, lag: float | None = None) -> float:
        """Return how long it takes if a look begins when time is nearly up, and it and the last use all attempts."""
        if not targets:
            return 0.0
        first = self.timing.lag if lag is None else lag
        return first + self.timing.deadline + 2 * self.pace.worst(self.calls(targets))
