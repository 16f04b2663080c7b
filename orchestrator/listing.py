"""Reads a listing to its end, or says why it could not: a part of a list must never pass for all of it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from orchestrator.conclusion import summary
from orchestrator.lane import Lane
from orchestrator.looking import Listing
from orchestrator.model import Batch, Item, Page, Ruling, Target, Verdict
from orchestrator.reading import Json
from orchestrator.templates import holes

Filters = Mapping[str, Sequence[str]]
AGAIN = 2  # so often a listing that does not add up is read: it may have changed while it was read
MAX_PAGES = 20_000
_DAY = 86400.0


class IncompleteError(Exception):
    """A listing that could not be read to its end; `items` is what of it was read."""

    def __init__(self, message: str, items: Sequence[Item] = ()) -> None:
        self.items = items
        super().__init__(message)


class Lister:
    """One listing of one service on one connection."""

    def __init__(
        self, lane: Lane, listing: Listing, key: Sequence[str], clock: Callable[[], float] = time.time
    ) -> None:
        self._lane = lane
        self._listing = listing
        self._key = [name for name in key if name in listing.fields]  # of the key, what the listing tells
        self._clock = clock
        self._numbers = itertools.count(1)

    async def read(self, filters: Filters) -> list[Item]:
        """Return every item, each once; raise IncompleteError when a page is missing or the numbers do not add up."""
        found: dict[tuple[str, ...], Item] = {}
        for asked in self._askings(filters):
            try:
                self._add(found, await self._whole(asked))
            except IncompleteError as error:
                self._add(found, error.items)
                raise IncompleteError(str(error), list(found.values())) from None
        return list(found.values())

    def _askings(self, filters: Filters) -> Iterator[Filters]:
        """Yield the filters of every reading: those that take one value at a time have one value in each."""
        single = [name for name in filters if name in one_at_a_time(self._listing)]
        for values in itertools.product(*(filters[name] for name in single)):
            yield {**filters, **{name: (value,) for name, value in zip(single, values, strict=True)}}

    async def _whole(self, filters: Filters) -> Sequence[Item]:
        for attempt in range(1, AGAIN + 1):
            items, total = await self._pass(filters)
            if total is None or len(items) >= total:
                return list(items.values())
            if attempt == AGAIN:
                said = f"it says that there are {total}, and listed {len(items)}"
                raise IncompleteError(said, list(items.values()))
        raise AssertionError("unreachable")

    async def _pass(self, filters: Filters) -> tuple[dict[tuple[str, ...], Item], int | None]:
        """Read page after page; return what is listed by key, and how many the last page said that there are."""
        found: dict[tuple[str, ...], Item] = {}
        size, offset = self._listing.page_size, 0
        for number in range(1, MAX_PAGES + 1):
            page = await self._page(number, offset, filters, list(found.values()))
            self._add(found, page.items)
            offset += len(page.items)
            if size is None or not page.items or (len(page.items) < size and offset >= (page.total or 0)):
                return found, page.total
        raise IncompleteError(f"it has more than {MAX_PAGES} pages", list(found.values()))

    async def _page(self, number: int, offset: int, filters: Filters, so_far: Sequence[Item]) -> Page:
        now = self._clock()
        fields: dict[str, Any] = {
            **{name: list(values) for name, values in filters.items()},
            "limit": self._listing.page_size or 0,
            "offset": offset,
            "since": _instant(now - (self._listing.window or _DAY)),
            "until": _instant(now + _DAY),
        }
        target = Target(self._lane.service, self._lane.connection, f"page {number}", fields)
        ruling: Ruling = await self._lane.ask(Batch((target,), next(self._numbers)))
        if ruling.verdict is not Verdict.ENDED or ruling.page is None:
            raise IncompleteError(f"page {number} could not be read: {summary(ruling)}", so_far)
        return ruling.page

    def _add(self, found: dict[tuple[str, ...], Item], items: Iterable[Item]) -> None:
        for item in items:
            found.setdefault(self._identity(item, found), item)

    def _identity(self, item: Item, found: Mapping[tuple[str, ...], Item]) -> tuple[str, ...]:
        """Return what tells an item from the others; one without its key counts, and is refused later."""
        parts = tuple("/".join(item.get(name, ())) for name in self._key)
        return parts if all(parts) else (*parts, f"without its key {len(found)}")


def _instant(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def one_at_a_time(listing: Listing) -> set[str]:
    """Return the filters that take a single value in a call."""
    return listing.applied() - {name for several, name in holes(listing.query) if several}


def parameters(listing: Listing) -> dict[str, Json]:
    """Return the query as it is filled in, every filter with the list of its values."""
    return {name: hole.replace("{*", "{") if isinstance(hole, str) else hole for name, hole in listing.query.items()}
