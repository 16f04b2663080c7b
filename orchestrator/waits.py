"""A service that has the whole lane wait for seconds after a refusal: what is learned of its limit from few of them.

Its bucket is full after each wait. So two times until the next refusal, at two paces, tell the bucket and its rate.
What it let through, the wait included, it lets through in any case.
"""

from __future__ import annotations

import math
from typing import NamedTuple

STEP = 0.9  # of the pace, where nothing else is known ...
FAR_STEP = 0.5  # ... or this, where the refusal came within ...
FAR_SECONDS = 0.25  # ... so many seconds of calls
BELOW = 0.95  # of the limit that two such times tell: the pace
WORTH = 30.0  # times the wait: so seldom it is looked whether the limit has risen


class Run(NamedTuple):
    """So many calls were let through, in so many seconds."""

    calls: int
    seconds: float


class Waits:
    """The calls between one such wait and the next; times are seconds of one clock."""

    def __init__(self) -> None:
        self.patience = 0.0  # seconds between two looks whether the limit has risen, at least
        self.room = 0  # calls that the bucket holds, at most: so few were let through after a wait
        self._before: Run | None = None
        self._since = -math.inf  # when the last wait began ...
        self._began = math.inf  # ... and the first call after it ...
        self._calls = 0  # ... and how many have been let through since

    def accepted(self, began: float) -> None:
        """Note that a call was let through that began then."""
        if began > self._since:
            self._began = min(self._began, began)
            self._calls += 1

    def refused(self, began: float, now: float, wait: float, pace: float) -> float:
        """Note that a call of this pace was refused, and for how many seconds the lane waits; return the pace then."""
        run = Run(self._calls, max(began - min(self._began, began), 1 / pace))
        limit = _limit(self._before, run)
        self._before, self._since, self._began, self._calls = run, now, math.inf, 0
        self.patience, self.room = WORTH * wait, min(self.room or run.calls, run.calls)
        found = pace * (FAR_STEP if run.calls and run.seconds < FAR_SECONDS else STEP)
        if limit is not None:
            found = min(pace * STEP, BELOW * limit)
        return max(found, run.calls / (run.seconds + wait))


def _limit(one: Run | None, other: Run) -> float | None:
    """Return at which rate a bucket refills that let through both of these, from full until it was empty."""
    if one is None:
        return None
    calls, seconds = other.calls - one.calls, other.seconds - one.seconds
    return calls / seconds if calls * seconds > 0 and abs(seconds) > FAR_SECONDS else None
