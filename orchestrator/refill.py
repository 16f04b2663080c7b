"""The rate at which a service's bucket refills, from what it let through between two refusals, when it was empty."""

from __future__ import annotations

from bisect import bisect, bisect_left, insort
from typing import NamedTuple

EVIDENCE = 4  # calls let through between two refusals make an estimate
DOUBT = 1.0  # calls by which the count behind an estimate may be short
UNEVEN = 0.1  # of the time that an answer takes: answers come by so much earlier or later than in turn
TRAVEL = 0.07  # of that time: by so much earlier or later than in turn calls may arrive, so that ...
IN_DOUBT = 0.3  # ... this share of an estimate, at most, is in doubt
ROUGH = 3  # calls by which a count that makes no estimate may be short, where it was in fewer seconds than ...
MOMENT = 0.05  # ... these: one of them may have been held up
SPAN = 2.0  # seconds; an estimate goes back over one to two of these
EARLIER = 5_000  # calls, or twice as many, are remembered: a refusal that began before them may be told late
RECENT = 8  # refusals in which a fall shows
FELL = 0.7  # of what was expected: less, in more seconds than ...
BRIEF = 0.02  # ... these, means that the limit has fallen, ...
A_LITTLE = 0.9  # ... as does less than this, where no answers that are late can be the reason
ROSE = 1.05  # of the estimate: if more was let through since the last refusal, the limit has risen
SURE = 10  # calls that must have been let through to say so


class Found(NamedTuple):
    """So many calls a second are let through: more by a share, the `doubt`, at most; no more, where it is `rough`."""

    per_second: float
    doubt: float = 0.0
    rough: bool = False


class Refill:
    """The calls made since one that was refused; times are seconds of one clock, `answer` what one takes.

    Where refusals come sooner than other answers, what was not refused by then counts as let through, lost or not.
    """

    def __init__(self) -> None:
        self._made: list[float] = []  # when calls began, from the base on, or while there is none, ...
        self._accepted: list[float] = []  # ... those that are known to be let through, ...
        self._refused: list[float] = []  # ... and those that were refused
        self._sooner = False  # whether refusals come sooner than other answers do
        self._base: float | None = None  # the refused call where the estimate begins ...
        self._until = 0.0  # ... the one where it ends ...
        self._later = 0.0  # ... and where the next one will begin
        self._recent: list[float] = []  # when the last calls began that were refused, from the base on
        self._resumed: list[float] = []  # when the last calls went before which none went for a while

    @property
    def counting(self) -> bool:
        """Return whether there was a refusal to count from."""
        return self._base is not None

    def begin(self, began: float) -> None:
        """Count from a refused call on, as far as it is remembered what was made since."""
        if self._made:
            began = max(began, self._made[0])
        self._begin_at(began, began)
        self._until = began
        self._note(began)

    def forget(self) -> None:
        """Count nothing until there is another refusal to count from: the bucket need not be empty any more."""
        self._base = None

    def resumed(self, now: float) -> None:
        """Note that a call goes, and that none went for so long before it that the bucket may have run over."""
        self._resumed = [*self._resumed[1 - RECENT :], now]

    def went(self, now: float) -> None:
        """Note that a call goes."""
        self._made.append(now)
        if len(self._made) > 2 * EARLIER:  # what was let through since the base is not remembered as a whole
            self.forget()
            self._drop(self._made[EARLIER])

    def let_through(self, began: float, answer: float) -> Found | None:
        """Count a call that was let through; return what it makes of an estimate that was made without it."""
        insort(self._accepted, began)
        if self._sooner or self._base is None or not self._base < began < self._until:
            return None
        counted = self._count(self._base, self._until)
        return _estimate(counted, self._until - self._base, answer) if counted >= EVIDENCE else None

    def turned_away(self, began: float) -> None:
        """Note that a call was not let through; alone that tells nothing of the limit, as where its target is why."""
        insort(self._refused, began)

    def refused(self, began: float, answer: float, known: float | None, *, sooner: bool = False) -> Found | None:
        """Return what a refused call tells where so many calls a second are known to be let through, or none are.

        If the refusal came `sooner` than other answers do, `answer` is what it took.
        """
        self.turned_away(began)
        if began > self._until:  # else it was told late, and the one that was made last is the rule
            self._sooner = sooner
        base = self._base
        found = self._judge(base, began, answer, known) if base is not None and began > base else None
        self._note(began)
        return found

    def _note(self, began: float) -> None:
        if self._base is not None and began < self._base:  # answered late: what was let through then is not counted
            return
        insort(self._recent, began)
        del self._recent[:-RECENT]

    def _judge(self, base: float, mark: float, answer: float, known: float | None) -> Found | None:
        """Make an estimate of what was let through up to a refused call."""
        since = self._since(base, mark, answer, known)
        if since != base:
            base = since
            self._begin_at(base, base)
        self._until = max(self._until, mark)
        found: Found | None = None
        counted, seconds = self._count(base, self._until), self._until - base
        if counted >= EVIDENCE:
            found = _estimate(counted, seconds, answer)
        elif seconds > UNEVEN * answer:  # else those that were let through may not be known yet
            found = Found((counted + (ROUGH if seconds < MOMENT else 1)) / seconds, rough=True)
        if self._until - self._later > SPAN:
            self._begin_at(self._later, self._until)
        return found

    def _since(self, base: float, mark: float, answer: float, known: float | None) -> float:
        """Return the refused call since which the limit is what it is at this one; itself, if calls were held back.

        What a bucket refills while it is full is let through to nobody, and would make the limit look lower. What comes
        in less than an answer's time is too uncertain to tell a higher limit by, and what comes in 20 ms a lower one.
        """
        if any(base < one <= mark for one in self._resumed):
            return mark
        before = self._recent[: bisect_left(self._recent, mark)]
        if known is None or not before:
            return base
        first, last = before[0], before[-1]
        if self._fell(first, mark, known, UNEVEN * answer):
            return first
        if mark - last > answer and self._rose(last, mark, known):
            return last
        return base

    def _fell(self, first: float, mark: float, known: float, late: float) -> bool:
        """Return whether less was let through over the last refusals than is known to be, if answers are so late.

        Nothing at all is no lower limit: the service counts by windows, and this one is used up.
        """
        expected, got = known * (mark - first), self._count(first, mark)
        missing = expected - got
        if got == 0 or mark - first <= BRIEF or missing <= EVIDENCE:
            return False
        goes_on = self._count(self._recent[len(self._recent) // 2], mark) > 0  # else it is an outage
        return got < FELL * expected or (got < A_LITTLE * expected and missing > EVIDENCE + known * late and goes_on)

    def _rose(self, last: float, mark: float, known: float) -> bool:
        """Return whether more was let through since the last refusal than is known to be."""
        lately = self._count(last, mark)
        return lately >= SURE and lately > ROSE * known * (mark - last) + 2

    def _begin_at(self, base: float, later: float) -> None:
        """Let the estimate begin at a refused call, and the next one at another; what was before is not needed."""
        self._base, self._later = base, later
        self._drop(base)
        del self._recent[: bisect_left(self._recent, base)]

    def _count(self, since: float, until: float) -> int:
        if self._sooner:  # a call is made a moment before it begins
            return max(0, _between(self._made, since, until) - _between(self._refused, since, until))
        return _between(self._accepted, since, until)

    def _drop(self, until: float) -> None:
        for times in (self._made, self._accepted, self._refused):
            del times[: bisect(times, until)]


def _between(times: list[float], since: float, until: float) -> int:
    return bisect(times, until) - bisect(times, since)


def _estimate(counted: int, seconds: float, answer: float) -> Found:
    """Estimate from so many calls that were let through in the seconds between two refusals."""
    travel = min(IN_DOUBT, TRAVEL * answer / seconds) if seconds < answer else 0.0
    return Found(counted / seconds, max(DOUBT / counted, travel))
