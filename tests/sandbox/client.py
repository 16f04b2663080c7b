"""A small signing client for the sandbox's tests, and the answers it gets as plain values."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from orchestrator.sandbox import Sandbox, World
from orchestrator.sandbox.signature import Received, sign
from orchestrator.sandbox.state import ACCESS_KEY, PROJECT_ID, SECRET_KEY


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: list[str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error_code"])


class Client:
    def __init__(self, sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.http = http

    async def plain(self, method: str, path: str, data: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        body = data if isinstance(data, bytes) else b"" if data is None else json.dumps(data).encode()
        url = URL(self.sandbox.url + path, encoded=True)
        sent = self.http.request(method, url, data=body, headers=headers, allow_redirects=False)
        async with sent as answer:
            text = await answer.read()
            return Answer(answer.status, answer.headers, text, answer.headers.getall("Set-Cookie", []))

    async def signed(
        self, method: str, path: str, data: Any = None, key: str = ACCESS_KEY, secret: str = SECRET_KEY, **more: str
    ) -> Answer:
        body = data if isinstance(data, bytes) else b"" if data is None else json.dumps(data).encode()
        headers = self.signed_headers(method, path, body, key, secret, **more)
        return await self.plain(method, path, body, headers)

    def signed_headers(
        self, method: str, path: str, body: bytes, key: str = ACCESS_KEY, secret: str = SECRET_KEY, **more: str
    ) -> dict[str, str]:
        headers = CIMultiDict(
            {
                "Host": self.sandbox.url.removeprefix("http://"),
                "X-Sdk-Date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self.sandbox.world.now())),
                "Content-Type": "application/json",
                "X-Project-Id": PROJECT_ID,
            }
        )
        headers.update({name.replace("_", "-"): value for name, value in more.items()})
        names = sorted(name.lower() for name in headers)
        raw_path, _, query = path.partition("?")
        signature = sign(secret, Received(method, raw_path, query, headers, body), names)
        joined = ";".join(names)
        authorization = f"SDK-HMAC-SHA256 Access={key}, SignedHeaders={joined}, Signature={signature}"
        return {**headers, "Authorization": authorization}

    async def control(self, path: str, data: Any = None, method: str = "POST") -> Answer:
        return await self.plain(method, f"/_sandbox/{path}", data)


@asynccontextmanager
async def running(world: World | None = None) -> AsyncIterator[Client]:
    http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), max_field_size=65536)
    async with Sandbox(world) as sandbox, http:
        yield Client(sandbox, http)


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0

    def __call__(self) -> float:
        return self.time
