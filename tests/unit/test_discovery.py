"""What of a listing becomes a target: filters, ages, strangers, parts; no service, no time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from seats import HOUR, LISTING, NINE, NOW, SERVICE, TEN, item

from orchestrator.discovery import BEGAN, Discovery, began
from orchestrator.listing import Listing
from orchestrator.model import Item
from orchestrator.paging import IncompleteError
from orchestrator.targets import TargetBuilder


class Listed:
    """In the place of a lister: it has these items, or fails with them."""

    def __init__(self, *items: Item, failure: str = "") -> None:
        self.items, self.failure = items, failure
        self.asked: list[Mapping[str, Sequence[str]]] = []

    async def read(self, filters: Mapping[str, Sequence[str]]) -> list[Item]:
        self.asked.append(filters)
        if self.failure:
            raise IncompleteError(self.failure, self.items)
        return list(self.items)


def discovery(listing: Listing = LISTING, **more: Any) -> Discovery:
    usual: dict[str, Any] = {"filters": {}, "where": {}, "older_than": None, "partial": False}
    builder = TargetBuilder(SERVICE, "prod")
    return Discovery(builder, {"message": "bye"}, listing, listing_name="taken", name="seats", **{**usual, **more})


async def looked(*items: Item, failure: str = "", **more: Any) -> Discovery:
    source = discovery(**more)
    await source.look(Listed(*items, failure=failure), NOW)  # type: ignore[arg-type]
    return source


def found(source: Discovery) -> list[str]:
    return [target.id for target in source.targets()]


async def test_a_target_has_what_was_listed_and_what_its_group_says() -> None:
    source = await looked(item("s-1", user="a", since=TEN))
    (target,) = source.targets()
    assert (target.id, target.fields, target.began) == ("s-1", {"seat": "s-1", "message": "bye"}, NOW - 10 * HOUR)
    assert (source.listed, source.failure, source.check().total) == (1, "", 1)


async def test_a_filter_that_the_service_ignored_is_applied_to_what_it_tells() -> None:
    items = [item("s-1", user="a"), item("s-2", user="b"), item("s-3", user=("b", "a")), item("s-4")]
    source = await looked(*items, filters={"user": ["a", "c"]})
    assert found(source) == ["s-1", "s-3"]
    assert source.listed == 4


async def test_a_filter_that_is_not_told_is_for_the_lister_to_prove() -> None:
    lister = Listed(item("s-1"))
    source = discovery(filters={"tag": ["red"]})
    await source.look(lister, NOW)  # type: ignore[arg-type]
    assert (found(source), lister.asked) == (["s-1"], [{"tag": ["red"]}])


async def test_where_takes_any_of_its_globs_for_any_of_the_values() -> None:
    items = [item("s-1", user="ann"), item("s-2", user=("x", "bob")), item("s-3", user="eve"), item("s-4")]
    assert found(await looked(*items, where={"user": ["a*", "b*"]})) == ["s-1", "s-2"]
    assert found(await looked(*items, where={"user": ["a*"], "state": ["ON"]})) == []


async def test_only_what_is_known_to_be_old_enough_is_old_enough() -> None:
    items = [item("s-1", since=TEN), item("s-2", since=NINE), item("s-3"), item("s-4", since="long ago")]
    assert found(await looked(*items, older_than=9.5 * HOUR)) == ["s-1"]
    assert found(await looked(*items, older_than=9 * HOUR)) == ["s-1", "s-2"]
    assert found(await looked(*items)) == ["s-1", "s-2", "s-3", "s-4"]
    assert found(await looked(item("s-1", since=(TEN, NINE)), older_than=9.5 * HOUR)) == []


@pytest.mark.parametrize(("partial", "targets"), [(False, []), (True, ["s-1"])])
async def test_of_a_list_that_broke_off_nothing_is_taken_unless_a_part_is_wanted(
    partial: bool, targets: list[str]
) -> None:
    source = await looked(item("s-1"), failure="page 2 is missing", partial=partial)
    assert (found(source), source.failure) == (targets, "page 2 is missing")


STRANGER = "it lists something that is no target: seat is 5 characters long; 4 are allowed"


@pytest.mark.parametrize(("partial", "targets"), [(False, []), (True, ["s-1", "s-3"])])
async def test_something_that_is_no_target_is_dropped_and_told(partial: bool, targets: list[str]) -> None:
    source = await looked(item("s-1"), item("s-222"), item("s-3"), partial=partial)
    assert (found(source), source.failure) == (targets, STRANGER)


async def test_all_that_is_wrong_with_a_list_is_told() -> None:
    source = await looked(item("s-222"), failure="page 2 is missing", partial=True)
    assert source.failure == f"page 2 is missing; {STRANGER}"


async def test_a_look_that_is_cut_off_is_a_failed_one() -> None:
    source = discovery()

    class Endless(Listed):
        async def read(self, filters: Mapping[str, Sequence[str]]) -> list[Item]:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await source.look(Endless(), NOW)  # type: ignore[arg-type]
    assert (found(source), source.failure) == ([], "it was not read to its end in time")


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        (["2023-11-14T22:13:20Z"], NOW),
        (["2023-11-14T22:13:20"], NOW),
        (["2023-11-14 23:13:20+01:00"], NOW),
        (["2023-11-14T22:13:20.500Z"], NOW + 0.5),
        (["2023-11-14"], NOW - 80_000),
        (["1700000000"], NOW),
        (["1700000000500"], NOW + 0.5),
        (["2023-11-14T12:13:20Z", "never", "2023-11-14T22:13:20Z"], NOW),
        (["17000000"], None),
        (["170000000000"], None),
        (["17000000000000"], None),
        (["20231114T221320Z"], None),
        (["2023-W46-2"], None),
        (["2023-11-14T99"], None),
        (["14.11.2023"], None),
        (["0001-01-01T00:00:00Z"], None),
        (["0001-01-01T00:00:00+23:59"], None),
        (["1970-01-01T00:00:00Z"], None),
        (["9999-12-31T23:59:59-23:59"], 253_402_387_139.0),
        (["yesterday"], None),
        ([], None),
    ],
    ids=str,
)
def test_since_when_a_session_is_there(told: list[str], moment: float | None) -> None:
    assert began(LISTING, {"since": tuple(told)}) == moment


def test_milliseconds_are_never_read_as_a_year() -> None:
    for milliseconds in range(1_500_000_000_000, 2_000_000_000_000, 997_000_003):
        assert began(LISTING, {"since": (str(milliseconds),)}) == milliseconds / 1000


# How old what was listed is, asked once more


async def again(source: Discovery, *items: Item, failure: str = "") -> list[float | None]:
    await source.look_again(Listed(*items, failure=failure), NOW)  # type: ignore[arg-type]
    return [row.get(BEGAN) for row in source.rows]


async def test_a_session_that_is_another_one_by_now_is_told_by_its_age() -> None:
    source = await looked(item("s-1", since=TEN), item("s-2", since=TEN))
    assert await again(source, item("s-1", since=NINE), item("s-9", since=NINE)) == [NOW - 9 * HOUR, NOW - 10 * HOUR]
    assert source.tells_age
    assert [target.began for target in source.targets()] == [NOW - 9 * HOUR, NOW - 10 * HOUR]


@pytest.mark.parametrize(("needs", "asked"), [([], {}), (["user"], {"user": ["a"]})], ids=str)
async def test_who_came_back_in_another_state_is_found_by_asking_for_all(
    needs: list[str], asked: dict[str, list[str]]
) -> None:
    listing = LISTING.model_copy(update={"needs": needs})
    source = await looked(item("s-1", user="a", state="ON", since=TEN), filters={"user": ["a"]}, listing=listing)
    lister = Listed(item("s-1", user="a", state="OFF", since=NINE))
    await source.look_again(lister, NOW)  # type: ignore[arg-type]
    assert ([row[BEGAN] for row in source.rows], lister.asked) == ([NOW - 9 * HOUR], [asked])


async def test_a_part_of_a_list_that_was_called_is_not_forgotten_when_all_of_it_is_listed() -> None:
    source = await looked(item("s-1", since=TEN), failure="page 2 is missing", partial=True)
    source.restore(source.rows, source.listed)
    await source.look(Listed(item("s-2", since=TEN)), NOW)  # type: ignore[arg-type]
    assert found(source) == ["s-1", "s-2"]


async def test_an_age_that_is_not_told_any_more_is_not_known_any_more() -> None:
    source = await looked(item("s-1", since=TEN), item("s-2", since=TEN))
    assert await again(source, item("s-1"), item("s-2", since=TEN)) == [None, NOW - 10 * HOUR]
    assert not source.tells_age


async def test_where_nobody_answered_the_age_is_not_known() -> None:
    source = await looked(item("s-1", since=TEN))
    assert await again(source, failure="no") == [NOW - 10 * HOUR]
    assert not source.tells_age
    await again(source, item("s-1", since=TEN))
    assert source.tells_age


async def test_the_age_is_told_where_it_is_told_of_everything() -> None:
    assert (await looked(item("s-1", since=TEN))).tells_age
    assert (await looked()).tells_age
    assert not (await looked(item("s-1", since=TEN), item("s-2"))).tells_age
    assert not (await looked(item("s-1", since=TEN), listing=LISTING.model_copy(update={"began": None}))).tells_age


async def test_what_was_kept_is_restored() -> None:
    source = await looked(item("s-1", since=TEN), item("s-2"))
    other = discovery()
    other.restore(source.rows, source.listed)
    assert (list(other.targets()), other.listed, other.failure) == (list(source.targets()), 2, "")
