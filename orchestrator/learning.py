"""The rate at which a service lets calls through, learned from its refusals when it does not say it.

At every refusal the service's bucket is empty. So what it accepted between two refusals, over the time between them,
is the rate at which it refills: that is the pace, and a little more, so that a refusal now and then measures again.
"""

from __future__ import annotations

STEP_BACK = 0.9  # of the pace, at the first refusal
ABOVE = 1.01  # of the estimate
QUICK = 0.3  # seconds between refusals that make an estimate, at first ...
SETTLED = 2.0  # ... and when there have been some
ROUGH = 3  # so many estimates are rough
FAR_BELOW = 0.7  # of the pace: an estimate that is lower counts at once
WEIGHT = 0.5  # of a new estimate in the smoothed one
QUIET = 1.0  # seconds without a refusal after which the pace grows ...
GROWTH = 0.05  # ... by this share a second
PLAINLY = 3  # refusals, and more than were let through, show without an estimate that the pace is too high
SLOWEST = 1 / 60  # calls a second
HOPELESS = 8  # refusals in a row ...
HOPELESS_SECONDS = 60.0  # ... over so long a time: nothing will be let through any more


class Learner:
    """What a lane has learned; times are seconds of one clock, paces calls per second.

    `pace` is None until the first refusal.
    """

    def __init__(self, ceiling: float) -> None:
        self.pace: float | None = None
        self._ceiling = ceiling
        self._accepted = self._refused = 0  # since counting began ...
        self._marked = 0.0  # ... which was then
        self._changed = 0.0  # when the pace was changed: what began before says nothing about it
        self._estimates = 0
        self._grown = 0.0  # up to when growth is accounted for
        self._next = 0.0  # when the next call may go
        self._in_vain = 0  # refusals since a call was let through ...
        self._dry_since = 0.0  # ... and when the first of them was

    def accepted(self) -> None:
        """Note that the service let a call through, whatever it answered."""
        self._accepted += 1
        self._in_vain = 0

    def refused(self, began: float, now: float) -> None:
        """Note that the service refused a call that began then for coming too soon."""
        self._grown = now + QUIET
        self._dry_since = now if self._in_vain == 0 else self._dry_since
        self._in_vain += 1
        if self.pace is None:
            self._go_at(self._ceiling * STEP_BACK, now)
        elif began >= self._changed:
            self._refused += 1
            self._judge(self.pace, now)

    def hopeless(self, now: float) -> bool:
        """Return whether nothing has been let through for so long and so often that it is not worth going on."""
        return self._in_vain >= HOPELESS and now - self._dry_since >= HOPELESS_SECONDS

    def wait(self, now: float) -> float:
        """Return for how many seconds the next call has to wait; 0 when it may go."""
        if self.pace is None:
            return 0.0
        if now > self._grown:
            self.pace = self._bounded(self.pace * (1 + GROWTH * (now - self._grown)))
            self._grown = now
        return max(0.0, self._next - now)

    def go(self, now: float) -> None:
        """Note that a call goes."""
        if self.pace is not None:
            self._next = max(self._next, now - 1 / self.pace) + 1 / self.pace

    def _judge(self, pace: float, now: float) -> None:
        """Make an estimate of what was counted, or cut the pace when it is plainly too high."""
        elapsed = now - self._marked
        if elapsed < QUICK:
            if self._refused >= PLAINLY and self._refused > self._accepted:
                self._go_at(pace / 2, now)
            return
        found = ABOVE * self._accepted / elapsed
        if found < FAR_BELOW * pace or self._estimates == 0:
            self._estimates += 1
            self._go_at(max(found, pace / 4), now)
        elif elapsed >= (QUICK if self._estimates < ROUGH else SETTLED):
            self._estimates += 1
            self._go_at(pace * (1 - WEIGHT) + found * WEIGHT, now)

    def _go_at(self, pace: float, now: float) -> None:
        self.pace = self._bounded(pace)
        self._next = max(self._next, now)
        self._changed = self._marked = now
        self._accepted = self._refused = 0

    def _bounded(self, pace: float) -> float:
        return min(self._ceiling, max(SLOWEST, pace))
