"""Whether a session is really gone: looked at after the calls, patiently, and told as what was seen.

Every look is a lane of its own, with its own rate, retries and throttling, so that it holds nobody up.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from orchestrator import amending
from orchestrator.model import Settled, Target
from orchestrator.sights import NOTHING, Look, Sight, State
from orchestrator.stop import Stop

FIRST_REST = 0.5  # seconds between two looks; grows by half each time ...
LONGEST_REST = 10.0
EARLY = 0.01  # seconds by which a timer may wake somebody too soon


class Timing(NamedTuple):
    """When to look: not before `lag` seconds after the calls, and the last time when `deadline` more are over.

    Only a look that begins then can say that a session lives on. `lag_field` is the field of a target, if there is
    one, by whose seconds its end was put off.
    """

    lag: float = 0.0
    deadline: float = 30.0
    lag_field: str | None = None

    def lag_of(self, target: Target) -> float:
        """Return how long to wait before the first look at a target."""
        delay = target.fields.get(self.lag_field) if self.lag_field is not None else None
        return self.lag + delay if isinstance(delay, int) else self.lag


class _Vigil:
    """What is not known to be gone, what the last look saw of it, and what was seen alive."""

    def __init__(self, settled: Sequence[Settled]) -> None:
        self.open = {one.target.id: one for one in settled}
        self.last: Mapping[str, Sight] = {}
        self.alive: dict[str, str] = {}

    def note(self, sights: Mapping[str, Sight]) -> list[Settled]:
        """Take what a look saw; return what is gone."""
        self.last = sights
        self.alive |= {name: sight.reason for name, sight in sights.items() if sight.state is State.ALIVE}
        return [self.open.pop(name) for name, sight in sights.items() if sight.state is State.GONE]


class Verifier:
    """Looks until every target is gone, or the time is up; returns each outcome as it then is."""

    def __init__(
        self,
        look: Look,
        timing: Timing,
        stop: Stop,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._look = look
        self._timing = timing
        self._stop = stop
        self._clock = clock
        self._wall = wall

    def apart(self, settled: Iterable[Settled]) -> list[list[Settled]]:
        """Return targets by how long it takes until they can be looked at: what is put off holds up no other."""
        lags: dict[int, list[Settled]] = {}
        for one in settled:
            lags.setdefault(math.frexp(self._timing.lag_of(one.target))[1], []).append(one)
        return [lags[magnitude] for magnitude in sorted(lags)]

    async def verify(self, settled: Sequence[Settled], tell: Callable[[Sequence[Settled]], None]) -> list[Settled]:
        """Look at targets that were called, `tell` what comes of it, and return, untold, those that live on.

        When the run stops, what is not known to be gone stays pending, so that a resume looks at it.
        """
        vigil, rest, last = _Vigil(settled), FIRST_REST, False
        lag = max(map(self._timing.lag_of, (one.target for one in settled)), default=0.0)
        until = self._clock() + lag + self._timing.deadline
        await self._stop.rest(lag)
        while vigil.open and not (last or self._look.blind or self._stop.is_set()):
            last = self._clock() + EARLY >= until
            targets = [one.target for one in vigil.open.values()]
            sights = await self._stop.unless_set(partial(self._look.at, targets))
            tell([amending.gone(one, self._wall()) for one in vigil.note(sights or {})])
            if vigil.open and not (last or self._look.blind):
                await self._stop.rest(min(rest, max(0.0, until - self._clock())))
                rest = min(LONGEST_REST, rest * 1.5)
        if self._stop.is_set():
            seen = [(one, vigil.alive[name]) for name, one in vigil.open.items() if name in vigil.alive]
            tell([amending.doubted(one, sight, self._stop.reason, stopped=True) for one, sight in seen])
            return []
        return self._over(vigil, tell, in_time=last)

    def _over(self, vigil: _Vigil, tell: Callable[[Sequence[Settled]], None], *, in_time: bool) -> list[Settled]:
        """Tell what is unclear; return what lives on, where the last look was `in_time` to say so."""
        living, unclear = [], []
        for name, one in vigil.open.items():
            sight = vigil.last.get(name, NOTHING)
            if sight.state is State.ALIVE and in_time:
                living.append(amending.living(one, sight.reason, self._wall()))
                continue
            why = sight.reason if sight.state is State.UNCLEAR else self._look.blind or "nobody looked again"
            seen = vigil.alive.get(name)
            unclear.append(
                amending.unseen(one, why) if seen is None else amending.doubted(one, seen, why, stopped=False)
            )
        tell(unclear)
        return living
