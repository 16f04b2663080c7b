"""Reads a listing to its end, or says why it could not: a part of a list must never pass for all of it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from orchestrator.conclusion import summary
from orchestrator.lane import Lane
from orchestrator.listing import Listing
from orchestrator.model import Batch, Item, Page, Ruling, Target, Verdict
from orchestrator.pages import page_fields
from orchestrator.paging import ByKey, IncompleteError, Reading, add
from orchestrator.reading import Json
from orchestrator.templates import holes

Filters = Mapping[str, Sequence[str]]
IGNORED = "and no item shows it: the service may ignore that filter; leave it out if that many are meant"
READINGS = 3  # so often a listing that does not add up is read: it may have changed while it was read
ROUNDS = 5  # so often a list is read whose filters take one value: what changes from one to the other is in neither
NOBODY = "none-has-this-0f3b"  # a value that nothing has, for filters of which no item shows whether they are applied
REFUSED = frozenset({400, 404, 422})  # who refuses a value does not ignore it


class Lister:
    """One listing of one service on one connection."""

    def __init__(
        self,
        lane: Lane,
        listing: Listing,
        key: Sequence[str],
        clock: Callable[[], float] = time.time,
        translators: Mapping[str, Lister] | None = None,
    ) -> None:
        self._lane = lane
        self._listing = listing
        self._key = [name for name in key if name in listing.fields]  # of the key, what the listing tells
        self._clock = clock
        self._translators = translators or {}
        self._numbers = itertools.count(1)

    @property
    def closed(self) -> str | None:
        """Return why it will not be read any more, if so."""
        return self._lane.closed

    @property
    def answer(self) -> float | None:
        """Return how many seconds a page took, on the average; None where none was read."""
        return self._lane.pacer.learner.answer

    async def read(self, filters: Filters) -> list[Item]:
        """Return every item, each once; raise IncompleteError when a page is missing or the numbers do not add up.

        An item that is listed twice has the values of both.
        """
        translated = await self._translated(filters)
        asked = {**{name: values for name, values in filters.items() if name not in self._listing.by}, **translated}
        askings = list(self._askings(asked))
        found = await self._round(askings, {})
        if self._moves(asked):
            found = await self._settled(askings, found)
        return [item for item in found.values() if all(set(item.get(n, ())) & set(v) for n, v in translated.items())]

    async def _round(self, askings: Sequence[Filters], before: ByKey) -> ByKey:
        """Return what is listed for each of these filters, beside what was before."""
        found: ByKey = {}
        for asked in askings:
            unchecked = [name for name in asked if name in self._listing.unchecked]
            try:
                add(found, await (self._proven(asked, unchecked) if unchecked else self._whole(asked)), self._key)
            except IncompleteError as error:
                add(found, error.items, self._key)
                raise IncompleteError(str(error), list({**before, **found}.values())) from None
        return {**before, **found}

    def _moves(self, asked: Filters) -> bool:
        """Return whether something can go from one list to the next that is read, and be in neither."""
        single = one_at_a_time(self._listing) - set(self._listing.needs)
        return any(len(values) > 1 for name, values in asked.items() if name in single)

    async def _settled(self, askings: Sequence[Filters], found: ByKey) -> ByKey:
        """Read the lists again until there is nothing new in them."""
        for _ in range(ROUNDS):
            known, found = found, await self._round(askings, found)
            if found.keys() == known.keys():
                return found
        raise IncompleteError("it changes faster than it can be read", list(found.values()))

    async def _translated(self, filters: Filters) -> Filters:
        """Return what is asked for in the place of the filters that another listing translates."""
        found: dict[str, Sequence[str]] = {}
        for name, by in self._listing.by.items():
            if name not in filters:
                continue
            try:
                items = await self._translators[name].read({by.filter: filters[name]})
            except IncompleteError as error:  # what it has are no items of this listing
                raise IncompleteError(f"of the listing {by.listing}: {error}") from None
            there = [item for item in items if set(item.get(by.filter, filters[name])) & set(filters[name])]
            values = tuple(dict.fromkeys(value for item in there for value in item.get(by.field, ())))
            told = {value for item in there for value in item.get(by.filter, filters[name])}
            missing = [value for value in filters[name] if not values or value not in told]
            if missing:  # the others are not all that was asked for
                asked = ", ".join(missing)
                raise IncompleteError(f"the listing {by.listing} has nothing whose {by.filter} is {asked}")
            found[by.field] = values
        return found

    def _askings(self, filters: Filters) -> Iterator[Filters]:
        """Yield the filters of every reading: those that take one value at a time have one value in each."""
        single = [name for name in filters if name in one_at_a_time(self._listing)]
        for values in itertools.product(*(filters[name] for name in single)):
            yield {**filters, **{name: (value,) for name, value in zip(single, values, strict=True)}}

    async def _proven(self, asked: Filters, unchecked: Sequence[str]) -> Sequence[Item]:
        """Read a list by filters that no item shows; without each of them there has to be more, before and after.

        And what nothing has must not be found. Nothing of a list is given where a filter may have been ignored, nor
        where it broke off: it may be anybody's.
        """
        without = {name: {one: values for one, values in asked.items() if one != name} for name in unchecked}
        try:
            before = {name: await self.count(rest) for name, rest in without.items()}
            items = await self._whole(asked)
            if not items:
                return []
            after = {name: await self.count(rest) for name, rest in without.items()}
            wrong = {name for name in unchecked if await self._finds({**asked, name: (NOBODY,)})}
        except IncompleteError as error:
            raise IncompleteError(str(error)) from None
        wrong |= {name for name in unchecked if len(items) >= min(before[name], after[name])}
        if ignored := [name for name in unchecked if name in wrong]:
            raise IncompleteError(f"as many are listed without {' or '.join(ignored)}, {IGNORED}")
        return items

    async def _finds(self, asked: Filters) -> bool:
        """Return whether something is listed; a service that refuses what it does not know does not ignore it."""
        try:
            return await self.count(asked) > 0
        except IncompleteError as error:
            if error.status in REFUSED:
                return False
            raise

    async def count(self, filters: Filters) -> int:
        """Return how many items there are, from the total where it is told; raise IncompleteError as `read` does."""
        if self._listing.total is None:
            return len(await self._whole(filters))
        page = await self._page(filters, 1, 1, 0)
        return page.total or 0

    async def _whole(self, filters: Filters) -> Sequence[Item]:
        """Read it to its end, again where it does not add up: what ends while it is read moves the pages.

        Each reading has to add up by itself: what an earlier one had may be gone, and would stand for what is missing.
        """
        found: ByKey = {}
        said = ""
        for _ in range(READINGS):
            reading = Reading(partial(self._page, filters), self._listing.page_size, self._key)
            try:
                said = await reading.carry_out()
            except IncompleteError as error:
                raise IncompleteError(str(error), list({**found, **reading.found}.values()), error.status) from None
            if not said:
                return list(reading.found.values())
            found |= reading.found
        raise IncompleteError(said, list(found.values()))

    async def _page(self, filters: Filters, number: int, limit: int, offset: int) -> Page:
        fields = page_fields(self._listing, limit, offset, self._clock())
        asked = {**{name: list(values) for name, values in filters.items()}, **fields}
        target = Target(self._lane.service, self._lane.connection, f"page {number}", asked)
        ruling: Ruling = await self._lane.ask(Batch((target,), next(self._numbers)))
        if ruling.verdict is not Verdict.ENDED or ruling.page is None:
            raise IncompleteError(f"page {number} could not be read: {summary(ruling)}", status=ruling.status)
        return ruling.page


def one_at_a_time(listing: Listing) -> set[str]:
    """Return the filters that take a single value in a call."""
    return listing.applied() - {name for several, name in holes(listing.query) if several}


def parameters(listing: Listing) -> dict[str, Json]:
    """Return the query as it is filled in, every filter with the list of its values."""
    return {name: hole.replace("{*", "{") if isinstance(hole, str) else hole for name, hole in listing.query.items()}
