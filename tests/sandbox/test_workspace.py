from __future__ import annotations

from typing import Any

import pytest

from orchestrator.sandbox import World
from orchestrator.sandbox.state import PROJECT_ID

from .client import Answer, Client, Clock, running

DESKTOPS = f"/v2/{PROJECT_ID}/desktops"
CONNECTIONS = f"/v2/{PROJECT_ID}/connect-desktops"


def seeded(count: int = 3, **more: Any) -> World:
    world = World(clock=Clock(), **more)
    world.seed({"desktops": {"count": count, "pool_id": "pool-1", "tags": {"team": "red"}}})
    return world


def pass_time(client: Client, seconds: float) -> None:
    clock = client.sandbox.world.clock
    assert isinstance(clock, Clock)
    clock.time += seconds


async def log_off(client: Client, ids: Any, **more: Any) -> Answer:
    return await client.signed("POST", f"{DESKTOPS}/logoff", {"desktop_ids": ids, **more})


async def states(client: Client) -> dict[str, str]:
    listed = (await client.signed("GET", CONNECTIONS)).json["desktops"]
    return {desktop["desktop_id"]: desktop["connect_status"] for desktop in listed}


async def test_a_logoff_is_accepted_now_and_done_after_the_lag() -> None:
    async with running(seeded(lag=10.0)) as client:
        answer = await log_off(client, ["desktop-0001", "desktop-0003"], message="bye")
        assert (answer.status, answer.body) == (200, b"null")
        assert set((await states(client)).values()) == {"CONNECTED"}
        pass_time(client, 10)
        seen = await states(client)
        assert seen == {
            "desktop-0001": "REGISTERED",
            "desktop-0002": "CONNECTED",
            "desktop-0003": "REGISTERED",
        }
        assert client.sandbox.world.desktops.members["desktop-0001"].message == "bye"
        counts = (await client.signed("GET", f"{DESKTOPS}/statistics/login-state")).json
        assert (counts["in_use_num"], counts["ready_num"]) == (1, 2)


async def test_the_lag_is_drawn_from_a_range_the_same_way_every_time() -> None:
    first, second = (World(lag=(1.0, 2.0), random_seed=7) for _ in range(2))
    drawn = [first.draw_lag() for _ in range(20)]
    assert drawn == [second.draw_lag() for _ in range(20)]
    assert all(1.0 <= lag <= 2.0 for lag in drawn)


async def test_ignored_logoffs_are_accepted_all_the_same() -> None:
    async with running(seeded(ignored_share=1.0)) as client:
        assert (await log_off(client, ["desktop-0001"])).status == 200
        assert (await states(client))["desktop-0001"] == "CONNECTED"


async def test_a_user_signs_in_again() -> None:
    async with running(seeded(lag=10.0)) as client:
        await log_off(client, ["desktop-0001"])
        assert (await client.control("connect", {"desktop_ids": ["desktop-0001"]})).status == 200
        pass_time(client, 20)
        assert (await states(client))["desktop-0001"] == "CONNECTED"
        await log_off(client, ["desktop-0001"])
        pass_time(client, 20)
        assert (await states(client))["desktop-0001"] == "REGISTERED"


@pytest.mark.parametrize("body", [{}, {"desktop_ids": []}, {"desktop_ids": None}])
async def test_an_empty_list_ends_nothing_and_is_recorded(body: Any) -> None:
    async with running(seeded()) as client:
        answer = await client.signed("POST", f"{DESKTOPS}/logoff", body)
        assert answer.status == 400
        assert client.sandbox.state()["empty_logoffs"] == 1
        assert set((await states(client)).values()) == {"CONNECTED"}


@pytest.mark.parametrize(
    ("ids", "more", "status"),
    [
        (["desktop-0001"] * 101, {}, 400),
        ("desktop-0001", {}, 400),
        ([1], {}, 400),
        (["x" * 256], {}, 400),
        (["desktop-0001"], {"message": "x" * 256}, 400),
        (["desktop-0001"], {"message": 1}, 400),
        (["desktop-0001", "none"], {}, 404),
    ],
)
async def test_a_refused_batch_ends_nothing(ids: Any, more: Any, status: int) -> None:
    async with running(seeded()) as client:
        answer = await log_off(client, ids, **more)
        assert answer.status == status
        assert len(answer.code) <= 12
        assert set((await states(client)).values()) == {"CONNECTED"}


async def test_connections_are_paged_and_filtered() -> None:
    async with running(seeded(250)) as client:
        pages = [(await client.signed("GET", f"{CONNECTIONS}?offset={n}")).json for n in (0, 100, 200)]
        assert [len(page["desktops"]) for page in pages] == [100, 100, 50]
        assert {page["total_count"] for page in pages} == {250}
        query = "connect_status=CONNECTED&user_names=user-0001&user_names=user-0002"
        some = (await client.signed("GET", f"{CONNECTIONS}?{query}")).json
        assert (some["total_count"], len(some["desktops"])) == (2, 2)
        assert some["desktops"][0]["attach_users"][0]["name"] == "user-0001"
        none = (await client.signed("GET", f"{CONNECTIONS}?connect_status=DISCONNECTED&connect_status=x")).json
        assert none == {"total_count": 0, "desktops": []}
        assert (await client.signed("GET", f"{CONNECTIONS}?limit=1001")).status == 400


async def test_the_other_spelling_of_the_fields() -> None:
    async with running(seeded(1, alternate_fields=True)) as client:
        desktop = (await client.signed("GET", CONNECTIONS)).json["desktops"][0]
        assert desktop["login_status"] == "CONNECTED"
        assert "connect_status" not in desktop
        assert "attach_infos" in desktop


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 3),
        ("desktop_id=desktop-0001&desktop_id=none", 1),
        ("user_name=user-0002", 1),
        ("pool_id=pool-1&limit=2", 2),
        ("pool_id=pool-2", 0),
        ("tag=team%3Dred", 3),
        ("tag=team", 3),
        ("tag=team%3Dblue", 0),
        ("limit=0", 0),
    ],
)
async def test_desktops_are_selected(query: str, count: int) -> None:
    async with running(seeded()) as client:
        listed = await client.signed("GET", f"{DESKTOPS}?{query}")
        assert len(listed.json["desktops"]) == count


async def test_too_many_desktop_ids() -> None:
    async with running(seeded()) as client:
        query = "&".join("desktop_id=x" for _ in range(101))
        assert (await client.signed("GET", f"{DESKTOPS}?{query}")).status == 400


SESSIONS = f"/v1/{PROJECT_ID}/session/list-sessions?query_begin_time=1&query_end_time=2"
REQUIRED = {"message_type": 0, "delay_time": 0}


async def test_application_sessions_are_listed_and_signed_out() -> None:
    world = World()
    world.seed({"app_sessions": {"count": 12}})
    async with running(world) as client:
        logoff = f"/v1/{PROJECT_ID}/session/logoff"
        answer = await client.signed("POST", logoff, {"session_ids": ["app-0001"], **REQUIRED})
        assert answer.status == 200
        active = (await client.signed("GET", f"{SESSIONS}&session_state=Active")).json
        assert (active["count"], len(active["items"])) == (11, 10)
        one = (await client.signed("GET", f"{SESSIONS}&user_name=user-0001")).json
        assert one["items"][0]["session_state"] == "SignedOut"
        assert client.sandbox.world.ledger.counts("received") == {"workspaceapp": {"app-0001": 1}}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"session_ids": [], **REQUIRED}, 400),
        ({"session_ids": ["app-0001"] * 1000, **REQUIRED}, 400),
        ({"session_ids": ["x" * 65], **REQUIRED}, 400),
        ({"session_ids": ["app-0001"], "delay_time": 0}, 400),
        ({"session_ids": ["app-0001"], **REQUIRED, "message_type": 5}, 400),
        ({"session_ids": ["app-0001"], **REQUIRED, "message_type": True}, 400),
        ({"session_ids": ["app-0001"], **REQUIRED, "title": "x" * 256}, 400),
        ({"session_ids": ["app-0001", "none"], **REQUIRED}, 404),
    ],
)
async def test_refused_application_logoffs(body: Any, status: int) -> None:
    world = World()
    world.seed({"app_sessions": {"count": 1}})
    async with running(world) as client:
        answer = await client.signed("POST", f"/v1/{PROJECT_ID}/session/logoff", body)
        assert answer.status == status
        assert len(world.app_sessions.alive(world.clock())) == 1


async def test_the_time_window_of_a_session_listing_is_mandatory() -> None:
    async with running() as client:
        assert (await client.signed("GET", f"/v1/{PROJECT_ID}/session/list-sessions")).status == 400
        assert (await client.signed("GET", f"{SESSIONS}&limit=101")).status == 400
