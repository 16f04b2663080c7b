from __future__ import annotations

import asyncio
from typing import Any

import pytest
import yaml

from orchestrator.sandbox import Limit, Sandbox, World, serve
from orchestrator.sandbox.state import PROJECT_ID

from .client import running

BULK = {
    "dcs_instances": {"count": 2},
    "dcs_sessions": {"count": 4, "instances": 2},
    "das_logins": {"count": 2},
    "desktops": {"count": 3, "prefix": "pc-", "status": "DISCONNECTED"},
    "app_sessions": {"count": 2},
    "cbh_instances": {"count": 2},
    "cas_tickets": {"count": 2},
}


async def test_seeding_in_bulk_is_repeatable() -> None:
    async with running() as first, running() as second:
        answers = [await client.control("seed", BULK) for client in (first, second)]
        assert answers[0].json == answers[1].json
        sessions = answers[0].json["dcs_sessions"]
        assert len({session["instance_id"] for session in sessions}) == 2
        assert {len(session["client_id"]) for session in sessions} == {48}
        assert [desktop["desktop_id"] for desktop in answers[0].json["desktops"]] == [
            "pc-0001",
            "pc-0002",
            "pc-0003",
        ]
        state = (await first.control("state", method="GET")).json
        assert state == first.sandbox.state()
        alive = {service: len(ids) for service, ids in state["sessions"].items()}
        assert alive == {"dcs": 4, "das": 2, "workspace": 3, "workspaceapp": 2, "cas": 2}


async def test_seeding_one_by_one() -> None:
    user = {"id": "u2", "name": "second", "password": "p"}
    credential = {"access_key": "AK2", "secret_key": "SK2", "user_id": "u2"}
    things = {
        "users": [user],
        "credentials": [credential],
        "projects": [{"id": "p2", "name": "sandbox-1_two"}],
        "das_instances": [{"instance_id": "i"}],
        "cas_tickets": [{"ticket": "TGT-1"}],
    }
    async with running() as client:
        assert (await client.control("seed", things)).status == 200
        answer = await client.signed("GET", "/v2/p2/instances", key="AK2", secret="SK2", X_Project_Id="p2")
        assert answer.status == 200


@pytest.mark.parametrize(
    ("things", "message"),
    [
        ({"toys": []}, "toys: no such kind"),
        ({"desktops": 3}, "desktops: must be a list"),
        ({"desktops": [{"desktop_id": "d", "colour": "red"}]}, "desktops: there is no field colour"),
        ({"desktops": [{}]}, "desktops: needs desktop_id"),
        ({"desktops": [{"desktop_id": "d", "tags": ["a"]}]}, "desktops: tags must be an object"),
        ({"desktops": {"number": 3}}, "desktops: needs count"),
        ({"users": [{"id": "u", "name": "ann"}]}, "users: needs password"),
        ({"desktops": ["d"]}, "desktops: "),
        ({"projects": {"count": 2}}, "one by one"),
        ({"tokens": [{"user": "nobody"}]}, "no user nobody"),
        ({"credentials": [{"access_key": "a", "secret_key": "s", "user_id": "none"}]}, "no user none"),
    ],
)
async def test_wrong_seeds(things: Any, message: str) -> None:
    async with running() as client:
        answer = await client.control("seed", things)
        assert answer.status == 400
        assert message in answer.json["error"]


async def test_faults_come_and_go() -> None:
    async with running() as client:
        assert (await client.control("faults", {"service": "dcs", "kind": "status"})).status == 200
        assert (await client.control("faults", [{"service": "das", "kind": "big", "times": None}])).status == 200
        assert (await client.control("faults", {"service": "dcs", "kind": "explode"})).status == 400
        assert len(client.sandbox.world.faults) == 2
        assert (await client.signed("GET", f"/v2/{PROJECT_ID}/instances")).status == 500
        assert (await client.control("state", method="GET")).json["faults"][0]["hits"] == 1
        await client.control("faults", method="DELETE")
        assert client.sandbox.world.faults == []


async def test_settings() -> None:
    settings = {
        "limits": {"dcs": {"calls": 5, "period": 60, "retry_after": "delta"}},
        "lag": [0.1, 0.2],
        "denied": ["cleaner"],
        "cas_post": False,
        "expire_tokens_after": [20],
        "ignored_share": 0.5,
    }
    async with running() as client:
        assert (await client.control("settings", settings)).status == 200
        world = client.sandbox.world
        assert world.limits == {"dcs": Limit(5, 60, retry_after="delta")}
        assert (world.lag, world.denied, world.cas_post) == ((0.1, 0.2), {"cleaner"}, False)
        await client.control("settings", {"limits": {"dcs": None}, "lag": 1})
        assert (world.limits, world.lag) == ({}, 1.0)


@pytest.mark.parametrize(
    "settings",
    [
        {"clock": 1},
        {"cas_post": "no"},
        [],
        {"lag": None},
        {"lag": {"das": "long"}},
        {"ignored_share": "many"},
        {"ignored": ["a"]},
        {"limits": {"dcs": {}}},
        {"limits": None},
        {"limits": {"dcs": 5}},
        {"limits": {"dcs": {"calls": 0}}},
        {"limits": {"dcs": {"calls": 1, "retry_after": "http"}}},
    ],
)
async def test_wrong_settings(settings: Any) -> None:
    async with running() as client:
        answer = await client.control("settings", settings)
        assert answer.status == 400
        said = answer.json["error"]
        assert not any(inside in said for inside in ("NoneType", "argument", "object is not", "attribute"))


async def test_the_config_names_this_sandbox() -> None:
    async with running() as client:
        text = (await client.control("config", method="GET")).body.decode()
        assert text == client.sandbox.config()
        config = yaml.safe_load(text)
        assert config["connections"]["sandbox"]["endpoint"] == client.sandbox.url
        assert config["connections"]["manager"] == {"endpoint": client.sandbox.url, "auth": {"type": "none"}}
        assert config["services"]["das.builtin-account"]["already_ended"][0]["code"] == r"DAS\.200112"
        assert "SANDBOX_PASSWORD=sandbox-password" in text


async def test_the_snapshot_shows_no_token_and_no_secret() -> None:
    async with running(World.demo()) as client:
        body = (await client.control("state", method="GET")).body
        assert b"sandbox-secret-key" not in body
        assert b"sandbox-password" not in body


def test_the_demo_world_has_something_of_everything() -> None:
    world = World.demo()
    assert all(world._alive().values())
    assert world.cbh.instances
    assert world.denied


async def test_serve_runs_until_cancelled() -> None:
    ready: asyncio.Future[Sandbox] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(World(), ready=ready.set_result))
    assert (await ready).url.startswith("http://127.0.0.1:")
    server.cancel()
    with pytest.raises(asyncio.CancelledError):
        await server
