"""IAM as an offboarding uses it: find a user, disable it and its keys, and see that nothing of it works any more."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.sandbox import World
from orchestrator.sandbox.seed import access_key, digest, secret
from orchestrator.sandbox.state import PROJECT_ID, USER_ID

from .client import Answer, Client, running

INSTANCES = f"/v2/{PROJECT_ID}/instances"
KEYS = "/v3.0/OS-CREDENTIAL/credentials"
LEAVER = digest("user-0002", 32)
KEY, SECRET = access_key("user-0002"), secret("user-0002")


def seeded(**more: Any) -> World:
    world = World(**more)
    world.seed({"users": {"count": 3}, "tokens": [{"user": "user-0002", "token": "MII-leaver"}]})
    return world


async def by_token(client: Client, method: str, path: str, token: str = "MII-leaver", data: Any = None) -> Answer:
    return await client.plain(method, path, data, {"X-Auth-Token": token})


async def log_in(client: Client, name: str, password: str) -> Answer:
    user = {"name": name, "password": password, "domain": {"name": "sandbox"}}
    identity = {"methods": ["password"], "password": {"user": user}}
    return await client.plain("POST", "/v3/auth/tokens", {"auth": {"identity": identity}})


async def test_users_are_seeded_by_number_with_a_key_each() -> None:
    async with running(seeded()) as client:
        assert (await client.signed("GET", INSTANCES, key=KEY, secret=SECRET)).status == 200
        assert (await log_in(client, "user-0002", secret("user-0002"))).status == 201
        assert (await by_token(client, "GET", INSTANCES)).status == 200
        sown = (await client.control("seed", {"users": {"count": 1, "prefix": "x-"}})).json["users"]
        assert sown == [{"id": digest("x-0001", 32), "name": "x-0001", "access_keys": [access_key("x-0001")]}]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["cleaner", "user-0001", "user-0002", "user-0003"]),
        ("name=user-0002", ["user-0002"]),
        ("name=none", []),
        ("enabled=false", ["user-0003"]),
        ("enabled=true&name=user-0003", []),
        ("enabled=true&domain_id=d0000000000000000000000000000001", ["cleaner", "user-0001", "user-0002"]),
        ("domain_id=other", []),
    ],
)
async def test_users_are_found(query: str, names: list[str]) -> None:
    world = seeded()
    world.iam.disable(world.iam.users[digest("user-0003", 32)])
    async with running(world) as client:
        found = (await client.signed("GET", f"/v3/users?{query}")).json["users"]
        assert [user["name"] for user in found] == names


async def test_one_user_is_shown() -> None:
    async with running(seeded()) as client:
        user = (await client.signed("GET", f"/v3/users/{LEAVER}")).json["user"]
        assert (user["id"], user["name"], user["enabled"]) == (LEAVER, "user-0002", True)
        assert user["domain_id"] == client.sandbox.world.iam.domain_id
        missing = await client.signed("GET", "/v3/users/none")
        assert (missing.status, missing.json["error"]["code"]) == (404, 404)
        assert (await client.signed("GET", "/v3/users?enabled=maybe")).status == 400
        assert (await client.signed("GET", "/v3/users?name=user-0001&name=user-0002")).status == 400


async def test_a_disabled_user_has_no_way_in_until_it_is_enabled() -> None:
    async with running(seeded()) as client:
        path, own = f"/v3/users/{LEAVER}", {"key": KEY, "secret": SECRET}
        assert (await client.signed("PATCH", path, {"user": {"enabled": False}})).json["user"]["enabled"] is False
        assert (await client.signed("GET", path)).json["user"]["enabled"] is False
        assert (await by_token(client, "GET", INSTANCES)).code == "APIGW.0307"
        assert (await log_in(client, "user-0002", secret("user-0002"))).status == 401
        assert (await client.signed("GET", INSTANCES, **own)).json["error_msg"].endswith("Get secretKey failed")
        assert (await client.signed("GET", "/v3/auth/tokens", X_Subject_Token="MII-leaver")).status == 404
        assert client.sandbox.state()["users"] == {
            "cleaner": True,
            "user-0001": True,
            "user-0002": False,
            "user-0003": True,
        }
        await client.signed("PATCH", path, {"user": {"enabled": True}})
        assert (await client.signed("GET", INSTANCES, **own)).status == 200
        assert (await by_token(client, "GET", INSTANCES)).code == "APIGW.0307", "what was ended stays so"


async def test_an_inactive_key_no_longer_signs_in() -> None:
    async with running(seeded()) as client:
        listed = (await client.signed("GET", f"{KEYS}?user_id={LEAVER}")).json["credentials"]
        assert [(key["access"], key["status"], key["user_id"]) for key in listed] == [(KEY, "active", LEAVER)]
        assert listed[0]["create_time"].endswith("Z")
        await client.signed("PUT", f"{KEYS}/{KEY}", {"credential": {"status": "inactive"}})
        refused = await client.signed("GET", INSTANCES, key=KEY, secret=SECRET)
        assert (refused.status, refused.code) == (401, "APIGW.0301")
        assert refused.json["error_msg"] == "Incorrect IAM authentication information: Get secretKey failed"
        listed = (await client.signed("GET", f"{KEYS}?user_id={LEAVER}")).json["credentials"]
        assert listed[0]["status"] == "inactive"
        assert (await client.signed("GET", f"{KEYS}/{KEY}")).json == {"credential": listed[0]}
        assert (await client.signed("GET", f"{KEYS}/none")).status == 404
        assert (await by_token(client, "GET", INSTANCES)).status == 200, "tokens are not touched"
        keys: Any = client.sandbox.state()["access_keys"]
        assert keys[KEY] == "inactive"
        await client.signed("PUT", f"{KEYS}/{KEY}", {"credential": {"status": "active"}})
        assert (await client.signed("GET", INSTANCES, key=KEY, secret=SECRET)).status == 200


async def test_disabling_and_deactivating_are_counted_per_target() -> None:
    async with running(seeded()) as client:
        await client.signed("PATCH", f"/v3/users/{LEAVER}", {"user": {"enabled": False}})
        await client.signed("PUT", f"{KEYS}/{KEY}", {"credential": {"status": "inactive"}})
        assert client.sandbox.world.ledger.counts("handled") == {"iam": {LEAVER: 1, KEY: 1}}


async def test_projects_by_name_with_a_signature_and_by_token() -> None:
    async with running(seeded()) as client:
        for found in (
            await client.signed("GET", "/v3/projects?name=sandbox-1"),
            await by_token(client, "GET", "/v3/auth/projects"),
        ):
            assert [(p["id"], p["name"], p["enabled"]) for p in found.json["projects"]] == [
                (PROJECT_ID, "sandbox-1", True)
            ]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v3/users", None),
        ("GET", f"/v3/users/{USER_ID}", None),
        ("PATCH", f"/v3/users/{USER_ID}", {"user": {"enabled": False}}),
        ("PATCH", f"/v3/users/{LEAVER}", {"user": {"enabled": False}}),
        ("GET", f"{KEYS}?user_id={USER_ID}", None),
        ("GET", f"{KEYS}/SANDBOXAK", None),
        ("PUT", f"{KEYS}/SANDBOXAK", {"credential": {"status": "inactive"}}),
    ],
)
async def test_who_is_no_administrator_does_not_touch_others(method: str, path: str, body: Any) -> None:
    async with running(seeded()) as client:
        refused = await by_token(client, method, path, data=body)
        assert (refused.status, refused.json["error"]["code"]) == (403, 403)
        assert client.sandbox.state()["access_keys"]["SANDBOXAK"] == "active"  # type: ignore[index]


async def test_everybody_sees_himself() -> None:
    async with running(seeded()) as client:
        assert (await by_token(client, "GET", f"/v3/users/{LEAVER}")).json["user"]["name"] == "user-0002"
        assert [key["access"] for key in (await by_token(client, "GET", KEYS)).json["credentials"]] == [KEY]
        own = {"X-Auth-Token": "MII-leaver", "X-Subject-Token": "MII-leaver"}
        described = await client.plain("GET", "/v3/auth/tokens", headers=own)
        assert described.json["token"]["user"]["id"] == LEAVER


async def test_an_administrator_validates_and_revokes_the_tokens_of_others() -> None:
    world = seeded()
    world.seed({"tokens": [{"user": "user-0001", "token": "MII-other"}]})
    async with running(world) as client:
        theirs = {"X-Auth-Token": "MII-leaver", "X-Subject-Token": "MII-other"}
        for method in ("GET", "DELETE"):
            assert (await client.plain(method, "/v3/auth/tokens", headers=theirs)).status == 403
        assert (await client.signed("GET", "/v3/auth/tokens", X_Subject_Token="MII-other")).status == 200
        assert (await client.signed("DELETE", "/v3/auth/tokens", X_Subject_Token="MII-other")).status == 204
        gone = await client.signed("GET", "/v3/auth/tokens", X_Subject_Token="MII-other")
        assert (gone.status, gone.json["error"]["message"]) == (
            404,
            "X-Subject-Token is invalid in the request",
        )
        assert client.sandbox.state()["tokens"] == {"issued": 2, "revoked": 1, "alive": 1}


async def test_the_state_shows_no_password_key_or_token() -> None:
    async with running(seeded()) as client:
        body = (await client.control("state", method="GET")).body.decode()
        assert "MII-leaver" not in body
        assert secret("user-0002") not in body


async def test_a_key_tells_whose_it_is() -> None:
    async with running(seeded()) as client:
        told = (await client.signed("GET", "/v5/caller-identity", key=KEY, secret=SECRET)).json
        account = client.sandbox.world.iam.domain_id
        urn = f"iam::{account}:user:user-0002"
        assert told == {"account_id": account, "principal_id": LEAVER, "principal_urn": urn}
        assert (await by_token(client, "GET", "/v5/caller-identity")).code == "APIGW.0301"
        assert (await by_token(client, "GET", "/v5/users")).code == "APIGW.0101"
