"""The pace of a lane at a limit that it knows, and looks from time to time whether that has risen.

Just after a refusal it goes at a little less, and ever a little more from then on, so that in the time of one look one
call more goes than the limit allows: it is refused, and tells the limit again. If it is not, the limit is a higher one.
"""

from __future__ import annotations

import math

DIP = 0.02  # of the limit: by so much the pace is lower just after a refusal
CALLS = 40  # of which one may be refused to see whether the limit has risen: in their time one more goes ...
BEHIND = 0.25  # ... of so much more, as a share, for each call that is under way: they may be refused with it
SELDOM = 0.5  # seconds between two such looks at least ...
CERTAIN = 0.05  # ... unless more of the limit than this is in doubt: the more, the sooner
FURTHEST = 2.0  # looks without a refusal after which the pace grows no more
OVERDUE = 1.0  # call more than the limit allows, and no refusal: it has risen
NEAR = 1.05  # times the pace; where a call was refused at more than that a little while ago, the limit lies between
LATELY = 8.0  # looks; a little while
TRIAL = 1.25  # times the limit: no more on trial, and so much more each time that it was good


def interval(limit: float, doubt: float, told_after: float) -> float:
    """Return in how many seconds one call more goes than the limit allows; a refusal is told after so many."""
    sooner = min(1.0, CERTAIN / doubt) if doubt else 1.0
    return sooner * max(SELDOM, CALLS * (1 + BEHIND * limit * told_after) / limit)


class Looks:
    """What came of the looks so far; times are seconds of one clock, paces and limits calls per second."""

    def __init__(self) -> None:
        self.since = 0.0  # since when the pace grows
        self._excess = 0.0  # calls since then that were more than the limit allows, or fewer
        self._refused_at = math.inf  # the pace at which a call was refused last, of those made after the one before ...
        self._refused_when = -math.inf  # ... and when
        self._sound: float | None = None  # the limit before it was raised on trial ...
        self._trials = 0  # ... so many times in a row

    def begin(self, now: float, room: int = 0) -> None:
        """Let the pace grow from now on; so many calls more than the limit allows tell nothing."""
        self.since, self._excess = now, -float(room)

    def went(self, allowed: float) -> None:
        """Note that a call goes, and that the limit allowed so many since the one before."""
        self._excess += 1 - allowed

    def behind(self, calls: float) -> bool:
        """Return whether so many calls fewer went than the limit allows: it was something else that held them back."""
        return self._excess < -calls

    def overdue(self, calls: float) -> bool:
        """Return whether a refusal is overdue, of which so many calls could not be known yet."""
        return self._excess > OVERDUE + calls

    def growth(self, limit: float, look: float, now: float) -> float:
        """Return by which share of the limit the pace has grown: so much that after one look one call more went."""
        return 3 * (DIP + 1 / (limit * look)) * min(FURTHEST, (now - self.since) / look) ** 2

    def trial(self, limit: float, pace: float, look: float, now: float) -> float | None:
        """Return a limit to try, if no refusal came at this pace, but did lately at one that is not far above it."""
        if NEAR * pace >= self._refused_at or now - self._refused_when >= LATELY * look:
            self._sound = None
            return None
        self._trials = 1 if self._sound is None else self._trials + 1
        self._sound = limit
        return min(math.sqrt(limit * self._refused_at), TRIAL**self._trials * limit)

    def refused(self, pace: float, now: float) -> None:
        """Note that a call of this pace was refused."""
        self._refused_at, self._refused_when = pace, now

    def tried(self, began: float, look: float) -> float | None:
        """Return the limit before the one on trial, if a call that began then was refused before that was good."""
        sound, self._sound = self._sound, None
        return sound if began - self.since < look / 2 else None

    def no_trial(self) -> None:
        """Let no limit be on trial."""
        self._sound = None
