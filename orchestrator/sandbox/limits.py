"""Rate limits: a token bucket per service, and the words in which each service says that it is empty."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Literal

from aiohttp import web

from orchestrator.sandbox.answers import error

if TYPE_CHECKING:
    from orchestrator.sandbox.call import Call

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


@dataclass(slots=True)
class Limit:
    """So many calls per period of seconds; `burst` may come at once (default: a whole period's worth).

    `retry_after` adds that header to a refusal: as seconds ("delta"), as an HTTP date ("date"), or not.
    """

    calls: int
    period: float = 1.0
    burst: int | None = None
    retry_after: Literal["delta", "date"] | None = None
    _level: float = field(default=-1.0, init=False, repr=False)
    _filled: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.calls < 1 or self.period <= 0:
            raise ValueError("a limit is at least one call in a period above zero; burst=0 refuses every call")
        if self.retry_after not in (None, "delta", "date"):
            raise ValueError("retry_after is delta (seconds) or date, or not there")

    def take(self, now: float) -> float:
        """Take one call from the bucket; 0 when there was one, else the seconds until there is."""
        rate = self.calls / self.period
        capacity = float(self.calls if self.burst is None else self.burst)
        gained = max(0.0, now - self._filled) * rate
        self._level = capacity if self._level < 0 else min(capacity, self._level + gained)
        self._filled = now
        if self._level < 1.0:
            return (1.0 - self._level) / rate
        self._level -= 1.0
        return 0.0

    def described(self) -> tuple[int, int, str]:
        """Return calls, count and unit as the gateway words them: (200, 1, "second")."""
        if self.period < 1:
            return round(self.calls / self.period), 1, "second"
        seconds = round(self.period)
        size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
        return self.calls, seconds // size, unit


def check(call: Call) -> web.Response | None:
    """Return the service's refusal when its bucket is empty."""
    limit = call.world.limits.get(call.operation.service)
    if limit is None or not (wait := limit.take(call.world.clock())):
        return None
    return refuse(call, limit, wait)


def refuse(call: Call, limit: Limit, wait: float) -> web.Response:
    """Refuse a call in the service's own words, and count it as throttled."""
    call.world.ledger.of(call.operation.service).throttled += 1
    answer = _refusal(limit, call)
    if limit.retry_after == "delta":
        answer.headers["Retry-After"] = str(math.ceil(wait))
    elif limit.retry_after == "date":
        answer.headers["Retry-After"] = formatdate(math.ceil(call.world.now() + wait), usegmt=True)
    return answer


def _refusal(limit: Limit, call: Call) -> web.Response:
    if call.operation.service == "das":  # the published error table: DAS throttles with a 400
        return error(400, "DAS.200002", "Frequent requests.")
    if call.operation.service == "iam":
        return error(429, "IAM.0012", f"Threshold: {limit.calls} times per {round(limit.period)} seconds")
    calls, count, unit = limit.described()
    message = f"The throttling threshold has been reached: policy user over ratelimit,limit:{calls},time:{count} {unit}"
    return error(429, "APIGW.0308", message, request_id=call.id)
