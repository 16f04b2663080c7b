"""Whether a session is really gone: looked at after the calls, patiently, and told as what was seen.

Every look is a lane of its own, with its own rate, retries and throttling, so that it holds nobody up.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from orchestrator.model import Outcome, Settled, Target, Verification
from orchestrator.pacing import Stop
from orchestrator.sights import NOTHING, Look, Sight, State
from orchestrator.units import joined

FIRST_REST = 0.5  # seconds between two looks; grows by half each time ...
LONGEST_REST = 10.0
EARLY = 0.01  # seconds by which a timer may wake somebody too soon
UNTAKEN = frozenset({Outcome.UNKNOWN, Outcome.STILL_ACTIVE})  # of these the last order is not known to have been taken


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
    """What is not known to be gone, when each of it is looked at, what the last look saw of it, and what was alive."""

    def __init__(self, settled: Sequence[Settled], timing: Timing, now: float) -> None:
        self.open = {one.target.id: one for one in settled}
        self.alive: dict[str, Sight] = {}
        self._last: dict[str, Sight] = {}
        self._first = {name: now + timing.lag_of(one.target) for name, one in self.open.items()}
        self._deadline = timing.deadline

    def due(self, now: float) -> list[Target]:
        """Return what can be looked at by now."""
        return [one.target for name, one in self.open.items() if self._first[name] <= now]

    def late(self, now: float) -> list[str]:
        """Return what is looked at for the last time now."""
        return [name for name in self.open if self._first[name] + self._deadline <= now]

    def next(self, now: float) -> float:
        """Return when something else becomes due, or is looked at for the last time."""
        moments = (self._first[name] for name in self.open)
        return min(first if first > now else first + self._deadline for first in moments)

    def note(self, targets: Sequence[Target], sights: Mapping[str, Sight]) -> list[Settled]:
        """Take what a look at targets saw; return what is gone."""
        for target in targets:
            self._last[target.id] = sight = sights.get(target.id, NOTHING)
            if sight.state is State.ALIVE:
                self.alive[target.id] = sight
        return [self.open.pop(name) for name, sight in sights.items() if sight.state is State.GONE]

    def close(self, names: Iterable[str]) -> list[tuple[Settled, Sight]]:
        """Give up what of these is open; return it with what the last look saw of it."""
        return [(self.open.pop(name), self._last.get(name, NOTHING)) for name in names if name in self.open]


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

    async def verify(self, settled: Sequence[Settled], tell: Callable[[Sequence[Settled]], None]) -> list[Settled]:
        """Look at targets that were called, `tell` what comes of it, and return, untold, those that live on.

        When the run stops, what is not known to be gone stays pending, so that a resume looks at it.
        """
        vigil = _Vigil(settled, self._timing, self._clock())
        living: list[Settled] = []
        rest = math.inf
        while vigil.open and not (self._look.blind or self._stop.is_set()):
            now = self._clock() + EARLY
            targets, last = vigil.due(now), vigil.late(now)
            if targets:
                sights = await self._stop.unless_set(partial(self._look.at, targets))
                tell([self._confirmed(one) for one in vigil.note(targets, sights or {})])
                rest = min(LONGEST_REST, rest * 1.5) if rest < math.inf else FIRST_REST
            if vigil.open and not self._stop.is_set():
                living += self._over(vigil, last, tell, in_time=True)
            if vigil.open and not self._look.blind:
                await self._stop.rest(min(rest, max(0.0, vigil.next(now) - self._clock())))
        if self._stop.is_set():
            seen = [(one, vigil.alive[name]) for name, one in vigil.open.items() if name in vigil.alive]
            tell([_doubted(one, alive, self._stop.reason, Verification.PENDING) for one, alive in seen])
        else:
            self._over(vigil, list(vigil.open), tell, in_time=False)
        return living

    def _over(
        self, vigil: _Vigil, names: Sequence[str], tell: Callable[[Sequence[Settled]], None], *, in_time: bool
    ) -> list[Settled]:
        """Tell what was not seen gone; return what lives on, where the last look was `in_time` to say so."""
        living, unclear = [], []
        for one, sight in vigil.close(names):
            if sight.state is State.ALIVE and in_time:
                living.append(self._living(one, sight))
                continue
            why = sight.reason if sight.state is not State.ALIVE else self._look.blind or "nobody looked again"
            if alive := vigil.alive.get(one.target.id):
                unclear.append(_doubted(one, alive, why, Verification.UNAVAILABLE))
            else:
                reason = joined(one.reason, f"could not be checked: {why}")
                unclear.append(replace(one, verification=Verification.UNAVAILABLE, reason=reason))
        tell(unclear)
        return living

    def _confirmed(self, one: Settled) -> Settled:
        outcome = one.outcome if one.outcome is Outcome.ALREADY_ENDED else Outcome.ENDED
        reason = joined(one.reason, "seen to be gone all the same") if one.outcome in UNTAKEN else one.reason
        return replace(one, outcome=outcome, verification=Verification.CONFIRMED, reason=reason, settled=self._wall())

    def _living(self, one: Settled, sight: Sight) -> Settled:
        order = "no clear answer is on record" if one.outcome is Outcome.UNKNOWN else "the service took the order"
        said = one.reason if one.outcome is Outcome.STILL_ACTIVE else f"{order}, and the session still lives"
        return replace(
            one,
            outcome=Outcome.STILL_ACTIVE,
            verification=Verification.CONTRADICTED,
            reason=f"{said} ({sight.reason})",
            settled=self._wall(),
        )


def doubted(outcome: Outcome) -> Outcome:
    """Return the most that can be said of a target that was seen alive, and not again."""
    return outcome if outcome in UNTAKEN else Outcome.ACCEPTED


def _doubted(one: Settled, alive: Sight, why: str, verification: Verification) -> Settled:
    """Take back that a target is ended: it was seen alive, and nobody could look again."""
    said = f"seen alive ({alive.reason}), and not again: {why}"
    return replace(one, outcome=doubted(one.outcome), verification=verification, reason=joined(one.reason, said))
