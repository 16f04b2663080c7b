"""The kind `iam-token` against a real Keystone; started by .ci/keystone, not by pytest.

Every check gets a new user with two projects, because some of them end with the user's password refused.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import orjson

from orchestrator.auth import Admission, Credential, CredentialRefused, Standing
from orchestrator.auth.iam_request import Account
from orchestrator.auth.iam_token import IamToken, Login
from orchestrator.model import Lost, Request, Response, Secret
from orchestrator.transport import HttpTransport

PATIENCE = aiohttp.ClientTimeout(total=20)


@dataclass
class Wire:
    """The project's own transport, with every request counted."""

    transport: HttpTransport
    count: Counter[str] = field(default_factory=Counter)

    async def send(self, request: Request) -> Response | Lost:
        self.count[f"{request.method} {request.path}"] += 1
        return await self.transport.send(request)

    @property
    def logins(self) -> int:
        return self.count["POST /v3/auth/tokens"]

    @property
    def revocations(self) -> int:
        return self.count["DELETE /v3/auth/tokens"]


@dataclass
class World:
    """One user of one domain, with a role on two projects."""

    url: str
    wire: Wire
    admin: dict[str, str]
    account: Account
    other_project: str
    user_id: str

    def token(self, account: Account | None = None, **more: Any) -> IamToken:
        return IamToken(account or self.account, self.wire, **more)

    async def ask(self, credential: Credential) -> Response:
        return await self.get("/v3/auth/projects", await headers_of(credential))

    async def get(self, path: str, headers: dict[str, str]) -> Response:
        answer = await self.wire.send(Request("GET", self.url, path, headers=headers))
        assert isinstance(answer, Response), answer
        return answer

    async def validated(self, value: str) -> Response:
        return await self.get("/v3/auth/tokens", {**self.admin, "X-Subject-Token": value})

    async def call(self, credential: Credential, lane: Admission) -> int:
        """Call as the connector does: a turn, the headers, the send, and a 401 decided by the admission."""
        while True:
            async with lane.turn():
                headers = await headers_of(credential)
                generation = credential.generation  # of what is sent: by the time of the answer it may be another
                answer = await self.get("/v3/auth/projects", headers)
                if answer.status != 401:
                    lane.worked(generation)
                    return answer.status
                if not await lane.rejected(generation, "refused"):
                    return answer.status


async def headers_of(credential: Credential) -> dict[str, str]:
    if not credential.ready:
        await credential.obtain()
    return dict(credential.headers(Request("GET", "http://any.example", "/")))


async def value_of(credential: Credential) -> str:
    return (await headers_of(credential))["X-Auth-Token"]


async def refusal_of(credential: Credential) -> CredentialRefused:
    try:
        await value_of(credential)
    except CredentialRefused as error:
        return error
    raise AssertionError("the login was not refused")


async def a_token_is_got_by_password_and_used(world: World) -> None:
    token = world.token()
    answer = await world.ask(token)
    assert answer.status == 200, answer
    names = {project["name"] for project in orjson.loads(answer.body)["projects"]}
    assert names == {world.account.project, world.other_project}, names
    facts = orjson.loads((await world.validated(await value_of(token))).body)["token"]
    assert facts["project"]["name"] == world.account.project, facts
    assert facts["user"]["name"] == world.account.user, facts
    assert world.wire.logins == 1


async def fifty_calls_at_once_issue_one_token(world: World) -> None:
    token = world.token()
    answers = await asyncio.gather(*(world.ask(token) for _ in range(50)))
    assert [answer.status for answer in answers] == [200] * 50
    assert world.wire.logins == 1, world.wire.count


async def a_token_is_replaced_before_it_expires(world: World) -> None:
    ahead = 0.0
    token = world.token(clock=lambda: time.time() + ahead)
    first = await value_of(token)
    assert await value_of(token) == first
    ahead = 3000.0  # Keystone's tokens live 3600 s here, the last fifth begins at 2880 s
    second = await value_of(token)
    assert second != first
    assert (await world.ask(token)).status == 200
    assert world.wire.logins == 2
    assert token.generation == 2


async def a_token_revoked_behind_our_back_is_renewed_once_by_fifty_calls(world: World) -> None:
    token = world.token()
    lane = Admission(token, Standing(token))
    assert await world.call(token, lane) == 200
    headers = world.admin | {"X-Subject-Token": await value_of(token)}
    await world.wire.send(Request("DELETE", world.url, "/v3/auth/tokens", headers=headers))
    answers = await asyncio.gather(*(world.call(token, lane) for _ in range(50)))
    assert answers == [200] * 50, Counter(answers)
    assert world.wire.logins == 2, world.wire.count
    assert lane.refused is None


async def closing_revokes_every_token_that_was_issued(world: World) -> None:
    ahead = 0.0
    token = world.token(clock=lambda: time.time() + ahead)
    first = await value_of(token)
    ahead = 3000.0
    second = await value_of(token)
    await token.close()
    assert world.wire.revocations == 2
    for value in (first, second):
        assert (await world.get("/v3/auth/projects", {"X-Auth-Token": value})).status == 401
        assert (await world.validated(value)).status == 404


async def closing_without_revocation_leaves_the_token(world: World) -> None:
    token = world.token(revoke=False)
    value = await value_of(token)
    await token.close()
    assert world.wire.revocations == 0
    assert (await world.validated(value)).status == 200


async def a_wrong_password_is_tried_once_and_not_locked_out(world: World) -> None:
    account = replace(world.account, password=Secret("wrong-password"))
    logins: dict[Any, Login] = {}
    north = world.token(account, logins=logins)
    south = world.token(replace(account, project=world.other_project), logins=logins)
    refusals = await asyncio.gather(*(refusal_of(token) for token in (north, south) * 25))
    assert world.wire.logins == 1, world.wire.count
    messages = {error.message for error in refusals}
    assert len(messages) == 1
    message = messages.pop()
    assert "The request you have made requires authentication." in message, message
    assert "HTTP 401" in message, message
    assert refusals[0].code == "401"
    assert "wrong-password" not in message
    assert (await world.ask(world.token())).status == 200  # Keystone locks at the third failure


async def the_lock_out_is_real(world: World) -> None:
    wrong = replace(world.account, password=Secret("wrong-password"))
    for _ in range(4):
        await refusal_of(world.token(wrong))
    assert (await refusal_of(world.token())).code == "401"


async def a_project_that_is_not_there_is_refused_with_the_server_s_words(world: World) -> None:
    error = await refusal_of(world.token(replace(world.account, project="nowhere")))
    assert "HTTP 401" in error.message, error.message
    assert world.wire.logins == 1


async def a_user_and_a_project_can_be_named_by_id(world: World) -> None:
    facts = orjson.loads((await world.validated(await value_of(world.token()))).body)["token"]
    account = replace(
        world.account, user="", domain="", user_id=world.user_id, project="", project_id=facts["project"]["id"]
    )
    assert (await world.ask(world.token(account))).status == 200


async def a_token_may_have_no_scope(world: World) -> None:
    token = world.token(replace(world.account, project=""))
    facts = orjson.loads((await world.validated(await value_of(token))).body)["token"]
    assert "project" not in facts
    assert (await world.ask(token)).status == 200


CHECKS: tuple[Callable[[World], Awaitable[None]], ...] = (
    a_token_is_got_by_password_and_used,
    fifty_calls_at_once_issue_one_token,
    a_token_is_replaced_before_it_expires,
    a_token_revoked_behind_our_back_is_renewed_once_by_fifty_calls,
    closing_revokes_every_token_that_was_issued,
    closing_without_revocation_leaves_the_token,
    a_wrong_password_is_tried_once_and_not_locked_out,
    the_lock_out_is_real,
    a_project_that_is_not_there_is_refused_with_the_server_s_words,
    a_user_and_a_project_can_be_named_by_id,
    a_token_may_have_no_scope,
)


class Founder:
    """Makes domains, projects and users through Keystone's own API, as its administrator."""

    def __init__(
        self, session: aiohttp.ClientSession, transport: HttpTransport, url: str, headers: dict[str, str]
    ) -> None:
        self._session, self._transport, self._url, self._headers = session, transport, url, headers

    async def make(self, kind: str, **facts: Any) -> str:
        body = {kind: {"name": f"{kind}-{uuid.uuid4().hex[:8]}", **facts}}
        path = f"{self._url}/v3/{kind}s"
        async with self._session.post(path, json=body, headers=self._headers) as answer:
            assert answer.status == 201, await answer.text()
            return str((await answer.json())[kind]["id"])

    async def grant(self, project: str, user: str, role: str) -> None:
        path = f"{self._url}/v3/projects/{project}/users/{user}/roles/{role}"
        async with self._session.put(path, headers=self._headers) as answer:
            assert answer.status == 204, await answer.text()

    async def world(self) -> World:
        mark = uuid.uuid4().hex[:8]
        password = f'p"ass wörd/{mark}'
        domain = await self.make("domain", name=f"domain-{mark}")
        user = await self.make("user", name=f"user-{mark}", domain_id=domain, password=password)
        role = await self.make("role")
        for name in ("north", "south"):
            await self.grant(await self.make("project", name=f"{name}-{mark}", domain_id=domain), user, role)
        account = Account(self._url, Secret(password), f"user-{mark}", domain=f"domain-{mark}", project=f"north-{mark}")
        return World(self._url, Wire(self._transport), self._headers, account, f"south-{mark}", user)


async def run(check: Callable[[World], Awaitable[None]], founder: Founder) -> bool:
    name = check.__name__.replace("_", " ")
    try:
        await check(await founder.world())
    except Exception as error:  # noqa: BLE001  a check that fails in any way is counted and named
        sys.stdout.write(f"FAILED  {name}: {type(error).__name__}: {error}\n")
        return False
    sys.stdout.write(f"ok      {name}\n")
    return True


async def main(url: str, password: str) -> int:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=PATIENCE))
        admin = Account(url, Secret(password), "admin", domain_id="default", project="admin")
        transport = await stack.enter_async_context(HttpTransport())
        administrator = IamToken(admin, Wire(transport))
        stack.push_async_callback(administrator.close)
        founder = Founder(session, transport, url, {"X-Auth-Token": await value_of(administrator)})
        results = [await run(check, founder) for check in CHECKS]
    sys.stdout.write(f"{sum(results)} passed, {len(results) - sum(results)} failed\n")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(os.environ["KEYSTONE_URL"], os.environ["KEYSTONE_PASSWORD"])))
