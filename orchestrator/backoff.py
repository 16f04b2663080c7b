"""How long to wait before the next attempt: full jitter under a cap, and what the service itself asks for."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.units import http_date

_UNITS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
_POLICY = re.compile(
    r"over ratelimit,\s*limit:\s*(\d{1,9}),\s*time:\s*(\d{1,6})\s*(second|minute|hour|day)", re.IGNORECASE
)
_THRESHOLD = re.compile(r"Threshold:\s*(\d{1,9}) times per (\d{1,9}) seconds", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Backoff:
    """The pauses between attempts: `base` seconds doubled each time, never above `cap`, drawn from 0 to that."""

    base: float = 0.5
    cap: float = 60.0
    uniform: Callable[[float, float], float] = random.uniform

    def delay(self, attempt: int, asked: float | None = None) -> float:
        """Return the seconds to wait after attempt number `attempt` (from 1); never less than what was asked for."""
        ceiling = min(self.cap, self.base * 2.0 ** min(attempt - 1, 60))
        jitter = self.uniform(0.0, ceiling)
        return jitter if asked is None else asked + min(jitter, 0.1 * asked + self.base)


@dataclass(frozen=True, slots=True)
class Announced:
    """What a refusal says about the service's limit: seconds to wait, and the calls per second it allows."""

    wait: float | None = None
    pace: float | None = None


def announced(headers: Mapping[str, str], message: str | None, now: float) -> Announced:
    """Read Retry-After (seconds or a date) and the limits that gateway and IAM write into the message.

    A date is compared with the response's own Date where there is one, so that a wrong clock here does no harm.
    What is malformed is ignored.
    """
    limit = _limit(message or "")
    wait = _retry_after(headers, now)
    if limit is None:
        return Announced(wait)
    calls, seconds = limit
    return Announced(seconds if wait is None else wait, calls / seconds if calls else None)


def _limit(message: str) -> tuple[int, float] | None:
    """Return (calls, seconds) of `limit:200,time:5 minute` or `Threshold: 5 times per 60 seconds`."""
    if match := _POLICY.search(message):
        seconds = int(match[2]) * _UNITS[match[3].lower()]
        return (int(match[1]), seconds) if seconds else None
    if match := _THRESHOLD.search(message):
        return (int(match[1]), float(match[2])) if int(match[2]) else None
    return None


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(?:\.\d{1,3})?", value):
        return float(value)
    moment = http_date(value)
    if moment is None:
        return None
    sent = http_date(headers.get("date", ""))
    return max(0.0, moment - (now if sent is None else sent))
