"""One service on one connection: its rate, its slots, its retries, its splits, its halt."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Protocol

import anyio
from anyio.abc import TaskGroup

from orchestrator import approach
from orchestrator.backoff import LONGEST_WAIT, Backoff
from orchestrator.batches import Packing, pack
from orchestrator.conclusion import AGAIN, Budget, Trail, again, splits, summary, told
from orchestrator.intents import Intents
from orchestrator.logs import Log
from orchestrator.model import Batch, LaneName, Ruling, Target, Verdict
from orchestrator.pacing import Pacer
from orchestrator.settling import Lines, Settling
from orchestrator.slots import Slots, workers
from orchestrator.splitting import Job, refused, suspected
from orchestrator.stop import MIDWAY, Stop
from orchestrator.vain import HOPELESS, HOPELESS_SECONDS, Vain

LANE_PAUSE = 2.0  # a shorter wait that a service asks for holds back its target only; the lane goes more slowly
STUBBORN = 4  # attempts; who is refused after as many may have a limit of its own
TOO_LATE = "the deadline left no time for what is not done"
LEFT_TOGETHER = 500  # batches that are settled as not attempted before the journal is waited for
_HALT, _THROTTLE = Verdict.HALT, Verdict.THROTTLE

_log = Log()


class Connector(Protocol):
    """What makes a lane's calls."""

    idempotent: bool

    @property
    def refused(self) -> str | None:
        """Why the credential is refused for good, if it is."""

    def close_when_refused(self, one: Stop) -> None:
        """Set this stop when the credential is refused for good."""

    @property
    def ready(self) -> bool:
        """Whether there is a credential to call with."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Return what must be held around an attempt."""

    async def obtain(self) -> Ruling | None:
        """Get a credential to call with; what it means for the call when there is none. It may be cancelled."""

    async def call(self, batch: Batch) -> Ruling:
        """Make one attempt; whatever happens is a ruling."""


class Memory(Lines, Protocol):
    """Where a lane notes what it is about to do, and what came of it."""

    async def sent(self, batches: Sequence[Batch]) -> None:
        """Return when it is durable that these calls are about to be made."""

    async def flush(self) -> None:
        """Return when everything noted so far is durable."""


class Lane:
    """The unit of rate limit, concurrency and credential state."""

    def __init__(
        self,
        service: str,
        connection: str,
        connector: Connector,
        pacer: Pacer,
        memory: Memory,
        stop: Stop,
        *,
        packing: Packing,
        numbers: Iterator[int],
        attempts: int = 5,
        concurrency: int = 2,
        backoff: Backoff | None = None,
        lines: approach.Lines | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.service = service
        self.connection = connection
        self.pacer = pacer
        self.halted: str | None = None
        self.throttles = 0
        self.resting_until = 0.0
        self.calling = 0  # calls under way
        self.looks_at = 0  # so many targets are being looked at
        self._connector = connector
        self._memory = memory
        self._settling = Settling(memory, wall, repeatable=connector.idempotent)
        self._stop = stop
        self._over = stop.branch()  # when this lane makes no new calls any more
        self._packing = packing
        self._numbers = numbers
        self._attempts = attempts
        self.busy = asyncio.Lock()  # held by the stage that it works for
        self._intents = Intents(iter(()), memory.sent)
        self._slots = Slots(concurrency)
        self._approach = approach.Approach(pacer, self._over, self._look_ahead, clock, lines)
        self._concurrency = concurrency
        self._group: TaskGroup | None = None  # of its workers, while there is work ...
        self._to_hire = 0  # ... which may be so many more
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._wall = wall
        self._told_at = -math.inf  # when the service last told the lane how to go on
        self._reached = False  # whether any call ever reached somebody ...
        self._unreached = Vain()  # ... and those that did not
        self._left = 0  # batches that got no further call since the journal was waited for
        self._in_hand = 0  # calls that are to be made, or under way
        self._log = _log.bind(service=service, connection=connection)
        connector.close_when_refused(self._over)

    @property
    def name(self) -> LaneName:
        """Return what tells it from other lanes."""
        return self.service, self.connection

    @property
    def closed(self) -> str | None:
        """Return why no new call may begin, if so."""
        return self._over.reason if self._over.is_set() else None

    @property
    def refused(self) -> str | None:
        """Return why the credential of its calls is refused for good, if so."""
        return self._connector.refused

    async def run(self, targets: Iterator[Target]) -> None:
        """Give every target its outcome."""
        self._intents = Intents(pack(targets, self._packing, self._numbers), self._memory.sent)
        try:
            async with anyio.create_task_group() as group:
                self._group, self._to_hire = group, workers(self._concurrency)
                for _ in range(self._concurrency):
                    self._hire()
        finally:
            self._group = None
            for batch in self._intents.unused():  # of a run that is cut off: read, and never called
                self._leave(batch, Trail())

    async def deliver(self, job: Job) -> list[Job]:
        """Settle a batch, or return the parts that have to go on by themselves."""
        batch, trail = job.batch, job.trail
        if job.divides():
            return suspected(job, self._numbers)
        ruling = await self.reach(batch, trail, job.attempts)
        if ruling is None:
            self._leave(batch, trail)
            return []
        if len(batch.targets) > 1 and splits(ruling):
            return refused(job, ruling, self._numbers, self._attempts)
        if ruling.verdict is _HALT:
            self.halt(ruling.reason)
        self._settling.conclude(batch, trail, ruling)
        job.went(ruling)
        return []

    async def reach(self, batch: Batch, trail: Trail, attempts: int) -> Ruling | None:
        """Call until there is a final word on the batch: the one loop in which retries happen.

        Returns None when no further call may be made; the trail has what came of those before.
        """
        budget: Budget | None = None
        self._in_hand += 1
        try:
            while True:
                ruling = await self._attempt(batch, trail)
                if ruling is None or not again(ruling, self._connector.idempotent):
                    return ruling
                budget = budget or Budget(attempts)
                if not budget.allows(ruling.verdict):
                    return ruling
                if not await self._rest(budget, ruling):
                    return None
        finally:
            self._in_hand -= 1

    async def ask(self, batch: Batch) -> Ruling:
        """Make a call of which nothing but the answer is wanted; a failure says why there is none."""
        trail = Trail()
        ruling = await self.reach(batch, trail, self._attempts)
        if ruling is not None:
            if ruling.verdict is _HALT:
                self.halt(ruling.reason)
            return ruling
        why = self.closed or "the next attempt would be past the deadline"
        return Ruling(Verdict.FAIL, f"{why} (last: {summary(trail.last)})" if trail.last else why)

    async def _work(self) -> None:
        """Deliver batch after batch; of one that is split, part after part."""
        while (batch := self._intents.take()) is not None:
            jobs = [Job(batch, Trail(), self._attempts)]
            try:
                while jobs:
                    parts = await self.deliver(jobs[-1])
                    jobs.pop()
                    jobs += reversed(parts)
                    if self._left >= LEFT_TOGETHER:  # the journal must not pile up
                        self._left = 0
                        await self._memory.flush()
            except BaseException:  # cut off: what is not under way has what came of it so far
                for job in jobs:
                    if not job.trail.calling:
                        self._leave(job.batch, job.trail)
                raise

    def _hire(self) -> None:
        """Start another worker, up to several for each slot: one that rests between attempts holds none."""
        if self._group is not None and self._to_hire:
            self._to_hire -= 1
            self._group.start_soon(self._work)

    async def _attempt(self, batch: Batch, trail: Trail) -> Ruling | None:
        """Make one call when it is its turn; None when no new call may begin, for which nobody waits or logs in."""
        if self._over.is_set():
            return None
        if self.pacer.paused_until:
            await self.pacer.unpaused(self._over, self._look_ahead)
        async with self._connector.turn():
            if not self._slots.take():
                await self._slots.wait()
            try:
                if not self._connector.ready and (unready := await self._obtain()):
                    return unready
                if not await self._has_its_turn(batch, trail):
                    return None
                began = self._clock()
                trail.begin(self._wall())
                self.calling += 1
                try:
                    ruling = await self._connector.call(batch)
                finally:
                    self.calling -= 1
            finally:
                self._slots.give()
        trail.note(ruling)
        if self._log.tells_debug():
            self._log.debug("attempt", batch=batch.number, targets=len(batch.targets), **told(trail, ruling))
        self._slots.came_back()
        self._heed(ruling, began, trail.attempts)
        return ruling

    async def _obtain(self) -> Ruling | None:
        """Get a credential to call with; what it means for the call when there is none."""
        return None if self._over.is_set() else await self._stop.unless_set(self._connector.obtain)

    async def _has_its_turn(self, batch: Batch, trail: Trail) -> bool:
        """Wait until the call may be made, with the intent on disk; return whether it may."""
        if self._over.is_set():
            return False
        before = None
        if trail.attempts == 0 and self._connector.idempotent:
            if not self._intents.spend(batch):
                await self._intents.announce(batch, self.pacer.pace)
        elif trail.attempts == 0:
            before = partial(self._memory.sent, [batch])  # not earlier: a crash would leave it unknown for good
        self.pacer.near_end(self._intents.few)
        return await self._approach.turn(before)

    def _heed(self, ruling: Ruling, began: float, attempts: int) -> None:
        """Do to the lane what the service asked of its caller as a whole, in answer to the last of some attempts."""
        now, learner, throttled = self._clock(), self.pacer.learner, _throttles(ruling)
        news = began > self._told_at  # else it was under way when the lane was told
        slower = ruling.pace is not None and self.pacer.heed(ruling.pace, may_rise=news and not throttled)
        if throttled:
            self.throttles += 1
            if slower or (news and ruling.pace is not None and _is_long(ruling)):
                learner.told(now)
            elif news and ruling.wait is not None and _is_long(ruling):
                learner.held_off(began, now, ruling.wait)
            elif news and attempts > STUBBORN:
                learner.refused_again(began, now)
            elif news:
                learner.refused(began, now)
            if learner.hopeless(now):
                self.halt(f"the service throttled {HOPELESS} calls in a row or more, over {HOPELESS_SECONDS:.0f} s")
        elif ruling.status is not None:
            learner.accepted(began, now)
        if slower:
            self._told_at = now
        if not self._reached:
            self._note_reach(ruling, began)
        used_up = ruling.left is not None and ruling.left <= self.calling and ruling.verdict not in AGAIN
        if ruling.wait is not None and _is_long(ruling) and (throttled or used_up):
            self._told_at = now
            self.pacer.pause(now + ruling.wait)
            if self._in_hand - self.calling > 1:  # beside this one, which may be the last
                self._look_ahead()

    def _note_reach(self, ruling: Ruling, began: float) -> None:
        """Halt where nobody was ever reached, and has been called for long."""
        if ruling.status is not None or ruling.lost:
            self._reached = True
        elif ruling.verdict is Verdict.RETRY:
            self._unreached.another(began)
            if self._unreached.hopeless(began):
                self.halt(f"nobody was reached in {HOPELESS_SECONDS:.0f} s (last: {ruling.reason})")

    def _look_ahead(self) -> None:
        """Halt, where there is a call to make and the end of a pause is out of reach."""
        seconds = self.pacer.paused_until - self._clock()
        if seconds > LONGEST_WAIT:
            self.halt(f"the service's limit is used up, for another {seconds / 3600:.1f} hours")
        elif seconds > 0 and self._stop.would_be_late(self.pacer.paused_until):
            self._stop.cut_short(TOO_LATE)
            self.halt(f"the service asks to wait {seconds:.0f} s, which is past the deadline")

    async def _rest(self, budget: Budget, ruling: Ruling) -> bool:
        """Wait before the next attempt, holding nothing; False when there is no point in one."""
        if self._over.is_set():
            return False
        throttled = _throttles(ruling)
        if (throttled and _is_long(ruling)) or ruling.verdict is Verdict.REAUTH:
            return True  # the pause is the rest, and a new token is good at once
        after = self._backoff.after_throttle if throttled else self._backoff.delay
        delay = after(budget.tries, ruling.wait)
        if self._stop.would_be_late(self._clock() + delay):
            self._stop.cut_short(TOO_LATE)
            return False
        self.resting_until = max(self.resting_until, self._clock() + delay)
        self._hire()
        return await self._over.rest(delay)

    async def flush(self) -> None:
        """Return when everything settled so far is durable."""
        await self._memory.flush()

    def set_aside(self, target: Target, reason: str) -> None:
        """Settle a target that is not to be called."""
        self._settling.leave(Batch((target,), 0), Trail(), reason)

    def halt(self, reason: str) -> None:
        """Let no new call of this lane begin; the first reason stays."""
        if self.halted is None:
            self.halted = reason
            self._log.error("lane_halted", reason=reason)
            self._over.set(reason)

    def _leave(self, batch: Batch, trail: Trail) -> None:
        """Settle a batch for which there will be no further call."""
        if self.halted is None and self._over.is_set() and self._over.reason == self._connector.refused:
            self.halted = self._over.reason  # for it had calls to make
        late = "the next attempt would be past the deadline" if self._stop.exit_code == MIDWAY else "the program ended"
        self._settling.leave(batch, trail, self.closed or late)
        self._left += 1


def _throttles(ruling: Ruling) -> bool:
    """Return whether the service refuses the call for its caller's pace: a 503 with a time to wait is that too."""
    return ruling.verdict is _THROTTLE or (ruling.status == 503 and ruling.wait is not None)


def _is_long(ruling: Ruling) -> bool:
    """Return whether the service asks for a wait that is the lane's; a shorter one is its target's."""
    return ruling.wait is not None and ruling.wait > LANE_PAUSE
