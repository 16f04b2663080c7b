from __future__ import annotations

from typing import Any

import pytest

from orchestrator.sandbox import World
from orchestrator.sandbox.seed import instance_id
from orchestrator.sandbox.state import PROJECT_ID

from .client import running

BASE = f"/v2/{PROJECT_ID}/cbs/instance"
ONE = instance_id("bastion-0001")


def seeded(**more: Any) -> World:
    world = World(**more)
    world.seed({"cbh_instances": {"count": 3}})
    return world


async def test_a_link_is_issued_and_recorded() -> None:
    async with running(seeded()) as client:
        answers = [await client.signed("POST", f"{BASE}/login", {"server_id": ONE}) for _ in range(2)]
        urls = [answer.json["login_url"] for answer in answers]
        assert len(set(urls)) == 2
        assert urls == [link.url for link in client.sandbox.world.cbh.links]
        assert all("?cbhinfo=" in url and len(url) <= 255 for url in urls)
        assert client.sandbox.state()["links"] == {ONE: 2}


@pytest.mark.parametrize("denied", ["SANDBOXAK", "cleaner"])
async def test_a_denied_caller(denied: str) -> None:
    async with running(seeded(denied={denied})) as client:
        answer = await client.signed("POST", f"{BASE}/login", {"server_id": ONE})
        assert answer.status == 403
        assert set(answer.json) == {"error_code", "error_description"}
        assert answer.code == "CBH.10020002"


@pytest.mark.parametrize(
    ("body", "code"),
    [({"server_id": "none"}, "CBH.10020011"), ({}, "CBH.10020011"), (b"x", "CBH.10020009")],
)
async def test_refused_logins(body: Any, code: str) -> None:
    async with running(seeded()) as client:
        answer = await client.signed("POST", f"{BASE}/login", body)
        assert (answer.status, answer.code) == (400, code)


async def test_the_shape_of_the_published_examples() -> None:
    async with running(seeded(numeric_cbh_errors=True)) as client:
        answer = await client.signed("POST", f"{BASE}/login", {})
        assert answer.json == {"error_code": 400, "description": "Incorrect server ID."}


async def test_instances_and_their_status() -> None:
    async with running(seeded()) as client:
        listed = (await client.signed("GET", f"{BASE}/list?limit=2")).json
        assert (listed["total"], len(listed["instance"])) == (3, 2)
        status = (await client.signed("GET", f"{BASE}/{ONE}/status")).json
        assert status == {"name": "bastion-0001", "status": "ACTIVE", "server_id": ONE}
        assert (await client.signed("GET", f"{BASE}/none/status")).code == "CBH.10020011"
        assert (await client.signed("GET", f"{BASE}/list?limit=1001")).code == "CBH.10020010"
