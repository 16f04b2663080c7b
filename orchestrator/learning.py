"""The pace of a lane that finds out by itself how fast a service lets calls through.

At every refusal the service's bucket is empty. So what it let through of the calls that began between two refusals,
over the time between them, is the rate at which it refills, however fast the calls went. The pace is that: a little
less just after a refusal, and ever a little more from then on, so that a refusal now and then measures again.
"""

from __future__ import annotations

import math

from orchestrator.answers import HELD_BACK, Answers
from orchestrator.climbing import Climb, Levels
from orchestrator.looks import DIP, Looks, interval
from orchestrator.refill import Found, Refill
from orchestrator.vain import Vain
from orchestrator.waits import Waits
from orchestrator.windows import Suspicion, Windows

STEP_BACK = 0.5  # of the pace at which a call was made: so it goes on until there is an estimate
GENTLY = 40  # calls in which the pace grows by e, at the quickest, where a refusal came and no estimate yet ...
NOT_SOONER = 0.3  # ... in no fewer seconds than these ...
NOT_LATER = 1.0  # ... and no more, but ...
STEEPEST = 1.5  # ... so many times from one call to the next at most, where few go a second
UNSEEN = 1.5  # times what an answer takes: so long ago a call began whose refusal would be known
QUICKEST = 0.1  # seconds in which the pace of a start grows by e at the quickest ...
PER_ANSWER = 3.0  # ... and at least so many times what an answer takes, so that a refusal is seen in time
SOONER = 0.9  # of what other answers take on the average: a refusal that takes less is known before them ...
AT_THE_GATE = 0.025  # ... as is one that takes less than so many seconds, where there was no other answer yet
UNKNOWN_ANSWER = 0.1  # seconds that an answer is taken to take before there was one
LATEST = 0.2  # of what an answer takes, of late, is the time of the last one
AS_TOLD = 0.05  # of an estimate: if it is lower by no more than that, the limit is the one that the service tells
TOLD_STEP = 0.9  # of the pace, when the service told how fast to go on ...
TOLD_REST = 0.03  # ... after so many seconds, in which its bucket fills for a call that comes early
LATELY_LET_THROUGH = 0.5  # seconds ago a call was, or UNSEEN times what an answer takes: the service takes others
RESTED = 1.0  # seconds in which no call went: what was let through over them is no average
CATCH_UP = 0.005  # seconds by which a call may be late and the next one be on time
CAUGHT_UP = 8  # so many calls are caught up with after a busy moment, in which the service's bucket filled ...
LONGEST_CATCH_UP = 0.05  # ... of at most so many seconds
HELD = 3  # calls: in the time in which it refills for so many, a service's bucket may be full
SLOWEST = 1 / 60  # calls a second


class Learner:
    """What a lane has learned; times are seconds of one clock, paces calls per second.

    Without a `start` it goes at the ceiling, and `pace` is None, until the first refusal. With one it begins there, and
    from the first answer on the pace grows exponentially with time, until the first refusal.
    """

    def __init__(self, ceiling: float, start: float | None = None) -> None:
        self.ceiling = ceiling
        self.pace = None if start is None else max(SLOWEST, min(ceiling, start))
        self.estimate: float | None = None
        self.ending = False  # few calls are left: one that is refused now would make the lane wait for it
        self._rising = start is not None
        self._answer = UNKNOWN_ANSWER  # seconds that an answer takes, of late, whatever it says ...
        self._refusal = 0.0  # ... and one that is a refusal
        self._answers = Answers()
        self._waits = Waits()
        self._refill = Refill()
        self._suspicion = Suspicion()
        self._windows: Windows | None = None  # where it was right
        self._doubt = 0.0  # by this share of it the estimate may be too low
        self._looks = Looks()
        self._went = 0.0  # when the last call went
        self._levels = Levels()
        self._climb: Climb | None = None  # where refusals do not follow the pace
        self._next = 0.0  # when the next call may go ...
        self._step = 0.0  # ... so many seconds after the last one
        self._let_through_at = -math.inf  # when it was last known that a call was
        self._vain = Vain()  # refusals since a call was let through, or at all

    @property
    def answer(self) -> float | None:
        """Return how many seconds an answer took, on the average of all that were let through; None without one."""
        return self._answers.average

    @property
    def learned(self) -> float | None:
        """Return the pace at which the service is known to let calls through, if anything is known of it.

        Where it never refused one, that is how many it did let through: nobody may have gone at the pace, because the
        slots, or what the service tells of its limit, held the calls back.
        """
        if self.answer is None:
            return None
        if self.estimate is not None or self.pace is None:
            return self.estimate
        return min(self.pace, self._answers.per_second() or self.pace)

    def accepted(self, began: float, now: float) -> None:
        """Note that the service let a call through that began then, whatever it answered."""
        self._let_through_at = now
        self._answers.came(began, now, self.pace or self.ceiling)
        self._waits.accepted(began)
        self._vain.over()
        self._timed(now - began)
        self._levels.answered(began, refused=False)
        if self._windows is not None:
            self._windows.let_through(began)
            self._go_by(self._windows)
            return
        if self._climb is not None:
            self._climbs(self._climb, began, now, refused=False)
        elif (found := self._refill.let_through(began, self._answer)) and self._suspicion.pace is None:
            self._take(found)
        if self._suspicion.let_through(began):
            self._try(self._suspicion, now)
        elif self._suspicion.found:
            self._windows = self._suspicion.windows()
            self._go_by(self._windows)
        elif self._suspicion.in_vain(began):
            self._suspect_nothing()
            self._rising = True

    def refused(self, began: float, now: float) -> None:
        """Note that the service refused a call that began then for coming too soon."""
        if began > self._looks.since:  # else it was under way when the pace was lowered for another
            self._note_pace(began, now)
        self._noted(now)
        self._timed(now - began)
        self._refusal += LATEST * (now - began - self._refusal)
        self._levels.answered(began, refused=True)
        if self._windows is not None:
            self._windows.refused(began)
            return
        self._suspicion.refused(began, self.pace or self.ceiling)
        if self._climb is not None:
            self._climbs(self._climb, began, now, refused=True)
            return
        before = self.pace or self.ceiling
        if not self._refill.counting or self._rising:
            if self._rising or self.estimate is None:  # else it was counted anew, and the limit need not be another
                self._step_back(now - began)
            self._refill.begin(began)
        elif found := self._count(began, now - began):
            self._take(found)
        self._rising = False
        if self.pace is not None and self._levels.lowered(before, self.pace, now):
            self._climb, self.estimate = Climb(self.pace, self.ceiling, now), None

    def refused_again(self, began: float, now: float) -> None:
        """Note that a call was refused that was refused several times before.

        As long as others are let through, that is about its target, and tells nothing of the lane's pace.
        """
        if now - self._let_through_at > max(LATELY_LET_THROUGH, UNSEEN * self._answer):
            self.refused(began, now)
        else:
            self._vain.another(now)
            self._refill.turned_away(began)

    def _count(self, began: float, took: float) -> Found | None:
        """Return what a refusal tells of the limit that took so many seconds."""
        sooner = took < (AT_THE_GATE if self.answer is None else SOONER * self.answer)
        return self._refill.refused(began, took if sooner else self._answer, self.estimate, sooner=sooner)

    def _take(self, found: Found) -> None:
        """Go at what was found: of an estimate a little less, as far as that is certain."""
        if found.rough:
            self.estimate = None
            self.pace = self._bounded(min(self.pace or self.ceiling, found.per_second))
            return
        self.estimate, self._doubt = self._bounded(found.per_second), found.doubt
        self.pace = self._bounded(self.estimate * (1 + self._doubt - DIP))

    def _try(self, suspicion: Suspicion, now: float) -> None:
        """Go at once as if the service counted in windows, and the one that was used up were over."""
        self.pace = self._bounded(suspicion.pace or self.ceiling)
        self._next = min(self._next, now)
        self._rising, self._climb, self._levels = False, None, Levels()

    def _go_by(self, windows: Windows) -> None:
        """Go at the pace for a service that counts in windows."""
        self.pace = self._bounded(windows.pace)
        self.estimate = None if windows.limit is None else self._bounded(windows.limit)
        self._doubt, self._climb = 0.0, None
        self._refill.forget()
        if windows.over:
            self._suspect_nothing()
            self._rising = windows.limit is None

    def _suspect_nothing(self) -> None:
        """Take the service for one that counts in no windows, until there is a new sign of them."""
        self._windows, self._suspicion = None, Suspicion()

    def _climbs(self, climb: Climb, began: float, now: float, *, refused: bool) -> None:
        """Seek the pace by what is let through at it; when that is nearly all, refusals tell the limit again."""
        climb.answered(began, now, refused=refused)
        self.pace = self._bounded(climb.pace)
        if climb.over:
            self._climb, self.estimate, self._doubt = None, self.pace, 0.0
            self._begin_anew(now)

    def told(self, now: float) -> None:
        """Note that the service refused a call and told how fast to go on: what was counted ends there."""
        self._noted(now)
        self._rising = False
        self._refill.forget()
        self.pace = self._bounded((self.pace or self.ceiling) * TOLD_STEP)
        self._next = max(self._next, now + TOLD_REST)

    def held_off(self, began: float, now: float, wait: float) -> None:
        """Note that the service refused a call that began then, and has the whole lane wait for so many seconds."""
        pace = self.pace or self.ceiling
        self._noted(now)
        self._looks.refused(pace, now)
        self._looks.no_trial()
        self.pace = self.estimate = self._bounded(self._waits.refused(began, now, wait, pace))
        self._doubt, self._rising, self._climb = 0.0, False, None
        self._suspect_nothing()
        self._begin_anew(now)

    def paused(self, until: float) -> None:
        """Note that no call goes before then, because the service said so."""
        self._answers.paused(until)

    def limit(self, ceiling: float) -> None:
        """Never go faster than this from now on: at it, where it is higher than the one before, and that held back."""
        if ceiling > self.ceiling and (self.estimate is None or self.estimate * (1 + AS_TOLD) > self.ceiling):
            self.estimate, self._climb = None, None
            self.pace = None if self.pace is None else ceiling
            self._refill.forget()
        self.ceiling = ceiling
        self.pace = None if self.pace is None else self._bounded(self.pace)
        self.estimate = None if self.estimate is None else min(self.estimate, ceiling)

    def hopeless(self, now: float) -> bool:
        """Return whether nothing has been let through for so long and so often that it is not worth going on."""
        return self._vain.hopeless(now)

    def wait(self, now: float) -> float:
        """Return for how many seconds the next call has to wait; 0 when it may go."""
        return 0.0 if self.pace is None else max(0.0, self._next - now)

    def go(self, now: float) -> None:
        """Note that a call goes."""
        before, self._went = self._went, now
        self._refill.went(now)
        if now - before > LONGEST_CATCH_UP and now - before > self._usual_gap():  # mostly the first of them tells
            self._refill.resumed(now)
            if now - before > self._step + RESTED:
                (self._windows or self._suspicion).rested(now)
        if self.pace is None:
            return
        self.pace = self._bounded(self._paced(self.pace, before, now))
        step = self._step = self._apart(1 / self.pace)
        caught_up = max(CATCH_UP, step, min(LONGEST_CATCH_UP, CAUGHT_UP * step))
        self._next = max(self._next, now - caught_up) + step

    def _usual_gap(self) -> float:
        """Return for how many seconds no call may go, and the service's bucket still not run over."""
        return self._step + max(LONGEST_CATCH_UP, HELD / (self.estimate or self.pace or self.ceiling))

    def _apart(self, step: float) -> float:
        """Return how many seconds apart calls go that would go `step` apart: others where a window may be used up."""
        if self._windows is not None:
            return self._windows.apart(step)
        return self._suspicion.apart(step, self._answer)

    def _paced(self, pace: float, before: float, now: float) -> float:
        """Return the pace from now on; the call before this one went `before`."""
        if self._climb is not None or self._windows is not None or self._suspicion.pace is not None:
            return pace
        if not self._rising and self.estimate is not None:
            return self._around(self.estimate, before, now)
        late = now - self._next
        if late > HELD_BACK + 1 / pace and not self._vain.number:
            self._begin_anew(now)
        if self._vain.number or late > max(CATCH_UP, 1 / pace):  # it is not the pace that holds back
            return pace
        if self._rising:  # without an answer nobody knows yet what comes of the calls that went
            return pace if self.answer is None else min(2 * pace, pace + 1 / self._growth())
        gently = max(NOT_SOONER, min(NOT_LATER, GENTLY / pace))
        return min(STEEPEST * pace, pace + 1 / max(gently, self._growth()))

    def _around(self, estimate: float, before: float, now: float) -> float:
        """Return the pace near what the service is known to let through."""
        look = self._look(estimate)
        self._looks.went(estimate * (1 + self._doubt) * (now - before))
        if self._looks.behind(self._room + estimate * (HELD_BACK + DIP * look)):
            self._begin_anew(now)
        more = 0.0 if self.ending else self._doubt + self._looks.growth(estimate, look, now)
        pace = estimate * (1 - DIP + more)
        unseen = UNSEEN * self._told_after * max(0.0, pace - estimate)
        if self._looks.overdue(unseen) and not self.ending:
            self._raise(estimate, pace, look, now)
        return pace

    def _raise(self, estimate: float, pace: float, look: float, now: float) -> None:
        """Go on at a higher estimate, on trial, or grow until there is another, because no refusal came at the pace."""
        if (trial := self._looks.trial(estimate, pace, look, now)) is None:
            self._rising = True
            self._refill.forget()
        else:
            self.estimate, self._doubt = trial, 0.0
            self._begin_anew(now)

    def _look(self, estimate: float) -> float:
        """Return in how many seconds one call more goes than the estimate allows."""
        return max(interval(estimate, self._doubt, self._told_after), self._waits.patience)

    def _note_pace(self, began: float, now: float) -> None:
        """Note at which pace a call was refused; an estimate on trial is kept if it had been good for a while."""
        self._looks.refused(self._pace_of(now - began), now)
        if self.estimate is not None and not self._rising:
            sound = self._looks.tried(began, self._look(self.estimate))
            self.estimate = self.estimate if sound is None else sound

    def _begin_anew(self, now: float) -> None:
        """Forget what was counted, not what was learned of it: the service's bucket need not be empty any more."""
        self._looks.begin(now, self._room)
        self._refill.forget()
        self._levels = Levels()

    @property
    def _room(self) -> int:
        """Return how many calls may go at once after a rest, and tell nothing."""
        return max(CAUGHT_UP, self._waits.room)

    def _noted(self, now: float) -> None:
        self._vain.another(now)
        self._looks.begin(now)
        self._next = max(self._next, now)

    def _step_back(self, ago: float) -> None:
        """Slow down at a refusal that ends a growth, from the pace at which that call was made: that was too fast."""
        known = 0.0 if self.estimate is None else self.estimate * (1 - DIP)
        self.pace = self._bounded(max(known, self._pace_of(ago) * STEP_BACK))
        self.estimate = None

    def _pace_of(self, ago: float) -> float:
        """Return the pace at which a call was made so many seconds ago."""
        pace = self.pace or self.ceiling
        return pace * math.exp(-ago / self._growth()) if self._rising else pace

    @property
    def _told_after(self) -> float:
        """Return how many seconds after a call it is known that it was refused, if it was."""
        return max(self._answer, self._refusal)

    def _timed(self, seconds: float) -> None:
        self._answer += LATEST * (seconds - self._answer)

    def _growth(self) -> float:
        """Return in how many seconds the pace of a start grows by e."""
        return max(QUICKEST, PER_ANSWER * self._told_after)

    def _bounded(self, pace: float) -> float:
        return min(self.ceiling, max(SLOWEST, pace))
