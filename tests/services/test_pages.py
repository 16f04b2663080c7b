"""Every listing of the catalogue: what is a page and what is none, and what is read of a state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest

from orchestrator import catalogue
from orchestrator.listing import Listing
from orchestrator.model import Item, Response, Ruling, Target, Verdict
from orchestrator.pages import _values, compile_listing
from orchestrator.service import ReadBack, Service
from orchestrator.sights import InListing, Sight, State

from .cases import NOW, cases_of, subjects

CATALOGUE = catalogue.load()
LISTINGS = [
    pytest.param(listing, service, id=f"{service.service}-{name}")
    for service in CATALOGUE.services.values()
    for name, listing in service.listings.items()
]
LOOKED_UP = [
    pytest.param(service, service.verify, id=service.service)
    for service in CATALOGUE.services.values()
    if service.verify is not None and service.verify.listing is not None
]


def read(listing: Listing, status: int, body: Any) -> Ruling:
    text = body if isinstance(body, bytes) else orjson.dumps(body)
    return compile_listing(listing, CATALOGUE.rules(listing), "x")(Response(status, {}, text, ()), 1, NOW)


def answer(listing: Listing, items: Any, total: Any = 0) -> dict[str, Any]:
    """Return a body with these items where the listing has its items, and this total where it has that."""
    body: dict[str, Any] = {}
    for path, value in [(listing.items, items), *([(listing.total, total)] if listing.total else [])]:
        *above, last = path.split(".")
        node = body
        for name in above:
            node = node.setdefault(name, {})
        node[last] = value
    return body


@pytest.mark.parametrize(("listing", "service"), LISTINGS)
def test_an_empty_page_is_a_page(listing: Listing, service: Service) -> None:
    ruling = read(listing, 200, answer(listing, []))
    assert ruling.page is not None
    assert (list(ruling.page.items), ruling.page.total) == ([], 0 if listing.total else None)


@pytest.mark.parametrize(
    ("links", "more"),
    [({}, False), ({"next": None}, False), ({"next": ""}, False), ({"next": "https://x/2"}, True), ([], False)],
    ids=str,
)
def test_a_link_to_more_is_seen(links: Any, more: bool) -> None:
    users = CATALOGUE.services["iam.user"].listings["users"]
    ruling = read(users, 200, {**answer(users, []), "links": links})
    assert ruling.page is not None
    assert ruling.page.more is more


@pytest.mark.parametrize(("depth", "told"), [(0, True), (15, True), (17, False), (1000, False)])
def test_lists_in_lists_are_followed_as_far_as_that_makes_sense(depth: int, told: bool) -> None:
    listing = CATALOGUE.services["iam.user"].listings["users"]
    name = "[" * depth + '"x"' + "]" * depth
    ruling = read(listing, 200, f'{{"users": [{{"id": "a", "name": {name}}}]}}'.encode())
    assert ruling.page is not None
    assert ("name" in ruling.page.items[0]) is told


@pytest.mark.parametrize("items", [None, {}, "", 0, [1], ["a"], [None], [{}, []]], ids=repr)
@pytest.mark.parametrize(("listing", "service"), LISTINGS)
def test_what_is_no_list_of_objects_is_no_page(listing: Listing, service: Service, items: Any) -> None:
    ruling = read(listing, 200, answer(listing, items))
    assert (ruling.verdict, ruling.page) == (Verdict.FAIL, None)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\n<!doctype html><form>", "is a web page, of a login or a proxy perhaps"),
        (b"cut of", "is not JSON"),
        (b"", "is not JSON"),
    ],
    ids=["page", "text", "empty"],
)
@pytest.mark.parametrize(("listing", "service"), LISTINGS)
def test_what_is_no_json_is_no_page_and_named(listing: Listing, service: Service, body: bytes, said: str) -> None:
    ruling = read(listing, 200, body)
    assert (ruling.verdict, ruling.reason) == (Verdict.FAIL, f"the listing's answer {said}")


@pytest.mark.parametrize("total", [None, "3", True, 3.0, [], {}], ids=repr)
@pytest.mark.parametrize(("listing", "service"), LISTINGS)
def test_a_total_that_is_no_number_is_no_page(listing: Listing, service: Service, total: Any) -> None:
    ruling = read(listing, 200, answer(listing, [], total))
    assert (ruling.page is None) is (listing.total is not None)


@pytest.mark.parametrize("status", [201, 202, 204, 206, 302, 400, 403, 404, 409])
@pytest.mark.parametrize(("listing", "service"), LISTINGS)
def test_a_list_with_another_status_is_no_page(listing: Listing, service: Service, status: int) -> None:
    ruling = read(listing, status, answer(listing, []))
    assert (ruling.verdict, ruling.page) == (Verdict.FAIL, None)


@pytest.mark.parametrize(("listing", "service"), LISTINGS)
def test_every_spelling_of_every_field_is_shown_by_a_case(listing: Listing, service: Service) -> None:
    (subject,) = (one for one in subjects(CATALOGUE) if one.listing is listing)
    pages = [orjson.loads(case.response().body) for case in cases_of(subject) if case.items]
    items = [item for page in pages for item in _items(page, listing.items)]
    unshown = [
        f"{field}: {path}"
        for field, paths in listing.fields.items()
        for n, path in enumerate(paths)
        if not any(_has(item, path) and not any(_has(item, other) for other in paths[:n]) for item in items)
    ]
    assert unshown == []


def _items(page: Any, path: str) -> list[Any]:
    for name in path.split("."):
        page = page[name]
    return list(page)


def _has(item: Mapping[str, Any], path: str) -> bool:
    return any(True for _ in _values(item, path.split(".")))


class Listed:
    """A lister that has these items."""

    def __init__(self, *items: Item) -> None:
        self._items = list(items)

    async def read(self, filters: Mapping[str, Sequence[str]]) -> list[Item]:
        assert not filters
        return self._items


async def seen(service: Service, read_back: ReadBack, *items: Item) -> Sight:
    fields = dict.fromkeys(service.key, "one")
    target = Target(service.service, "prod", "one", fields)
    listing = service.listings[read_back.listing or ""]
    look = InListing(Listed(*items), listing, read_back, service.key)  # type: ignore[arg-type]
    return (await look.at([target]))["one"]


@pytest.mark.parametrize(("service", "read_back"), LOOKED_UP)
async def test_every_state_means_what_the_description_says(service: Service, read_back: ReadBack) -> None:
    one: Item = dict.fromkeys(service.key, ("one",))
    told = read_back.state or ""
    for state in read_back.gone:
        assert (await seen(service, read_back, {**one, told: (state,)})).state is State.GONE
    for state in read_back.alive:
        assert (await seen(service, read_back, {**one, told: (state,)})).state is State.ALIVE
        assert (await seen(service, read_back, {**one, told: (read_back.gone[0], state)})).state is State.ALIVE
    for state in ("", "gone", read_back.gone[0].swapcase(), "UNKNOWN"):
        assert (await seen(service, read_back, {**one, told: (state,)})).state is State.UNCLEAR
    assert (await seen(service, read_back, one)).state is State.UNCLEAR


@pytest.mark.parametrize(("service", "read_back"), LOOKED_UP)
async def test_an_empty_list_is_not_a_gone_session(service: Service, read_back: ReadBack) -> None:
    assert (await seen(service, read_back)).state is State.UNCLEAR
    other: Item = {**dict.fromkeys(service.key, ("other",)), read_back.state or "": (read_back.gone[0],)}
    assert (await seen(service, read_back, other)).state is State.UNCLEAR


@pytest.mark.parametrize(
    ("service", "gone", "alive"),
    [
        ("workspace.desktops", {"REGISTERED", "UNREGISTERED"}, {"CONNECTED", "DISCONNECTED"}),
        ("workspaceapp.sessions", {"SignedOut", "InitFail"}, {"Active", "Disconnected", "AppcInit"}),
    ],
)
def test_the_documented_states_are_all_read(service: str, gone: set[str], alive: set[str]) -> None:
    verify = CATALOGUE.services[service].verify
    assert verify is not None
    assert gone <= set(verify.gone)
    assert alive == set(verify.alive)
