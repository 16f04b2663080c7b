"""A service that counts in windows of time, and lets nothing through from when one is used up until the next begins.

A bucket lets a call through as soon as it has refilled for one. So a silence, in which every call is refused, and after
which several are let through at once, is the end of a window. From then on what is let through from the end of one
silence to that of another, over the time between, is the limit. The pace is a little more: so each window is used up,
just before its end.
"""

from __future__ import annotations

import math
from typing import NamedTuple

PROBE = 0.2  # of the time that a silence takes: after so much more of it one call goes, to see whether it is over ...
AS_BEFORE = 0.05  # ... but not in its first seconds, where nothing is known of windows
LONG = 0.1  # seconds, and ...
MANY = 8  # ... refusals at least of a silence that may be the end of a window; that is tried, at ...
TWICE = 2.0  # ... so many times what was let through on the average before, at most, and is so if ...
SEVERAL = 4  # ... so many calls are let through after it, and ...
MORE = 2.0  # ... more than so many times what a bucket would have refilled
AT_ONCE = 8  # calls in the time of an answer, on trial
AGAIN = 1.5  # times what the silence took: so long after a trial that failed there is another, ...
SELDOM = 4.0  # ... and so many times as long after that one a third, where ...
TRIALS = 3  # ... this is how many there are at most
WHOLE = 10  # calls let through between two silences tell the limit, if that took ...
MOST = 0.5  # ... so much of the shortest such time; a window takes ...
AT_MOST = 5.0  # ... so many times the silence at its end, it is thought at first
ABOVE = 1.01  # times the limit: the pace
PATIENCE = 1.5  # times what a window seems to take, and so many seconds more: ...
WAITS = 1.5  # ... if the trial's pace uses none up in that, these are none
FULL = 1.25  # times such a time: if all of the limit is let through in that, and nothing refused, ...
HIGHER = 0.02  # ... it is so much higher, perhaps, ...
DOUBLE = 2.0  # ... and the next time so many times as much, up to ...
HIGHEST = 0.3  # ... this
IN_VAIN = 8  # silences in a row before which more calls were refused than let through: these are no windows; and if
# so many end one soon after the other, the limit is measured all the same


class Silence(NamedTuple):
    """So many calls were refused, from one to the last, and none was let through in between."""

    since: float
    last: float
    refused: int = 1

    @property
    def seconds(self) -> float:
        """Return how long it was, so far."""
        return self.last - self.since

    def and_another(self, began: float) -> Silence:
        """Return the silence with another call that was refused."""
        return Silence(self.since, max(self.last, began), self.refused + 1)


class End(NamedTuple):
    """The end of a silence, the last of a number between which few calls were let through, and of so many after it."""

    at: float
    number: int
    calls: int = 0


class _Silences:
    """The silence that lasts, if one does, and what came of the calls after a `mark`: the last call of one, mostly."""

    def __init__(self, mark: float = math.inf, let_through: int = 0) -> None:
        self._silence: Silence | None = None
        self._mark, self._let_through = mark, let_through

    def rested(self, now: float) -> None:
        """Note that a call goes now, and that none went for a while: what was counted tells no limit."""
        self._silence = None
        self._count_from(now)

    def _begins(self, began: float) -> bool:
        """Note a call that was refused; return whether a silence begins with it."""
        begins = self._silence is None
        self._silence = Silence(began, began) if self._silence is None else self._silence.and_another(began)
        return begins

    def _ended(self, began: float, silence: Silence) -> Silence | None:
        """Note a call that was let through in a silence; return that, if it is over with it."""
        if began <= silence.since:
            return None
        self._silence = None
        return silence if began > silence.last else None  # else there was none

    def _count_from(self, mark: float) -> None:
        self._mark, self._let_through = mark, 0


class Suspicion(_Silences):
    """Tells whether a service counts in windows; times are seconds of one clock, paces calls per second.

    `pace` is the one at which that is tried, while it is. That they are windows is `found` by it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pace: float | None = None
        self.found = False
        self._before = 0.0  # the pace before the silence, ...
        self._plausible = False  # ... and whether it may be the end of a window
        self._suspected: float | None = None  # the pace to try ...
        self._tried = Silence(0.0, 0.0)  # ... after this silence, ...
        self._passed = 0.0  # ... so many seconds after the end of the one before, ...
        self._rest = 0.0  # ... and so many after a trial that failed, ...
        self._not_before = -math.inf  # ... which is then
        self._trials = 0  # since the silence, ...
        self._late = False  # ... of which the last did not begin with its end

    def apart(self, step: float, answer: float) -> float:
        """Return how many seconds apart calls go that would go `step` apart, where an answer takes so many.

        In a silence only some go, to see whether it is over; on trial there are few of which it is not known yet.
        """
        if self.pace is not None:
            return max(step, answer / AT_ONCE)
        if self._silence is None or not self._plausible or self._silence.seconds < AS_BEFORE:
            return step
        return PROBE * self._silence.seconds

    def refused(self, began: float, pace: float) -> None:
        """Note a call that was refused, by a lane that went at that pace."""
        if not self._begins(began):
            return
        if self.pace is not None:
            self.pace, self._not_before, self._rest = None, began + self._rest, SELDOM * self._rest
            self._suspected = None if self._trials >= TRIALS else self._suspected
        self._before = pace
        self._plausible = self._let_through >= SEVERAL and began > self._not_before

    def let_through(self, began: float) -> bool:
        """Note a call that was let through; return whether a trial begins."""
        silence = None if self._silence is None else self._ended(began, self._silence)
        if silence is not None:
            self._suspect(silence)
        tries = self._suspected is not None and self.pace is None and began > self._not_before
        if tries:
            self.pace, self._trials, self._late = self._suspected, self._trials + 1, silence is not self._tried
        if self._mark == math.inf or (tries and self._late):
            self._count_from(began)
        elif began > self._mark:
            self._let_through += 1
            if self.pace is not None:
                bucket = 1 + (began - self._tried.last) / self._tried.seconds
                self.found = self._let_through >= SEVERAL and self._let_through > MORE * bucket
        return tries

    def in_vain(self, began: float) -> bool:
        """Return whether a trial takes too long: neither is much let through up to then, nor anything refused."""
        return self.pace is not None and began - self._tried.last > self._patience

    @property
    def _patience(self) -> float:
        return PATIENCE * self._passed + WAITS

    def windows(self) -> Windows:
        """Return the windows that were found."""
        pace, at_an_end = self.pace or self._before, not self._late
        seconds = min(self._passed, AT_MOST * self._tried.seconds)
        until = self._mark + self._patience
        return Windows(pace, self._mark, self._let_through, at_an_end=at_an_end, seconds=seconds, until=until)

    def _suspect(self, silence: Silence) -> None:
        """Take a silence that is over for the end of a window, where it may be that."""
        passed = silence.last - self._mark
        if self._plausible and silence.seconds > LONG and silence.refused >= MANY and passed > 0:
            self._tried, self._rest, self._passed, self._trials = silence, AGAIN * silence.seconds, passed, 0
            self._suspected = min(self._before, TWICE * self._let_through / passed)
        self._count_from(silence.last)


class Windows(_Silences):
    """The pace of a lane whose service counts in windows; it is `over` when that turns out to be wrong.

    `limit` is what is let through in a second, when that is known, which it has to be by `until`. A window seems to
    take so many `seconds`; the call at the `mark` may be the last of a silence.
    """

    def __init__(
        self, pace: float, mark: float, let_through: int, *, at_an_end: bool, seconds: float, until: float
    ) -> None:
        super().__init__(mark, let_through)
        self._until = until
        self.pace = pace
        self.limit: float | None = None
        self.over = False
        self._at_an_end = at_an_end
        self._end: End | None = None  # of the last silence, as long as that may not be the end of a window
        self._seconds = seconds  # between two ends that told the limit, at least ...
        self._shortest = MOST * seconds  # ... and no less
        self._higher = HIGHER
        self._in_vain = 0

    def apart(self, step: float) -> float:
        """Return how many seconds apart calls go that would go `step` apart: in a silence only some go."""
        return step if self._silence is None else max(step, PROBE * self._silence.seconds)

    def refused(self, began: float) -> None:
        """Note a call that was refused."""
        self._begins(began)

    def rested(self, now: float) -> None:
        """Note that a call goes now, and that none went for a while: what was counted tells no limit."""
        super().rested(now)
        self._at_an_end, self._end = False, None

    def let_through(self, began: float) -> None:
        """Note a call that was let through."""
        if self._silence is not None and (silence := self._ended(began, self._silence)) is not None:
            self._ends(silence)
        self.over = self.over or (self.limit is None and began > self._until)
        if self._end is not None and began > self._end.at:
            self._end = self._end._replace(calls=self._end.calls + 1)
            if self._end.calls >= SEVERAL:
                self._measure(self._end)
        elif began > self._mark:
            self._let_through += 1
            passed = began - self._mark
            if self.limit is not None and passed > FULL * self._seconds and self._let_through > self.limit * passed:
                self._take((1 + self._higher) * self.limit)
                self._higher = min(HIGHEST, DOUBLE * self._higher)
                self._count_from(began)
                self._at_an_end = False

    def _ends(self, silence: Silence) -> None:
        """Note the end of a silence: that of a window, if there is not soon another one, or there are many."""
        let_through = self._let_through if self._end is None else self._end.calls
        self._in_vain = self._in_vain + 1 if silence.refused > let_through else 0
        self.over = self._in_vain >= IN_VAIN
        number = 1
        if self._end is not None:
            self._let_through += self._end.calls
            number += self._end.number
        self._end = End(silence.last, number)
        if number >= IN_VAIN:
            self._measure(self._end)

    def _measure(self, end: End) -> None:
        """Take the limit from what was let through up to the end of a silence, since the end of the one before."""
        counted, seconds = self._let_through, end.at - self._mark
        self._end = None
        if self._at_an_end and (counted < WHOLE or seconds < MOST * self._seconds):
            self._let_through += end.calls
            return
        if self._at_an_end:
            self._seconds, self._higher = max(self._shortest, min(self._seconds, seconds)), HIGHER
            self._take(counted / seconds)
        self._count_from(end.at)
        self._let_through, self._at_an_end = end.calls, True

    def _take(self, limit: float) -> None:
        self.limit, self.pace = limit, ABOVE * limit
