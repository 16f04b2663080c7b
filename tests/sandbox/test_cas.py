from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

from orchestrator.sandbox import World

from .client import Answer, Client, running


def value_of(answer: Answer, name: str) -> str:
    line = next(cookie for cookie in answer.cookies if cookie.startswith(f"{name}="))
    return line.partition(";")[0].partition("=")[2]


async def visit(client: Client, method: str, path: str, ticket: str = "") -> Answer:
    headers = {"Cookie": f"CASTGC={ticket}"} if ticket else {}
    return await client.plain(method, path, headers=headers)


async def log_in(client: Client, password: str = "sandbox-password", query: str = "") -> Answer:
    form = await client.plain("GET", "/cas/login")
    found = re.search(r'name="lt" value="([^"]+)"', form.body.decode())
    assert found
    fields = {"username": "cleaner", "password": password, "lt": found[1], "_eventId": "submit", "submit": "Login"}
    headers = {
        "Cookie": f"casSessionId={value_of(form, 'casSessionId')}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return await client.plain("POST", f"/cas/login{query}", urlencode(fields).encode(), headers)


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_ticket_from_login_to_logout(method: str) -> None:
    async with running() as client:
        ticket = value_of(await log_in(client), "CASTGC")
        assert b'name="lt"' not in (await visit(client, "GET", "/cas/login", ticket)).body
        gone = await visit(client, method, "/cas/logout", ticket)
        assert (gone.status, gone.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert any(re.match(r'CASTGC="?"?;.*Max-Age=0', cookie) for cookie in gone.cookies)
        assert b'name="lt"' in (await visit(client, "GET", "/cas/login", ticket)).body
        assert client.sandbox.world.ledger.counts("received") == {"cas": {ticket: 1}}


async def test_a_wrong_password_is_a_page() -> None:
    async with running() as client:
        answer = await log_in(client, "wrong")
        assert answer.status == 200
        assert b"cannot be determined to be authentic" in answer.body
        assert not any(cookie.startswith("CASTGC") for cookie in answer.cookies)


async def test_a_login_without_its_form_is_answered_with_the_form() -> None:
    async with running() as client:
        answer = await client.plain("POST", "/cas/login", b"username=cleaner&password=sandbox-password")
        assert b'name="lt"' in answer.body


async def test_a_login_for_a_service_redirects() -> None:
    async with running() as client:
        answer = await log_in(client, query="?service=https%3A%2F%2Fm%2Fcheck")
        assert answer.status == 302
        assert answer.headers["Location"].startswith("https://m/check?ticket=ST-")
        assert value_of(answer, "CASTGC").startswith("TGT-")


async def test_a_logout_without_a_cookie_proves_nothing() -> None:
    world = World()
    world.seed({"cas_tickets": {"count": 1}})
    async with running(world) as client:
        answer = await visit(client, "POST", "/cas/logout")
        assert (answer.status, answer.cookies) == (200, [])
        assert len(world.cas.tickets) == 1


async def test_an_unknown_ticket_is_cleared_all_the_same() -> None:
    async with running() as client:
        answer = await visit(client, "POST", "/cas/logout", "TGT-0-stale-cas")
        assert any("Max-Age=0" in cookie for cookie in answer.cookies)


async def test_newer_servers_may_not_take_a_post_nor_clear_the_cookie() -> None:
    world = World(cas_post=False, cas_clears_cookie=False)
    world.seed({"cas_tickets": [{"ticket": "TGT-1"}]})
    async with running(world) as client:
        assert (await visit(client, "POST", "/cas/logout", "TGT-1")).status == 405
        assert world.cas.tickets
        answer = await visit(client, "GET", "/cas/logout", "TGT-1")
        assert (answer.status, answer.cookies) == (200, [])
        assert not world.cas.tickets
