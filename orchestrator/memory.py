"""The journal as the lanes of one run see it, and what stands on record of targets that are settled again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from orchestrator.guards import Tripwire
from orchestrator.model import Batch, Outcome, Secret, Settled, Target, Verification
from orchestrator.units import joined


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
    _confirmed: dict[int, Outcome] = field(default_factory=dict)

    def recall(self, confirmed: Iterable[tuple[str, str, str, str]]) -> None:
        """Take what an earlier part of the run saw to be gone: (service, connection, target, outcome)."""
        for service, connection, target, outcome in confirmed:
            if service in self.twice:
                self._confirmed[hash((service, connection, target))] = Outcome(outcome)

    async def sent(self, batches: Sequence[Batch]) -> None:
        """Return when it is durable that these calls are about to be made."""
        await self.journal.sent(self.run, batches)

    async def flush(self) -> None:
        """Return when everything noted so far is durable."""
        await self.journal.flush()

    def settle(self, settled: Sequence[Settled]) -> None:
        """Take outcomes; one that is pending will be replaced."""
        told = [self._noted(one) for one in settled]
        self.journal.settle(self.run, told)
        self.tripwire.note(told)

    def hand_over(self, target: Target, secret: Secret) -> str:
        """Put a secret where only its owner reads it; return where that is."""
        return self.keep(target, secret)

    def _noted(self, one: Settled) -> Settled:
        """Return an outcome with the one that it meets on record, and remember it if it may be met itself."""
        target = one.target
        key = hash((target.service, target.connection, target.id))
        before, gone = self._standing.pop(key, None), self._confirmed.get(key)
        told = one if gone is None else _once_more(one, gone)
        noted = told if before is None else replace(told, instead_of=before)
        twice = target.service in self.twice
        if twice or one.verification is Verification.PENDING:
            self._standing[key] = noted.stands
        if twice and one.verification is Verification.CONFIRMED:
            self._confirmed[key] = one.outcome
        return noted


def _once_more(one: Settled, gone: Outcome) -> Settled:
    """Return what a further call came to, for a target that was seen to be `gone` before it."""
    in_vain = one.outcome in (Outcome.FAILED, Outcome.UNKNOWN) or one.verification is Verification.UNAVAILABLE
    if not in_vain or one.outcome is Outcome.STILL_ACTIVE or one.verification is Verification.PENDING:
        return one
    said = f"seen to be gone before; called once more: {one.outcome}"
    return replace(one, outcome=gone, verification=Verification.UNAVAILABLE, reason=joined(said, one.reason))
