from __future__ import annotations

from typing import Any

import pytest

from orchestrator.sandbox import World
from orchestrator.sandbox.state import PROJECT_ID

from .client import running

ONE = "da304cd5000000000000000000000001in01"
MYSQL = {"datastore_type": "MySQL"}


def path(action: str, instance: str = ONE) -> str:
    return f"/v3/{PROJECT_ID}/instances/{instance}/{action}"


def seeded() -> World:
    world = World()
    world.seed({"das_instances": [{"instance_id": ONE}]})
    return world


async def test_a_login_and_a_logoff() -> None:
    async with running(seeded()) as client:
        opened = await client.signed("POST", path("login-built-in-account"), MYSQL)
        listed = (await client.signed("GET", path("db-users"))).json
        expected = [{"db_user_id": opened.json["db_user_id"], "db_username": "cleaner"}]
        assert listed == {"total": 1, "db_users": expected}
        closed = await client.signed("POST", path("logoff-built-in-account"), MYSQL)
        assert (closed.status, closed.body) == (200, b'""')
        assert (await client.signed("GET", path("db-users"))).json == {"total": 0, "db_users": []}
        again = await client.signed("POST", path("logoff-built-in-account"), MYSQL)
        assert (again.status, again.code) == (400, "DAS.200112")
        assert client.sandbox.world.ledger.counts("handled") == {"das": {ONE: 2}}


@pytest.mark.parametrize(
    ("instance", "body", "code"),
    [
        (ONE, {"datastore_type": "mysql"}, "DAS.200107"),
        (ONE, None, "DAS.200107"),
        ("none", MYSQL, "DAS.200114"),
    ],
)
async def test_refused_logoffs(instance: str, body: Any, code: str) -> None:
    async with running(seeded()) as client:
        answer = await client.signed("POST", path("logoff-built-in-account", instance), body)
        assert (answer.status, answer.code) == (400, code)


async def test_db_users_are_paged_and_filtered() -> None:
    world = World()
    world.seed({"das_logins": [{"instance_id": ONE, "user": f"user-{n}"} for n in range(15)]})
    async with running(world) as client:
        sizes = [len((await client.signed("GET", path(f"db-users?offset={n}"))).json["db_users"]) for n in (0, 10)]
        assert sizes == [10, 5]
        assert (await client.signed("GET", path("db-users?db_username=user-3"))).json["total"] == 1
        assert (await client.signed("GET", path("db-users?limit=101"))).code == "DAS.200100"
