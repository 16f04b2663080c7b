"""How long to wait before the next attempt: full jitter under a cap, or what the service itself asks for."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

LONGEST_WAIT = 3600.0  # seconds; a lane that is told to wait for longer halts


class Backoff(NamedTuple):
    """The pauses between attempts: `base` seconds doubled each time, never above `cap`, drawn from 0 to that."""

    base: float = 0.5
    cap: float = 60.0
    uniform: Callable[[float, float], float] = random.uniform

    def delay(self, attempt: int, asked: float | None = None) -> float:
        """Return the seconds to wait after attempt number `attempt` (from 1); never less than what was asked for."""
        ceiling = min(self.cap, self.base * 2.0 ** min(attempt - 1, 60))
        jitter = self.uniform(0.0, ceiling)
        return jitter if asked is None else asked + min(jitter, 0.1 * asked + self.base)

    def after_throttle(self, attempt: int, asked: float | None = None) -> float:
        """Return the seconds that a target rests after a throttle: less than after a failure, for its lane is paced.

        What was asked for gets a twentieth on top, so that not all who were told the same come back at once.
        """
        if asked is not None:
            return asked + self.uniform(0.0, asked / 20)
        return self.uniform(0.0, min(self.cap, self.base / 4 * 2.0 ** min(attempt - 1, 60)))
