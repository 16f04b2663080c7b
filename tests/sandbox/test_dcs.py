from __future__ import annotations

from typing import Any

import pytest

from orchestrator.sandbox import World
from orchestrator.sandbox.state import PROJECT_ID

from .client import Client, running

ONE, TWO = "5560df16-cebf-4473-95c4-d1b573c16e79", "5560df16-cebf-4473-95c4-d1b573c16e80"


def path(action: str, instance: str = ONE) -> str:
    return f"/v2/{PROJECT_ID}/instances/{instance}/webcli/{action}"


def seeded() -> World:
    world = World()
    instances = [{"instance_id": ONE, "password": "redis"}, {"instance_id": TWO}]
    sessions = [{"instance_id": ONE, "client_id": "a"}, {"instance_id": ONE, "client_id": "b", "user": "other"}]
    world.seed({"dcs_instances": instances, "dcs_sessions": sessions})
    return world


async def log_out(client: Client, body: Any, instance: str = ONE) -> tuple[int, str | None]:
    answer = await client.signed("POST", path("logout", instance), body)
    return answer.status, answer.code if answer.body else None


async def test_a_session_from_login_to_logout() -> None:
    async with running(seeded()) as client:
        opened = await client.signed("POST", path("auth"), {"password": "redis"})
        handle = {"client_id": opened.json["client_id"]}
        assert len(handle["client_id"]) == 48
        command = {**handle, "command": "PING", "database": 0}
        assert (await client.signed("POST", path("command"), command)).status == 200
        assert await log_out(client, handle) == (204, None)
        assert (await client.signed("POST", path("command"), command)).code == "111400063"
        assert await log_out(client, handle) == (400, "111400063")
        calls = client.sandbox.world.ledger.counts("received")["dcs"]
        assert calls == {f"{ONE}/{handle['client_id']}": 2}


async def test_a_wrong_instance_password() -> None:
    async with running(seeded()) as client:
        assert (await client.signed("POST", path("auth"), {})).code == "111400080"


@pytest.mark.parametrize(
    ("instance", "body", "expected"),
    [
        (ONE, {"client_id": "unknown"}, (400, "111400063")),
        (ONE, {"client_id": 7}, (400, "111400063")),
        (TWO, {"client_id": "a"}, (400, "111400063")),
        (ONE, None, (400, "111400004")),
        (ONE, b"client_id=a", (400, "111400005")),
        (ONE, [], (400, "111400005")),
        ("none", {"client_id": "a"}, (404, "111404022")),
    ],
)
async def test_refused_logouts(instance: str, body: Any, expected: tuple[int, str]) -> None:
    async with running(seeded()) as client:
        assert await log_out(client, body, instance) == expected
        assert len(client.sandbox.world.dcs.alive()) == 2


async def test_the_third_key_of_an_error_is_null() -> None:
    async with running(seeded()) as client:
        answer = await client.signed("POST", path("logout"), {"client_id": "unknown"})
        assert answer.json == {
            "error_code": "111400063",
            "error_msg": "Invalid {0} parameter in the request.",
            "error_ext_msg": None,
        }


async def test_without_client_id_the_callers_sessions_end() -> None:
    async with running(seeded()) as client:
        assert await log_out(client, {}) == (204, None)
        assert client.sandbox.world.dcs.alive() == [f"{ONE}/b"]


async def test_an_instance_that_is_not_running() -> None:
    world = seeded()
    world.dcs.instances[ONE].status = "RESTARTING"
    async with running(world) as client:
        assert await log_out(client, {"client_id": "a"}) == (400, "DCS.4049")


async def test_instances_are_paged_and_filtered() -> None:
    world = World()
    world.seed({"dcs_instances": {"count": 25}})
    async with running(world) as client:
        base = f"/v2/{PROJECT_ID}/instances"
        pages = [await client.signed("GET", f"{base}?offset={n}") for n in (0, 10, 20, 30)]
        assert [len(page.json["instances"]) for page in pages] == [10, 10, 5, 0]
        assert pages[0].json["instance_num"] == 25
        assert len((await client.signed("GET", f"{base}?limit=1000&name=cache-000")).json["instances"]) == 9
        assert (await client.signed("GET", f"{base}?status=FROZEN")).json["instances"] == []
        for wrong in ("limit=0", "limit=1001", "offset=-1", "limit=x"):
            assert (await client.signed("GET", f"{base}?{wrong}")).status == 400
