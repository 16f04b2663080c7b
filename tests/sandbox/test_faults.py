from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from orchestrator.sandbox import Fault, World, faults, server
from orchestrator.sandbox.state import PROJECT_ID

from .client import Client, running

ONE = "5560df16-cebf-4473-95c4-d1b573c16e79"
LOGOUT = f"/v2/{PROJECT_ID}/instances/{ONE}/webcli/logout"
INSTANCES = f"/v2/{PROJECT_ID}/instances"


def faulty(kind: Any, **more: Any) -> World:
    world = World(faults=[Fault("dcs", kind, **more)])
    world.seed({"dcs_sessions": [{"instance_id": ONE, "client_id": "a"}]})
    return world


async def log_out(client: Client) -> int:
    return (await client.signed("POST", LOGOUT, {"client_id": "a"})).status


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"service": "nope"}, "service: 'nope' is none of"),
        ({"times": "x"}, "times: must be a whole number"),
        ({"status": 99_999}, "status: must be a whole number from 100 to 599"),
        ({"size": -5}, "size: must be"),
        ({"every": 0}, "every: must be"),
        ({"seconds": -1.0}, "seconds: must be"),
        ({"kind": "nope"}, "kind: 'nope' is none of"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Fault(**{"service": "dcs", "kind": "status", **wrong})


def test_a_fault_can_be_for_every_service() -> None:
    known = {operation.service for service in server._SERVICES for operation in service.OPERATIONS}
    assert {"*", *known} == set(faults.SERVICES)


async def test_status() -> None:
    world = faulty("status", status=503, body='{"error_code":"DCS.5000"}', headers={"Retry-After": "1"})
    async with running(world) as client:
        answer = await client.signed("GET", INSTANCES)
        assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "DCS.5000", "1")
        assert (await client.signed("GET", INSTANCES)).status == 200


async def test_which_calls_are_struck() -> None:
    async with running(faulty("status", times=2, every=3, after=1)) as client:
        statuses = [(await client.signed("GET", INSTANCES)).status for _ in range(9)]
        assert statuses == [200, 500, 200, 200, 500, 200, 200, 200, 200]


async def test_no_end_of_times() -> None:
    async with running(faulty("status", times=None)) as client:
        assert {(await client.signed("GET", INSTANCES)).status for _ in range(5)} == {500}


@pytest.mark.parametrize(("match", "status"), [('"a"', 500), ("webcli/logout", 500), ("elsewhere", 204)])
async def test_match_looks_at_path_and_body(match: str, status: int) -> None:
    async with running(faulty("status", match=match)) as client:
        assert await log_out(client) == status


async def test_faults_come_after_authentication_unless_told() -> None:
    async with running(faulty("status")) as client:
        assert (await client.plain("GET", INSTANCES)).status == 401
        client.sandbox.world.faults = [Fault("*", "status", status=502, before_auth=True)]
        assert (await client.plain("GET", INSTANCES)).status == 502


async def test_hang_does_not_hold_up_shutdown() -> None:
    async with running(faulty("hang", seconds=60)) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(log_out(client), 0.05)
        started = time.monotonic()
    assert time.monotonic() - started < 2
    assert len(client.sandbox.world.dcs.sessions) == 1


async def test_a_call_in_flight_does_not_hold_up_shutdown() -> None:
    async with running(faulty("hang", seconds=60)) as client:
        call = asyncio.create_task(log_out(client))
        await asyncio.sleep(0.05)
        started = time.monotonic()
        await client.sandbox.__aexit__(None, None, None)
        assert time.monotonic() - started < 2
        with pytest.raises(aiohttp.ClientError):
            await call


async def test_hang_goes_on_for_a_patient_client() -> None:
    async with running(faulty("hang", seconds=0.01)) as client:
        assert await log_out(client) == 204


async def test_reset_leaves_the_work_undone() -> None:
    async with running(faulty("reset")) as client:
        with pytest.raises(aiohttp.ClientOSError, match="reset"):
            await log_out(client)
        assert len(client.sandbox.world.dcs.sessions) == 1


async def test_lost_does_the_work() -> None:
    async with running(faulty("lost")) as client:
        with pytest.raises(aiohttp.ClientOSError, match="reset"):
            await log_out(client)
        assert not client.sandbox.world.dcs.sessions
        ledger = client.sandbox.world.ledger
        assert ledger.counts("received") == ledger.counts("handled") == {"dcs": {f"{ONE}/a": 1}}


@pytest.mark.parametrize("path", [INSTANCES, LOGOUT])
async def test_truncate(path: str) -> None:
    async with running(faulty("truncate")) as client:
        method = "POST" if path == LOGOUT else "GET"
        with pytest.raises(aiohttp.ClientPayloadError):
            await client.signed(method, path, {"client_id": "a"})
        assert len(client.sandbox.world.dcs.sessions) == (path != LOGOUT)


async def test_content_type() -> None:
    async with running(faulty("content_type")) as client:
        answer = await client.signed("GET", INSTANCES)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize(("path", "status"), [(INSTANCES, 200), (LOGOUT, 204)])
async def test_slow(path: str, status: int) -> None:
    async with running(faulty("slow", seconds=0.05)) as client:
        started = time.monotonic()
        answer = await client.signed("POST" if path == LOGOUT else "GET", path, {"client_id": "a"})
        assert time.monotonic() - started >= 0.05
        assert answer.status == status
        assert not answer.body or answer.json["instance_num"] == 1


@pytest.mark.parametrize("size", [2, 1000, 65538, 1_000_000])
async def test_big(size: int) -> None:
    async with running(faulty("big", size=size)) as client:
        answer = await client.signed("GET", INSTANCES)
        assert len(answer.body) == size
        assert isinstance(answer.json, str)


@pytest.mark.parametrize(("kind", "more"), [("big", {"size": 50_000_000}), ("slow", {"seconds": 0.2})])
async def test_a_client_that_hangs_up_leaves_no_traceback(
    kind: str, more: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with running(faulty(kind, before_auth=True, **more)) as client:
        async with client.http.get(client.sandbox.url + INSTANCES) as answer:
            await answer.content.read(1)
            answer.close()
        await asyncio.sleep(0.3)
    assert caplog.text == ""


def test_a_fault_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="kind: 'explode' is none of status"):
        Fault("dcs", "explode")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="every"):
        Fault("dcs", "reset", every=0)
