"""Whether a session is really gone: looked at after the calls, patiently, and told as what was seen.

Every look is a lane of its own, with its own rate, retries and throttling, so that it holds nobody up.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import NamedTuple, Protocol

from orchestrator.discovery import began
from orchestrator.lane import Lane
from orchestrator.listing import IncompleteError, Lister
from orchestrator.looking import Listing
from orchestrator.model import Batch, Item, Outcome, Secret, Settled, Target, Verification
from orchestrator.pacing import Stop
from orchestrator.service import ReadBack
from orchestrator.units import joined

FIRST_REST = 0.5  # seconds between two looks; grows by half each time ...
LONGEST_REST = 10.0
EARLY = 0.01  # seconds by which a timer may wake somebody too soon
UNTAKEN = frozenset({Outcome.UNKNOWN, Outcome.STILL_ACTIVE})  # of these the last order is not known to have been taken


class State(Enum):
    """What a look at one target saw."""

    GONE = "gone"
    ALIVE = "alive"
    UNCLEAR = "unclear"


class Sight(NamedTuple):
    """What was seen of one target, and why it is unclear if it is."""

    state: State
    reason: str = ""


NOTHING = Sight(State.UNCLEAR, "nothing was seen of it")


class Look(Protocol):
    """One way of looking at many targets."""

    @property
    def blind(self) -> str | None:
        """Why it will see nothing any more, if so."""

    async def at(self, targets: Sequence[Target]) -> Mapping[str, Sight]:
        """Return what is seen of each target, by its id."""


class InListing:
    """Looks targets up in a listing that tells the state of each.

    A session that began after `cut_off`, in seconds since the epoch, is not the one that was to be ended.
    """

    def __init__(
        self,
        lister: Lister,
        listing: Listing,
        read_back: ReadBack,
        key: Sequence[str],
        cut_off: float | None = None,
    ) -> None:
        self._lister = lister
        self._listing = listing
        self._state = read_back.state or ""
        self._gone, self._alive = set(read_back.gone), set(read_back.alive)
        self._absent = Sight(State.GONE) if read_back.absent == "gone" else _unclear("it is not listed")
        self._key = key
        self._cut_off = cut_off

    @property
    def blind(self) -> str | None:
        """Return why the listing will not be read any more, if so."""
        return self._lister.closed

    async def at(self, targets: Sequence[Target]) -> Mapping[str, Sight]:
        """Read the listing once, for all of them; of one that breaks off only what lives counts."""
        failure = ""
        try:
            items: Sequence[Item] = await self._lister.read({})
        except IncompleteError as error:
            items, failure = error.items, f"the listing failed: {error}"
        known = {tuple("/".join(item.get(name, ())) for name in self._key): item for item in items}
        return {target.id: self._sight(target, known, failure) for target in targets}

    def _sight(self, target: Target, known: Mapping[tuple[str, ...], Item], failure: str) -> Sight:
        if lacking := _lacking(target, self._key):
            return lacking
        item = known.get(tuple(str(target.fields[name]) for name in self._key))
        sight = self._absent if item is None else self._told(target, item)
        return sight if sight.state is State.ALIVE or not failure else _unclear(failure)

    def _told(self, target: Target, item: Item) -> Sight:
        states = set(item.get(self._state, ()))
        said = f"{self._state} is {', '.join(sorted(states & self._alive or states)) or 'not told'}"
        if states & self._alive:
            return self._living(target, item, said)
        return Sight(State.GONE) if states and states <= self._gone else _unclear(said)

    def _living(self, target: Target, item: Item, said: str) -> Sight:
        """Tell the session that was called from one that began after the cut-off, which is never called again.

        Services tell whole seconds: in that of the cut-off, only one whose beginning was known can be told apart.
        """
        earliest, cut_off = self._earliest(item), self._cut_off
        if earliest is None or cut_off is None or earliest < math.floor(cut_off):
            return Sight(State.ALIVE, said)
        if target.began is not None:
            return Sight(State.GONE) if earliest > target.began else Sight(State.ALIVE, said)
        later = "the session that is listed began after the cut-off, and may be another one"
        return _unclear(later) if earliest > cut_off else Sight(State.ALIVE, said)

    def _earliest(self, item: Item) -> float | None:
        """Return since when a listed session is there at the longest; None where some of it is not told."""
        field = self._listing.began
        moments = [began(self._listing, {field: (value,)}) for value in item.get(field, ())] if field else []
        known = [moment for moment in moments if moment is not None]
        return min(known) if known and len(known) == len(moments) else None


class ByQuestion:
    """Asks about every target by itself: a lane whose outcomes are what is seen.

    `needs` are the fields of the key that the question says: without one of them it would be about something else.
    """

    def __init__(self, make: Callable[[Notes], Lane], needs: Sequence[str] = ()) -> None:
        self.blind: str | None = None
        self._make = make
        self._needs = needs

    async def at(self, targets: Sequence[Target]) -> Mapping[str, Sight]:
        """Ask about each target once, with the retries of a lane."""
        notes = Notes()
        lacking = {target.id: sight for target in targets if (sight := _lacking(target, self._needs))}
        lane = self._make(notes)
        await lane.run(iter([target for target in targets if target.id not in lacking]))
        self.blind = lane.refused
        return {**lacking, **{settled.target.id: _sight(settled) for settled in notes.settled}}


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
        return Sight(State.GONE)
    if settled.outcome is Outcome.STILL_ACTIVE:
        return Sight(State.ALIVE, settled.reason)
    return _unclear(settled.reason or str(settled.outcome))


def _unclear(reason: str) -> Sight:
    return Sight(State.UNCLEAR, reason)


def _lacking(target: Target, names: Sequence[str]) -> Sight | None:
    """Return what is seen of a target that lacks a field without which it cannot be told from others."""
    missing = [name for name in names if target.fields.get(name) is None]
    return _unclear(f"it has no {' and no '.join(missing)}, so that nothing can be asked about it") if missing else None


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
            return self._stopped(vigil, tell)
        return [*living, *self._over(vigil, list(vigil.open), tell, in_time=False)]

    def _stopped(self, vigil: _Vigil, tell: Callable[[Sequence[Settled]], None]) -> list[Settled]:
        seen = [(one, vigil.alive[name]) for name, one in vigil.open.items() if name in vigil.alive]
        tell([_doubted(one, alive, self._stop.reason, Verification.PENDING) for one, alive in seen])
        return []

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
