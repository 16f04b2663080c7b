"""What becomes of a batch's targets: a line for each, from what was told of the batch and what it went through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from orchestrator.conclusion import Trail, conclusion, summary
from orchestrator.model import Batch, Outcome, Ruling, Secret, Settled, Target, Verdict

_NOTHING = Ruling(Verdict.FAIL)


class Lines(Protocol):
    """Where the lines go."""

    def settle(self, settled: Sequence[Settled]) -> None:
        """Take outcomes; one that is pending will be replaced."""

    def hand_over(self, target: Target, secret: Secret) -> str:
        """Put a secret that a service issued where only its owner reads it; return where that is."""


class Settling:
    """Settles the batches of one lane. `repeatable` says that its call may be made twice."""

    def __init__(self, lines: Lines, wall: Callable[[], float], *, repeatable: bool) -> None:
        self._lines = lines
        self._wall = wall
        self._repeatable = repeatable

    def conclude(self, batch: Batch, trail: Trail, ruling: Ruling) -> None:
        """Settle a batch by the final word on it."""
        outcome, reason = conclusion(ruling, trail, repeatable=self._repeatable)
        if ruling.handover is not None:
            outcome, reason = self._hand_over(batch.targets[0], ruling.handover, outcome)
        self._settle(batch, trail, ruling, outcome, reason)

    def leave(self, batch: Batch, trail: Trail, why: str) -> None:
        """Settle a batch for which there will be no further call."""
        if trail.last is None:
            self._settle(batch, trail, _NOTHING, Outcome.NOT_ATTEMPTED, why)
            return
        refused = trail.last.verdict in (Verdict.SPLIT, Verdict.FAIL)  # a batch was, for some that are in it
        if refused and not trail.in_doubt:
            said = f"{why}; the batch that it was in was refused: {summary(trail.last)}"
            self._settle(batch, Trail(), _NOTHING, Outcome.NOT_ATTEMPTED, said)
            return
        outcome = Outcome.UNKNOWN if trail.lost or refused else Outcome.FAILED
        self._settle(batch, trail, trail.last, outcome, f"not tried again: {why} (last: {summary(trail.last)})")

    def _hand_over(self, target: Target, secret: Secret, outcome: Outcome) -> tuple[Outcome, str]:
        try:
            return outcome, f"written to {self._lines.hand_over(target, secret)}"
        except OSError as error:
            return Outcome.FAILED, f"was issued, and could not be written to its file: {error.strerror}"

    def _settle(self, batch: Batch, trail: Trail, ruling: Ruling, outcome: Outcome, reason: str) -> None:
        now = self._wall()
        self._lines.settle(
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
