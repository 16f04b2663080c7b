"""What follows the calls of a lane: each target is looked at, what lives on is ended again, and then told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from orchestrator.lane import Lane, Memory
from orchestrator.logs import Log
from orchestrator.model import Batch, Outcome, Secret, Settled, Target, Verification
from orchestrator.verify import Verifier

LOOKED_AT = frozenset({Outcome.ENDED, Outcome.ACCEPTED, Outcome.ALREADY_ENDED})

_log = Log()


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
