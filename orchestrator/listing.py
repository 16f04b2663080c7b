"""Reads a listing to its end, or says why it could not: a part of a list must never pass for all of it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from orchestrator.conclusion import summary
from orchestrator.lane import Lane
from orchestrator.looking import Listing
from orchestrator.model import Batch, Item, Page, Ruling, Target, Verdict
from orchestrator.pages import page_fields
from orchestrator.reading import Json
from orchestrator.templates import holes

Filters = Mapping[str, Sequence[str]]
Found = dict[tuple[str, ...], Item]
IGNORED = "and no item shows it: the service may ignore that filter; leave it out if that many are meant"
AGAIN = 2  # so often a listing that does not add up is read: it may have changed while it was read
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
        found: Found = {}
        translated = await self._translated(filters)
        own = {name: values for name, values in filters.items() if name not in self._listing.by}
        for asked in self._askings({**own, **translated}):
            unchecked = [name for name in asked if name in self._listing.unchecked]
            try:
                self._add(found, await (self._proven(asked, unchecked) if unchecked else self._whole(asked)))
            except IncompleteError as error:
                self._add(found, error.items)
                raise IncompleteError(str(error), list(found.values())) from None
        return [item for item in found.values() if all(set(item.get(n, ())) & set(v) for n, v in translated.items())]

    async def _translated(self, filters: Filters) -> Filters:
        """Return what is asked for in the place of the filters that another listing translates."""
        found: dict[str, Sequence[str]] = {}
        for name, by in self._listing.by.items():
            if name not in filters:
                continue
            items = await self._translators[name].read({by.filter: filters[name]})
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
        page = await self._page(1, page_fields(self._listing, 1, 0, self._clock()), filters, {})
        return page.total or 0

    async def _whole(self, filters: Filters) -> Sequence[Item]:
        """Read it to its end, once more where it does not add up: what ends while it is read moves the pages."""
        found: Found = {}
        said = ""
        for _ in range(AGAIN):
            items, total, said = await self._pass(filters)
            found = {name: item for name, item in found.items() if len(name) == len(self._key)}  # others count twice
            self._add(found, items.values())
            if not said and len(found) >= total:
                return list(found.values())
            said = said or f"it says that there are {total}, and listed {len(found)}"
        raise IncompleteError(said, list(found.values()))

    async def _pass(self, filters: Filters) -> tuple[Found, int, str]:
        """Read page after page; return what is listed by key, the largest total told, and why it broke off, if so.

        A page with room in it is the last one when it is known that the total is not that of a page: else another is
        asked for, and the list is over when there is nothing new in it.
        """
        found: Found = {}
        before: Sequence[Item] = ()
        size, offset, total = self._listing.page_size, 0, 0
        of_all = over = False
        for number in range(1, MAX_PAGES + 1):
            known = len(found)
            fields = page_fields(self._listing, size or 0, offset, self._clock())
            try:
                page = await self._page(number, fields, filters, found)
            except IncompleteError as error:
                if over and error.status in BEYOND:
                    return found, total, ""
                raise
            total = max(total, page.total or 0)
            if page.items != before:
                self._add(found, page.items)
            if size is None or not page.items:
                return found, total, ""
            if len(found) == known:
                return found, total, "" if over else f"page {number} has nothing that was not listed before"
            offset += len(page.items)
            before = page.items
            of_all = of_all or total > len(page.items)
            over = len(page.items) < size and offset >= total
            if over and of_all:
                return found, total, ""
        raise IncompleteError(f"it has more than {MAX_PAGES} pages", list(found.values()))

    async def _page(self, number: int, fields: Mapping[str, Any], filters: Filters, so_far: Found) -> Page:
        asked = {**{name: list(values) for name, values in filters.items()}, **fields}
        target = Target(self._lane.service, self._lane.connection, f"page {number}", asked)
        ruling: Ruling = await self._lane.ask(Batch((target,), next(self._numbers)))
        if ruling.verdict is not Verdict.ENDED or ruling.page is None:
            said = f"page {number} could not be read: {summary(ruling)}"
            raise IncompleteError(said, list(so_far.values()), ruling.status)
        return ruling.page

    def _add(self, found: Found, items: Iterable[Item]) -> None:
        for item in items:
            name = self._identity(item, found)
            found[name] = _both(found[name], item) if name in found else item

    def _identity(self, item: Item, found: Found) -> tuple[str, ...]:
        """Return what tells an item from the others; one without its key counts, and is refused later."""
        parts = tuple("/".join(item.get(name, ())) for name in self._key)
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
