"""How a batch that was refused is divided, so that few calls find the targets that it was refused for.

When the first part goes through, the second must hold one, and is divided at once instead of being called as a whole.
So a culprit in the first part costs two calls, in the second one: parts of three to five balance that, and one bad id
among 100 costs eleven calls at most, where halves that are both called cost fourteen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from orchestrator.conclusion import OUTCOMES, Trail
from orchestrator.model import Batch, Ruling, Verdict

FIRST = 3 / 8  # of the targets, in the first part


@dataclass(slots=True, eq=False)
class Job:
    """A batch on its way: what has happened to it, and how many more attempts it gets.

    One that is `suspect` is known to hold a target that a larger batch was refused for. `other` is the second part of
    what this is the first of, where that was refused for a target in it.
    """

    batch: Batch
    trail: Trail
    attempts: int
    suspect: bool = False
    other: Job | None = None

    def divides(self) -> bool:
        """Return whether it need not be called as it is: that would be refused."""
        return self.suspect and len(self.batch.targets) > 1

    def went(self, ruling: Ruling) -> None:
        """Note the final word: when all is well here, what the whole was refused for is in the other part."""
        if self.other is not None and ruling.verdict in OUTCOMES:
            self.other.suspect = True


def refused(job: Job, ruling: Ruling, numbers: Iterator[int], attempts: int) -> list[Job]:
    """Divide a batch after its ruling; its parts get so many attempts, or one if it was tried often enough whole."""
    for_a_target = ruling.verdict in (Verdict.SPLIT, Verdict.FAIL) and ruling.status != 413
    return _parts(job, numbers, 1 if ruling.verdict is Verdict.RETRY else attempts, telling=for_a_target)


def suspected(job: Job, numbers: Iterator[int]) -> list[Job]:
    """Divide a batch that nobody has to call to know that it would be refused."""
    return _parts(job, numbers, job.attempts, telling=True)


def _parts(job: Job, numbers: Iterator[int], attempts: int, *, telling: bool) -> list[Job]:
    """Divide a batch; `telling` says that there is one in it which it was, or would be, refused for."""
    targets = job.batch.targets
    middle = max(1, round(len(targets) * FIRST)) if telling else len(targets) // 2
    second = Job(Batch(targets[middle:], next(numbers)), replace(job.trail), attempts)
    return [
        Job(Batch(targets[:middle], next(numbers)), replace(job.trail), attempts, other=second if telling else None),
        second,
    ]
