"""One run: stages in their order, the lanes of a stage side by side, one outcome per target.

Everything flows one way: sources -> lanes -> journal. What was done before (a resume) or is listed twice is dropped
on the way in; what is left when the run stops is settled as `not_attempted` on the way out.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import anyio
import structlog

from orchestrator.errors import InvalidInput
from orchestrator.lane import Lane
from orchestrator.model import GOOD, Batch, Outcome, Secret, Settled, Target
from orchestrator.pacing import MIDWAY, Stop
from orchestrator.rows import UnreadableError
from orchestrator.sources import Source, Takes

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
        self._done: set[bytes] = set()
        self._taken: set[bytes] = set()

    def note_done(self, service: str, connection: str, target: str) -> None:
        """Note a target that an earlier part of the run is done with."""
        self._done.add(_digest(service, connection, target))

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


@dataclass(slots=True)
class LaneWork:
    """What one lane has to do in one stage."""

    lane: Lane
    sources: list[Source] = field(default_factory=list)


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
        watch.start_soon(_keep_deadline, stop, clock)
        for stage in stages:
            _log.info("stage_started", stage=stage.name, lanes=len(stage.lanes))
            async with anyio.create_task_group() as group:
                for work in stage.lanes:
                    group.start_soon(work.lane.run, fresh(work.sources, takes, seen, failed))
        watch.cancel_scope.cancel()
    return failed


async def _keep_deadline(stop: Stop, clock: Callable[[], float]) -> None:
    if stop.deadline is not None:
        await anyio.sleep(max(0.0, stop.deadline - clock()))
        stop.set("the deadline has passed", MIDWAY)


def left_over(stages: Sequence[StageWork], seen: Seen, takes: Takes, reason: str) -> Iterator[Settled]:
    """Return as not attempted every target that a run which was cut off never took up; `seen` has all that it did."""
    for stage in stages:
        for work in stage.lanes:
            for target in fresh(work.sources, takes, seen, []):
                yield Settled(target, Outcome.NOT_ATTEMPTED, reason, settled=time.time())


def fresh(sources: Sequence[Source], takes: Takes, seen: Seen, failed: list[str]) -> Iterator[Target]:
    """Yield the targets that nobody has taken up yet; a source that breaks ends, and is told of."""
    for source in sources:
        try:
            for target in source.targets():
                if takes(target) and seen.take(target):
                    yield target
        except (OSError, UnreadableError, InvalidInput, ValueError) as error:
            failed.append(f"{source.name} changed while it was read: {error}")
            _log.error("source_failed", source=source.name, reason=str(error))


Tally = Sequence[tuple[str, str, str, int]]


def exit_code(tally: Tally, require: str, stop: Stop, *, failed: bool, allow_empty: bool) -> int:
    """Return the exit code of a finished run from its outcomes (service, connection, outcome, how many).

    `failed` says that a source could not be read to its end.
    """
    if stop.exit_code is not None:
        return stop.exit_code
    if failed or any(outcome not in GOOD[require] for _, _, outcome, _ in tally):
        return 3
    return 0 if tally or allow_empty else 6
