"""The pace of a lane whose refusals do not follow it: others use up the same limit, or a service refuses at random.

A bucket lets through what it refills, so that who goes at that is hardly refused any more. Where calls go at half the
pace, and half of that, and as many are refused as before, each refusal would slow them down to a standstill. From then
on the pace is sought by what comes of it: up while more is let through, down while that is not less.
"""

from __future__ import annotations

HALF = 0.5  # of the pace at which a level began: there it ends
FEW = 10  # calls of a level that tell the share which is refused ...
MANY = 0.06  # ... and that it is not of a bucket at whose rate they go
IN_VAIN = 3  # levels in a row
KNOWN = 16  # calls let through that tell at which rate they are, to a third or so
STEP = 1.5  # times the pace, up or down
BETTER = 1.1  # times as many let through are more ...
AS_GOOD = 0.8  # ... and no fewer
RARE = 0.04  # of the calls: if fewer are refused, they follow the pace again


class Levels:
    """Counts how often the pace was halved in vain."""

    def __init__(self) -> None:
        self._pace = 0.0
        self._since = 0.0
        self._calls = self._refused = 0
        self._in_vain = 0

    def answered(self, began: float, *, refused: bool) -> None:
        """Note the answer to a call that began then."""
        if began > self._since:
            self._calls += 1
            self._refused += refused

    def lowered(self, before: float, pace: float, now: float) -> bool:
        """Note that the pace was lowered; return whether it is lowered in vain."""
        if before > self._pace:
            self._begin(before, self._since)
        if pace > HALF * self._pace or self._calls < FEW:
            return False
        self._in_vain = self._in_vain + 1 if self._refused > MANY * self._calls else 0
        self._begin(pace, now)
        return self._in_vain >= IN_VAIN

    def _begin(self, pace: float, now: float) -> None:
        self._pace = pace
        if now > self._since:
            self._since, self._calls, self._refused = now, 0, 0


class Climb:
    """Seeks the pace at which most is let through, from `pace` on; it is `over` when hardly any call is refused."""

    def __init__(self, pace: float, ceiling: float, now: float) -> None:
        self.pace = pace
        self.over = False
        self._ceiling = ceiling
        self._since = now
        self._let_through = self._refused = 0
        self._before = 0.0  # so many a second were let through at the pace before
        self._up = True

    def answered(self, began: float, now: float, *, refused: bool) -> None:
        """Note the answer to a call that began then, and came now."""
        if began <= self._since:
            return
        self._refused += refused
        self._let_through += not refused
        if self._let_through >= KNOWN:
            self.over = self._refused < RARE * (self._refused + self._let_through)
            self._step(self._let_through / (began - self._since))
            self._since, self._let_through, self._refused = now, 0, 0

    def _step(self, delivered: float) -> None:
        if self._up:
            self._up = delivered > BETTER * self._before and self.pace < self._ceiling
        else:
            self._up = delivered < AS_GOOD * self._before
        self._before = delivered
        self.pace = min(self._ceiling, self.pace * (STEP if self._up else 1 / STEP))
