"""One service on one connection: its rate, its slots, its retries, its splits, its halt."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Protocol

import anyio
import structlog

from orchestrator.backoff import Backoff
from orchestrator.batches import Packing, pack
from orchestrator.conclusion import AGAIN, Trail, conclusion, splits, summary
from orchestrator.model import Batch, Outcome, Ruling, Secret, Settled, Target, Verdict
from orchestrator.pacing import Pacer, Stop

LANE_PAUSE = 2.0  # a shorter wait that a service asks for holds back its target only, never the whole lane
LEFT_TOGETHER = 500  # batches that are settled as not attempted before the journal is waited for
BUFFER_SECONDS = 0.25  # how far ahead of the calls the journal's intents may be

_log = structlog.get_logger(__name__)


class Connector(Protocol):
    """What makes a lane's calls."""

    idempotent: bool

    @property
    def refused(self) -> str | None:
        """Why the credential is refused for good, if it is."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Return what must be held around an attempt."""

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
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.service = service
        self.connection = connection
        self.pacer = pacer
        self.halted: str | None = None
        self.throttles = 0
        self.resting_until = 0.0
        self._connector = connector
        self._memory = memory
        self._stop = stop
        self._packing = packing
        self._numbers = numbers
        self._attempts = attempts
        self._slots = asyncio.Semaphore(concurrency)
        self._workers = 4 * concurrency + 4  # more than slots: one that rests between attempts holds none
        self._ahead = concurrency
        self._backoff = backoff or Backoff()
        self._clock = clock
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
        queue: asyncio.Queue[Batch | None] = asyncio.Queue(self._workers)
        async with anyio.create_task_group() as group:
            for _ in range(self._workers):
                group.start_soon(self._work, queue)
            async for batch in self._announced(pack(targets, self._packing, self._numbers)):
                await queue.put(batch)
            for _ in range(self._workers):
                await queue.put(None)

    async def deliver(self, batch: Batch, trail: Trail, attempts: int) -> None:
        """Call until there is a final word on the batch: the one loop in which retries happen."""
        for attempt in itertools.count(1):
            ruling = await self._attempt(batch, trail)
            if ruling is not None and not (self._again(ruling) and attempt < attempts):
                await self._conclude(batch, trail, ruling)
                return
            if ruling is None or not await self._rest(attempt, ruling):
                self._leave(batch, trail)
                return

    async def _work(self, queue: asyncio.Queue[Batch | None]) -> None:
        while (batch := await queue.get()) is not None:
            await self.deliver(batch, Trail(), self._attempts)

    async def _announced(self, batches: Iterator[Batch]) -> AsyncIterator[Batch]:
        """Yield batches, a moment's worth at a time; settle the rest when the lane closes.

        Their intent is on disk, unless they must not be repeated: then it is written just before the call.
        """
        ahead = max(self._ahead, int(self.pacer.per_second * BUFFER_SECONDS))
        while self.closed is None and (chunk := list(itertools.islice(batches, ahead))):
            if self._connector.idempotent:
                await self._memory.sent(chunk)
            for batch in chunk:
                yield batch
        while chunk := list(itertools.islice(batches, LEFT_TOGETHER)):
            for batch in chunk:
                self._leave(batch, Trail())
            await self._memory.flush()

    async def _attempt(self, batch: Batch, trail: Trail) -> Ruling | None:
        """Make one call when it is its turn; None when no new call may begin."""
        await self.pacer.unpaused()
        async with self._connector.turn(), self._slots:
            if not await self._may_go(batch, trail):
                return None
            trail.attempts += 1
            if trail.first_sent is None:
                trail.first_sent = self._clock()
            ruling = await self._connector.call(batch)
        trail.note(ruling)
        self._heed(ruling)
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

    async def _may_go(self, batch: Batch, trail: Trail) -> bool:
        """Wait for the lane's rate; return whether the call may be made once its turn has come."""
        if self.closed is not None or not await self.pacer.take():
            return False
        if not (self._connector.idempotent or trail.attempts):
            await self._memory.sent([batch])  # not a moment earlier: a crash would leave it unknown for good
        return self.closed is None

    def _again(self, ruling: Ruling) -> bool:
        """Return whether another attempt may be made: one that could act twice must not, unless it surely did not."""
        if ruling.verdict not in AGAIN:
            return False
        harmless = ruling.verdict is Verdict.THROTTLE or not (ruling.lost or (ruling.status or 0) >= 500)
        return self._connector.idempotent or harmless

    def _heed(self, ruling: Ruling) -> None:
        """Do to the lane what the service asked of its caller as a whole."""
        if ruling.verdict is not Verdict.THROTTLE:
            return
        self.throttles += 1
        if ruling.pace is not None:
            self.pacer.slow_to(ruling.pace)
        if ruling.wait is not None and ruling.wait > LANE_PAUSE:
            until = self._clock() + ruling.wait
            self.pacer.pause(until)
            if self._stop.deadline is not None and until > self._stop.deadline:
                self.halt(f"the service asks to wait {ruling.wait:.0f} s, which is past the deadline")

    async def _rest(self, attempt: int, ruling: Ruling) -> bool:
        """Wait before the next attempt, holding nothing; False when there is no point in one."""
        if self.closed is not None:
            return False
        if ruling.wait is not None and ruling.wait > LANE_PAUSE and ruling.verdict is Verdict.THROTTLE:
            return True  # the lane's pause is its rest
        delay = self._backoff.delay(attempt, ruling.wait)
        if self._stop.deadline is not None and self._clock() + delay > self._stop.deadline:
            return False
        self.resting_until = max(self.resting_until, self._clock() + delay)
        return await self._stop.rest(delay)

    def halt(self, reason: str) -> None:
        """Let no new call of this lane begin; the first reason stays."""
        if self.halted is None:
            self.halted = reason
            self._log.error("lane_halted", reason=reason)

    async def _conclude(self, batch: Batch, trail: Trail, ruling: Ruling) -> None:
        if splits(ruling) and len(batch.targets) > 1:
            middle = len(batch.targets) // 2
            attempts = self._attempts if ruling.verdict is Verdict.SPLIT else 1  # it was tried often enough whole
            for half in (batch.targets[:middle], batch.targets[middle:]):
                await self.deliver(Batch(half, next(self._numbers)), replace(trail), attempts)
            return
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
        why = self.closed or "the next attempt would be past the deadline"
        if trail.last is None:
            self._settle(batch, trail, Ruling(Verdict.FAIL), Outcome.NOT_ATTEMPTED, why)
            return
        outcome = Outcome.UNKNOWN if trail.lost else Outcome.FAILED
        self._settle(batch, trail, trail.last, outcome, f"not tried again: {why} (last: {summary(trail.last)})")

    def _settle(self, batch: Batch, trail: Trail, ruling: Ruling, outcome: Outcome, reason: str) -> None:
        now = self._clock()
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
