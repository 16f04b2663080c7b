"""Logoffs that were accepted and do not show yet: what comes late, and what never comes."""

from __future__ import annotations

import hashlib
import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping

Lag = float | tuple[float, float]
Effect = Callable[[float], object]  # told the moment at which it takes place
Ids = Iterable[str] | Mapping[str, int | None]  # all the time, or so many times

QUEUED = frozenset({"workspace", "workspaceapp"})  # these only deliver a task; a plain setting is for them alone


class Endings:
    """What is going to happen to which thing of which service; there is one ending of a thing at a time."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, tuple[str, str]]] = []
        self._effects: dict[tuple[str, str], tuple[int, Effect]] = {}
        self._serial = itertools.count()
        self._orders: Counter[tuple[str, str]] = Counter()
        self.ignored: defaultdict[str, dict[str, None]] = defaultdict(dict)

    def count(self, service: str, id: str) -> int:
        """Count one more accepted logoff of a thing; return how many there were before."""
        self._orders[service, id] += 1
        return self._orders[service, id] - 1

    def plan(self, service: str, id: str, at: float, effect: Effect) -> None:
        """Let something happen to a thing at a time; void() before then forgets it."""
        serial = next(self._serial)
        self._effects[service, id] = serial, effect
        heapq.heappush(self._due, (at, serial, (service, id)))

    def is_planned(self, service: str, id: str) -> bool:
        """Say whether something is going to happen to a thing."""
        return (service, id) in self._effects

    def void(self, service: str, id: str) -> None:
        """Forget what was going to happen to a thing."""
        self._effects.pop((service, id), None)

    def settle(self, now: float) -> None:
        """Let everything happen that is due."""
        while self._due and self._due[0][0] <= now:
            at, serial, thing = heapq.heappop(self._due)
            planned, effect = self._effects.get(thing, (None, None))
            if planned == serial and effect is not None:
                del self._effects[thing]
                effect(at)

    def waiting(self) -> dict[str, list[str]]:
        """Return per service the things to which something is going to happen."""
        found: dict[str, list[str]] = {}
        for service, id in self._effects:
            found.setdefault(service, []).append(id)
        return found


def setting_for(service: str, setting: object) -> object:
    """Return what a setting says for a service: its own entry or "*"; a plain value is for the queued ones."""
    if isinstance(setting, Mapping):
        return setting.get(service, setting.get("*", 0.0))
    return setting if service in QUEUED else 0.0


def drawn(setting: object, chance: float) -> float:
    """Return a number from a range, or the number itself."""
    low, high = setting if isinstance(setting, tuple) else (setting, setting)
    return float(low + (high - low) * chance)


def is_listed(ids: Ids, id: str, nth: int) -> bool:
    """Say whether an id is listed, for its logoff with this number (from 0 on)."""
    if id not in (ids := ids if isinstance(ids, Mapping) else dict.fromkeys(ids)):
        return False
    times = ids[id]
    return times is None or nth < times


def chance(*of: object) -> float:
    """Return a number from 0 to 1 that depends on nothing else than what is given."""
    text = "/".join(map(str, of))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / (1 << 48)
