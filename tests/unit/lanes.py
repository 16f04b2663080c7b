"""One lane with a clock, a connector and a memory that the test holds in its hands."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext

from orchestrator import lane
from orchestrator.approach import Line
from orchestrator.backoff import Backoff
from orchestrator.batches import Packing
from orchestrator.lane import Lane
from orchestrator.model import Batch, Outcome, Ruling, Secret, Settled, Target, Verdict
from orchestrator.pacing import Look, Pacer, nothing
from orchestrator.stop import Stop
from orchestrator.units import Rate

START = 1_000_000.0
ENDED = Ruling(Verdict.ENDED, status=204)
BUSY = Ruling(Verdict.RETRY, "busy", 503)
LOST = Ruling(Verdict.RETRY, "no answer within 1 s", lost=True)
NEVER_SENT = Ruling(Verdict.RETRY, "could not connect")
REFUSED = Ruling(Verdict.FAIL, "refused", 400)
SPLIT = Ruling(Verdict.SPLIT, "the batch is refused as a whole", 404)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class QuickStop(Stop):
    """Rests are noted, and over at once; the clock knows of them."""

    def __init__(self, clock: Clock, deadline: float | None = None) -> None:
        super().__init__(deadline)
        self.rests: list[float] = []
        self.during: Callable[[], None] = lambda: None
        self._clock = clock

    def branch(self) -> Stop:
        branch = QuickBranch(self)
        self._branches.add(branch)
        return branch

    async def rest(self, seconds: float) -> bool:
        self.rests.append(seconds)
        self._clock.now += seconds
        self.during()
        await asyncio.sleep(0)
        return not self.is_set()


class QuickBranch(Stop):
    """Rests as the whole does."""

    def __init__(self, whole: Stop) -> None:
        super().__init__()
        self._whole = whole

    async def rest(self, seconds: float) -> bool:
        return await self._whole.rest(seconds) and not self.is_set()


class FreePacer(Pacer):
    """A turn is there whenever there is no pause."""

    def __init__(self, clock: Clock) -> None:
        super().__init__((Rate(20, 1),), clock)
        self.pauses: list[float] = []
        self.turns: list[float] = []
        self._now = clock

    async def take(
        self, stop: Stop, look: Look = nothing, before: Callable[[], Awaitable[object]] | None = None
    ) -> bool:
        if before is not None:
            await before()
        if self.paused_until > self._now.now:
            look()
        self._now.now = max(self._now.now, self.paused_until)
        self.turns.append(self._now.now)
        await asyncio.sleep(0)
        return not stop.is_set()

    def pause(self, until: float) -> None:
        self.pauses.append(until - self._now.now)
        super().pause(until)


class Service:
    """A connector that answers by the script, and goes on with its last answer."""

    def __init__(self, *script: Ruling, idempotent: bool = True) -> None:
        self.idempotent = idempotent
        self.refused: str | None = None
        self._closes: list[Stop] = []
        self.ready = True
        self.unready: list[Ruling | None] = []
        self.obtained = 0
        self.obtaining: asyncio.Event | None = None
        self.next_line: Line | None = None
        self.dialling: Callable[[], Awaitable[object]] | None = None
        self.dialled: Line | None = None
        self.calls: list[list[str]] = []
        self.numbers: list[int] = []
        self.answer: Callable[[Batch], Ruling] = lambda batch: self._script[min(len(self.calls), len(self._script)) - 1]
        self.before: Callable[[], object] = lambda: None
        self.open = 0
        self.most_open = 0
        self.ticks = 1
        self._script = script or (ENDED,)

    def close_when_refused(self, one: Stop) -> None:
        self._closes.append(one)

    def refuse(self, reason: str) -> None:
        self.refused = reason
        for one in self._closes:
            one.set(reason)

    def turn(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def obtain(self) -> Ruling | None:
        self.obtained += 1
        if self.obtaining is not None:
            await self.obtaining.wait()
        unready = self.unready.pop(0) if self.unready else None
        self.ready = unready is None
        return unready

    async def call(self, batch: Batch) -> Ruling:
        self.calls.append([target.id for target in batch.targets])
        self.numbers.append(batch.number)
        self.before()
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        ruling = self.answer(batch)
        for _ in range(self.ticks):
            await asyncio.sleep(0)
        self.open -= 1
        return ruling


class Wires:
    """The connections to a service, by its script."""

    ready = False

    def __init__(self, service: Service) -> None:
        self._service = service

    def take(self) -> Line | None:
        return self._service.next_line

    async def dial(self) -> Line | None:
        if self._service.dialling is not None:
            await self._service.dialling()
        return self._service.dialled


class Memory:
    def __init__(self) -> None:
        self.announced: list[list[str]] = []
        self.settled: list[Settled] = []
        self.flushes = 0
        self.handed: list[Secret] = []
        self.full = False

    async def sent(self, batches: Sequence[Batch]) -> None:
        self.announced.append([target.id for batch in batches for target in batch.targets])
        await asyncio.sleep(0)

    async def flush(self) -> None:
        self.flushes += 1

    def settle(self, settled: Sequence[Settled]) -> None:
        self.settled += settled

    def hand_over(self, target: Target, secret: Secret) -> str:
        if self.full:
            raise OSError(28, "No space left on device")
        self.handed.append(secret)
        return f"links/{target.id}"


class Bench:
    """A lane and everything around it."""

    def __init__(
        self,
        service: Service,
        *,
        size: int = 1,
        attempts: int = 3,
        concurrency: int = 2,
        deadline: float | None = None,
        remembers: Callable[[Bench], lane.Memory] = lambda bench: bench.memory,
    ) -> None:
        self.clock = Clock()
        self.stop = QuickStop(self.clock, None if deadline is None else START + deadline)
        self.pacer = FreePacer(self.clock)
        self.service = service
        self.memory: Memory = Memory()
        self.lane = Lane(
            "some.service",
            "prod",
            service,
            self.pacer,
            remembers(self),
            self.stop,
            packing=Packing(size),
            numbers=itertools.count(1),
            attempts=attempts,
            concurrency=concurrency,
            backoff=Backoff(1.0, 60.0, lambda low, high: high),
            lines=Wires(service),
            clock=self.clock,
            wall=self.clock,
        )

    async def run(self, count: int) -> None:
        await self.lane.run(iter(targets(range(count))))
        assert sorted(one.target.id for one in self.memory.settled) == sorted(str(n) for n in range(count))

    @property
    def outcomes(self) -> Counter[Outcome]:
        return Counter(one.outcome for one in self.memory.settled)

    @property
    def only(self) -> Settled:
        (settled,) = self.memory.settled
        return settled


def targets(names: Iterable[object]) -> list[Target]:
    return [Target("some.service", "prod", str(name), {"id": str(name)}) for name in names]


def throttled(wait: float | None = None, pace: float | None = None) -> Ruling:
    return Ruling(Verdict.THROTTLE, "too many", 429, wait=wait, pace=pace)
