from __future__ import annotations

import io
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from orchestrator.sandbox import Limit, World
from orchestrator.sandbox.iam import Project
from orchestrator.sandbox.limits import Limit as Bucket
from orchestrator.sandbox.state import PROJECT_ID, SECURITY_TOKEN, TEMPORARY_KEY, TEMPORARY_SECRET

from .client import Client, Clock, running

INSTANCES = f"/v2/{PROJECT_ID}/instances"
DESKTOPS = f"/v2/{PROJECT_ID}/desktops"


async def test_a_signed_request_is_let_in() -> None:
    async with running() as client:
        answer = await client.signed("GET", INSTANCES)
        assert answer.status == 200
        assert len(answer.headers["X-Request-Id"]) == 32


async def test_the_raw_path_and_query_are_what_is_verified() -> None:
    async with running() as client:
        answer = await client.signed("GET", f"{DESKTOPS}?tag=a%2Fb%3Dc%20d~&user_name=%C3%A9%27%28")
        assert answer.status == 200


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "x-auth-token not found"),
        ({"X-Auth-Token": "nonsense"}, "decrypt token fail"),
        ({"Authorization": "SDK-HMAC-SHA256 nonsense"}, "verify aksk signature fail"),
    ],
)
async def test_no_credentials(headers: dict[str, str], message: str) -> None:
    async with running() as client:
        answer = await client.plain("GET", INSTANCES, headers=headers)
        assert (answer.status, answer.code) == (401, "APIGW.0301")
        assert answer.json["error_msg"] == f"Incorrect IAM authentication information: {message}"
        assert answer.json["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"key": "NOBODY"}, "Get secretKey failed"),
        ({"secret": "wrong"}, "verify aksk signature fail"),
        ({"X_Sdk_Date": "yesterday"}, "verify aksk signature fail"),
        ({"key": TEMPORARY_KEY, "secret": TEMPORARY_SECRET}, "verify aksk signature fail"),
    ],
)
async def test_wrong_signatures(more: dict[str, Any], message: str) -> None:
    async with running() as client:
        answer = await client.signed("GET", INSTANCES, **more)
        assert (answer.status, answer.code) == (401, "APIGW.0301")
        assert answer.json["error_msg"].endswith(message)


async def test_a_temporary_key_comes_with_its_security_token() -> None:
    async with running() as client:
        answer = await client.signed(
            "GET", INSTANCES, key=TEMPORARY_KEY, secret=TEMPORARY_SECRET, X_Security_Token=SECURITY_TOKEN
        )
        assert answer.status == 200


async def test_a_project_header_must_be_signed() -> None:
    async with running() as client:
        headers = client.signed_headers("GET", INSTANCES, b"")
        headers["Authorization"] = headers["Authorization"].replace(";x-project-id", "")
        answer = await client.plain("GET", INSTANCES, headers=headers)
        assert answer.status == 401


@pytest.mark.parametrize(("skew", "status"), [(-1000.0, 401), (-800.0, 200), (800.0, 200), (1000.0, 401)])
async def test_clock_skew(skew: float, status: int) -> None:
    async with running() as client:
        headers = client.signed_headers("GET", INSTANCES, b"")
        client.sandbox.world.date_skew = skew
        answer = await client.plain("GET", INSTANCES, headers=headers)
        assert answer.status == status
        shown = parsedate_to_datetime(answer.headers["Date"]).timestamp()
        assert abs(shown - client.sandbox.world.now()) < 3
        if status == 401:
            assert answer.code == "APIGW.0303"


async def test_more_than_five_failures_lock_a_key_for_five_minutes() -> None:
    clock = Clock()
    async with running(World(clock=clock)) as client:
        for _ in range(6):
            assert (await client.signed("GET", INSTANCES, secret="wrong")).status == 401
        locked = await client.signed("GET", INSTANCES)
        assert locked.json["error_msg"].endswith("AK access failed to reach the limit,forbidden")
        assert client.sandbox.state()["locked"] == ["SANDBOXAK"]
        clock.time += 301
        assert (await client.signed("GET", INSTANCES)).status == 200
        assert client.sandbox.state()["auth_failures"] == {"SANDBOXAK": 7}


async def test_a_success_in_between_prevents_the_lock() -> None:
    async with running() as client:
        for secret in ["wrong"] * 5 + ["sandbox-secret-key"] + ["wrong"] * 5:
            await client.signed("GET", INSTANCES, secret=secret)
        assert (await client.signed("GET", INSTANCES)).status == 200


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v2/ffff/instances", 401, "111401004"),
        ("/v2/ffff/desktops", 403, "APIGW.0802"),
        ("/v3/ffff/instances/x/db-users", 403, "APIGW.0802"),
    ],
)
async def test_a_foreign_project_is_refused_by_the_service(path: str, status: int, code: str) -> None:
    world = World()
    world.iam.projects["ffff"] = Project("ffff", "other")
    async with running(world) as client:
        answer = await client.signed("GET", path)
        assert (answer.status, answer.code) == (status, code)
        answer = await client.signed("GET", path.replace("ffff", "none"))
        assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize("path", ["/v1/x", "/v2/x/y", "/v3/nothing", "/v2/p/desktops/logoff"])
async def test_an_unknown_path_or_method_is_not_published(path: str) -> None:
    async with running() as client:
        answer = await client.plain("PUT", path)
        assert (answer.status, answer.code) == (404, "APIGW.0101")


async def test_outside_the_cloud_a_404_is_a_page() -> None:
    async with running() as client:
        answer = await client.plain("GET", "/elsewhere")
        assert (answer.status, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")


async def test_a_header_above_32_kib_is_refused() -> None:
    async with running() as client:
        answer = await client.plain("GET", INSTANCES, headers={"X-Auth-Token": "A" * 33_000})
        assert answer.status == 494


async def test_a_body_above_12_mib_is_refused() -> None:
    async with running() as client:
        body = io.BytesIO(b"x" * (12 * 1024 * 1024 + 1))
        async with client.http.post(f"{client.sandbox.url}{DESKTOPS}/logoff", data=body) as answer:
            assert answer.status == 413
            assert (await answer.json())["error_code"] == "APIGW.0201"


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (Bucket(200), (200, 1, "second")),
        (Bucket(60, 60), (60, 1, "minute")),
        (Bucket(7, 120), (7, 2, "minute")),
        (Bucket(8, 3600), (8, 1, "hour")),
        (Bucket(1000, 86400), (1000, 1, "day")),
        (Bucket(5, 0.1), (50, 1, "second")),
        (Bucket(5, 10), (5, 10, "second")),
    ],
)
def test_the_words_of_a_limit(limit: Limit, words: tuple[int, int, str]) -> None:
    assert limit.described() == words


async def test_over_the_limit_is_a_429_until_the_bucket_fills() -> None:
    clock = Clock()
    async with running(World(clock=clock, limits={"dcs": Limit(2, 1.0)})) as client:
        statuses = [(await client.signed("GET", INSTANCES)).status for _ in range(3)]
        assert statuses == [200, 200, 429]
        refused = await client.signed("GET", INSTANCES)
        assert refused.code == "APIGW.0308"
        assert refused.json["error_msg"] == (
            "The throttling threshold has been reached: policy user over ratelimit,limit:2,time:1 second"
        )
        assert "Retry-After" not in refused.headers
        clock.time += 0.5
        assert (await client.signed("GET", INSTANCES)).status == 200
        assert client.sandbox.world.ledger.of("dcs").throttled == 2


async def test_retry_after_in_both_forms() -> None:
    clock = Clock()
    world = World(clock=clock, limits={"dcs": Limit(1, 60.0, retry_after="delta")})
    async with running(world) as client:
        await client.signed("GET", INSTANCES)
        assert (await client.signed("GET", INSTANCES)).headers["Retry-After"] == "60"
        world.limits["dcs"].retry_after = "date"
        when = parsedate_to_datetime((await client.signed("GET", INSTANCES)).headers["Retry-After"])
        assert when.timestamp() == clock.time + 60


async def test_das_and_iam_throttle_in_their_own_words() -> None:
    world = World(limits={"das": Limit(5, 60, burst=0), "iam": Limit(5, 60, burst=0)})
    async with running(world) as client:
        das = await client.signed("GET", f"/v3/{PROJECT_ID}/instances/x/db-users")
        iam = await client.signed("GET", "/v3/projects")
        assert (das.status, das.code, das.json["error_msg"]) == (400, "DAS.200002", "Frequent requests.")
        assert (iam.status, iam.code) == (429, "IAM.0012")
        assert iam.json["error_msg"] == "Threshold: 5 times per 60 seconds"


async def peaks(client: Client) -> dict[str, Any]:
    services: Any = client.sandbox.state()["services"]
    return dict(services["dcs"])


async def test_the_traffic_is_counted() -> None:
    async with running() as client:
        for _ in range(3):
            await client.signed("GET", INSTANCES)
        seen = await peaks(client)
        assert seen["calls"] == seen["peak_per_second"] == 3
        assert seen["operations"] == {"list_instances": 3}
        assert seen["statuses"] == {"200": 3}
        assert seen["peak_in_flight"] == 1
