"""Reads a listing to its end, or says why it could not: a part of a list must never pass for all of it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from orchestrator.conclusion import summary
from orchestrator.lane import Lane
from orchestrator.looking import Listing
from orchestrator.model import Batch, Item, Page, Ruling, Target, Verdict
from orchestrator.pages import page_fields
from orchestrator.reading import Json
from orchestrator.targets import item_name
from orchestrator.templates import holes

Filters = Mapping[str, Sequence[str]]
ByKey = dict[tuple[str, ...], Item]
IGNORED = "and no item shows it: the service may ignore that filter; leave it out if that many are meant"
READINGS = 3  # so often a listing that does not add up is read: it may have changed while it was read
MAX_PAGES = 20_000
BEYOND = frozenset({400, 404, 416})  # what a service may answer to who asks for more than there is


class IncompleteError(Exception):
    """A listing that could not be read to its end; `items` is what of it was read, `status` that of a refused page."""

    def __init__(self, message: str, items: Sequence[Item] = (), status: int | None = None) -> None:
        self.items = items
        self.status = status
        super().__init__(message)


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
        found: ByKey = {}
        translated = await self._translated(filters)
        own = {name: values for name, values in filters.items() if name not in self._listing.by}
        for asked in self._askings({**own, **translated}):
            unchecked = [name for name in asked if name in self._listing.unchecked]
            try:
                _add(found, await (self._proven(asked, unchecked) if unchecked else self._whole(asked)), self._key)
            except IncompleteError as error:
                _add(found, error.items, self._key)
                raise IncompleteError(str(error), list(found.values())) from None
        return [item for item in found.values() if all(set(item.get(n, ())) & set(v) for n, v in translated.items())]

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

        Nothing of a list is given where a filter may have been ignored, nor where it broke off: it may be anybody's.
        """
        without = {name: {one: values for one, values in asked.items() if one != name} for name in unchecked}
        try:
            before = {name: await self._count(rest) for name, rest in without.items()}
            items = await self._whole(asked)
            after = {name: await self._count(rest) for name, rest in without.items()} if items else before
        except IncompleteError as error:
            raise IncompleteError(str(error)) from None
        if ignored := [name for name in unchecked if items and len(items) >= min(before[name], after[name])]:
            raise IncompleteError(f"as many are listed without {' or '.join(ignored)}, {IGNORED}")
        return items

    async def _count(self, filters: Filters) -> int:
        """Return how many items there are, from the total where it is told."""
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
            reading = _Reading(partial(self._page, filters), self._listing.page_size, self._key)
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


class _Reading:
    """One reading of a listing, from its first page to its last; `ask(number, limit, offset)` gives a page.

    `found` is what it has by key. Whether a total is that of all, or that of its page, has to be found out; None is
    for what is not known.
    """

    def __init__(self, ask: Callable[[int, int, int], Awaitable[Page]], size: int | None, key: Sequence[str]) -> None:
        self.found: ByKey = {}
        self._ask = ask
        self._size = size
        self._key = key
        self._total = 0
        self._largest = 0
        self._of_all: bool | None = None

    async def carry_out(self) -> str:
        """Read it; return why it is not whole, if so. Raises IncompleteError when a page cannot be read."""
        if said := await (self._single() if self._size is None else self._pages(self._size)):
            return said
        lacks = len(self.found) < self._total
        return f"it says that there are {self._total}, and listed {len(self.found)}" if lacks else ""

    async def _single(self) -> str:
        page = await self._ask(1, 0, 0)
        self._take(page)
        return "it says that there is more, and not how to ask for that" if page.more else ""

    async def _pages(self, size: int) -> str:
        """Read page after page; one with room in it is the last if the total is that of all.

        Else another is asked for, and the list is over when there is nothing new in it.
        """
        offset, over = 0, False
        before: Sequence[Item] = ()
        for number in range(1, MAX_PAGES + 1):
            try:
                page = await self._ask(number, size, offset)
            except IncompleteError as error:
                if over and self._of_all is None and error.status in BEYOND:
                    return ""
                raise
            news = page.items != before and self._take(page)
            if not page.items:
                return await self._after(number, size, offset)
            if not news:
                return "" if over else f"page {number} has nothing that was not listed before"
            offset, before = offset + len(page.items), page.items
            over = len(page.items) < size and offset >= self._total
            if over and await self._tells_all(offset):
                return ""
        return f"it has more than {MAX_PAGES} pages"

    def _take(self, page: Page) -> bool:
        """Take a page; return whether something in it was not listed before."""
        known = len(self.found)
        _add(self.found, page.items, self._key)
        told = page.total or 0
        self._total, self._largest = max(self._total, told), max(self._largest, len(page.items))
        if self._of_all is None and told > len(page.items) > 0:
            self._of_all = True
        return len(self.found) > known

    async def _tells_all(self, offset: int) -> bool:
        """Return whether the total is that of all; where every total was that of its page, a page of one shows it."""
        if self._of_all is None and offset > 1:
            page = await self._ask(1, 1, 0)
            told = page.total or 0
            self._of_all = True if told > len(page.items) else False if told < offset else None
        return bool(self._of_all)

    async def _after(self, number: int, size: int, offset: int) -> str:
        """Return why an empty page is not the end; nothing but another page shows it where no total does."""
        if self._of_all is False and (await self._ask(number + 1, size, offset + self._largest)).items:
            return f"page {number} is empty, and the one after it is not"
        return ""


def _add(found: ByKey, items: Iterable[Item], key: Sequence[str]) -> None:
    for item in items:
        name = _identity(item, key, found)
        found[name] = _both(found[name], item) if name in found else item


def _identity(item: Item, key: Sequence[str], found: ByKey) -> tuple[str, ...]:
    """Return what tells an item from the others; one without its key counts, and is refused later."""
    parts = item_name(item, key)
    return parts if all(parts) else (*parts, f"without its key {len(found)}")


def _both(one: Item, other: Item) -> Item:
    """Return an item that is listed twice, with the values of both: which of them is true is not known."""
    if one == other:
        return one
    return {name: tuple(dict.fromkeys((*one.get(name, ()), *other.get(name, ())))) for name in {**one, **other}}


def one_at_a_time(listing: Listing) -> set[str]:
    """Return the filters that take a single value in a call."""
    return listing.applied() - {name for several, name in holes(listing.query) if several}


def parameters(listing: Listing) -> dict[str, Json]:
    """Return the query as it is filled in, every filter with the list of its values."""
    return {name: hole.replace("{*", "{") if isinstance(hole, str) else hole for name, hole in listing.query.items()}
