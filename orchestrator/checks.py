"""What follows the calls of a lane: each target is looked at, what lives on is ended again, and then told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import anyio

from orchestrator import amending
from orchestrator.lane import Lane, Memory
from orchestrator.logs import Log
from orchestrator.model import Batch, Outcome, Secret, Settled, Target, Verification
from orchestrator.verify import Verifier

LOOKED_AT = frozenset({Outcome.ENDED, Outcome.ACCEPTED, Outcome.ALREADY_ENDED, Outcome.UNKNOWN})

_log = Log()


class Watched:
    """A lane's memory that keeps what is to be looked at afterwards; until then that is pending in the journal."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._pending: list[Settled] = []
        self._living: dict[str, Settled] = {}

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

    @property
    def waiting(self) -> int:
        """Return how many targets are to be looked at."""
        return len(self._pending)

    def drain(self) -> list[Settled]:
        """Return what is to be looked at now."""
        pending, self._pending = self._pending, []
        return pending

    def tell(self, settled: Sequence[Settled]) -> None:
        """Take what came of looking at targets."""
        self._memory.settle(settled)

    def call_again(self, living: Sequence[Settled], before: Sequence[Settled]) -> None:
        """Note that these live on, and are about to be called once more: nothing is final, and nothing is ended.

        `before` tells of which of them not even the order is known to have been taken.
        """
        self._living |= {one.target.id: one for one in living}
        known = {one.target.id: amending.called(one) for one in before}
        pending = Verification.PENDING
        self._memory.settle([replace(one, outcome=known[one.target.id], verification=pending) for one in living])

    def _told(self, one: Settled) -> Settled:
        alive = self._living.pop(one.target.id, None)
        told = one if alive is None else amending.again(alive, one)
        looks = one.target.verify and one.outcome in LOOKED_AT
        return replace(told, verification=Verification.PENDING) if looks else told


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


@dataclass(slots=True, eq=False)
class FollowUp:
    """What follows the calls of a lane: look, end again what lives on, look again, `again` times."""

    watched: Watched
    verifier: Verifier
    again: int = 1

    async def carry_out(self, lane: Lane, spared: Callable[[Target], str] = lambda target: "") -> None:
        """Give every target that was called its last word; what is `spared` by now is not called again."""
        pending = self.watched.drain()
        lane.looks_at = len(pending)
        calling = anyio.Lock()
        async with anyio.create_task_group() as group:
            for some in self.verifier.apart(pending):
                group.start_soon(self._follow, lane, some, spared, calling)
        lane.looks_at = 0

    async def _follow(
        self, lane: Lane, pending: Sequence[Settled], spared: Callable[[Target], str], calling: anyio.Lock
    ) -> None:
        for left in range(self.again, -1, -1):
            living = await self.verifier.verify(pending, self.watched.tell) if pending else []
            once_more = left > 0 and lane.closed is None
            again = [one for one in living if once_more and not spared(one.target)]
            called = {one.target.id for one in again}
            self.watched.tell([one for one in living if one.target.id not in called])
            if not again:
                return
            async with calling:
                _log.warning("ended_again", service=lane.service, connection=lane.connection, targets=len(again))
                self.watched.call_again(again, pending)
                await lane.run(iter([one.target for one in again]))
                pending = self.watched.drain()
