"""The journal as the lanes of one run see it, and what stands on record of targets that are settled again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Protocol

from orchestrator import amending
from orchestrator.guards import Tripwire
from orchestrator.model import Batch, Outcome, Secret, Settled, Target, Verification

_PENDING = Verification.PENDING
_verification = attrgetter("verification")


class Journal(Protocol):
    """Where a run keeps what it did; durable before counted."""

    async def sent(self, run: str, batches: Sequence[Batch]) -> None:
        """Return when it is durable that these calls are about to be made."""

    async def flush(self) -> None:
        """Return when everything noted so far is durable."""

    def settle(self, run: str, settled: Sequence[Settled]) -> None:
        """Take outcomes; one that is pending will be replaced."""


@dataclass(slots=True, eq=False)
class RunMemory:
    """The journal as the lanes of one run see it, and the place for secrets that services issue.

    It knows what stands on record of targets that are settled again: those that are looked at, or live on, and those of
    services whose targets are called `twice`, for a second pass. What was seen to be gone before that is not undone
    unless it is seen alive; that nobody could make sure of it once more is told.
    """

    journal: Journal
    run: str
    keep: Callable[[Target, Secret], str]
    tripwire: Tripwire
    twice: Collection[str] = ()
    _standing: dict[int, Outcome] = field(default_factory=dict)  # by the hash of what tells a target from others
    _confirmed: set[int] = field(default_factory=set)

    def recall(self, confirmed: Iterable[tuple[str, str, str, str]]) -> None:
        """Take what an earlier part of the run saw to be gone: (service, connection, target, outcome)."""
        for service, connection, target, outcome in confirmed:
            if service in self.twice:
                key = hash((service, connection, target))
                self._standing[key] = Outcome(outcome)
                self._confirmed.add(key)

    async def sent(self, batches: Sequence[Batch]) -> None:
        """Return when it is durable that these calls are about to be made."""
        await self.journal.sent(self.run, batches)

    async def flush(self) -> None:
        """Return when everything noted so far is durable."""
        await self.journal.flush()

    def settle(self, settled: Sequence[Settled]) -> None:
        """Take outcomes; one that is pending will be replaced."""
        if self._standing or self.twice or _PENDING in map(_verification, settled):
            settled = [self._noted(one) for one in settled]
        self.journal.settle(self.run, settled)
        self.tripwire.note(settled)

    def hand_over(self, target: Target, secret: Secret) -> str:
        """Put a secret where only its owner reads it; return where that is."""
        return self.keep(target, secret)

    def _noted(self, one: Settled) -> Settled:
        """Return an outcome with the one that it meets on record, and remember it if it may be met itself."""
        target = one.target
        key = hash((target.service, target.connection, target.id))
        before, twice = self._standing.pop(key, None), target.service in self.twice
        noted = one
        if before is not None:
            amended = amending.once_more(before, one, confirmed=key in self._confirmed) if twice else one
            noted = replace(amended, instead_of=before)
        if twice or one.verification is _PENDING:
            self._standing[key] = noted.stands
        if twice and one.verification is Verification.CONFIRMED:
            self._confirmed.add(key)
        return noted
