"""Whether a session is really gone: looked at after the calls, patiently, and told as what was seen.

Every look is a lane of its own, with its own rate, retries and throttling, so that it holds nobody up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Protocol

from orchestrator.lane import Lane
from orchestrator.listing import IncompleteError, Lister
from orchestrator.model import Batch, Outcome, Secret, Settled, Target, Verification
from orchestrator.pacing import Stop
from orchestrator.service import ReadBack

FIRST_REST = 0.5  # seconds between two looks; grows by half each time ...
LONGEST_REST = 10.0


class Seen(Enum):
    """What a look at one target saw."""

    GONE = "gone"
    ALIVE = "alive"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of one target, and why it is unclear if it is."""

    seen: Seen
    reason: str = ""


class Look(Protocol):
    """One way of looking at many targets."""

    async def at(self, targets: Sequence[Target]) -> Mapping[str, Sight]:
        """Return what is seen of each target, by its id."""


class InListing:
    """Looks targets up in a listing that tells the state of each."""

    def __init__(self, lister: Lister, read_back: ReadBack, key: Sequence[str]) -> None:
        self._lister = lister
        self._state = read_back.state or ""
        self._gone, self._alive = set(read_back.gone), set(read_back.alive)
        self._absent = Sight(Seen.GONE) if read_back.absent == "gone" else Sight(Seen.UNCLEAR, "it is not listed")
        self._key = key

    async def at(self, targets: Sequence[Target]) -> Mapping[str, Sight]:
        """Read the listing once, for all of them."""
        try:
            items = await self._lister.read({})
        except IncompleteError as error:
            return {target.id: Sight(Seen.UNCLEAR, f"the listing failed: {error}") for target in targets}
        states = {tuple("/".join(item.get(name, ())) for name in self._key): item for item in items}
        return {target.id: self._sight(states.get(self._identity(target))) for target in targets}

    def _identity(self, target: Target) -> tuple[str, ...]:
        return tuple(str(target.fields.get(name, "")) for name in self._key)

    def _sight(self, item: Mapping[str, tuple[str, ...]] | None) -> Sight:
        if item is None:
            return self._absent
        states = set(item.get(self._state, ()))
        if states & self._alive:
            return Sight(Seen.ALIVE, f"{self._state} is {', '.join(sorted(states & self._alive))}")
        if states and states <= self._gone:
            return Sight(Seen.GONE)
        return Sight(Seen.UNCLEAR, f"{self._state} is {', '.join(sorted(states)) or 'not told'}")


class ByQuestion:
    """Asks about every target by itself: a lane whose outcomes are what is seen."""

    def __init__(self, make: Callable[[Notes], Lane]) -> None:
        self._make = make

    async def at(self, targets: Sequence[Target]) -> Mapping[str, Sight]:
        """Ask about each target once, with the retries of a lane."""
        notes = Notes()
        await self._make(notes).run(iter(targets))
        return {settled.target.id: _sight(settled) for settled in notes.settled}


class Notes:
    """The memory of a lane that only looks: nothing is announced, and what it saw is kept here."""

    def __init__(self) -> None:
        self.settled: list[Settled] = []

    async def sent(self, batches: Sequence[Batch]) -> None:
        """Note nothing: a question changes nothing."""

    async def flush(self) -> None:
        """Wait for nothing."""

    def settle(self, settled: Sequence[Settled]) -> None:
        """Keep what was seen."""
        self.settled += settled

    def hand_over(self, target: Target, secret: Secret) -> str:
        """Refuse: a question issues nothing."""
        raise OSError("a read-back issues nothing")


def _sight(settled: Settled) -> Sight:
    if settled.outcome is Outcome.ENDED:
        return Sight(Seen.GONE)
    if settled.outcome is Outcome.STILL_ACTIVE:
        return Sight(Seen.ALIVE, settled.reason)
    return Sight(Seen.UNCLEAR, settled.reason or str(settled.outcome))


@dataclass(frozen=True, slots=True)
class Timing:
    """When to look: not before `lag` seconds after the call, and until `deadline` seconds after the first look."""

    lag: float = 0.0
    deadline: float = 30.0


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
        """Look at targets that were called, `tell` what is certain as soon as it is, and return those that live on."""
        open_ones = {one.target.id: one for one in settled}
        sights: Mapping[str, Sight] = {}
        until, rest = self._clock() + self._timing.lag + self._timing.deadline, FIRST_REST
        going_on = await self._stop.rest(self._timing.lag)
        while going_on and open_ones:
            targets = [one.target for one in open_ones.values()]
            sights = await self._stop.unless_set(partial(self._look.at, targets)) or {}
            gone = [name for name in open_ones if name in sights and sights[name].seen is Seen.GONE]
            tell([self._confirmed(open_ones.pop(name)) for name in gone])
            left = until - self._clock()
            if not open_ones or left <= 0:
                break
            going_on = await self._stop.rest(min(rest, left))
            rest = min(LONGEST_REST, rest * 1.5)
        last = [self._last_word(one, sights.get(name)) for name, one in open_ones.items()]
        tell(last)
        return [one for one in last if one.outcome is Outcome.STILL_ACTIVE]

    def _confirmed(self, one: Settled) -> Settled:
        outcome = one.outcome if one.outcome is Outcome.ALREADY_ENDED else Outcome.ENDED
        return replace(one, outcome=outcome, verification=Verification.CONFIRMED, settled=self._wall())

    def _last_word(self, one: Settled, sight: Sight | None) -> Settled:
        if sight is None or self._stop.is_set():
            said = f"not checked: {self._stop.reason or 'there was no time'}"
            return replace(one, verification=Verification.UNAVAILABLE, reason=_both(one.reason, said))
        if sight.seen is Seen.ALIVE:
            said = f"the service took the order, and the session still lives ({sight.reason})"
            contradicted = Verification.CONTRADICTED
            return replace(
                one, outcome=Outcome.STILL_ACTIVE, verification=contradicted, reason=said, settled=self._wall()
            )
        said = f"could not be checked: {sight.reason}"
        return replace(one, verification=Verification.UNAVAILABLE, reason=_both(one.reason, said))


def _both(reason: str, more: str) -> str:
    return f"{reason}; {more}" if reason else more
