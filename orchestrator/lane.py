"""One service on one connection: its rate, its slots, its retries, its splits, its halt."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import anyio

from orchestrator.backoff import Backoff
from orchestrator.batches import Packing, pack
from orchestrator.conclusion import AGAIN, Budget, Trail, conclusion, splits, summary
from orchestrator.intents import Intents
from orchestrator.logs import Log
from orchestrator.model import Batch, Outcome, Ruling, Secret, Settled, Target, Verdict
from orchestrator.pacing import MIDWAY, Pacer, Stop

LANE_PAUSE = 2.0  # a shorter wait that a service asks for holds back its target only; the lane goes more slowly
LEFT_TOGETHER = 500  # batches that are settled as not attempted before the journal is waited for

_log = Log()


class Connector(Protocol):
    """What makes a lane's calls."""

    idempotent: bool

    @property
    def refused(self) -> str | None:
        """Why the credential is refused for good, if it is."""

    @property
    def ready(self) -> bool:
        """Whether there is a credential to call with."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Return what must be held around an attempt."""

    async def obtain(self) -> Ruling | None:
        """Get a credential to call with; what it means for the call when there is none. It may be cancelled."""

    async def call(self, batch: Batch) -> Ruling:
        """Make one attempt; whatever happens is a ruling."""


class Memory(Protocol):
    """Where a lane notes what it is about to do, and what came of it."""

    async def sent(self, batches: Sequence[Batch]) -> None:
        """Return when it is durable that these calls are about to be made."""

    async def flush(self) -> None:
        """Return when everything noted so far is durable."""

    def settle(self, settled: Sequence[Settled]) -> None:
        """Take final outcomes."""

    def hand_over(self, target: Target, secret: Secret) -> str:
        """Put a secret that a service issued where only its owner reads it; return where that is."""


@dataclass(slots=True)
class Job:
    """A batch on its way: what has happened to it, and how many more attempts it gets."""

    batch: Batch
    trail: Trail
    attempts: int


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
        self._stop = stop
        self._packing = packing
        self._numbers = numbers
        self._attempts = attempts
        self.busy = asyncio.Lock()  # held by the stage that it works for
        self._intents = Intents(iter(()), memory.sent)
        self._slots = asyncio.Semaphore(concurrency)
        self._workers = 4 * concurrency + 4  # more than slots: one that rests between attempts holds none
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._wall = wall
        self._paused_at = -math.inf  # when the last pause began
        self._left = 0
        self._log = _log.bind(service=service, connection=connection)

    @property
    def closed(self) -> str | None:
        """Return why no new call may begin, if so."""
        if self._stop.is_set():
            return self._stop.reason
        if self.halted is None and self._connector.refused:
            self.halted = self._connector.refused
        return self.halted

    async def run(self, targets: Iterator[Target]) -> None:
        """Give every target its outcome."""
        self._intents = Intents(pack(targets, self._packing, self._numbers), self._memory.sent)
        try:
            async with anyio.create_task_group() as group:
                for _ in range(self._workers):
                    group.start_soon(self._work)
        finally:  # of a run that is cut off: what was announced and nobody took was not sent
            for batch in self._intents.unused():
                self._leave(batch, Trail())

    async def deliver(self, job: Job) -> list[Job]:
        """Settle a batch, or return the halves that have to go on by themselves."""
        batch, trail = job.batch, job.trail
        if self.closed is not None and trail.last is None:
            await self._drop(batch)
            return []
        ruling = await self.reach(batch, trail, job.attempts)
        if ruling is None:
            self._leave(batch, trail)
            return []
        if splits(ruling) and len(batch.targets) > 1:
            return self._halves(job, ruling)
        self._conclude(batch, trail, ruling)
        return []

    async def reach(self, batch: Batch, trail: Trail, attempts: int) -> Ruling | None:
        """Call until there is a final word on the batch: the one loop in which retries happen.

        Returns None when no further call may be made; the trail has what came of those before.
        """
        budget = Budget(attempts)
        while True:
            ruling = await self._attempt(batch, trail)
            if ruling is not None and not (self._again(ruling) and budget.allows(ruling.verdict)):
                return ruling
            if ruling is None or not await self._rest(budget, ruling):
                return None

    async def ask(self, batch: Batch) -> Ruling:
        """Make a call of which nothing but the answer is wanted; a failure says why there is none."""
        trail = Trail()
        ruling = await self.reach(batch, trail, self._attempts)
        if ruling is not None:
            return ruling
        why = self.closed or "the next attempt would be past the deadline"
        return Ruling(Verdict.FAIL, f"{why} (last: {summary(trail.last)})" if trail.last else why)

    async def _work(self) -> None:
        while (batch := self._intents.take()) is not None:
            await self._carry(Job(batch, Trail(), self._attempts))

    async def _carry(self, whole: Job) -> None:
        """Give every target of a batch its outcome; of one that is split, half after half."""
        jobs = [whole]
        try:
            while jobs:
                halves = await self.deliver(jobs[-1])
                jobs.pop()
                jobs += reversed(halves)
        except BaseException:  # cut off: what is not under way has what came of it so far
            for job in jobs:
                if not job.trail.calling:
                    self._leave(job.batch, job.trail)
            raise

    async def _drop(self, batch: Batch) -> None:
        """Settle a batch that was taken up too late; now and then wait for the journal, which must not pile up."""
        self._leave(batch, Trail())
        self._left += 1
        if self._left % LEFT_TOGETHER == 0:
            await self._memory.flush()

    async def _attempt(self, batch: Batch, trail: Trail) -> Ruling | None:
        """Make one call when it is its turn; None when no new call may begin."""
        await self.pacer.unpaused()
        async with self._connector.turn(), self._slots:
            if not self._connector.ready and (unready := await self._stop.unless_set(self._connector.obtain)):
                return unready
            if not await self._may_go(batch, trail):
                return None
            began = self._clock()
            ruling = await self._call(batch, trail)
        self._heed(ruling, began)
        return ruling

    async def _may_go(self, batch: Batch, trail: Trail) -> bool:
        """Wait for the lane's rate, with the intent on disk; return whether the call may be made now."""
        if self.closed is not None:
            return False
        before = None
        if trail.attempts == 0 and self._connector.idempotent:
            await self._intents.announce(batch, self.pacer.pace)
        elif trail.attempts == 0:
            before = partial(self._memory.sent, [batch])  # not earlier: a crash would leave it unknown for good
        return await self.pacer.take(before) and self.closed is None

    async def _call(self, batch: Batch, trail: Trail) -> Ruling:
        trail.attempts += 1
        trail.calling = True
        if trail.first_sent is None:
            trail.first_sent = self._wall()
        self.calling += 1
        try:
            ruling = await self._connector.call(batch)
        finally:
            self.calling -= 1
        trail.note(ruling)
        if ruling.verdict is Verdict.REAUTH and ruling.status is None:  # the credential was dropped: nothing was sent
            trail.attempts -= 1
            trail.first_sent = trail.first_sent if trail.attempts else None
            trail.last = trail.last if trail.attempts else None
        self._log.debug(
            "attempt",
            batch=batch.number,
            targets=len(batch.targets),
            attempt=trail.attempts,
            verdict=ruling.verdict,
            http_status=ruling.status,
            error_code=ruling.code,
            reason=ruling.reason,
            request_id=ruling.request_id,
        )
        return ruling

    def _again(self, ruling: Ruling) -> bool:
        """Return whether another attempt may be made: one that could act twice must not, unless it surely did not."""
        if ruling.verdict not in AGAIN:
            return False
        harmless = ruling.verdict is Verdict.THROTTLE or not (ruling.lost or (ruling.status or 0) >= 500)
        return self._connector.idempotent or harmless

    def _heed(self, ruling: Ruling, began: float) -> None:
        """Do to the lane what the service asked of its caller as a whole."""
        if ruling.verdict is not Verdict.THROTTLE:
            if ruling.status is not None:
                self.pacer.learner.accepted()
            return
        self.throttles += 1
        if ruling.pace is not None:
            self.pacer.slow_to(ruling.pace)
        if began > self._paused_at:  # else it was under way when the lane was told to pause, and says nothing new
            self.pacer.learner.refused(began, self._clock())
        if self.pacer.learner.hopeless(self._clock()):
            self.halt("the service throttles every call and lets none through any more")
        if ruling.wait is not None and ruling.wait > LANE_PAUSE:
            self._pause(ruling.wait)

    def _pause(self, seconds: float) -> None:
        self._paused_at = self._clock()
        self.pacer.pause(self._paused_at + seconds)
        if self._stop.would_be_late(self._paused_at + seconds):
            self.halt(f"the service asks to wait {seconds:.0f} s, which is past the deadline")

    async def _rest(self, budget: Budget, ruling: Ruling) -> bool:
        """Wait before the next attempt, holding nothing; False when there is no point in one."""
        if self.closed is not None:
            return False
        lane_pauses = ruling.verdict is Verdict.THROTTLE and ruling.wait is not None and ruling.wait > LANE_PAUSE
        if lane_pauses or ruling.verdict is Verdict.REAUTH:
            return True  # the pause is the rest, and a new token is good at once
        delay = self._backoff.delay(budget.tries, ruling.wait)
        if self._stop.would_be_late(self._clock() + delay):
            return False
        self.resting_until = max(self.resting_until, self._clock() + delay)
        return await self._stop.rest(delay)

    async def flush(self) -> None:
        """Return when everything settled so far is durable."""
        await self._memory.flush()

    def set_aside(self, target: Target, reason: str) -> None:
        """Settle a target that is not to be called."""
        nothing = Batch((target,), 0)
        self._settle(nothing, Trail(), Ruling(Verdict.FAIL), Outcome.NOT_ATTEMPTED, reason)

    def halt(self, reason: str) -> None:
        """Let no new call of this lane begin; the first reason stays."""
        if self.halted is None:
            self.halted = reason
            self._log.error("lane_halted", reason=reason)

    def _halves(self, job: Job, ruling: Ruling) -> list[Job]:
        middle = len(job.batch.targets) // 2
        attempts = 1 if ruling.verdict is Verdict.RETRY else self._attempts  # it was tried often enough whole
        halves = (job.batch.targets[:middle], job.batch.targets[middle:])
        return [Job(Batch(half, next(self._numbers)), replace(job.trail), attempts) for half in halves]

    def _conclude(self, batch: Batch, trail: Trail, ruling: Ruling) -> None:
        if ruling.verdict is Verdict.HALT:
            self.halt(ruling.reason)
        outcome, reason = conclusion(ruling, trail, repeatable=self._connector.idempotent)
        if ruling.handover is not None:
            outcome, reason = self._hand_over(batch.targets[0], ruling.handover, outcome)
        self._settle(batch, trail, ruling, outcome, reason)

    def _hand_over(self, target: Target, secret: Secret, outcome: Outcome) -> tuple[Outcome, str]:
        try:
            return outcome, f"written to {self._memory.hand_over(target, secret)}"
        except OSError as error:
            return Outcome.FAILED, f"was issued, and could not be written to its file: {error.strerror}"

    def _leave(self, batch: Batch, trail: Trail) -> None:
        """Settle a batch for which there will be no further call."""
        late = "the next attempt would be past the deadline" if self._stop.exit_code == MIDWAY else "the program ended"
        why = self.closed or late
        if trail.last is None:
            self._settle(batch, trail, Ruling(Verdict.FAIL), Outcome.NOT_ATTEMPTED, why)
            return
        outcome = Outcome.UNKNOWN if trail.lost else Outcome.FAILED
        self._settle(batch, trail, trail.last, outcome, f"not tried again: {why} (last: {summary(trail.last)})")

    def _settle(self, batch: Batch, trail: Trail, ruling: Ruling, outcome: Outcome, reason: str) -> None:
        now = self._wall()
        self._memory.settle(
            [
                Settled(
                    target,
                    outcome,
                    reason,
                    ruling.status,
                    ruling.code,
                    ruling.message,
                    ruling.request_id,
                    trail.attempts,
                    batch.number,
                    trail.first_sent,
                    now,
                )
                for target in batch.targets
            ]
        )
