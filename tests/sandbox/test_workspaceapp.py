from __future__ import annotations

from typing import Any

import pytest

from orchestrator.sandbox import World
from orchestrator.sandbox.state import PROJECT_ID

from .client import Clock, running

SESSIONS = f"/v1/{PROJECT_ID}/session/list-sessions"
ALWAYS = f"{SESSIONS}?query_begin_time=2000-01-01T00:00:00.000Z&query_end_time=2100-01-01T00:00:00.000Z"
REQUIRED = {"message_type": 0, "delay_time": 0}


async def test_application_sessions_are_listed_and_signed_out() -> None:
    world = World()
    world.seed({"app_sessions": {"count": 12}})
    async with running(world) as client:
        logoff = f"/v1/{PROJECT_ID}/session/logoff"
        answer = await client.signed("POST", logoff, {"session_ids": ["app-0001"], **REQUIRED})
        assert answer.status == 200
        active = (await client.signed("GET", f"{ALWAYS}&session_state=Active")).json
        assert (active["count"], len(active["items"])) == (11, 10)
        one = (await client.signed("GET", f"{ALWAYS}&user_name=user-0001")).json
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
        assert len(world.app_sessions.alive()) == 1


async def test_the_time_window_of_a_session_listing_is_mandatory() -> None:
    async with running() as client:
        assert (await client.signed("GET", SESSIONS)).status == 400
        assert (await client.signed("GET", f"{SESSIONS}?query_begin_time=1&query_end_time=yesterday")).status == 400
        assert (await client.signed("GET", f"{ALWAYS}&limit=101")).status == 400


async def test_sessions_are_listed_by_when_they_began() -> None:
    clock = Clock()
    world = World(clock=clock)
    world.seed({"app_sessions": [{"session_id": "old", "since": clock.time - 7200.5}, {"session_id": "new"}]})
    async with running(world) as client:
        window = "query_begin_time=2023-11-14T22:00:00Z&query_end_time=2023-11-14T23:00:00.000Z"
        listed = (await client.signed("GET", f"{SESSIONS}?{window}")).json
        assert [item["id"] for item in listed["items"]] == ["new"]
        both = (await client.signed("GET", ALWAYS)).json["items"]
        assert [item["start_time"] for item in both] == ["2023-11-14T20:13:19Z", "2023-11-14T22:13:20Z"]
        clock.time += 30
        await client.signed("POST", f"/v1/{PROJECT_ID}/session/logoff", {"session_ids": ["old"], **REQUIRED})
        ended = (await client.signed("GET", f"{ALWAYS}&session_state=SignedOut")).json["items"]
        assert [(item["id"], item["end_time"]) for item in ended] == [("old", "2023-11-14T22:13:50Z")]


@pytest.mark.parametrize("state", ["Active", "Disconnected", "AppcInit", "SignedOut", "InitFail"])
async def test_every_published_state_can_be_asked_for(state: str) -> None:
    world = World()
    world.seed({"app_sessions": [{"session_id": "one", "status": state, "machine": "aps-1"}]})
    async with running(world) as client:
        found = (await client.signed("GET", f"{ALWAYS}&session_state={state}&machine_name=aps-1")).json
        assert (found["count"], found["items"][0]["machine_name"]) == (1, "aps-1")
        assert (await client.signed("GET", f"{ALWAYS}&session_state={state}&machine_name=aps-2")).json["count"] == 0
        for wrong in ("session_state=Gone", f"session_state={state}&session_state={state}"):
            assert (await client.signed("GET", f"{ALWAYS}&{wrong}")).status == 400


async def test_a_session_begins_anew_under_the_same_id() -> None:
    clock = Clock()
    world = World(clock=clock, lag=10.0)
    world.seed({"app_sessions": {"count": 1}})
    async with running(world) as client:
        await client.signed("POST", f"/v1/{PROJECT_ID}/session/logoff", {"session_ids": ["app-0001"], **REQUIRED})
        clock.time += 5
        revived = await client.control("revive", {"service": "workspaceapp", "ids": ["app-0001"]})
        assert revived.status == 200
        clock.time += 60
        item = (await client.signed("GET", ALWAYS)).json["items"][0]
        assert (item["session_state"], item["start_time"]) == ("Active", "2023-11-14T22:13:25Z")
        world.revive("workspaceapp", ["app-0001"], since=clock.time - 3600)
        assert (await client.signed("GET", ALWAYS)).json["items"][0]["start_time"] == "2023-11-14T21:14:25Z"
