"""One call as the bytes that leave, against a published signature; recorded by a server that only listens."""

from __future__ import annotations

import asyncio
import calendar
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from orchestrator import catalogue
from orchestrator.auth import Admission, Standing
from orchestrator.auth.aksk import AkSk
from orchestrator.classify import compile_reading
from orchestrator.connector import HttpConnector
from orchestrator.model import Batch, Lost, Request, Response, Secret, Verdict
from orchestrator.references import literal
from orchestrator.render import Place, compile_operation
from orchestrator.targets import TargetBuilder
from orchestrator.transport import USER_AGENT, HttpTransport

PROJECT = "0123456789abcdef0123456789abcdef"
INSTANCE = "5560df16-cebf-4473-95c4-d1b573c16e79"
HOST = "dcs.cn-north-4.myhuaweicloud.com"
PATH = f"/v2/{PROJECT}/instances/{INSTANCE}/webcli/logout"
BODY = b'{"client_id":"abc"}'
SIGNED_AT = calendar.timegm(time.strptime("20240102T030405Z", "%Y%m%dT%H%M%SZ"))
# What the cloud's own SDK makes of this request with these keys at that second.
SIGNATURE = "dc53c1e4738e81e4f72ee70e326e3248757365c950c824d2acf2d3034b60cfe9"
AUTHORIZATION = (
    f"SDK-HMAC-SHA256 Access=EXAMPLE-AK, SignedHeaders=content-type;host;x-project-id;x-sdk-date, Signature={SIGNATURE}"
)


@asynccontextmanager
async def listening(answer: bytes) -> AsyncIterator[tuple[str, bytearray]]:
    """Take one request, give the answer; yields the URL and all that came."""
    came = bytearray()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.extend(await reader.readuntil(b"\r\n\r\n"))
        came.extend(await reader.readexactly(len(BODY)))
        writer.write(answer)
        await writer.drain()
        came.extend(await reader.read())  # until the other side is done: nothing may follow
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}", came


@dataclass
class Detour:
    """Sends what was signed for the cloud to a place on loopback."""

    transport: HttpTransport
    url: str

    async def send(self, request: Request, timeout: float) -> Response | Lost:  # noqa: ASYNC109
        return await self.transport.send(replace(request, base_url=self.url), timeout)


async def test_a_dcs_logout_leaves_as_the_cloud_expects_it() -> None:
    known = catalogue.load()
    service = known.services["dcs.webcli"]
    place = Place(f"https://{HOST}", PROJECT, "cn-north-4")
    credential = AkSk(Secret("EXAMPLE-AK"), Secret("EXAMPLE-SK"), None, PROJECT, clock=lambda: SIGNED_AT)
    target = TargetBuilder(service, "prod").build({"instance_id": INSTANCE, "client_id": "abc"}, literal)
    classify = compile_reading(service, known.rules(service), service.service)
    render = compile_operation(service.end, place)

    async with listening(b"HTTP/1.1 204 No Content\r\n\r\n") as (url, came), HttpTransport() as transport:
        sender = Detour(transport, url)
        admission = Admission(credential, Standing(credential))
        connector = HttpConnector(
            [lambda project_id: render], {"": classify}, credential, admission, sender, idempotent=True, seconds=5.0
        )
        ruling = await connector.call(Batch([target], 1))

    assert (ruling.verdict, ruling.status) == (Verdict.ENDED, 204)
    head, _, body = bytes(came).partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    assert first == f"POST {PATH} HTTP/1.1"
    assert body == BODY
    headers = [tuple(line.split(": ", 1)) for line in lines]
    assert sorted(headers) == [
        ("Accept", "*/*"),
        ("Accept-Encoding", "identity"),
        ("Authorization", AUTHORIZATION),
        ("Content-Length", str(len(BODY))),
        ("Content-Type", "application/json"),
        ("Host", HOST),
        ("User-Agent", USER_AGENT),
        ("X-Project-Id", PROJECT),
        ("X-Sdk-Date", "20240102T030405Z"),
    ]
