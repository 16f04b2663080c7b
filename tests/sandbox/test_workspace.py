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
        none = (await client.signed("GET", f"{CONNECTIONS}?connect_status=DISCONNECTED")).json
        assert none == {"total_count": 0, "desktops": []}
        assert (await client.signed("GET", f"{CONNECTIONS}?limit=1001")).status == 400
        users = "&".join(f"user_names=user-{n:04d}" for n in range(1, 102))
        assert (await client.signed("GET", f"{CONNECTIONS}?{users}")).status == 400


@pytest.mark.parametrize(("repeated", "status"), [(False, 400), (True, 200)])
async def test_the_definition_takes_one_state(repeated: bool, status: int) -> None:
    async with running(seeded(3, repeated_filters=repeated)) as client:
        answer = await client.signed("GET", f"{CONNECTIONS}?connect_status=DISCONNECTED&connect_status=CONNECTED")
        assert answer.status == status
        assert not repeated or answer.json["total_count"] == 3


async def test_all_four_states_are_listed_and_only_two_of_them_are_sessions() -> None:
    world = seeded(0)
    every = ("UNREGISTERED", "REGISTERED", "CONNECTED", "DISCONNECTED")
    world.seed({"desktops": [{"desktop_id": status, "status": status} for status in every]})
    async with running(world) as client:
        assert await states(client) == dict(zip(every, every, strict=True))
        assert client.sandbox.state()["sessions"]["workspace"] == ["CONNECTED", "DISCONNECTED"]  # type: ignore[index]


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
        ("pool_id=pool-2%2Cpool-1", 3),
        ("status=ACTIVE", 3),
        ("status=SHUTOFF", 0),
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


LOGINS = f"/v2/{PROJECT_ID}/connections/desktops"


async def test_login_records_tell_when_a_session_began_and_ended() -> None:
    world = seeded(2)
    async with running(world) as client:
        pass_time(client, 60)
        await log_off(client, ["desktop-0001"])
        pass_time(client, 60)
        assert (await client.control("connect", {"desktop_ids": ["desktop-0001"]})).status == 200
        found = (await client.signed("GET", f"{LOGINS}?computer_name=desktop-0001")).json
        assert found["total_count"] == 2
        latest, first = found["records"]
        assert latest["connection_setup_time"] == "2023-11-14T22:15:20Z"
        assert "connection_end_time" not in latest
        assert (first["connection_setup_time"], first["connection_end_time"]) == (
            "2023-11-14T22:13:20Z",
            "2023-11-14T22:14:20Z",
        )


async def test_login_records_are_filtered_and_paged() -> None:
    world = seeded(0)
    world.seed({"desktops": [{"desktop_id": f"pc-{n}", "user": f"u{n}", "since": n * 3600.0} for n in range(1, 31)]})
    async with running(world) as client:
        listed = (await client.signed("GET", LOGINS)).json
        assert (listed["total_count"], len(listed["records"])) == (30, 20)
        one = (await client.signed("GET", f"{LOGINS}?user_name=u7")).json["records"]
        assert [record["desktop_id"] for record in one] == ["pc-7"]
        window = "start_time=1970-01-01T02:00Z&end_time=1970-01-01T04:00Z"
        some = (await client.signed("GET", f"{LOGINS}?{window}")).json["records"]
        assert [record["desktop_id"] for record in some] == ["pc-4", "pc-3", "pc-2"]
        for wrong in ("start_time=1970-01-01T02:00Z", "start_time=x&end_time=y", "limit=1001"):
            assert (await client.signed("GET", f"{LOGINS}?{wrong}")).status == 400


async def test_a_desktop_that_nobody_has_shows_nobody() -> None:
    world = seeded(0)
    world.seed({"desktops": [{"desktop_id": "pc", "status": "UNREGISTERED", "power": "SHUTOFF"}]})
    async with running(world) as client:
        assert (await client.signed("GET", CONNECTIONS)).json["desktops"][0]["attach_users"] == []
        found = (await client.signed("GET", f"{DESKTOPS}?status=SHUTOFF")).json["desktops"]
        assert [(desktop["desktop_id"], desktop["user_name"], desktop["tags"]) for desktop in found] == [("pc", "", [])]
