from __future__ import annotations

from typing import Any

import pytest

from orchestrator.sandbox import World
from orchestrator.sandbox.state import PROJECT_ID, USER_ID

from .client import Answer, Client, Clock, running

INSTANCES = f"/v2/{PROJECT_ID}/instances"
PROJECT: dict[str, Any] = {"project": {"id": PROJECT_ID}}


async def log_in(client: Client, scope: Any = PROJECT, **user: Any) -> Answer:
    claimed = {"name": "cleaner", "password": "sandbox-password", "domain": {"name": "sandbox"}, **user}
    identity = {"methods": ["password"], "password": {"user": claimed}}
    return await client.plain("POST", "/v3/auth/tokens", {"auth": {"identity": identity, "scope": scope}})


async def use(client: Client, token: str, path: str = INSTANCES) -> Answer:
    return await client.plain("GET", path, headers={"X-Auth-Token": token})


@pytest.mark.parametrize("scope", [PROJECT, {"project": {"name": "sandbox-1"}}])
async def test_a_token_opens_its_project(scope: Any) -> None:
    async with running() as client:
        issued = await log_in(client, scope)
        assert issued.status == 201
        assert issued.json["token"]["expires_at"].endswith("Z")
        assert (await use(client, issued.headers["X-Subject-Token"])).status == 200


async def test_a_user_is_found_by_id() -> None:
    async with running() as client:
        assert (await log_in(client, id=USER_ID)).status == 201


async def test_a_domain_token_opens_no_project() -> None:
    async with running() as client:
        token = (await log_in(client, {"domain": {"name": "sandbox"}})).headers["X-Subject-Token"]
        assert (await use(client, token)).code == "111401004"
        assert (await use(client, token, "/v3/projects")).status == 200


@pytest.mark.parametrize(
    "user", [{"password": "wrong"}, {"name": "nobody"}, {"domain": {"name": "other"}}, {"id": "none"}]
)
async def test_wrong_credentials(user: dict[str, Any]) -> None:
    async with running() as client:
        refused = await log_in(client, **user)
        assert refused.status == 401
        assert refused.json["error"]["code"] == 401
        assert refused.json["error"]["title"] == "Unauthorized"


async def test_an_unknown_project_and_a_shapeless_body() -> None:
    async with running() as client:
        assert (await log_in(client, {"project": {"name": "elsewhere"}})).status == 401
        assert (await client.plain("POST", "/v3/auth/tokens", {"auth": {}})).status == 400


async def test_tokens_expire() -> None:
    clock = Clock()
    async with running(World(clock=clock, token_life=100)) as client:
        token = (await log_in(client)).headers["X-Subject-Token"]
        clock.time += 101
        refused = await use(client, token)
        assert (refused.status, refused.code) == (401, "APIGW.0301")
        assert "token expires, expires_at: 2023-" in refused.json["error_msg"]


async def test_the_first_token_dies_after_its_uses() -> None:
    async with running(World(expire_tokens_after=[2])) as client:
        first = (await log_in(client)).headers["X-Subject-Token"]
        second = (await log_in(client)).headers["X-Subject-Token"]
        assert [(await use(client, first)).status for _ in range(3)] == [200, 200, 401]
        assert (await use(client, first)).code == "APIGW.0307"
        assert [(await use(client, second)).status for _ in range(3)] == [200] * 3
        assert client.sandbox.state()["tokens"] == {"issued": 2, "revoked": 0, "alive": 1}


async def test_large_tokens() -> None:
    async with running(World(token_bytes=30_000)) as client:
        token = (await log_in(client)).headers["X-Subject-Token"]
        assert len(token) == 30_000
        assert (await use(client, token)).status == 200


async def test_a_token_is_described_and_revoked() -> None:
    async with running() as client:
        token = (await log_in(client)).headers["X-Subject-Token"]
        own = {"X-Auth-Token": token, "X-Subject-Token": token}
        described = await client.plain("GET", "/v3/auth/tokens?nocatalog=true", headers=own)
        assert described.json["token"]["user"]["name"] == "cleaner"
        assert "catalog" not in described.json["token"]
        assert (await client.plain("HEAD", "/v3/auth/tokens", headers=own)).status == 200
        other = await client.plain("GET", "/v3/auth/tokens", headers={**own, "X-Subject-Token": "none"})
        assert (other.status, other.json["error"]["code"]) == (404, 404)
        assert (await client.plain("DELETE", "/v3/auth/tokens", headers=own)).status == 204
        assert (await use(client, token)).code == "APIGW.0307"
        assert client.sandbox.state()["tokens"] == {"issued": 1, "revoked": 1, "alive": 0}


async def test_some_sites_do_not_revoke() -> None:
    async with running(World(revocation=False)) as client:
        token = (await log_in(client)).headers["X-Subject-Token"]
        own = {"X-Auth-Token": token, "X-Subject-Token": token}
        assert (await client.plain("DELETE", "/v3/auth/tokens", headers=own)).status == 404
        assert (await use(client, token)).status == 200


async def test_projects_by_name() -> None:
    async with running() as client:
        found = await client.signed("GET", "/v3/projects?name=sandbox-1")
        assert [project["id"] for project in found.json["projects"]] == [PROJECT_ID]
        assert (await client.signed("GET", "/v3/projects?name=none")).json["projects"] == []


async def test_disabling_a_user_ends_its_tokens_and_keys() -> None:
    async with running() as client:
        token = (await log_in(client)).headers["X-Subject-Token"]
        found = (await client.signed("GET", "/v3/users?name=cleaner")).json["users"]
        disabled = await client.signed("PATCH", f"/v3/users/{found[0]['id']}", {"user": {"enabled": False}})
        assert disabled.json["user"]["enabled"] is False
        assert (await use(client, token)).status == 401
        assert (await log_in(client)).status == 401
        assert (await client.signed("GET", INSTANCES)).json["error_msg"].endswith("Get secretKey failed")


async def test_a_key_is_switched_off() -> None:
    async with running() as client:
        listed = await client.signed("GET", f"/v3.0/OS-CREDENTIAL/credentials?user_id={USER_ID}")
        assert [credential["access"] for credential in listed.json["credentials"]] == ["SANDBOXAK"]
        path = "/v3.0/OS-CREDENTIAL/credentials/SANDBOXAK"
        wrong = await client.signed("PUT", path, {"credential": {"status": "off"}})
        assert wrong.status == 400
        off = await client.signed("PUT", path, {"credential": {"status": "inactive"}})
        assert off.json["credential"]["status"] == "inactive"
        assert (await client.signed("GET", INSTANCES)).status == 401


async def test_unknown_users_and_keys() -> None:
    async with running() as client:
        assert (await client.signed("PATCH", "/v3/users/none", {"user": {"enabled": False}})).status == 404
        nobody = "/v3.0/OS-CREDENTIAL/credentials/none"
        assert (await client.signed("PUT", nobody, {"credential": {"status": "inactive"}})).status == 404
