"""A token's life: got once, shared, replaced in time, never stampeded, taken back; with a fake IAM and clock."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import pytest
import structlog.testing

from orchestrator.auth import Admission, CredentialRefused, CredentialUnavailable, Standing
from orchestrator.auth.iam_request import Account
from orchestrator.auth.iam_token import ATTEMPTS, LONGEST_PAUSE, PAUSE, IamToken, Login
from orchestrator.model import Lost, Request, Response, Secret

REQUEST = Request("GET", "https://h.example", "/")
ACCOUNT = Account("https://iam.example", Secret("hunter2"), "cleaner", domain="ACME", project="eu-de")
DOWN = Response(503, {})
WRONG = Response(401, {}, b'{"error":{"code":401,"message":"wrong password hunter2"}}')
LIFE = 3600.0
DUE = 2881.0  # just into the last fifth of an hour


class Iam:
    """Answers logins by a script, then with tokens T1, T2, ... that live an hour; time passes only when told to."""

    def __init__(self, *script: Response | Lost, revocation: Response | Lost = Response(204, {})) -> None:  # noqa: B008
        self.script = list(script)
        self.revocation = revocation
        self.now = 1704164645.0
        self.slept: list[float] = []
        self.logins = self.tokens = 0
        self.revoked: list[str] = []
        self.gate: asyncio.Event | None = None

    async def send(self, request: Request) -> Response | Lost:
        await asyncio.sleep(0)
        if request.method == "DELETE":
            assert request.headers["X-Auth-Token"] == request.headers["X-Subject-Token"]
            self.revoked.append(request.headers["X-Subject-Token"])
            return self.revocation
        self.logins += 1
        if self.gate is not None:
            await self.gate.wait()
        return self.script.pop(0) if self.script else self.issue()

    def issue(self) -> Response:
        self.tokens += 1
        body = b'{"token":{"issued_at":"2024-01-02T03:00:00Z","expires_at":"2024-01-02T04:00:00Z"}}'
        return Response(201, {"x-subject-token": f"T{self.tokens}"}, body)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def token(self, account: Account = ACCOUNT, **more: Any) -> IamToken:
        return IamToken(account, self, clock=lambda: self.now, sleep=self.sleep, chance=lambda: 1.0, **more)


async def value_of(token: IamToken) -> str:
    if not token.ready:
        await token.obtain()
    return token.headers(REQUEST)["X-Auth-Token"]


async def test_fifty_calls_at_once_make_one_login() -> None:
    iam = Iam()
    token = iam.token()
    assert set(await asyncio.gather(*(value_of(token) for _ in range(50)))) == {"T1"}
    assert iam.logins == 1
    assert token.generation == 1


async def test_a_cancelled_login_is_made_by_the_next_in_line() -> None:
    iam = Iam()
    iam.gate = asyncio.Event()
    token = iam.token()
    first, second = (asyncio.create_task(value_of(token)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    iam.gate.set()
    assert await second == "T1"
    assert first.cancelled()


async def test_a_token_is_kept_until_its_last_fifth_and_then_replaced() -> None:
    iam = Iam()
    token = iam.token()
    assert await value_of(token) == "T1"
    iam.now += DUE - 2
    assert await value_of(token) == "T1"
    iam.now += 2
    assert await value_of(token) == "T2"
    assert token.generation == 2


async def test_while_a_token_is_replaced_the_others_go_on_with_the_old_one() -> None:
    iam = Iam()
    token = iam.token()
    await value_of(token)
    iam.now += DUE
    iam.gate = asyncio.Event()
    replacing = asyncio.create_task(value_of(token))
    await asyncio.sleep(0)
    assert await asyncio.gather(*(value_of(token) for _ in range(50))) == ["T1"] * 50
    iam.gate.set()
    assert await replacing == "T2"
    assert iam.logins == 2


async def test_a_token_that_cannot_be_replaced_yet_serves_on_and_iam_gets_a_rest() -> None:
    iam = Iam()
    token = iam.token()
    await value_of(token)
    iam.now += DUE
    iam.script = [DOWN] * ATTEMPTS
    with structlog.testing.capture_logs() as logs:
        assert [await value_of(token) for _ in range(5)] == ["T1"] * 5
    assert [log["event"] for log in logs] == ["token_not_replaced"]
    assert iam.logins == 1 + ATTEMPTS
    iam.now += PAUSE
    assert await value_of(token) == "T2"


async def test_a_token_that_expired_is_never_sent_and_counts_as_gone() -> None:
    iam = Iam()
    token = iam.token()
    await value_of(token)
    iam.now += LIFE - 0.5
    assert token.generation == 1
    assert await value_of(token) == "T2"
    iam.now += LIFE
    assert token.generation == 3
    iam.script = [DOWN] * ATTEMPTS
    with pytest.raises(CredentialUnavailable):
        await value_of(token)


async def test_a_wrong_password_is_tried_once_and_told_in_the_server_s_words() -> None:
    iam = Iam(WRONG)
    token = iam.token()
    ends = await asyncio.gather(*(token.obtain() for _ in range(50)), return_exceptions=True)
    assert iam.logins == 1
    expected = "IAM at https://iam.example refused the credential: wrong password [secret] (HTTP 401, 401)"
    assert {str(end) for end in ends} == {expected}
    assert all(isinstance(end, CredentialRefused) and end.code == "401" for end in ends)
    assert await token.renew(1) is False
    assert iam.slept == []


async def test_a_wrong_password_is_tried_once_for_all_projects_of_a_user() -> None:
    iam = Iam(WRONG)
    logins: dict[Hashable, Login] = {}
    projects = [iam.token(replace(ACCOUNT, project=name), logins=logins) for name in ("eu-de", "eu-nl", "eu-ch")]
    ends = await asyncio.gather(*(token.obtain() for token in projects), return_exceptions=True)
    assert all(isinstance(end, CredentialRefused) for end in ends)
    assert iam.logins == 1


async def test_a_project_that_is_refused_leaves_the_user_s_other_projects_alone() -> None:
    iam = Iam(Response(404, {}, b'{"error":{"code":404,"message":"no such project"}}'))
    logins: dict[Hashable, Login] = {}
    bad, good = (iam.token(replace(ACCOUNT, project=name), logins=logins) for name in ("nowhere", "eu-nl"))
    with pytest.raises(CredentialRefused, match="no such project"):
        await value_of(bad)
    assert await value_of(good) == "T1"


@pytest.mark.parametrize(
    ("script", "slept"),
    [
        pytest.param([DOWN], [0.5], id="once"),
        pytest.param([DOWN, Lost("timed out", sent=True), DOWN], [0.5, 1.0, 2.0], id="it-doubles"),
        pytest.param([Response(429, {"retry-after": "9"})], [9.0], id="retry-after"),
        pytest.param([Response(503, {"retry-after": "0"})], [0.5], id="a-pause-of-nothing-is-no-hammer"),
        pytest.param(
            [Response(429, {}, b'{"error_code":"IAM.0012","error_msg":"Threshold: 5 times per 20 seconds"}')],
            [20.0],
            id="threshold",
        ),
    ],
)
async def test_trouble_that_passes(script: list[Response | Lost], slept: list[float]) -> None:
    iam = Iam(*script)
    assert await value_of(iam.token()) == "T1"
    assert iam.slept == slept


@pytest.mark.parametrize(
    ("script", "logins", "message", "pause"),
    [
        pytest.param([DOWN] * 9, ATTEMPTS, r"no message \(HTTP 503\)", PAUSE, id="all-attempts"),
        pytest.param([Lost("hunter2!", sent=False)] * 9, ATTEMPTS, r"no answer: \[secret\]!", PAUSE, id="scrubbed"),
        pytest.param(
            [Response(429, {"retry-after": "90"})],
            1,
            r"no message \(HTTP 429\)",
            90.0,
            id="a-long-pause-is-not-waited-for",
        ),
        pytest.param(
            [Response(429, {"retry-after": "9999999"})],
            1,
            r"no message \(HTTP 429\)",
            LONGEST_PAUSE,
            id="an-absurd-one",
        ),
    ],
)
async def test_trouble_that_lasts(script: list[Response | Lost], logins: int, message: str, pause: float) -> None:
    iam = Iam(*script)
    token = iam.token()
    for end in await asyncio.gather(*(token.obtain() for _ in range(50)), return_exceptions=True):
        assert isinstance(end, CredentialUnavailable)
        assert re.match(f"IAM at https://iam.example is not available: {message}$", end.message), end.message
    assert iam.logins == logins
    iam.script.clear()
    iam.now += pause - 1
    with pytest.raises(CredentialUnavailable):
        await value_of(token)
    iam.now += 1
    assert await value_of(token) == "T1"


async def test_fifty_refusals_of_a_token_that_worked_make_one_login() -> None:
    iam = Iam()
    token = iam.token()
    standing = Standing(token)
    lane = Admission(token, standing)
    await value_of(token)
    lane.worked(1)
    assert await asyncio.gather(*(lane.rejected(1, "expired") for _ in range(50))) == [True] * 50
    assert not standing.proven
    assert set(await asyncio.gather(*(value_of(token) for _ in range(50)))) == {"T2"}
    assert (await token.renew(1), await value_of(token)) == (True, "T2")  # late: the new one stays
    assert iam.logins == 2


async def test_a_new_token_refused_before_it_worked_is_not_replaced() -> None:
    iam = Iam()
    token = iam.token()
    standing = Standing(token)
    lane = Admission(token, standing)
    await value_of(token)
    assert await lane.rejected(token.generation, "wrong project") is False
    assert iam.logins == 1


@pytest.mark.parametrize(
    ("answer", "events"),
    [
        pytest.param(Response(204, {}), [], id="revoked"),
        pytest.param(Response(401, {}), ["token_not_revocable"], id="dead-already"),
        pytest.param(Response(404, {}), ["token_not_revocable"], id="not-supported"),
        pytest.param(Response(405, {}), ["token_not_revocable"], id="not-allowed"),
        pytest.param(Response(503, {}, b"T1 hunter2"), ["token_not_revoked"], id="in-trouble"),
        pytest.param(Lost("T1 timed out", sent=True), ["token_not_revoked"], id="lost"),
    ],
)
async def test_closing_revokes_once_and_raises_nothing(answer: Response | Lost, events: list[str]) -> None:
    iam = Iam(revocation=answer)
    token = iam.token()
    await value_of(token)
    with structlog.testing.capture_logs() as logs:
        await token.close()
        await token.close()
    assert iam.revoked == ["T1"]
    assert [log["event"] for log in logs] == events
    assert not any("T1" in str(log) or "hunter2" in str(log) for log in logs)


async def test_closing_revokes_every_token_that_is_still_alive() -> None:
    iam = Iam()
    token = iam.token()
    await value_of(token)
    iam.now += LIFE
    await value_of(token)
    iam.now += DUE
    await value_of(token)
    await token.close()
    assert iam.revoked == ["T2", "T3"]


async def test_closing_without_a_token_or_without_revocation_asks_nothing() -> None:
    iam = Iam()
    await iam.token().close()
    keeping = iam.token(revoke=False)
    await value_of(keeping)
    await keeping.close()
    assert iam.revoked == []


async def test_a_token_credential_names_all_its_secrets_and_shows_none() -> None:
    iam = Iam()
    token = iam.token()
    await value_of(token)
    iam.now += DUE
    await value_of(token)
    assert token.secrets() == ["hunter2", "T1", "T2"]
    assert "hunter2" not in repr(token)
    assert token.identity == iam.token().identity != iam.token(replace(ACCOUNT, project="eu-nl")).identity
