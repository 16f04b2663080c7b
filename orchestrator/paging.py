"""The pages of a listing, read so that they join: what was there all the time is in it, whatever comes and goes.

Things that end, or begin, while pages are read move all that follow. So each page but the first is asked for from the
last thing that is known, and has to begin with a known one; else the place is looked for, backwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence

from orchestrator.model import Item, Page
from orchestrator.targets import item_name

Name = tuple[str, ...]
ByKey = dict[Name, Item]
MAX_PAGES = 20_000
IDLE = 3  # pages with nothing new, after which nothing new is expected


class IncompleteError(Exception):
    """A listing that could not be read to its end; `items` is what of it was read, `status` that of a refused page."""

    def __init__(self, message: str, items: Sequence[Item] = (), status: int | None = None) -> None:
        self.items = items
        self.status = status
        super().__init__(message)


class Reading:
    """One reading of a listing; `ask(number, limit, offset)` gives a page.

    `found` is what it has by key. Whether a total is that of all, or that of its page, has to be found out; None is
    for what is not known.
    """

    def __init__(self, ask: Callable[[int, int, int], Awaitable[Page]], size: int | None, key: Sequence[str]) -> None:
        self.found: ByKey = {}
        self._ask = ask
        self._size = size
        self._key = key
        self._last: Name | None = None  # the last thing that was new
        self._total = 0
        self._of_all: bool | None = None

    async def carry_out(self) -> str:
        """Read it; return why it is not whole, if so. Raises IncompleteError when a page cannot be read."""
        if self._size is None:
            return await self._single()
        return await self._pages(self._size) or await self._lacking()

    async def _single(self) -> str:
        page = await self._ask(1, 0, 0)
        self._take(page)
        self._total = page.total or 0
        if page.more:
            return "it says that there is more, and not how to ask for that"
        return self._short()

    async def _pages(self, size: int) -> str:
        first = await self._ask(1, size, 0)
        if not first.items:
            return await self._nothing(first)
        page, offset, step, idle = first, 0, 1, 0
        for number in range(2, MAX_PAGES):
            if offset and not self._joins(page):
                offset, step = max(0, offset - step), 2 * step
            else:
                idle, step = (0 if self._take(page) else idle + 1), 1
                if await self._is_last(page, offset, size):
                    return ""
                if self._of_all and offset + len(page.items) > (page.total or 0):
                    return f"it says that there are {page.total}, and lists more"
                if idle == IDLE:
                    return self._short() or f"page {number - 1} has nothing that was not listed before"
                offset += max(1, len(page.items) - 1)
            page = await self._ask(number, size, offset)
        raise IncompleteError(f"it has more than {MAX_PAGES} pages")

    def _joins(self, page: Page) -> bool:
        """Return whether a page begins with something that is known, so that nothing is between."""
        return next((name in self.found for name, _ in named(page.items, self._key)), False)

    def _take(self, page: Page) -> bool:
        """Take a page; return whether something in it was not listed before."""
        names = [name for name, _ in named(page.items, self._key) if name not in self.found]
        add(self.found, page.items, self._key)
        self._total = self._total or page.total or 0
        self._last = names[-1] if names else self._last
        return bool(names)

    async def _is_last(self, page: Page, offset: int, size: int) -> bool:
        """Return whether a page is the last one: by a total that is that of all, or for there is nothing behind it."""
        told, length = page.total or 0, len(page.items)
        reached = offset + length >= told
        if self._of_all is None and told > length:
            self._of_all = True
        if self._of_all is None and reached and 1 < length < size:
            self._of_all = await self._tells_all()
        if self._of_all:
            return offset + length == told
        alone = {name for name, _ in named(page.items, self._key)} == {self._last}  # the page before it had that too
        whole = offset > 0 and length == told == len(self.found) < size  # it ignores what page is asked for
        return (alone and reached) or whole

    async def _tells_all(self) -> bool | None:
        """Return whether the total is that of all: a page of one shows it, unless the service ignores how many."""
        page = await self._ask(1, 1, 0)
        told = page.total or 0
        return True if told > len(page.items) else False if told < len(self.found) else None

    async def _nothing(self, page: Page) -> str:
        """Return why an empty list is none, if so: that there is nothing is said twice, or not believed."""
        again = await self._ask(1, 1, 0)
        self._total = max(page.total or 0, again.total or 0, len(again.items))
        return self._short()

    async def _lacking(self) -> str:
        """Return that it lists fewer than it says, unless so many have ended meanwhile."""
        if not self._short() or len(self.found) >= ((await self._ask(1, 1, 0)).total or 0):
            return ""
        return self._short()

    def _short(self) -> str:
        lacks = len(self.found) < self._total
        return f"it says that there are {self._total}, and listed {len(self.found)}" if lacks else ""


def named(items: Sequence[Item], key: Sequence[str]) -> Iterator[tuple[Name, Item]]:
    """Yield items with what tells them from the others; those without their key count, and are refused later."""
    nameless: Counter[str] = Counter()
    for item in items:
        parts = item_name(item, key)
        if not all(parts):
            content = repr(item)
            nameless[content] += 1
            parts = (*parts, f"without its key: {content} {nameless[content]}")
        yield parts, item


def add(found: ByKey, items: Sequence[Item], key: Sequence[str]) -> None:
    """Add items; one that is listed twice has the values of both: which of them is true is not known."""
    for name, item in named(items, key):
        found[name] = _both(found[name], item) if name in found else item


def _both(one: Item, other: Item) -> Item:
    if one == other:
        return one
    return {name: tuple(dict.fromkeys((*one.get(name, ()), *other.get(name, ())))) for name in {**one, **other}}
