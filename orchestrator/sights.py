"""What a look at sessions sees: gone, alive, or unclear, in a listing of them all or by a question about each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from orchestrator.discovery import began
from orchestrator.lane import Lane
from orchestrator.lister import Lister
from orchestrator.listing import Listing
from orchestrator.model import Batch, Item, Outcome, Secret, Settled, Target
from orchestrator.paging import IncompleteError
from orchestrator.service import ReadBack
from orchestrator.targets import item_name, name_of


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
        self._gone_where_absent = read_back.absent == "gone"
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
        known, absent = {item_name(item, self._key): item for item in items}, self._absent(items)
        return {target.id: self._sight(target, known, absent, failure) for target in targets}

    def _absent(self, items: Sequence[Item]) -> Sight:
        """Return what it means that a target is not listed; nothing where the listing does not name all that it has."""
        if not self._gone_where_absent:
            return _unclear("it is not listed")
        named = all(len(item.get(name, ())) == 1 for item in items for name in self._key)
        return Sight(State.GONE) if named else _unclear("it is not listed, but something is that has no clear name")

    def _sight(self, target: Target, known: Mapping[tuple[str, ...], Item], absent: Sight, failure: str) -> Sight:
        if lacking := _lacking(target, self._key):
            return lacking
        item = known.get(name_of(target.fields, self._key))
        sight = absent if item is None else self._told(target, item)
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
        self.blind = lane.halted or lane.refused
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
