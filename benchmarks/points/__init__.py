"""The seven points, one module each, with the same interface: NAME, GOAL, `measure(asked)`."""

from __future__ import annotations

from benchmarks.points import calls, fairness, learning, overhead, pacing, scale, startup
from benchmarks.rows import Measurement

MEASUREMENTS: list[Measurement] = [pacing, learning, fairness, calls, overhead, scale, startup]
