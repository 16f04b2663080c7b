"""Logoffs that show late or never, and people who sign in again, over every service."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.sandbox import World
from orchestrator.sandbox.seed import digest
from orchestrator.sandbox.state import PROJECT_ID, USER_ID

from .client import Client, Clock, running

REDIS = "5560df16-cebf-4473-95c4-d1b573c16e79"
MYSQL = "da304cd5000000000000000000000001in01"
SEEDS: dict[str, Any] = {
    "dcs_sessions": [{"instance_id": REDIS, "client_id": "a"}],
    "das_logins": [{"instance_id": MYSQL}],
    "desktops": [{"desktop_id": "pc"}],
    "app_sessions": [{"session_id": "app"}],
    "cas_tickets": [{"ticket": "TGT-1"}],
}
NAMES = {"dcs": f"{REDIS}/a", "das": f"{MYSQL}/cleaner", "workspace": "pc", "workspaceapp": "app", "cas": "TGT-1"}


def seeded(**more: Any) -> World:
    world = World(clock=Clock(), **more)
    world.seed(SEEDS)
    return world


def pass_time(world: World, seconds: float) -> None:
    assert isinstance(world.clock, Clock)
    world.clock.time += seconds


async def end(client: Client, service: str) -> int:
    if service == "cas":
        return (await client.plain("POST", "/cas/logout", headers={"Cookie": "CASTGC=TGT-1"})).status
    path, body = {
        "dcs": (f"/v2/{PROJECT_ID}/instances/{REDIS}/webcli/logout", {"client_id": "a"}),
        "das": (f"/v3/{PROJECT_ID}/instances/{MYSQL}/logoff-built-in-account", {"datastore_type": "MySQL"}),
        "workspace": (f"/v2/{PROJECT_ID}/desktops/logoff", {"desktop_ids": ["pc"]}),
        "workspaceapp": (
            f"/v1/{PROJECT_ID}/session/logoff",
            {"session_ids": ["app"], "message_type": 0, "delay_time": 0},
        ),
    }[service]
    return (await client.signed("POST", path, body)).status


def alive(world: World, service: str) -> bool:
    sessions: Any = world.snapshot()["sessions"]
    return bool(sessions[service] == [NAMES[service]])


@pytest.mark.parametrize("service", NAMES)
async def test_a_logoff_shows_after_the_lag_of_its_service(service: str) -> None:
    world = seeded(lag={service: 10.0})
    async with running(world) as client:
        assert await end(client, service) < 300
        assert world.snapshot()["pending"] == {service: [NAMES[service]]}
        pass_time(world, 9.9)
        assert await end(client, service) < 300, "a second one is taken, and keeps the time of the first"
        assert alive(world, service)
        pass_time(world, 0.1)
        assert not alive(world, service)
        assert world.snapshot()["pending"] == {}


async def test_a_logoff_that_is_put_off_shows_after_the_delay_and_the_lag() -> None:
    world = seeded(lag={"workspaceapp": 10.0})
    async with running(world) as client:
        body = {"session_ids": ["app"], "message_type": 0, "delay_time": 60}
        assert (await client.signed("POST", f"/v1/{PROJECT_ID}/session/logoff", body)).status == 200
        pass_time(world, 69.9)
        assert alive(world, "workspaceapp")
        pass_time(world, 0.1)
        assert not alive(world, "workspaceapp")


@pytest.mark.parametrize("service", NAMES)
async def test_a_plain_lag_is_for_the_queued_services_alone(service: str) -> None:
    world = seeded(lag=10.0)
    async with running(world) as client:
        await end(client, service)
        assert alive(world, service) is (service in ("workspace", "workspaceapp"))


@pytest.mark.parametrize("service", NAMES)
@pytest.mark.parametrize("how", ["share", "listed", "the rest"])
async def test_an_ignored_logoff_is_accepted_all_the_same(service: str, how: str) -> None:
    settings: dict[str, dict[str, Any]] = {
        "share": {"ignored_share": {service: 1.0}},
        "listed": {"ignored": {service: {NAMES[service]}}},
        "the rest": {"ignored_share": {"*": 1.0, "iam": 0.0}},
    }
    world = seeded(**settings[how])
    async with running(world) as client:
        for _ in range(2):
            assert await end(client, service) < 300
        assert alive(world, service)
        assert world.snapshot()["ignored"] == {service: [NAMES[service]]}


@pytest.mark.parametrize("service", NAMES)
async def test_only_the_first_so_many_logoffs_are_ignored(service: str) -> None:
    world = seeded(ignored={service: {NAMES[service]: 2}})
    async with running(world) as client:
        seen = []
        for _ in range(3):
            await end(client, service)
            seen.append(alive(world, service))
        assert seen == [True, True, False]


def test_what_is_drawn_depends_on_the_thing_and_not_on_the_order_of_calls() -> None:
    first, second = (World(lag=(1.0, 2.0), ignored_share=0.05, random_seed=7) for _ in range(2))
    names = [f"desktop-{n:04d}" for n in range(1, 2001)]
    lags = {name: first.draw_lag("workspace", name) for name in names}
    assert lags == {name: second.draw_lag("workspace", name) for name in reversed(names)}
    assert all(1.0 <= lag <= 2.0 for lag in lags.values())
    assert len(set(lags.values())) == 2000
    ignored = [name for name in names if first.is_ignored("workspace", name)]
    assert ignored == [name for name in names if second.is_ignored("workspace", name)]
    assert 70 <= len(ignored) <= 130
    again = [name for name in ignored if first.is_ignored("workspace", name, 1)]
    assert len(again) < len(ignored), "a second logoff is drawn anew"
    assert ignored != [n for n in names if World(ignored_share=0.05, random_seed=8).is_ignored("workspace", n)]


@pytest.mark.parametrize("service", ["workspace", "workspaceapp", "das"])
async def test_whoever_signs_in_again_before_the_end_stays(service: str) -> None:
    world = seeded(lag={"*": 10.0})
    async with running(world) as client:
        await end(client, service)
        answer = await client.control("revive", {"service": service, "ids": [NAMES[service]]})
        assert answer.status == 200
        pass_time(world, 20)
        assert alive(world, service)
        await end(client, service)
        pass_time(world, 20)
        assert not alive(world, service), "the new session can be ended as well"


@pytest.mark.parametrize("service", ["workspace", "workspaceapp", "das"])
async def test_whoever_returns_by_himself_does_so_once(service: str) -> None:
    world = seeded(lag={"*": 10.0}, returns={service: {NAMES[service]: 5.0}})
    async with running(world) as client:
        await end(client, service)
        seen = []
        for _ in range(3):
            pass_time(world, 5)
            seen.append(alive(world, service))
        assert seen == [True, False, True]
        await end(client, service)
        pass_time(world, 100)
        assert not alive(world, service)


async def test_a_return_begins_at_its_own_moment() -> None:
    world = seeded(lag=10.0, returns={"workspaceapp": {"app": 5.0}})
    async with running(world) as client:
        await end(client, "workspaceapp")
        pass_time(world, 1000)
        window = "query_begin_time=2023-01-01T00:00:00Z&query_end_time=2024-01-01T00:00:00Z"
        listed = (await client.signed("GET", f"/v1/{PROJECT_ID}/session/list-sessions?{window}")).json
        assert listed["items"][0]["start_time"] == "2023-11-14T22:13:35Z"


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"service": "cas", "ids": ["TGT-1"]}, "seed a new session instead"),
        ({"service": "workspace", "ids": ["none"]}, "none"),
        ({"service": "workspaceapp", "ids": ["none"]}, "none"),
        ({"service": "das", "ids": ["none"]}, "none"),
        ({"ids": []}, "service"),
    ],
)
async def test_who_cannot_sign_in_again(order: Any, message: str) -> None:
    async with running(seeded()) as client:
        answer = await client.control("revive", order)
        assert answer.status == 400
        assert message in answer.json["error"]


async def test_a_new_session_of_an_old_name_is_not_ended_by_an_old_logoff() -> None:
    world = seeded(lag={"*": 10.0})
    async with running(world) as client:
        for service in NAMES:
            await end(client, service)
        world.seed(SEEDS)
        pass_time(world, 20)
        assert all(alive(world, service) for service in NAMES)
        for service in NAMES:
            await end(client, service)
        pass_time(world, 20)
        assert not any(alive(world, service) for service in NAMES)


async def test_a_late_ticket_still_lets_in_and_a_dead_one_does_not() -> None:
    world = seeded(lag={"cas": 10.0})
    async with running(world) as client:
        cookie = {"Cookie": "CASTGC=TGT-1"}
        await end(client, "cas")
        assert b'name="lt"' not in (await client.plain("GET", "/cas/login", headers=cookie)).body
        pass_time(world, 10)
        dead = await client.plain("GET", "/cas/login", headers=cookie)
        never = await client.plain("GET", "/cas/login", headers={"Cookie": "CASTGC=TGT-never"})
        for answer in (dead, never):
            assert answer.status == 200
            assert b'name="lt"' in answer.body


async def test_a_late_web_cli_session_still_takes_commands() -> None:
    world = seeded(lag={"dcs": 10.0})
    async with running(world) as client:
        command = (f"/v2/{PROJECT_ID}/instances/{REDIS}/webcli/command", {"client_id": "a", "command": "PING"})
        await end(client, "dcs")
        assert (await client.signed("POST", *command)).status == 200
        pass_time(world, 10)
        assert (await client.signed("POST", *command)).code == "111400063"


async def test_iam_is_late_too_and_names_tokens_by_their_fingerprint() -> None:
    world = World(clock=Clock(), lag={"iam": 1800.0})
    users = {
        "users": [
            {"id": "u", "name": "leaver", "password": "p", "access_keys": [{"access_key": "AK", "secret_key": "SK"}]}
        ]
    }
    world.seed(users)
    token = world.seed({"tokens": [{"user": "leaver", "token": "MII-1"}]})["tokens"][0]
    assert token["id"] == f"sha256:{digest('MII-1', 16)}"
    async with running(world) as client:
        disabled = await client.signed("PATCH", "/v3/users/u", {"user": {"enabled": False}})
        assert disabled.json["user"]["enabled"] is False
        path = "/v3.0/OS-CREDENTIAL/credentials/AK"
        await client.signed("PUT", path, {"credential": {"status": "inactive"}})
        subject = {"X-Subject-Token": "MII-1"}
        assert (await client.signed("DELETE", "/v3/auth/tokens", X_Subject_Token="MII-1")).status == 204
        assert world.snapshot()["pending"] == {"iam": ["u", "AK", token["id"]]}
        use = {"X-Auth-Token": "MII-1", **subject}
        assert (await client.plain("GET", "/v3/auth/tokens", headers=use)).status == 200
        assert world.snapshot()["access_keys"] == {"SANDBOXAK": "active", "AK": "active"}
        pass_time(world, 1800)
        assert (await client.plain("GET", "/v3/auth/tokens", headers=use)).code == "APIGW.0307"
        assert world.snapshot()["users"] == {"cleaner": True, "leaver": False}
        assert world.snapshot()["access_keys"] == {"SANDBOXAK": "active", "AK": "inactive"}


async def test_an_ignored_disabling_leaves_the_user_in() -> None:
    world = World(ignored={"iam": [USER_ID, "SANDBOXAK"]})
    async with running(world) as client:
        await client.signed("PATCH", f"/v3/users/{USER_ID}", {"user": {"enabled": False}})
        path = "/v3.0/OS-CREDENTIAL/credentials/SANDBOXAK"
        await client.signed("PUT", path, {"credential": {"status": "inactive"}})
        shown = (await client.signed("GET", f"/v3/users/{USER_ID}")).json["user"]
        assert shown["enabled"] is True
        assert world.snapshot()["ignored"] == {"iam": [USER_ID, "SANDBOXAK"]}


async def test_the_settings_over_http() -> None:
    settings = {
        "lag": {"workspace": [0, 5], "*": 1},
        "ignored_share": {"workspace": 0.05},
        "ignored": {"cas": ["TGT-1"], "dcs": {f"{REDIS}/a": 1}},
        "returns": {"workspace": {"pc": 2.5}},
        "random_seed": 3,
    }
    async with running(seeded()) as client:
        assert (await client.control("settings", settings)).status == 200
        world = client.sandbox.world
        assert world.lag == {"workspace": (0.0, 5.0), "*": 1.0}
        assert (world.ignored_share, world.random_seed) == ({"workspace": 0.05}, 3)
        assert world.is_ignored("cas", "TGT-1", 5)
        assert [world.is_ignored("dcs", f"{REDIS}/a", nth) for nth in (0, 1)] == [True, False]
        assert world.returns == {"workspace": {"pc": 2.5}}
