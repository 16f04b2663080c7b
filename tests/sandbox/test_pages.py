"""Trouble with the pages of every listing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from orchestrator.sandbox import Fault, World
from orchestrator.sandbox.state import PROJECT_ID

from .client import Answer, Client, running


@dataclass(frozen=True)
class Listing:
    service: str
    path: str
    items: str
    total: str
    kind: str
    query: str = ""


WINDOW = "&query_begin_time=2000-01-01T00:00:00Z&query_end_time=2100-01-01T00:00:00Z"
LISTINGS = {
    "connect_desktops": Listing(
        "workspace", f"/v2/{PROJECT_ID}/connect-desktops", "desktops", "total_count", "desktops"
    ),
    "list_desktops": Listing("workspace", f"/v2/{PROJECT_ID}/desktops", "desktops", "total_count", "desktops"),
    "list_logins": Listing("workspace", f"/v2/{PROJECT_ID}/connections/desktops", "records", "total_count", "desktops"),
    "list_sessions": Listing(
        "workspaceapp", f"/v1/{PROJECT_ID}/session/list-sessions", "items", "count", "app_sessions", WINDOW
    ),
    "dcs": Listing("dcs", f"/v2/{PROJECT_ID}/instances", "instances", "instance_num", "dcs_instances"),
    "cbh": Listing("cbh", f"/v2/{PROJECT_ID}/cbs/instance/list", "instance", "total", "cbh_instances"),
}


@pytest.fixture(params=LISTINGS)
def listing(request: pytest.FixtureRequest) -> Listing:
    return LISTINGS[request.param]


def troubled(listing: Listing, *faults: Fault) -> World:
    world = World(faults=list(faults))
    world.seed({listing.kind: {"count": 25}})
    return world


async def page(client: Client, listing: Listing, number: int) -> Answer:
    return await client.signed("GET", f"{listing.path}?limit=5&offset={5 * (number - 1)}{listing.query}")


async def pages(client: Client, listing: Listing) -> list[Any]:
    return [(await page(client, listing, number)).json[listing.items] for number in range(1, 6)]


async def test_a_page_is_throttled_so_many_times(listing: Listing) -> None:
    fault = Fault(listing.service, "throttle", page=3, times=2)
    async with running(troubled(listing, fault)) as client:
        assert [(await page(client, listing, n)).status for n in (1, 2, 3, 3, 3, 4)] == [200, 200, 429, 429, 200, 200]
        services: Any = client.sandbox.state()["services"]
        assert services[listing.service]["throttled"] == 2


async def test_a_page_is_throttled_for_ever_in_the_words_of_the_gateway(listing: Listing) -> None:
    fault = Fault(listing.service, "throttle", page=3, times=None, seconds=2)
    async with running(troubled(listing, fault)) as client:
        refused = [await page(client, listing, 3) for _ in range(4)]
        assert {(answer.status, answer.code) for answer in refused} == {(429, "APIGW.0308")}
        assert refused[0].headers["Retry-After"] == "2"
        assert (await page(client, listing, 2)).status == 200


async def test_a_page_repeats_the_one_before(listing: Listing) -> None:
    async with running(troubled(listing, Fault(listing.service, "repeat_page", page=3))) as client:
        seen = await pages(client, listing)
        assert seen[2] == seen[1]
        assert len({str(item) for items in seen for item in items}) == 20
        assert (await page(client, listing, 3)).json[listing.items] != seen[1], "once is the default"


async def test_there_is_no_page_before_the_first(listing: Listing) -> None:
    async with running(troubled(listing, Fault(listing.service, "repeat_page"))) as client:
        seen = await pages(client, listing)
        assert seen[1] == seen[0]
        assert seen[2] != seen[1]


async def test_a_page_is_empty_although_more_follow(listing: Listing) -> None:
    async with running(troubled(listing, Fault(listing.service, "empty_page", page=3))) as client:
        answer = (await page(client, listing, 3)).json
        assert (answer[listing.items], answer[listing.total]) == ([], 25)
        assert len((await page(client, listing, 4)).json[listing.items]) == 5


async def test_a_page_is_short_although_more_follow(listing: Listing) -> None:
    async with running(troubled(listing, Fault(listing.service, "empty_page", page=2, keep=3))) as client:
        assert [len(items) for items in await pages(client, listing)] == [5, 3, 5, 5, 5]


@pytest.mark.parametrize("total", [0, 7, 100])
async def test_a_total_that_is_not_true(listing: Listing, total: int) -> None:
    async with running(troubled(listing, Fault(listing.service, "false_total", total=total, times=None))) as client:
        answer = (await page(client, listing, 2)).json
        assert (answer[listing.total], len(answer[listing.items])) == (total, 5)


async def test_a_refused_page_stays_refused(listing: Listing) -> None:
    faults = [Fault(listing.service, "empty_page"), Fault(listing.service, "false_total")]
    async with running(troubled(listing, *faults)) as client:
        for _ in faults:
            assert (await client.signed("GET", f"{listing.path}?limit=9999{listing.query}")).status == 400


async def test_a_fault_for_one_operation_spares_the_others() -> None:
    listing = LISTINGS["connect_desktops"]
    fault = Fault("workspace", "throttle", operation="connect_desktops", times=None)
    async with running(troubled(listing, fault)) as client:
        assert (await page(client, listing, 1)).status == 429
        assert (await page(client, LISTINGS["list_desktops"], 1)).status == 200
        order = {"desktop_ids": ["desktop-0001"]}
        assert (await client.signed("POST", f"/v2/{PROJECT_ID}/desktops/logoff", order)).status == 200


async def test_the_default_page_of_each_service_counts() -> None:
    world = World(faults=[Fault("dcs", "throttle", page=2), Fault("workspace", "throttle", page=2)])
    async with running(world) as client:
        assert (await client.signed("GET", f"/v2/{PROJECT_ID}/instances?offset=9")).status == 200
        assert (await client.signed("GET", f"/v2/{PROJECT_ID}/instances?offset=10")).status == 429
        assert (await client.signed("GET", f"/v2/{PROJECT_ID}/connect-desktops?offset=99")).status == 200
        assert (await client.signed("GET", f"/v2/{PROJECT_ID}/connect-desktops?offset=100")).status == 429


async def test_calls_that_list_nothing_have_no_pages() -> None:
    kinds: tuple[Any, ...] = ("repeat_page", "empty_page", "false_total")
    world = World(faults=[Fault("*", kind, times=None) for kind in kinds])
    world.faults.append(Fault("*", "throttle", page=1, times=None))
    world.seed({"desktops": {"count": 1}})
    async with running(world) as client:
        order = {"desktop_ids": ["desktop-0001"]}
        assert (await client.signed("POST", f"/v2/{PROJECT_ID}/desktops/logoff", order)).status == 200
        assert [fault.hits for fault in world.faults] == [0, 0, 0, 0]


async def test_listings_of_iam_are_one_page_without_a_total() -> None:
    faults = [Fault("iam", "false_total", total=5), Fault("iam", "empty_page"), Fault("iam", "throttle")]
    async with running(World(faults=faults)) as client:
        assert len((await client.signed("GET", "/v3/users")).json["users"]) == 1
        assert (await client.signed("GET", "/v3/users")).json["users"] == []
        assert (await client.signed("GET", "/v3/users")).code == "IAM.0012"


async def test_das_throttles_with_a_400() -> None:
    world = World(faults=[Fault("das", "throttle")])
    async with running(world) as client:
        refused = await client.signed("GET", f"/v3/{PROJECT_ID}/instances/x/db-users")
        assert (refused.status, refused.code) == (400, "DAS.200002")


async def test_faults_of_pages_over_http() -> None:
    fault = {"service": "workspace", "kind": "throttle", "operation": "connect_desktops", "page": 3, "times": None}
    async with running(troubled(LISTINGS["connect_desktops"])) as client:
        assert (await client.control("faults", fault)).status == 200
        listing = LISTINGS["connect_desktops"]
        assert [(await page(client, listing, n)).status for n in (2, 3, 4)] == [200, 429, 200]
        assert (await client.control("state", method="GET")).json["faults"][0]["hits"] == 1


async def test_the_peak_of_each_operation_is_told() -> None:
    listing = LISTINGS["connect_desktops"]
    async with running(troubled(listing)) as client:
        await pages(client, listing)
        await page(client, LISTINGS["list_desktops"], 1)
        services: Any = client.sandbox.state()["services"]
        assert services["workspace"]["operations"] == {"connect_desktops": 5, "list_desktops": 1}
        assert services["workspace"]["peaks"] == {"connect_desktops": 5, "list_desktops": 1}
        assert services["workspace"]["peak_per_second"] == 6
