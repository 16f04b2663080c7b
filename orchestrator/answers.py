"""What the answers of a lane tell when none is a refusal: how long they take, and how many calls a second went well."""

from __future__ import annotations

HELD_BACK = 0.2  # seconds by which calls are late when it is not the pace that holds them back


class Answers:
    """The calls that were let through, in sums; times are seconds of one clock."""

    def __init__(self) -> None:
        self._number = 0
        self._took = 0.0  # seconds, all of them together
        self._first = 0.0  # when the first of them began, later by the time in which there was none to make
        self._last = 0.0  # when the last one began
        self._busy_until = 0.0  # the last answer, or the end of a pause

    @property
    def average(self) -> float | None:
        """Return how many seconds an answer took, on the average; None without one."""
        return self._took / self._number if self._number else None

    def per_second(self) -> float | None:
        """Return how many calls went a second while there were some to make; None for a single moment."""
        seconds = self._last - self._first
        return self._number / seconds if seconds > 0 else None

    def came(self, began: float, now: float, pace: float) -> None:
        """Note an answer to a call that began then; the next one could go at this pace."""
        if self._number == 0:
            self._first = began
        elif began > self._busy_until + HELD_BACK:
            self._idle(began, pace)
        if began > self._last:
            self._last = began
        if now > self._busy_until:
            self._busy_until = now
        self._number += 1
        self._took += now - began

    def _idle(self, began: float, pace: float) -> None:
        """Leave out the time in which there was no call to make; not that until the next one was due."""
        due = max(self._busy_until, self._last + 1 / pace)
        if began > due + HELD_BACK:
            self._first += began - due

    def paused(self, until: float) -> None:
        """Note that no call goes before then, because the service said so: that is no idle time."""
        self._busy_until = max(self._busy_until, until)
