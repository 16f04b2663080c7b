"""A listing read to its end, or why it could not be: no lane, no service, no time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.lister import Lister
from orchestrator.listing import Listing
from orchestrator.model import Batch, Item, Page, Ruling, Verdict
from orchestrator.paging import IncompleteError

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


@pytest.mark.parametrize(
    ("count", "offsets"), [(0, [0, 0]), (1, [0]), (9, [0, 0]), (10, [0, 9]), (19, [0, 9]), (25, [0, 9, 18])]
)
async def test_pages_are_read_to_the_last(count: int, offsets: list[int]) -> None:
    """A page of one shows that the total of the only page is that of all; that there is nothing is asked twice."""
    book = Book(lambda asked: page_of(things(*range(count)), asked))
    assert await lister(book).read({}) == things(*range(count))
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


def in_turn(*readings: Sequence[Item], total: int) -> Book:
    """Return a book that lists something else each time it is read, and always tells this total."""
    begun = 0

    def answer(asked: Fields) -> Page:
        nonlocal begun
        begun += (asked["offset"], asked["limit"]) == (0, 10)
        return Page(page_of(readings[min(begun, len(readings)) - 1], asked).items, total)

    return Book(answer)


async def test_a_list_that_does_not_add_up_is_read_again() -> None:
    book = in_turn(things(*range(20)), things(*range(1, 22)), total=21)
    assert await lister(book).read({}) == things(*range(1, 22))


async def test_a_list_that_never_adds_up_is_read_three_times_and_is_not_whole() -> None:
    book = in_turn(things(*range(20)), total=21)
    error = await failed(book)
    assert str(error) == "it says that there are 21, and listed 20"
    assert error.items == things(*range(20))
    assert len(book.asked) < 40


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (Page([], 0), "it says that there are 45, and listed 28"),
        (Page([], 20), "it says that there are 45, and listed 28"),
        (Page(things(27, 28, 29), 30), "it says that there are 45, and listed 30"),
    ],
    ids=["0", "20", "short"],
)
async def test_a_page_that_the_service_could_not_make_is_not_the_end(last: Page, said: str) -> None:
    book = Book(lambda asked: page_of(things(*range(45)), asked) if asked["offset"] < 20 else last)
    assert str(await failed(book)) == said


class Office:
    """Things come and go between two pages: after so many calls some that are there end, and others begin."""

    def __init__(self, order: Sequence[int], *changes: tuple[int, Sequence[int], Sequence[int]]) -> None:
        self.there = list(order)
        self.changes = list(changes)
        self.ever = set(order)
        self.stayed = set(order)
        self.book = Book(self.page)

    def page(self, asked: Fields) -> Page:
        while self.changes and len(self.book.asked) > self.changes[0][0]:
            _, ended, begun = self.changes.pop(0)
            self.there = [*(n for n in self.there if n not in ended), *begun]
            self.ever |= set(begun)
            self.stayed -= set(ended)
        return page_of(things(*self.there), asked)


@pytest.mark.parametrize(
    "changes",
    [
        [(1, [3], [])],
        [(1, [3], [99])],
        [(1, [9], [99])],
        [(1, range(8), [])],
        [(1, range(8), range(90, 98))],
        [(1, [30], [])],
        [(1, [3], []), (2, [15], [99]), (3, [27], [])],
        [(1, range(19), [])],
    ],
    ids=str,
)
async def test_what_is_there_all_the_time_is_listed_whatever_comes_and_goes(
    changes: list[tuple[int, Sequence[int], Sequence[int]]],
) -> None:
    office = Office(range(40), *changes)
    listed = {int(one["id"][0][2:]) for one in await lister(office.book).read({})}
    assert office.stayed <= listed <= office.ever


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 39), st.booleans()), max_size=12))
def test_a_list_that_changes_all_the_time_is_whole_or_none(changes: list[tuple[int, int, bool]]) -> None:
    ordered = [(when, [who], [100 + n] if also else []) for n, (when, who, also) in enumerate(sorted(changes))]
    office = Office(range(40), *ordered)
    try:
        found = asyncio.run(lister(office.book).read({}))
    except IncompleteError:
        return
    assert office.stayed <= {int(one["id"][0][2:]) for one in found} <= office.ever


async def test_what_is_told_of_a_thing_is_what_the_last_reading_had() -> None:
    on, off = things(*range(5), state="ON"), things(*range(6), state="OFF")
    assert await lister(in_turn(on, on, off, total=6)).read({}) == off
    assert (await failed(in_turn(on, on, off[:5], total=6))).items == off[:5]


async def test_a_list_that_is_empty_is_asked_for_twice() -> None:
    book = Book(lambda asked: page_of(things(1, 2, 3) if len(book.asked) > 1 else [], asked))
    assert await lister(book).read({}) == things(1, 2, 3)


async def test_a_list_without_end_is_not_read_for_ever() -> None:
    book = Book(lambda asked: Page(things(*range(asked["offset"], asked["offset"] + asked["limit"])), 45))
    assert str(await failed(book)) == "it says that there are 45, and lists more"
    assert len(book.asked) == 15


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
    ("cap", "at"), [(4, {8: 0}), (4, {9: 0}), (10, {20: 5, 25: 0}), (10, {18: 0}), (4, {4: -1})], ids=str
)
async def test_where_totals_are_those_of_pages_a_gap_is_not_the_end(cap: int, at: dict[int, int]) -> None:
    assert await lister(Book(of_a_page(cap, at), 404)).read({}) == things(*range(45))


async def test_where_totals_are_those_of_pages_a_page_twice_is_not_the_end() -> None:
    every, turn = things(*range(45)), 0

    def answer(asked: Fields) -> Page:
        nonlocal turn
        turn += 1
        offset = 9 if turn == 3 else asked["offset"]
        items = every[offset : offset + min(5 if offset == 9 else 10, asked["limit"])]
        return Page(items, len(items))

    assert await lister(Book(answer)).read({}) == every


async def test_nobody_asks_for_more_than_there_is() -> None:
    "Some services refuse that."
    book = Book(lambda asked: page_of(things(*range(25)), asked) if asked["offset"] < 25 else "no", 404)
    assert await lister(book).read({}) == things(*range(25))


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
    assert str(error) == "it says that there are 1000000, and listed 10"
    assert len(book.asked) == 12


async def test_what_is_listed_twice_has_the_values_of_both() -> None:
    book = Book(lambda asked: Page([*things(1, state="REGISTERED", user="a"), *things(1, state="CONNECTED")], 1))
    assert await lister(book).read({}) == [{"id": ("t-1",), "state": ("REGISTERED", "CONNECTED"), "user": ("a",)}]


async def test_what_is_listed_for_two_filters_is_there_once() -> None:
    single = listing(query={"of": "{user}"}, unchecked=[])
    book = Book(lambda asked: Page(things(1, 2, user="both")))
    assert await lister(book, single).read({"user": ["a", "b"]}) == things(1, 2, user="both")
    assert [asked["user"] for asked in book.asked] == [["a"], ["b"]] * 2


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
    book = Book(lambda asked: "no" if asked["offset"] == 9 else fleet.page(asked))
    error = await failed(book, {"tag": ["red"]})
    assert (str(error), error.items) == ("page 2 could not be read: no", [])
    assert len((await failed(book)).items) == 10


async def test_where_no_total_is_told_the_list_without_the_filter_is_counted() -> None:
    untold = listing(query={"tag": "{tag}"}, unchecked=["tag"])
    tagged = {"x": things(1, 2, 3)}
    applied = Book(lambda asked: Page(tagged.get(asked["tag"][0], []) if "tag" in asked else things(*range(8))))
    assert len(await lister(applied, untold).read({"tag": ["x"]})) == 3
    assert "without tag" in str(await failed(Book(lambda asked: Page(things(*range(8)))), {"tag": ["x"]}, untold))


@pytest.mark.parametrize("counts", [(31, 31), (31, 99)], ids=str)
async def test_a_filter_that_is_ignored_is_not_believed_for_what_comes_and_goes(counts: tuple[int, int]) -> None:
    """One thing ends after it was counted, another begins before: what nothing has must not be found."""
    fleet, left = Fleet(ignores=["tag"]), list(counts)
    fleet.book = Book(lambda asked: Page([], left.pop(0)) if left and "tag" not in asked else fleet.page(asked))
    assert "without tag" in str(await failed(fleet.book, {"tag": ["red"]}))
    assert fleet.book.asked[-1]["tag"] == ["none-has-this-0f3b"]


@pytest.mark.parametrize(("status", "good"), [(400, True), (404, True), (403, False), (500, False)])
async def test_a_value_that_is_refused_is_not_ignored(status: int, good: bool) -> None:
    fleet = Fleet()
    book = Book(lambda asked: "no" if "none" in str(asked.get("tag")) else fleet.page(asked), status)
    if good:
        assert len(await lister(book).read({"tag": ["blue"]})) == 10
    else:
        assert "could not be read" in str(await failed(book, {"tag": ["blue"]}))


# Filters that take one value at a time


async def test_what_goes_from_one_list_to_another_while_they_are_read_is_found() -> None:
    single = listing(query={"of": "{state}"}, unchecked=[])
    state = {"t-1": "ON", "t-2": "OFF"}

    def answer(asked: Fields) -> Page:
        (wanted,) = asked["state"]
        found = [{"id": (name,), "state": (now,)} for name, now in state.items() if now == wanted]
        state["t-2"] = "ON"  # after the first list, in which it is not, and before the second
        return Page(found)

    book = Book(answer)
    listed = await lister(book, single).read({"state": ["ON", "OFF"]})
    assert listed == [{"id": ("t-1",), "state": ("ON",)}, {"id": ("t-2",), "state": ("ON",)}]
    assert len(book.asked) == 6


async def test_lists_that_never_stay_as_they_are_are_not_whole() -> None:
    single = listing(query={"of": "{state}"}, unchecked=[])
    book = Book(lambda asked: Page(things(len(book.asked), state=asked["state"][0])))
    assert str(await failed(book, {"state": ["ON", "OFF"]}, single)) == "it changes faster than it can be read"
    needed = listing(query={"of": "{state}"}, unchecked=[], needs=["state"])
    assert len(await lister(book, needed).read({"state": ["ON", "OFF"]})) == 2, "what it is of does not change"
