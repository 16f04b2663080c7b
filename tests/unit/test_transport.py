"""The HTTP client against a server that says exactly what the test wrote, byte for byte."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import uvloop

from orchestrator import certificates
from orchestrator.model import Lost, Request, Response
from orchestrator.transport import USER_AGENT, HttpTransport, Trust, tls_context
from orchestrator.wire import MAX_BODY, MAX_PAGE, Outbox, Wire

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
# Made for these tests, and trusted by nobody.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1e1KOVSH1ejRmZQI
3cjYLIwv3T4xTOhcZDnj33bnzjihRANCAAQu5iyWRCYZ7mTYkFDNgQ9PDnsCmP4/
E7LP+UeAq8n6CQLu86LJRcbDfZMl5YXv7Wjsy1C2ZhwuDscC3nxdm8xl
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBhjCCASygAwIBAgIUSP/IQ4RBRiAa98GF1Trvenk7kNgwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMzAwODIxMDZaGA8yMTI2MTEwNjA4MjEw
NlowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABC7m
LJZEJhnuZNiQUM2BD08OewKY/j8Tss/5R4CryfoJAu7zoslFxsN9kyXlhe/taOzL
ULZmHC4OxwLefF2bzGWjZDBiMB0GA1UdDgQWBBSgbw/IEmqmiaxfFKU4CqhUMY21
4jAfBgNVHSMEGDAWgBSgbw/IEmqmiaxfFKU4CqhUMY214jAPBgNVHRMBAf8EBTAD
AQH/MA8GA1UdEQQIMAaHBH8AAAEwCgYIKoZIzj0EAwIDSAAwRQIgIvzJMLSRDfB/
+WhfDJfrfjVWn730up0oPWg5zIpDdP8CIQDsXsVty4DzQj7+Zdi6Qfg5U2wwpIsp
SR3PwfsdfPPb4w==
-----END CERTIFICATE-----
"""
FINGERPRINT = hashlib.sha256(ssl.PEM_cert_to_DER_cert(CERTIFICATE[CERTIFICATE.index("-----BEGIN CERT") :])).hexdigest()


class Server:
    def __init__(self) -> None:
        self.url = ""
        self.heads: list[bytes] = []

    @property
    def last(self) -> list[bytes]:
        return self.heads[-1].split(b"\r\n")


@asynccontextmanager
async def server(
    *answers: bytes, then: Speak | None = None, tls: ssl.SSLContext | None = None, greets: bool = False
) -> AsyncIterator[Server]:
    """Give one answer per connection, and close it; with `then` go on as that says. One that `greets` speaks first."""
    made = Server()
    left = list(answers)
    served: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            if not greets:
                made.heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(left.pop(0) if left else b"")
            if then is not None:
                await then(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20, ssl=tls) as running:
        made.url = f"{'https' if tls else 'http'}://127.0.0.1:{running.sockets[0].getsockname()[1]}"
        yield made
    await asyncio.wait_for(asyncio.gather(*filter(None, served)), 5)


def answer(body: bytes = b"", *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {size}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def once_more(heads: list[bytes], said: bytes) -> Speak:
    """Hear one more request on the same connection, and say the same or something else."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(said)
        await reader.read()

    return speak


KEPT = answer(b"ok").replace(b"Connection: close\r\n", b"")


async def fetched(
    url: str, *, seconds: float = 5.0, method: str = "POST", body: bytes = b"{}", tls: Trust = True
) -> Response | Lost:
    async with HttpTransport(tls) as transport:
        return await transport.send(Request(method, url, "/a%2Fb", "x=%20y", {"X-Secret": "s"}, body), seconds)


async def test_what_is_sent_is_what_was_rendered() -> None:
    async with server(answer(b"ok")) as there:
        got = await fetched(there.url)
    assert isinstance(got, Response)
    assert (got.status, got.body) == (200, b"ok")
    assert there.last[0] == b"POST /a%2Fb?x=%20y HTTP/1.1"
    assert {b"X-Secret: s", b"Accept-Encoding: identity", b"User-Agent: " + USER_AGENT.encode()} <= set(there.last)


async def test_headers_are_lower_case_and_cookies_come_one_by_one() -> None:
    cookies = ("Set-Cookie: a=1; Path=/", "Set-Cookie: b=; Max-Age=0")
    async with server(answer(b"", "X-Request-ID: 7", *cookies)) as there:
        got = await fetched(there.url)
    assert isinstance(got, Response)
    assert got.headers["x-request-id"] == "7"
    assert list(got.cookies) == ["a=1; Path=/", "b=; Max-Age=0"]


async def test_a_header_cannot_become_another_header() -> None:
    async with server(answer()) as there, HttpTransport() as transport:
        for value in ("a\r\nX: b", "a\nX: b", "a\rX: b", "a\0"):
            with pytest.raises(ValueError, match="line break or a NUL"):
                await transport.send(Request("GET", there.url, "/", "", {"X-Said": value}), 5.0)
        assert isinstance(await transport.send(Request("GET", there.url, "/"), 5.0), Response)
    assert len(there.heads) == 1


async def test_a_request_may_set_every_header_and_none_is_there_twice() -> None:
    asked = Request("GET", "", "/", "", {"host": "cloud.invalid", "Accept": "text/plain", "user-agent": "u"})
    async with server(answer()) as there, HttpTransport() as transport:
        await transport.send(replace(asked, base_url=there.url), 5.0)
    names = sorted(line.split(b":")[0].lower() for line in there.last[1:] if line)
    assert names == [b"accept", b"accept-encoding", b"host", b"user-agent"]
    assert {b"host: cloud.invalid", b"Accept: text/plain", b"user-agent: u"} <= set(there.last)


async def test_a_call_without_a_body_says_so_where_one_could_be() -> None:
    async with server(answer(), answer()) as there:
        await fetched(there.url, body=b"")
        await fetched(there.url, method="GET", body=b"")
    assert b"Content-Length: 0" in there.heads[0].split(b"\r\n")
    assert b"content-length" not in there.heads[1].lower()


async def test_the_path_of_the_endpoint_stands_before_every_path() -> None:
    async with server(answer(), answer()) as there:
        await fetched(there.url + "/under/%7Ethis")
        await fetched(there.url + "/")
    assert there.heads[0].startswith(b"POST /under/%7Ethis/a%2Fb?x=%20y HTTP/1.1\r\n")
    assert there.heads[1].startswith(b"POST /a%2Fb?x=%20y HTTP/1.1\r\n")


async def test_what_comes_before_the_answer_is_passed_over() -> None:
    async with server(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer(b"ok")) as there:
        got = await fetched(there.url)
    assert isinstance(got, Response)
    assert (got.status, got.body) == (200, b"ok")


# Bounds


@pytest.mark.parametrize("size", [MAX_BODY - 1, MAX_BODY, MAX_BODY + 1, 3 * MAX_BODY])
async def test_a_body_is_bounded(size: int) -> None:
    async with server(answer(b"x" * size)) as there:
        got = await fetched(there.url)
    assert isinstance(got, Response)
    assert len(got.body) == min(size, MAX_BODY)


@pytest.mark.parametrize("size", [MAX_BODY + 1, 3 * MAX_BODY, MAX_PAGE, MAX_PAGE + 1])
async def test_a_page_of_a_listing_may_be_longer(size: int) -> None:
    async with server(answer(b"x" * size)) as there:
        got = await fetched(there.url, method="GET", body=b"")
    assert isinstance(got, Response)
    assert len(got.body) == min(size, MAX_PAGE)


async def test_a_body_without_end_is_given_up() -> None:
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:  # until the other side has had enough
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()

    async with server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", then=pour) as there:
        got = await fetched(there.url)
    assert isinstance(got, Response)
    assert len(got.body) == MAX_BODY


async def test_a_header_of_sixty_kilobytes_is_taken() -> None:
    async with server(answer(b"", "X-Subject-Token: " + "t" * 60_000)) as there:
        got = await fetched(there.url)
    assert isinstance(got, Response)
    assert len(got.headers["x-subject-token"]) == 60_000


async def test_a_header_without_end_is_not() -> None:
    async with server(answer(b"", "X-Long: " + "t" * 400_000)) as there:
        got = await fetched(there.url)
    assert isinstance(got, Lost)
    assert got.sent


# No answer


async def test_a_body_that_stops_short_is_lost() -> None:
    async with server(answer(b'{"half":', length=100)) as there:
        got = await fetched(there.url)
    assert isinstance(got, Lost)
    assert got.sent


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200", b"220 smtp ready\r\n\r\n", b"\x16\x03\x01\x00\x02"])
async def test_what_is_no_answer_is_lost(said: bytes) -> None:
    async with server(said) as there:
        got = await fetched(there.url)
    assert isinstance(got, Lost)
    assert got.sent
    assert got.reason.startswith("the connection broke: ")


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize("said", [b"", answer(b"begun", length=100)], ids=["nothing", "half"])
async def test_a_server_that_stays_silent_runs_into_the_timeout(said: bytes) -> None:
    async with server(said, then=silence) as there:
        got = await fetched(there.url, seconds=0.1)
    assert got == Lost("no answer within 0.1 s", sent=True)


async def answer_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(0.1)
    writer.write(answer(b"late"))


@pytest.mark.parametrize(("first", "second"), [(5.0, 0.04), (0.05, 5.0)])
async def test_each_call_on_a_connection_has_its_own_time(first: float, second: float) -> None:
    async with server(KEPT, then=answer_late) as there, HttpTransport() as transport:
        request = Request("GET", there.url, "/")
        assert isinstance(await transport.send(request, first), Response)
        got = await transport.send(request, second)
    assert len(there.heads) == 1
    if second < 0.1:
        assert got == Lost("no answer within 0.04 s", sent=True)
    else:
        assert isinstance(got, Response)
        assert got.body == b"late"


async def test_whoever_cancels_a_call_is_obeyed() -> None:
    async with server(then=silence) as there, HttpTransport() as transport:
        calling = asyncio.create_task(transport.send(Request("GET", there.url, "/"), 5.0))
        while not there.heads:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling


async def test_a_timeout_leaves_the_task_as_it_was() -> None:
    async with server(then=silence) as there:
        assert isinstance(await fetched(there.url, seconds=0.05), Lost)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_a_refused_connection_never_sent_anything() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: whoever calls is refused
        got = await fetched(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert isinstance(got, Lost)
    assert not got.sent
    assert got.reason.startswith("could not connect: ")


async def test_a_timeout_while_tls_is_being_settled_never_sent_anything() -> None:
    async with server(then=silence) as there:
        got = await fetched(there.url.replace("http:", "https:"), seconds=0.1)
    assert got == Lost("could not connect in time", sent=False)
    assert there.heads == []


async def test_no_tls_where_tls_was_expected_never_sent_anything() -> None:
    async with server(b"220 smtp ready\r\n\r\n", greets=True) as there:
        got = await fetched(there.url.replace("http:", "https:"))
    assert isinstance(got, Lost)
    assert not got.sent


async def test_a_certificate_that_is_not_the_configured_one_never_sent_anything(tmp_path: Path) -> None:
    (tmp_path / "server.pem").write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    async with server(answer(b"ok"), answer(b"ok"), tls=context) as there:
        got = await fetched(there.url, tls=tls_context(None, FINGERPRINT, insecure=False))
        assert isinstance(got, Response)
        got = await fetched(there.url, tls=tls_context(None, "ab" * 32, insecure=False))
    assert got == Lost("could not connect: the certificate's fingerprint is not the configured one", False, final=True)
    assert len(there.heads) == 1


async def test_a_proxy_that_refuses_never_sent_anything_on() -> None:
    async with server(answer(status="403 Forbidden")) as there, HttpTransport(proxy=there.url) as transport:
        got = await transport.send(Request("POST", "https://service.invalid", "/"), 5.0)
    assert got == Lost("could not connect: the proxy answered 403", sent=False)
    assert there.last[0].startswith(b"CONNECT service.invalid:443 ")


async def test_a_proxy_without_a_tunnel_is_told_who_calls_at_every_call() -> None:
    heads: list[bytes] = []
    async with (
        server(KEPT, then=once_more(heads, answer(b"ok"))) as there,
        HttpTransport(proxy=there.url.replace("//", "//who:secret@")) as transport,
    ):
        for _ in range(2):
            assert isinstance(await transport.send(Request("GET", "http://service.invalid", "/"), 5.0), Response)
    for head in (*there.heads, *heads):
        assert b"Proxy-Authorization: Basic d2hvOnNlY3JldA==" in head.split(b"\r\n")
    assert len(heads) == len(there.heads) == 1


async def test_a_proxy_without_a_tunnel_is_told_the_whole_address() -> None:
    async with server(answer(b"ok")) as there, HttpTransport(proxy=there.url) as transport:
        got = await transport.send(Request("POST", "http://service.invalid/at", "/", "q=1"), 5.0)
    assert isinstance(got, Response)
    assert there.last[0] == b"POST http://service.invalid/at/?q=1 HTTP/1.1"
    assert b"Host: service.invalid" in there.last


@pytest.mark.parametrize("size", [0, 2, MAX_BODY])
async def test_a_connection_is_used_again_when_an_answer_was_read_to_its_end(size: int) -> None:
    kept = answer(b"x" * size).replace(b"Connection: close\r\n", b"")
    heads: list[bytes] = []
    async with server(kept, then=once_more(heads, kept)) as there, HttpTransport() as transport:
        for path in ("/1", "/2"):
            assert isinstance(await transport.send(Request("GET", there.url, path), 5.0), Response)
    assert (len(there.heads), len(heads)) == (1, 1)


async def test_a_call_that_breaks_after_one_that_went_well_on_the_same_connection_may_have_been_sent() -> None:
    async def hear_once_more(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with server(KEPT, then=hear_once_more) as there, HttpTransport() as transport:
        request = Request("GET", there.url, "/")
        assert isinstance(await transport.send(request, 5.0), Response)
        got = await transport.send(request, 5.0)
    assert isinstance(got, Lost)
    assert got.sent
    assert len(there.heads) == 1  # and nobody connected again, to send it a second time


async def twice(
    kept: bytes, after: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], *, wait: float = 0.0
) -> tuple[list[Response | Lost], int]:
    """Call twice where the first answer is `kept`, and the server then does `after`; return also the connections."""
    async with server(kept, answer(b"new"), then=after) as there, HttpTransport() as transport:
        got = [await transport.send(Request("GET", there.url, "/"), 5.0)]
        await asyncio.sleep(wait)
        got.append(await transport.send(Request("GET", there.url, "/"), 5.0))
        return got, len(there.heads)


@pytest.mark.parametrize(
    ("extra", "late"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", False, id="an answer with it"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", False, id="an empty answer with it"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", True, id="an answer later"),
        pytest.param(b"HTTP/1.1 200", False, id="half an answer with it"),
        pytest.param(b"HTTP/1.1 200", True, id="half an answer later"),
        pytest.param(b"x", True, id="rubbish later"),
    ],
)
async def test_what_comes_after_an_answer_is_not_taken_for_the_next_one(extra: bytes, late: bool) -> None:
    left = [extra] if late else []

    async def go_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.005)
        writer.write(left.pop() if left else b"")
        await reader.read()

    got, connections = await twice(KEPT if late else KEPT + extra, go_on, wait=0.02)
    assert [one.body for one in got if isinstance(one, Response)] == [b"ok", b"new"]
    assert connections == 2


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])  # which look for what can be read at different moments
@pytest.mark.parametrize("said", [KEPT, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", b"x", None])
def test_what_is_there_before_the_call_is_no_answer_to_it(
    said: bytes | None, run: Callable[[Coroutine[None, None, None]], None]
) -> None:
    """Whether it is spoken or the end of the connection: another one is used then."""

    async def go_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        speaking.append(writer)
        await reader.read()

    async def call_twice() -> None:
        async with server(KEPT, answer(b"new"), then=go_on) as there, HttpTransport() as transport:
            request = Request("POST", there.url, "/")
            assert isinstance(await transport.send(request, 5.0), Response)
            if said is None:
                speaking[0].transport.abort()
                await asyncio.sleep(0)  # in which it is done, and not yet seen
            else:
                speaking[0].write(said)  # nobody had the time to read it yet
            got = await transport.send(request, 5.0)
            assert isinstance(got, Response), got
            assert got.body == b"new"
            speaking[1].close()

    speaking: list[asyncio.StreamWriter] = []
    run(call_twice())


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_nor_where_the_call_is_sent_together_with_others(run: Callable[[Coroutine[None, None, None]], None]) -> None:
    """It was sent in the pass in which it was put, before the loop had read again."""

    async def go_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        speaking[writer.get_extra_info("peername")] = writer
        await reader.read()

    async def call_together() -> None:
        answers = [KEPT, KEPT, answer(b"new"), answer(b"new")]
        async with server(*answers, then=go_on) as there, HttpTransport() as transport:
            request = Request("POST", there.url, "/")
            await asyncio.gather(*(transport.send(request, 5.0) for _ in range(2)))
            await asyncio.sleep(0.01)
            idle = transport._places[there.url].idle[0]
            gate = asyncio.get_running_loop().create_future()

            async def second() -> Response | Lost:
                await gate
                speaking[idle._transport.get_extra_info("sockname")].write(KEPT)
                return await transport.send(request, 0.5)

            later = asyncio.create_task(second())
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_soon(gate.set_result, None)
            first = asyncio.create_task(transport.send(request, 0.5))  # it is put in the next pass, to be sent after it
            got = await later
            await first
            assert isinstance(got, Response), got
            assert got.body == b"new"

    speaking: dict[object, asyncio.StreamWriter] = {}
    run(call_together())


async def test_what_comes_before_the_request_is_sent_is_no_answer_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def go_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.01)
        writer.write(KEPT)
        await reader.read()

    put = Outbox.put

    def forget(outbox: Outbox, wire: Wire, request: bytes) -> None:
        monkeypatch.setattr(Outbox, "put", put)

    async with server(KEPT, answer(b"new"), then=go_on) as there, HttpTransport() as transport:
        request = Request("POST", there.url, "/")
        assert isinstance(await transport.send(request, 5.0), Response)
        monkeypatch.setattr(Outbox, "put", forget)
        got = await transport.send(request, 5.0)
    assert isinstance(got, Response)
    assert got.body == b"new"


async def test_chunked_answers_leave_the_connection_open() -> None:
    said = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    heads: list[bytes] = []
    async with server(said, then=once_more(heads, said)) as there, HttpTransport() as transport:
        for _ in range(2):
            got = await transport.send(Request("GET", there.url, "/"), 5.0)
            assert isinstance(got, Response)
            assert got.body == b"ok"
    assert (len(there.heads), len(heads)) == (1, 1)


async def test_a_connection_that_the_server_closed_is_not_used_again() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    got, connections = await twice(KEPT, hang_up, wait=0.01)
    assert [one.body for one in got if isinstance(one, Response)] == [b"ok", b"new"]
    assert connections == 2


async def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.wire.IDLE_SECONDS", 0.005)
    got, connections = await twice(KEPT, silence, wait=0.01)
    assert [one.body for one in got if isinstance(one, Response)] == [b"ok", b"new"]
    assert connections == 2


async def test_a_connection_that_is_kept_for_a_call_is_nobody_elses_until_it_is_freed() -> None:
    heads: list[bytes] = []
    async with server(KEPT, KEPT, then=once_more(heads, KEPT)) as there, HttpTransport() as transport:
        lines = transport.lines(there.url)
        assert lines.take() is None
        assert lines.ready is False
        one, other = await lines.dial(), await lines.dial()
        assert one is not None
        assert other is not None
        for wire in (one, one, other):
            assert lines.take() is None
            wire.free()
            assert bool(lines.ready)
            assert isinstance(await transport.send(Request("GET", there.url, "/"), 5.0), Response)
            assert lines.take() is wire
        one.free()
        other.free()
    assert (len(there.heads), len(heads)) == (2, 1)


async def test_a_connection_that_is_kept_for_too_long_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(answer(b"ok"), answer(b"ok")) as there, HttpTransport() as transport:
        line = await transport.lines(there.url).dial()
        assert line is not None
        monkeypatch.setattr("orchestrator.wire.IDLE_SECONDS", 0.0)
        line.free()
        assert isinstance(await transport.send(Request("GET", there.url, "/"), 5.0), Response)
        assert not line.is_fresh(0.0)


async def test_where_no_connection_is_to_be_had_in_a_moment_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.transport.AHEAD_SECONDS", 0.05)
    async with server() as there:
        gone = there.url
    async with HttpTransport() as transport, server(greets=False) as silent:
        assert await transport.lines(gone).dial() is None
        assert await transport.lines(silent.url.replace("http:", "https:")).dial() is None


async def test_a_body_of_which_nobody_said_the_length_ends_with_the_connection() -> None:
    async with server(b"HTTP/1.1 200 OK\r\n\r\nall of it") as there:
        got = await fetched(there.url)
    assert isinstance(got, Response)
    assert got.body == b"all of it"


async def test_a_body_of_which_nobody_said_the_length_is_lost_when_the_connection_is_torn() -> None:
    async def tear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        writer.transport.abort()

    async with server(b"HTTP/1.1 200 OK\r\n\r\nsome of it", then=tear) as there:
        got = await fetched(there.url)
    assert isinstance(got, Lost)
    assert got.sent


@pytest.mark.parametrize("end", [b"0\r\n\r\n", b"zz\r\n"])
async def test_chunks_are_put_together_or_are_no_answer(end: bytes) -> None:
    async def in_pieces(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in (b"3\r\nab", b"c\r\n4\r\ndefg\r", b"\n", end):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.002)

    async with server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", then=in_pieces) as there:
        got = await fetched(there.url)
    if end.startswith(b"0"):
        assert isinstance(got, Response)
        assert got.body == b"abcdefg"
    else:
        assert got == Lost("the connection broke: what came is no answer", sent=True)


async def test_an_answer_in_single_bytes_is_an_answer() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"ok", "X-A: b"):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    async with server(b"", then=drip) as there:
        got = await fetched(there.url)
    assert isinstance(got, Response)
    assert (got.status, got.headers["x-a"], got.body) == (200, "b", b"ok")


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("told", ["Content-Length: 5", "Transfer-Encoding: chunked"])
async def test_no_body_is_waited_for_where_there_cannot_be_one(status: str, told: str) -> None:
    async with server(f"HTTP/1.1 {status}\r\n{told}\r\n\r\n".encode(), then=silence) as there:
        got = await fetched(there.url)
    assert isinstance(got, Response)
    assert (got.status, got.body) == (int(status[:3]), b"")


# Nothing is done that was not asked for


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_redirects_are_not_followed(status: str) -> None:
    async with server(answer(b"", "Location: /elsewhere", status=status), answer(b"ok")) as there:
        got = await fetched(there.url)
    assert isinstance(got, Response)
    assert got.status == int(status[:3])
    assert len(there.heads) == 1


async def test_cookies_are_not_kept() -> None:
    async with (
        server(answer(b"", "Set-Cookie: session=1; Path=/"), answer(b"ok")) as there,
        HttpTransport() as transport,
    ):
        for _ in range(2):
            await transport.send(Request("GET", there.url, "/"), 5.0)
    assert len(there.heads) == 2
    assert b"cookie" not in there.heads[1].lower()


async def test_a_call_that_failed_is_not_repeated_behind_our_back() -> None:
    async with server(b"", answer(b"ok")) as there:
        got = await fetched(there.url, method="GET", body=b"")
    assert isinstance(got, Lost)
    assert len(there.heads) == 1


async def test_what_is_compressed_is_left_as_it_came() -> None:
    async with server(answer(b"\x1f\x8b\x08rest", "Content-Encoding: gzip")) as there:
        got = await fetched(there.url)
    assert isinstance(got, Response)
    assert got.body == b"\x1f\x8b\x08rest"


async def test_a_transport_is_used_inside_its_block() -> None:
    with pytest.raises(RuntimeError, match="outside"):
        await HttpTransport().send(Request("GET", "http://127.0.0.1:1", "/"))


# Trust


def test_trust_is_what_the_config_says() -> None:
    assert tls_context(None, None, insecure=False) is True
    assert tls_context(None, None, insecure=True) is False
    assert tls_context(None, ":".join(["ab"] * 32), insecure=False)


@pytest.fixture
def presented(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate's file, and what a server presents it with."""
    file = tmp_path / "server.pem"
    file.write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return file, context


@pytest.fixture
def unread() -> Iterator[None]:
    """What was read before is forgotten, and what is read in a test."""
    certificates.trusted.cache_clear()
    yield
    certificates.trusted.cache_clear()


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("known", [True, False])
async def test_by_default_the_certificates_of_the_system_decide(
    presented: tuple[Path, ssl.SSLContext], known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, context = presented
    monkeypatch.setenv("SSL_CERT_FILE", str(file) if known else os.devnull)
    monkeypatch.setenv("SSL_CERT_DIR", os.devnull)
    async with server(answer(b"ok"), tls=context) as there:
        got = await fetched(there.url)
    assert isinstance(got, Response) == known
    assert known or (isinstance(got, Lost) and got.final)
    assert known or (isinstance(got, Lost) and not got.sent and "the certificate was not accepted" in got.reason)


@pytest.mark.usefixtures("unread")
async def test_one_bad_certificate_among_good_ones_is_not_final(
    presented: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be several behind one name."""
    file, context = presented
    async with server(answer(b"ok"), answer(b"ok"), tls=context) as there, HttpTransport() as transport:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        assert isinstance(await transport.send(Request("GET", there.url, "/")), Response)
        place = transport._places[there.url]
        place.ticket = aiohttp.ClientRequest(
            "GET", place.ticket.url, ssl=aiohttp.Fingerprint(bytes(32)), loop=asyncio.get_running_loop()
        )
        got = await transport.send(Request("GET", there.url, "/"))
    assert isinstance(got, Lost)
    assert not got.final


@pytest.mark.parametrize("said", [True, False])
def test_meanwhile_no_certificates_are_found_and_then_those_from_before(
    presented: tuple[Path, ssl.SSLContext], said: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in certificates.PLACES:
        monkeypatch.delenv(place, raising=False)
        if said:
            monkeypatch.setenv(place, str(presented[0]))
    before = dict(os.environ)
    with certificates.without_certificates():
        assert {os.environ[place] for place in certificates.PLACES} == {os.devnull}
        assert ssl.create_default_context().cert_store_stats()["x509"] == 0
    assert dict(os.environ) == before


def test_a_command_is_there_without_a_look_at_certificates(tmp_path: Path) -> None:
    """Whoever opens this file waits for ever."""
    os.mkfifo(tmp_path / "certificates")
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "runs"],
        env={**os.environ, "SSL_CERT_FILE": str(tmp_path / "certificates")},
        cwd=tmp_path,
        timeout=20,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"no runs yet\n")


def test_a_ca_file_that_is_not_there() -> None:
    with pytest.raises(OSError, match="No such file"):
        tls_context("/nowhere/ca.pem", None, insecure=False)


async def test_header_bytes_that_are_no_text_are_replaced_so_that_they_can_be_written() -> None:
    said = b"HTTP/1.1 200 OK\r\nX-Request-Id: a\xffb\r\nSet-Cookie: c=\xfe\r\nContent-Length: 0\r\n\r\n"
    async with server(said) as there:
        got = await fetched(there.url)
    assert isinstance(got, Response)
    assert got.headers["x-request-id"] == "a\ufffdb"
    assert list(got.cookies) == ["c=\ufffd"]
