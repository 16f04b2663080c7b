"""One run: stages in their order, the lanes of a stage side by side, one outcome per target.

Everything flows one way: sources -> lanes -> journal. What was done before (a resume) or is listed twice is dropped
on the way in; what is left when the run stops is settled as `not_attempted` on the way out.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import anyio
import structlog

from orchestrator.errors import InvalidInput
from orchestrator.journal.record import decode
from orchestrator.lane import Lane, Memory
from orchestrator.model import Batch, Outcome, Secret, Settled, Tallied, Target, Verification, meets
from orchestrator.pacing import MIDWAY, Stop
from orchestrator.rows import UnreadableError
from orchestrator.sources import Source, Takes
from orchestrator.verify import Verifier

LOOKED_AT = frozenset({Outcome.ENDED, Outcome.ACCEPTED, Outcome.ALREADY_ENDED})

_log = structlog.get_logger(__name__)


class Journal(Protocol):
    """Where a run keeps what it did; durable before counted."""

    async def sent(self, run: str, batches: Sequence[Batch]) -> None:
        """Return when it is durable that these calls are about to be made."""

    async def flush(self) -> None:
        """Return when everything noted so far is durable."""

    def settle(self, run: str, settled: Sequence[Settled]) -> None:
        """Take final outcomes."""


@dataclass(frozen=True, slots=True)
class RunMemory:
    """The journal as the lanes of one run see it, and the place for secrets that services issue."""

    journal: Journal
    run: str
    keep: Callable[[Target, Secret], str]

    async def sent(self, batches: Sequence[Batch]) -> None:
        """Return when it is durable that these calls are about to be made."""
        await self.journal.sent(self.run, batches)

    async def flush(self) -> None:
        """Return when everything noted so far is durable."""
        await self.journal.flush()

    def settle(self, settled: Sequence[Settled]) -> None:
        """Take final outcomes."""
        self.journal.settle(self.run, settled)

    def hand_over(self, target: Target, secret: Secret) -> str:
        """Put a secret where only its owner reads it; return where that is."""
        return self.keep(target, secret)


class Seen:
    """The identities that need no call any more: done in an earlier part of the run, or taken up in this one.

    `twice` counts the targets that were offered again after they had been taken up.
    """

    def __init__(self) -> None:
        self.twice = 0
        self._unchecked: dict[bytes, str] = {}
        self._done: set[bytes] = set()
        self._taken: set[bytes] = set()

    def note_done(self, service: str, connection: str, target: str) -> None:
        """Note a target that an earlier part of the run is done with."""
        self._done.add(_digest(service, connection, target))

    def note_unchecked(self, service: str, connection: str, target: str, record: str) -> None:
        """Note a target that an earlier part of the run called, with its line so far, and did not look at."""
        self._unchecked[_digest(service, connection, target)] = record

    def unchecked(self, target: Target) -> str | None:
        """Return the line of a target that is still to be looked at, once."""
        return self._unchecked.pop(_digest(target.service, target.connection, target.id), None)

    def take(self, target: Target) -> bool:
        """Take a target up; False when that was done before."""
        digest = _digest(target.service, target.connection, target.id)
        if digest in self._done:
            return False
        if digest in self._taken:
            self.twice += 1
            return False
        self._taken.add(digest)
        return True


def _digest(*parts: str) -> bytes:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Watched:
    """A lane's memory that keeps what is to be looked at afterwards; until then that is pending in the journal."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._pending: list[Settled] = []
        self._earlier: dict[str, Outcome] = {}

    async def sent(self, batches: Sequence[Batch]) -> None:
        """Return when it is durable that these calls are about to be made."""
        await self._memory.sent(batches)

    async def flush(self) -> None:
        """Return when everything noted so far is durable."""
        await self._memory.flush()

    def settle(self, settled: Sequence[Settled]) -> None:
        """Take outcomes, of which some are not final yet."""
        told = [self._told(one) for one in settled]
        self._pending += [one for one in told if one.verification is Verification.PENDING]
        self._memory.settle(told)

    def hand_over(self, target: Target, secret: Secret) -> str:
        """Put a secret where only its owner reads it; return where that is."""
        return self._memory.hand_over(target, secret)

    def recheck(self, settled: Settled) -> None:
        """Take what an earlier part of the run called and did not look at."""
        self._pending.append(settled)

    def drain(self) -> list[Settled]:
        """Return what is to be looked at now."""
        pending, self._pending = self._pending, []
        return pending

    def tell(self, settled: Sequence[Settled]) -> None:
        """Take the last word on targets that were looked at."""
        self._memory.settle([replace(one, instead_of=self._earlier.pop(one.target.id, None)) for one in settled])

    def expect_again(self, settled: Iterable[Settled]) -> None:
        """Note that these are about to be called once more."""
        self._earlier.update({one.target.id: one.outcome for one in settled})

    def _told(self, one: Settled) -> Settled:
        earlier = self._earlier.pop(one.target.id, None)
        if one.target.verify and one.outcome in LOOKED_AT:
            self._earlier[one.target.id] = one.outcome
            return replace(one, verification=Verification.PENDING, instead_of=earlier)
        return replace(one, instead_of=earlier) if earlier else one


class Unseen:
    """The memory of a lane whose service has no read-back, in a run that requires one."""

    def __init__(self, memory: Memory) -> None:
        self.sent, self.flush, self.hand_over = memory.sent, memory.flush, memory.hand_over
        self._memory = memory

    def settle(self, settled: Sequence[Settled]) -> None:
        """Take outcomes, none of which can be verified."""
        self._memory.settle(
            [
                replace(one, verification=Verification.UNAVAILABLE) if one.outcome in LOOKED_AT else one
                for one in settled
            ]
        )


@dataclass(slots=True)
class Check:
    """What follows the calls of a lane: look, end again what lives on, look again, `again` times."""

    watched: Watched
    verifier: Verifier
    again: int = 1

    async def carry_out(self, lane: Lane) -> None:
        """Give every target that was called its last word."""
        for left in range(self.again, -1, -1):
            pending = self.watched.drain()
            lane.looks_at = len(pending)
            alive = await self.verifier.verify(pending, self.watched.tell) if pending else []
            lane.looks_at = 0
            if not alive or not left or lane.closed is not None:
                return
            _log.warning("ended_again", service=lane.service, connection=lane.connection, targets=len(alive))
            self.watched.expect_again(alive)
            await lane.run(iter([one.target for one in alive]))


@dataclass(slots=True)
class LaneWork:
    """What one lane has to do in one stage, and what follows it."""

    lane: Lane
    sources: list[Source] = field(default_factory=list)
    check: Check | None = None


@dataclass(slots=True)
class StageWork:
    """The lanes of a stage, which run side by side."""

    name: str
    lanes: list[LaneWork]


async def execute(
    stages: Sequence[StageWork], seen: Seen, takes: Takes, stop: Stop, *, clock: Callable[[], float] = time.monotonic
) -> list[str]:
    """Give every target that is taken of every source its outcome; return what went wrong with sources."""
    failed: list[str] = []
    async with anyio.create_task_group() as watch:
        watch.start_soon(keep_deadline, stop, clock)
        for stage in stages:
            _log.info("stage_started", stage=stage.name, lanes=len(stage.lanes))
            async with anyio.create_task_group() as group:
                for work in stage.lanes:
                    group.start_soon(_work, work, takes, seen, failed)
        watch.cancel_scope.cancel()
    return failed


async def _work(work: LaneWork, takes: Takes, seen: Seen, failed: list[str]) -> None:
    recheck = work.check.watched.recheck if work.check else None
    await work.lane.run(fresh(work.sources, takes, seen, failed, recheck))
    if work.check is not None:
        await work.check.carry_out(work.lane)


async def keep_deadline(stop: Stop, clock: Callable[[], float] = time.monotonic) -> None:
    """Stop the run when its time is up."""
    if stop.deadline is not None:
        await anyio.sleep(max(0.0, stop.deadline - clock()))
        stop.set("the deadline has passed", MIDWAY)


def left_over(stages: Sequence[StageWork], seen: Seen, takes: Takes, reason: str) -> Iterator[Settled]:
    """Return as not attempted every target that a run which was cut off never took up; `seen` has all that it did."""
    for stage in stages:
        for work in stage.lanes:
            for target in fresh(work.sources, takes, seen, []):
                yield Settled(target, Outcome.NOT_ATTEMPTED, reason, settled=time.time())


def fresh(
    sources: Sequence[Source],
    takes: Takes,
    seen: Seen,
    failed: list[str],
    recheck: Callable[[Settled], None] | None = None,
) -> Iterator[Target]:
    """Yield the targets that nobody has taken up yet; a source that breaks ends, and is told of.

    Those that were called and not looked at yet go to `recheck`.
    """
    for source in sources:
        try:
            for target in source.targets():
                if not takes(target):
                    continue
                if seen.take(target):
                    yield target
                elif recheck is not None and (record := seen.unchecked(target)):
                    recheck(decode(record, target))
        except (OSError, UnreadableError, InvalidInput, ValueError) as error:
            failed.append(f"{source.name} changed while it was read: {error}")
            _log.error("source_failed", source=source.name, reason=str(error))


def exit_code(tally: Sequence[Tallied], require: str, stop: Stop, *, failed: bool, allow_empty: bool) -> int:
    """Return the exit code of a finished run from how its targets fared.

    `failed` says that a source could not be read to its end.
    """
    if stop.exit_code is not None:
        return stop.exit_code
    if failed or not all(meets(require, one.outcome, one.verification, protected=one.protected) for one in tally):
        return 3
    return 0 if tally or allow_empty else 6
