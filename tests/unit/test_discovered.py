"""The groups that a service lists, over the life of a run: who is asked what, what is kept, what is told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from seats import HOUR, LISTING, NOW, SERVICE, TEN, item

from orchestrator import discovered
from orchestrator.dated import Dated
from orchestrator.discovery import Discovery
from orchestrator.listing import Listing
from orchestrator.model import Item
from orchestrator.paging import IncompleteError
from orchestrator.sections import Section
from orchestrator.sources import Inline, Items
from orchestrator.stop import Stop
from orchestrator.targets import TargetBuilder

AGELESS = LISTING.model_copy(update={"began": None})
BOUNDED = LISTING.model_copy(update={"query": {"from": "{since}"}, "window": 7 * 24 * HOUR})


class Office:
    """In the place of a workshop: its listers have these items, or fail."""

    def __init__(self, *items: Item, failure: str = "") -> None:
        self.items, self.failure = items, failure
        self.listers: list[tuple[str, str, str]] = []
        self.read_filters: list[Mapping[str, Sequence[str]]] = []

    def lister(self, service: Any, connection: str, name: str) -> Any:
        self.listers.append((service.service, connection, name))
        return self

    async def read(self, filters: Mapping[str, Sequence[str]]) -> list[Item]:
        self.read_filters.append(filters)
        if self.failure:
            raise IncompleteError(self.failure, self.items)
        return list(self.items)

    def heard(self) -> dict[str, Any]:
        return {}


def group(
    name: str, listing: Listing = LISTING, connection: str = "prod", stage: str = "first", **more: Any
) -> Section:
    builder = TargetBuilder(SERVICE, connection, stage=stage)
    usual: dict[str, Any] = {"filters": {}, "where": {}, "older_than": None, "partial": False, "listing_name": "taken"}
    return Section(stage, SERVICE, connection, Discovery(builder, {}, listing, name=name, **{**usual, **more}), builder)


def plan(*sections: Section) -> Any:
    return SimpleNamespace(sections=sections)


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Office:
    office = Office(item("s-1", since=TEN), item("s-2", since=TEN))
    monkeypatch.setattr(discovered, "Workshop", lambda *_, **_more: office)
    return office


async def ask(blueprint: Any, only: set[int] | None = None, now: float = NOW) -> None:
    await discovered.ask(blueprint, None, Stop(), only, now=now, pacers={})  # type: ignore[arg-type]


def source(blueprint: Any, number: int) -> Discovery:
    found = blueprint.sections[number].source
    assert isinstance(found, Discovery)
    return found


async def test_every_group_is_asked_for_and_no_other(office: Office) -> None:
    written_out = Section("first", SERVICE, "prod", Inline([]), TargetBuilder(SERVICE, "prod"))
    blueprint = plan(group("a"), written_out, group("b", connection="test", listing_name="other"))
    await ask(blueprint)
    assert sorted(office.listers) == [("acme.seats", "prod", "taken"), ("acme.seats", "test", "other")]
    assert [len(source(blueprint, n).rows) for n in (0, 2)] == [2, 2]


async def test_older_than_is_counted_from_when_the_run_began(office: Office) -> None:
    blueprint = plan(group("a", older_than=10 * HOUR))
    await ask(blueprint, now=NOW - 1)
    assert (source(blueprint, 0).listed, source(blueprint, 0).rows) == (2, [])
    await ask(blueprint, now=NOW)
    assert len(source(blueprint, 0).rows) == 2


async def test_of_what_was_listed_before_only_the_age_is_asked(office: Office) -> None:
    blueprint = plan(group("a"), group("b", AGELESS), group("c"))
    source(blueprint, 0).restore([{"seat": "s-1", "began at": 1.0}, {"seat": "s-9", "began at": 1.0}], 5)
    source(blueprint, 1).restore([{"seat": "s-1"}], 1)
    await ask(blueprint, only={2})
    assert len(office.listers) == 2, "one does not tell of any age, and need not be asked"
    assert [row["began at"] for row in source(blueprint, 0).rows] == [NOW - 10 * HOUR, 1.0]
    assert (source(blueprint, 0).listed, source(blueprint, 1).rows) == (5, [{"seat": "s-1"}])
    assert len(source(blueprint, 2).rows) == 2


def brought(*names: str) -> Section:
    builder = TargetBuilder(SERVICE, "prod")
    inline = Inline(Items([{"seat": name} for name in names], builder, {}))
    return Section("first", SERVICE, "prod", Dated(inline, SERVICE.key, LISTING, "taken"), builder)


async def test_of_what_was_brought_only_the_age_is_asked_and_not_when_a_run_begins(office: Office) -> None:
    blueprint = plan(brought("s-1", "s-9"))
    await ask(blueprint)
    assert office.listers == []
    assert discovered.ageless(blueprint) == []
    await ask(blueprint, only=set())
    assert [target.began for target in blueprint.sections[0].source.targets()] == [NOW - 10 * HOUR, None]
    assert blueprint.sections[0].source.check(lambda target: target.began is not None).total == 1
    assert discovered.ageless(blueprint) == []


async def test_an_age_that_is_asked_in_the_middle_is_known_of_all_that_comes_after(office: Office) -> None:
    blueprint = plan(brought("s-1", "s-1", "s-1"))
    targets = blueprint.sections[0].source.targets()
    assert next(targets).began is None
    await ask(blueprint, only=set())
    assert [target.began for target in targets] == [NOW - 10 * HOUR] * 2


@pytest.mark.parametrize(
    ("name", "failure", "ageless"),
    [("s-1", "", True), ("s-2", "", False), ("s-9", "", False), ("s-2", "page 2 is missing", True)],
)
async def test_the_age_of_what_was_brought_may_not_be_told(
    office: Office, name: str, failure: str, ageless: bool
) -> None:
    office.items, office.failure = (item("s-1"), item("s-2", since=TEN)), failure
    blueprint = plan(brought(name))
    sources = [section.source for section in blueprint.sections]
    said = await discovered.refresh(blueprint, office, Stop(), [], sources)  # type: ignore[arg-type]
    assert said == (f"since when its sessions are there could not be asked: {failure}" if failure else "")
    assert discovered.ageless(blueprint) == (["acme.seats"] if ageless else [])
    assert office.listers == [("acme.seats", "prod", "taken")]


class Journal:
    """In the place of the journal, with what has been through JSON."""

    def __init__(self) -> None:
        self.kept: dict[int, tuple[int, str, list[dict[str, Any]]]] = {}

    def add_listing(self, run: str, section: int, listed: int, failure: str, rows: Sequence[Mapping[str, Any]]) -> None:
        assert run == "run-1"
        self.kept[section] = (listed, failure, orjson.loads(orjson.dumps(list(rows))))

    def listings(self, run: str) -> dict[int, tuple[int, str, list[dict[str, Any]]]]:
        assert run == "run-1"
        return self.kept


async def test_what_was_listed_is_restored_and_what_was_not_whole_is_named(office: Office) -> None:
    before, journal = plan(group("a"), group("b"), group("c")), Journal()
    await ask(before, only={0})
    office.failure = "page 2 is missing"
    await ask(before, only={1})
    discovered.keep(before, journal, "run-1")  # type: ignore[arg-type]
    del journal.kept[2]
    after = plan(group("a"), group("b"), group("c"))
    assert discovered.restore(after, journal, "run-1") == {1, 2}  # type: ignore[arg-type]
    assert list(source(after, 0).targets()) == list(source(before, 0).targets())
    assert (source(after, 0).listed, source(after, 0).failure) == (2, "")


async def test_what_is_told_of_the_groups(office: Office) -> None:
    blueprint = plan(group("a"), group("b", BOUNDED, older_than=99 * HOUR), group("c", AGELESS, stage="second"))
    await ask(blueprint, only={0, 1})
    office.failure = "page 2 is missing"
    await source(blueprint, 2).look(office, NOW)  # type: ignore[arg-type]
    assert discovered.failures(blueprint) == ["c: page 2 is missing; nothing of it is ended"]
    assert discovered.broken(blueprint) == {"second"}
    assert discovered.empty(blueprint) == ["b: 2 listed, and none of them wanted"]
    assert discovered.bounded(blueprint) == ["b: what began more than 7d ago is not listed, nor ended"]
    assert discovered.listed(blueprint) == {("acme.seats", "prod"): 2}


async def test_what_two_lists_have_is_listed_once(office: Office) -> None:
    lane, journal = ("acme.seats", "prod"), Journal()
    both = plan(group("a", filters={"state": ["ON"]}), group("b", filters={"state": ["ON", "OFF"]}))
    await ask(both)
    assert discovered.listed(both) == {lane: 2}
    discovered.keep(both, journal, "run-1")  # type: ignore[arg-type]
    discovered.restore(both, journal, "run-1")  # type: ignore[arg-type]
    assert discovered.listed(both) == {lane: 4}, "of a list that was restored only its length is known"


async def test_a_part_that_is_ended_all_the_same_is_told(office: Office) -> None:
    blueprint = plan(group("a", partial=True))
    office.failure = "page 2 is missing"
    await ask(blueprint)
    assert discovered.failures(blueprint) == ["a: page 2 is missing; only what was listed is ended"]


async def test_who_does_not_tell_of_ages_is_known_by_what_was_listed(office: Office) -> None:
    blueprint = plan(group("a"))
    assert discovered.ageless(blueprint) == []
    office.items = (item("s-1", since=TEN), item("s-2"))
    await ask(blueprint)
    assert discovered.ageless(blueprint) == ["acme.seats"]
    assert discovered.ageless(plan(group("b", AGELESS))) == ["acme.seats"]
