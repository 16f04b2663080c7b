"""The server on loopback: a process of its own, raw protocol, so that the client is what is measured.

The first part of a path names a site (`POST /NAME/...`); a site has a token bucket, a latency, and a log of arrivals
by monotonic time, which on Linux is the same clock in every process. It ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from array import array
from dataclasses import dataclass, field
from typing import Any, cast

_TOO_MANY = b'{"error_code":"APIGW.0308","error_msg":"The throttling threshold has been reached%b"}'
_JSON = b"Content-Type: application/json\r\n"


@dataclass(slots=True)
class Site:
    """One service: `mode` is `ok`, `hang` (never answers) or `refuse` (429 for everybody).

    It tells its limit where `tells` says so: in the `body` of a refusal, or in the `headers` of every answer.
    """

    rate: float | None = None
    burst: float = 1.0
    latency: float = 0.0
    retry_after: str | None = None
    changes_after: int | None = None  # so many accepted calls later ...
    changes_to: float = 0.0  # ... the rate becomes this
    status: int = 204
    mode: str = "ok"
    tells: str | None = None
    window: float | None = None  # seconds by the clock in which it counts, where it has no bucket
    times: array[float] = field(default_factory=lambda: array("d"))
    accepted: bytearray = field(default_factory=bytearray)
    tokens: float = -1.0
    stamp: float = 0.0
    good: int = 0

    def take(self, now: float) -> bool:
        """Log an arrival; return whether the bucket lets it in."""
        allowed = self.mode != "refuse" and (self.rate is None or self._spend(now, self.rate))
        self.times.append(now)
        self.accepted.append(allowed)
        self.good += allowed
        if self.good == self.changes_after:
            self.rate, self.changes_after = self.changes_to, None
        return allowed

    def _spend(self, now: float, rate: float) -> bool:
        full = self.burst if self.window is None else rate * self.window
        if self.tokens < 0 or (self.window is not None and now // self.window > self.stamp // self.window):
            self.tokens = full
        elif self.window is None:
            self.tokens = min(full, self.tokens + (now - self.stamp) * rate)
        self.stamp = now
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True

    def summary(self) -> dict[str, Any]:
        """Return what happened, in numbers."""
        last = next((t for t, good in zip(reversed(self.times), reversed(self.accepted), strict=True) if good), None)
        first = self.times[0] if self.times else None
        return {"calls": len(self.times), "accepted": self.good, "first": first, "last": last}


SITES: dict[bytes, Site] = {}


class Lean(asyncio.Protocol):
    """As little HTTP/1.1 as the clients need: keep-alive, Content-Length, one request at a time."""

    def __init__(self) -> None:
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        data = self._rest + data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            at = data.find(b"Content-Length: ", 0, end)
            size = int(data[at + 16 : data.find(b"\r", at)]) if at >= 0 else 0
            if len(data) < end + 4 + size:
                break
            self._answer(data, end)
            data = data[end + 4 + size :]
        self._rest = data

    def _answer(self, data: bytes, end: int) -> None:
        method, path, _ = data[: data.index(b"\r")].split(b" ", 2)
        name = path.split(b"/", 2)[1]
        if name == b"_site":
            self._transport.write(_control(method, path.rsplit(b"/", 1)[1], data[end + 4 :]))
            return
        site = SITES.get(name)
        if site is None:
            self._transport.write(_message(404, b""))
            return
        allowed = site.take(time.monotonic())
        if site.mode == "hang":
            return
        answer = _message(site.status, b"", _limits(site)) if allowed else _refusal(site)
        if site.latency:
            asyncio.get_running_loop().call_later(site.latency, self._late, answer)
        else:
            self._transport.write(answer)

    def _late(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


def _control(method: bytes, name: bytes, body: bytes) -> bytes:
    """PUT makes a site, GET tells what happened there, POST gives the whole log."""
    if method == b"PUT":
        SITES[name] = Site(**json.loads(body))
        return _message(200, b"{}")
    site = SITES[name]
    found = site.summary() if method == b"GET" else {"times": list(site.times), "accepted": list(site.accepted)}
    return _message(200, json.dumps(found).encode())


def _refusal(site: Site) -> bytes:
    extra = f"Retry-After: {site.retry_after}\r\n".encode() if site.retry_after else b""
    told = b": policy user over ratelimit,limit:%d,time:1 second" % site.rate if _tells(site, "body") else b""
    return _message(429, _TOO_MANY % told, extra + _limits(site))


def _limits(site: Site) -> bytes:
    if not _tells(site, "headers"):
        return b""
    return b'RateLimit-Policy: "default";q=%d;w=1\r\nRateLimit: "default";r=%d;t=1\r\n' % (site.rate, site.tokens)


def _tells(site: Site, where: str) -> bool:
    return site.rate is not None and site.tells == where


def _message(status: int, body: bytes, extra: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %d -\r\nX-Request-Id: 5f1d0a7c3b9e4d5f8a6b7c8d9e0f1a2b\r\n" % status
    if status != 204:
        head += b"Content-Length: %d\r\n" % len(body)
    return head + (_JSON if body else b"") + extra + b"\r\n" + body


async def serve() -> None:
    """Serve until standard input ends, which it does when whoever started this is gone."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    server = await loop.create_server(Lean, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await over.wait()


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(serve())
    except ImportError:
        asyncio.run(serve())
