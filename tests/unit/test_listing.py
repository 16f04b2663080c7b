"""A listing read to its end, or why it could not be: no lane, no service, no time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from orchestrator.listing import IncompleteError, Lister
from orchestrator.looking import Listing
from orchestrator.model import Batch, Item, Page, Ruling, Verdict

NOW = 1_700_000_000.0
Fields = Mapping[str, Any]
QUERY = {"n": "{limit}", "from": "{offset}", "who": "{*user}", "tag": "{tag}", "pool": "{pool}"}


def listing(**more: Any) -> Listing:
    described = {"path": "/things", "items": "things", "fields": {"id": "id", "state": "state", "user": "user"}}
    return Listing.model_validate({**described, "query": QUERY, "unchecked": ["tag", "pool"], **more})


PAGED = listing(total="count", page_size=10)


class Book:
    """In the place of a lane: notes what is asked, and answers with a page, or with why there is none."""

    service, connection = "some.service", "prod"

    def __init__(self, answer: Callable[[Fields], Page | str], status: int | None = None) -> None:
        self.asked: list[Fields] = []
        self._answer = answer
        self._status = status  # of what is no page

    async def ask(self, batch: Batch) -> Ruling:
        (target,) = batch.targets
        self.asked.append(target.fields)
        page = self._answer(target.fields)
        return Ruling(Verdict.FAIL, page, self._status) if isinstance(page, str) else Ruling(Verdict.ENDED, page=page)


def things(*numbers: int, **more: str) -> list[Item]:
    return [{"id": (f"t-{n}",), **{name: (value,) for name, value in more.items()}} for n in numbers]


def page_of(items: Sequence[Item], asked: Fields) -> Page:
    offset = asked["offset"]
    return Page(items[offset : offset + asked["limit"]], len(items))


def lister(book: Book, of: Listing = PAGED) -> Lister:
    return Lister(book, of, ["id"], lambda: NOW)  # type: ignore[arg-type]


async def failed(
    book: Book, filters: Mapping[str, Sequence[str]] | None = None, of: Listing = PAGED
) -> IncompleteError:
    with pytest.raises(IncompleteError) as caught:
        await lister(book, of).read(filters or {})
    return caught.value


@pytest.mark.parametrize(("count", "calls"), [(0, 1), (9, 2), (10, 2), (25, 3)])
async def test_pages_are_read_to_the_last(count: int, calls: int) -> None:
    book = Book(lambda asked: page_of(things(*range(count)), asked))
    assert await lister(book).read({}) == things(*range(count))
    offsets = [10 * n for n in range(calls)] if count != 9 else [0, 0]  # a page of one shows that the nine are all
    assert [asked["offset"] for asked in book.asked] == offsets


async def test_without_pages_there_is_one_call() -> None:
    book = Book(lambda asked: Page(things(1, 2)))
    assert await lister(book, listing()).read({}) == things(1, 2)
    assert [(asked["limit"], asked["offset"]) for asked in book.asked] == [(0, 0)]


async def test_a_list_without_pages_that_has_more_is_not_whole() -> None:
    error = await failed(Book(lambda asked: Page(things(1, 2), more=True)), of=listing())
    assert (str(error), error.items) == ("it says that there is more, and not how to ask for that", things(1, 2))


async def test_a_short_page_in_the_middle_is_not_the_last() -> None:
    every = things(*range(25))

    def answer(asked: Fields) -> Page:
        offset = asked["offset"]
        return Page(every[offset : offset + (3 if offset == 10 else 10)], 25)

    assert await lister(Book(answer)).read({}) == every


def short_of(total: int, *readings: Sequence[Item]) -> Book:
    """Return a book that lists something else each time it is read from its beginning, and always tells this total."""
    begun = 0

    def answer(asked: Fields) -> Page:
        nonlocal begun
        begun += (asked["offset"], asked["limit"]) == (0, 10)
        return Page(page_of(readings[begun - 1], asked).items, total)

    return Book(answer)


async def test_a_list_that_does_not_add_up_is_read_once_more() -> None:
    book = short_of(3, things(1, 2), things(1, 2, 3))
    assert await lister(book).read({}) == things(1, 2, 3)
    assert [asked["offset"] for asked in book.asked] == [0, 2, 0, 0]


async def test_a_list_that_never_adds_up_is_read_three_times_and_is_not_whole() -> None:
    book = short_of(3, things(1), things(1), things(1, 2))
    error = await failed(book)
    assert (str(error), error.items) == ("it says that there are 3, and listed 2", things(1, 2))
    assert [asked["offset"] for asked in book.asked] == [0, 1, 0, 1, 0, 2]


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (Page([], 0), "it says that there are 45, and listed 20"),
        (Page([], 20), "it says that there are 45, and listed 20"),
        (Page(things(20, 21, 22), 23), "page 4 has nothing that was not listed before"),
    ],
    ids=["0", "20", "short"],
)
async def test_the_largest_total_that_is_told_is_what_there_is(last: Page, said: str) -> None:
    """A page that the service could not make is told as the end of the list by some."""
    book = Book(lambda asked: page_of(things(*range(45)), asked) if asked["offset"] < 20 else last)
    assert str(await failed(book)) == said


async def test_what_is_gone_does_not_stand_for_what_is_missing() -> None:
    """Pages move when something ends: two readings that lack something are no whole list, whatever they have in all."""
    error = await failed(short_of(25, *[things(*range(24)), things(*range(1, 25))] * 2))
    assert str(error) == "it says that there are 25, and listed 24"
    assert len(error.items) == 25


async def test_what_is_told_of_a_thing_is_what_the_last_reading_had() -> None:
    book = short_of(2, things(1, state="ON"), [*things(1, state="OFF"), *things(2)])
    assert await lister(book).read({}) == [*things(1, state="OFF"), *things(2)]
    assert (await failed(short_of(2, *(things(1, state=state) for state in ("ON", "ON", "OFF"))))).items == things(
        1, state="OFF"
    )


@pytest.mark.parametrize("told", [lambda page: len(page), lambda page: 0], ids=["of the page", "nothing"])
async def test_a_total_that_is_that_of_a_page_does_not_end_a_list(told: Callable[[Sequence[Item]], int]) -> None:
    """And pages are smaller than they are asked for."""

    def answer(asked: Fields) -> Page:
        items = things(*range(45))[asked["offset"] : asked["offset"] + 4]
        return Page(items, told(items))

    assert await lister(Book(answer)).read({}) == things(*range(45))


def of_a_page(cap: int, at: Mapping[int, int]) -> Callable[[Fields], Page | str]:
    """Return what lists 45 things, `cap` on a page or as many as are said by offset, and tells how many are on it."""

    def answer(asked: Fields) -> Page | str:
        offset = asked["offset"]
        room = at.get(offset, cap)
        items = things(*range(45))[offset : offset + min(room, asked["limit"])]
        return Page(items, len(items)) if room >= 0 else "no"

    return answer


async def test_where_totals_are_those_of_pages_a_short_page_is_not_the_last() -> None:
    assert await lister(Book(of_a_page(10, {20: 5}))).read({}) == things(*range(45))


@pytest.mark.parametrize(
    ("cap", "at", "said"),
    [
        (4, {8: 0}, "page 3 is empty, and the one after it is not"),
        (10, {20: 5, 25: 0}, "page 4 is empty, and the one after it is not"),
        (4, {4: -1}, "page 2 could not be read: no (HTTP 404)"),
    ],
    ids=["gap", "late gap", "refused"],
)
async def test_where_totals_are_those_of_pages_a_gap_is_not_the_end(cap: int, at: dict[int, int], said: str) -> None:
    assert str(await failed(Book(of_a_page(cap, at), 404))) == said


@pytest.mark.parametrize("status", [400, 404, 416])
async def test_who_asks_for_more_than_there_is_may_be_refused(status: int) -> None:
    book = Book(lambda asked: Page(things(1, 2), 2) if not asked["offset"] else "no", status)
    assert await lister(book).read({}) == things(1, 2)


@pytest.mark.parametrize("status", [403, 429, 500, None])
async def test_whether_there_is_more_has_to_be_answered(status: int | None) -> None:
    book = Book(lambda asked: Page(things(1, 2), 2) if not asked["offset"] else "no", status)
    assert "page 2 could not be read" in str(await failed(book))


async def test_a_service_that_ignores_the_offset_of_its_only_page_has_one() -> None:
    assert await lister(Book(lambda asked: Page(things(1, 2), 2))).read({}) == things(1, 2)


async def test_a_page_that_cannot_be_read_is_not_asked_for_again() -> None:
    book = Book(lambda asked: "no" if asked["offset"] else Page(things(*range(10)), 20))
    error = await failed(book)
    assert (str(error), error.items) == ("page 2 could not be read: no", things(*range(10)))
    assert len(book.asked) == 2


@pytest.mark.parametrize("same", [things(*range(10)), [{"state": ("ON",)}] * 10], ids=["with a key", "without"])
async def test_a_service_that_ignores_the_offset_is_not_asked_for_ever(same: list[Item]) -> None:
    book = Book(lambda asked: Page(same, 1_000_000))
    error = await failed(book)
    assert str(error) == "page 2 has nothing that was not listed before"
    assert len(book.asked) == 6


async def test_what_is_listed_twice_has_the_values_of_both() -> None:
    book = Book(lambda asked: Page([*things(1, state="REGISTERED", user="a"), *things(1, state="CONNECTED")], 1))
    assert await lister(book).read({}) == [{"id": ("t-1",), "state": ("REGISTERED", "CONNECTED"), "user": ("a",)}]


async def test_what_is_listed_for_two_filters_is_there_once() -> None:
    single = listing(query={"of": "{user}"}, unchecked=[])
    book = Book(lambda asked: Page(things(1, 2, user="both")))
    assert await lister(book, single).read({"user": ["a", "b"]}) == things(1, 2, user="both")
    assert [asked["user"] for asked in book.asked] == [["a"], ["b"]]


async def test_things_without_a_key_count() -> None:
    book = Book(lambda asked: Page([{"state": ("ON",)}, {"state": ("ON",)}, *things(1)], 3))
    assert len(await lister(book).read({})) == 3


@pytest.mark.parametrize(
    ("more", "since"),
    [
        ({}, "2000-01-01T00:00:00Z"),
        ({"window": "7d"}, "2023-11-07T22:13:20Z"),
        ({"window": "36500d"}, "2000-01-01T00:00:00Z"),
    ],
)
async def test_a_list_reaches_back_as_far_as_it_can(more: dict[str, Any], since: str) -> None:
    book = Book(lambda asked: Page([]))
    query = {"from": "{since}", "to": "{until}"}
    dated = listing(query=query, unchecked=[], **more)
    await lister(book, dated).read({})
    assert (book.asked[0]["since"], book.asked[0]["until"]) == (since, "2023-11-15T22:13:20Z")
    assert dated.reaches == dated.window
    assert listing(**more).reaches is None


# Filters of which no item shows whether the service applied them


class Fleet:
    """Things with tags and pools, and a service that may ignore a filter."""

    def __init__(self, ignores: Sequence[str] = ()) -> None:
        self.ignores = ignores
        self.rows = [{"id": f"t-{n}", "tag": "red" if n % 3 else "blue", "pool": f"p-{n % 2}"} for n in range(30)]
        self.book = Book(self.page)

    def page(self, asked: Fields) -> Page:
        wanted = {name: asked[name] for name in ("tag", "pool") if name in asked and name not in self.ignores}
        found = [row for row in self.rows if all(row[name] in values for name, values in wanted.items())]
        return page_of([{"id": (row["id"],)} for row in found], asked)


async def test_a_filter_that_makes_the_list_shorter_is_applied() -> None:
    fleet = Fleet()
    assert len(await lister(fleet.book).read({"tag": ["blue"]})) == 10
    assert len(await lister(fleet.book).read({"tag": ["blue"], "pool": ["p-1"]})) == 5
    assert len(await lister(fleet.book).read({"tag": ["blue", "red"]})) == 30


@pytest.mark.parametrize(
    "asked", [{"tag": ["red"]}, {"tag": ["red"], "pool": ["p-1"]}, {"tag": ["blue", "red"]}], ids=str
)
async def test_a_filter_that_is_ignored_gives_nothing_at_all(asked: dict[str, list[str]]) -> None:
    error = await failed(Fleet(ignores=["tag"]).book, asked)
    assert str(error).startswith("as many are listed without tag, and no item shows it")
    assert error.items == []


async def test_a_filter_that_is_ignored_while_things_come_and_go_gives_nothing() -> None:
    fleet = Fleet(ignores=["tag"])

    def answer(asked: Fields) -> Page:
        if len(fleet.book.asked) == 1:  # what is counted before is one more than there is afterwards
            return Page([], 31)
        return fleet.page(asked)

    fleet.book = Book(answer)
    assert "without tag" in str(await failed(fleet.book, {"tag": ["red"]}))


async def test_nothing_found_is_nothing_to_fear() -> None:
    fleet = Fleet()
    assert await lister(fleet.book).read({"tag": ["green"]}) == []
    fleet.rows = []
    assert await lister(fleet.book).read({"tag": ["red"]}) == []


async def test_of_a_list_that_broke_off_nothing_is_given_where_a_filter_is_unchecked() -> None:
    fleet = Fleet()
    book = Book(lambda asked: "no" if asked["offset"] == 10 else fleet.page(asked))
    error = await failed(book, {"tag": ["red"]})
    assert (str(error), error.items) == ("page 2 could not be read: no", [])
    assert len((await failed(book)).items) == 10


async def test_where_no_total_is_told_the_list_without_the_filter_is_counted() -> None:
    rows = things(*range(8))
    untold = listing(query={"tag": "{tag}"}, unchecked=["tag"])
    assert await lister(Book(lambda asked: Page(rows[:3] if "tag" in asked else rows)), untold).read({"tag": ["x"]})
    assert "without tag" in str(await failed(Book(lambda asked: Page(rows)), {"tag": ["x"]}, untold))
