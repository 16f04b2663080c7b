"""What a measurement gives: rows, each one thing that was measured, held against one goal."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol


@dataclass(slots=True)
class Row:
    """One line of the table. `ratio` is what the goal is about; None for `met` where there is no goal to meet."""

    what: str
    goal: str
    measured: str
    ratio: float | None = None
    spread: str = ""
    met: bool | None = None
    data: dict[str, Any] = field(default_factory=dict)


class Asked(NamedTuple):
    """What is asked of a measurement: a few seconds only or all, how many scenarios to draw, and from which seed."""

    quick: bool
    drawn: int
    seed: int


class Measurement(Protocol):
    """A module of `benchmarks.points`."""

    NAME: str
    GOAL: str

    def measure(self, asked: Asked) -> list[Row]:
        """Run it, and return what came out."""


def at_most(
    what: str,
    samples: Sequence[float],
    goal: float | None,
    measured: str = "",
    *,
    by: Callable[[Sequence[float]], float] = statistics.median,
    data: dict[str, Any] | None = None,
) -> Row:
    """Return the row of something that should be no more than `goal`; `by` makes one number of the repetitions."""
    return _row(what, samples, f"<= {goal:g}" if goal is not None else "", measured, by, data, goal, above=False)


def at_least(
    what: str,
    samples: Sequence[float],
    goal: float | None,
    measured: str = "",
    *,
    by: Callable[[Sequence[float]], float] = statistics.median,
    data: dict[str, Any] | None = None,
) -> Row:
    """Return the row of something that should be no less than `goal`."""
    return _row(what, samples, f">= {goal:g}" if goal is not None else "", measured, by, data, goal, above=True)


def _row(
    what: str,
    samples: Sequence[float],
    text: str,
    measured: str,
    by: Callable[[Sequence[float]], float],
    data: dict[str, Any] | None,
    goal: float | None,
    *,
    above: bool,
) -> Row:
    if not samples:
        return not_measured(what, text, "nothing came out")
    value = by(samples)
    met = None if goal is None else value >= goal if above else value <= goal
    spread = f"{min(samples):.3g}..{max(samples):.3g} of {len(samples)}" if len(samples) > 1 else "1 run"
    return Row(what, text, measured or f"{value:.4g}", value, spread, met, {**(data or {}), "samples": list(samples)})


def not_measured(what: str, goal: str, why: str) -> Row:
    """Return the row of something that could not be measured, which is neither met nor missed."""
    return Row(what, goal, f"not measured: {why}")


def median(samples: Sequence[float]) -> float:
    """Return the median; nan of nothing."""
    return statistics.median(samples) if samples else float("nan")


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return the ratios of two things that were run in turn, pair by pair, where there was something of both.

    The CPU of a short run less that of a shorter one may come out as nothing, or as less.
    """
    return [a / b for a, b in zip(above, below, strict=False) if a > 0 and b > 0]
