"""Faults on request: what goes wrong with which calls, how often, and whether the service did the work first."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, get_args

from aiohttp import web

from orchestrator.sandbox import pages
from orchestrator.sandbox.call import Call

Kind = Literal[
    "status", "hang", "reset", "truncate", "content_type", "slow", "lost", "big",
    "throttle", "repeat_page", "empty_page", "false_total",
]  # fmt: skip
Work = Callable[[], Awaitable[web.StreamResponse]]

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds makes close() send a TCP RST
_LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><form>Sign in</form></body></html>"
_PIECE = 64 * 1024


SERVICES = ("*", "dcs", "das", "workspace", "workspaceapp", "cbh", "cas", "iam", "sts")
_MANY = 10**9
_BOUNDS = {
    "times": (0, _MANY),
    "every": (1, _MANY),
    "after": (0, _MANY),
    "page": (1, _MANY),
    "status": (100, 599),
    "size": (0, _MANY),
    "keep": (0, _MANY),
    "total": (0, _MANY),
}


@dataclass(slots=True)
class Fault:
    """One kind of trouble for the calls of a service ("*": of every service) whose path or body contain `match`.

    `operation` and `page` narrow it down to one operation and to the page of a listing, from 1 on. Of the calls that
    match, the first `after` are spared, then each `every`-th is hit, `times` in all (None: no end). `status`, `body`
    and `headers` are for kind status, `seconds` for hang, slow, lost and throttle, `size` for big, `keep` for
    empty_page, `total` for false_total.
    """

    service: str
    kind: Kind
    times: int | None = 1
    every: int = 1
    after: int = 0
    match: str = ""
    operation: str = ""
    page: int | None = None
    before_auth: bool = False
    status: int = 500
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    size: int = 1024 * 1024
    keep: int = 0
    total: int = 0
    seen: int = field(default=0, init=False)
    hits: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind: {self.kind!r} is none of {', '.join(get_args(Kind))}")
        if self.service not in SERVICES:
            raise ValueError(f"service: {self.service!r} is none of {', '.join(SERVICES)}")
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if value is None and name in ("times", "page"):
                continue
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f"{name}: must be a whole number from {least} to {most}")
        if isinstance(self.seconds, bool) or not isinstance(self.seconds, int | float) or not self.seconds >= 0:
            raise ValueError("seconds: must be a number, and not below 0")

    def strikes(self, call: Call) -> bool:
        """Say whether this call is hit, and count it."""
        if self.service not in ("*", call.operation.service) or self.hits == self.times:
            return False
        if self.operation not in ("", call.operation.name) or not self._is_for_page(call.page()):
            return False
        if self.match not in call.request.raw_path and self.match.encode() not in call.body:
            return False
        self.seen += 1
        position = self.seen - self.after - 1
        struck = position >= 0 and position % self.every == 0
        self.hits += struck
        return struck

    def _is_for_page(self, number: int) -> bool:
        """Say whether the page is one that this kind can strike; only from the second on is there one before it."""
        first = {"repeat_page": 2, "empty_page": 1, "false_total": 1}.get(self.kind, 0)
        return number >= first and self.page in (None, number)


async def around(call: Call, *, before_auth: bool, work: Work) -> web.StreamResponse:
    """Do the work, in the way of the first fault that strikes if any does."""
    for fault in call.world.faults:
        if fault.before_auth is before_auth and fault.strikes(call):
            return await _KINDS[fault.kind](fault, call, work)
    return await work()


async def _status(fault: Fault, _call: Call, _work: Work) -> web.StreamResponse:
    kind = {} if "content-type" in map(str.lower, fault.headers) else {"Content-Type": "application/json"}
    return web.Response(status=fault.status, body=fault.body.encode(), headers={**kind, **fault.headers})


async def _hang(fault: Fault, call: Call, work: Work) -> web.StreamResponse:
    """Be silent, then go on as if nothing had been; for a client that has left, the work is not done."""
    await asyncio.sleep(fault.seconds)
    return await work() if _is_connected(call) else web.Response(status=499)


async def _reset(_fault: Fault, call: Call, _work: Work) -> web.StreamResponse:
    return _abort(call)


async def _lost(fault: Fault, call: Call, work: Work) -> web.StreamResponse:
    """Do the work, be silent if `seconds` says so, and reset without an answer."""
    await work()
    await asyncio.sleep(fault.seconds)
    return _abort(call)


async def _truncate(_fault: Fault, call: Call, work: Work) -> web.StreamResponse:
    """Do the work, and cut its answer in half below the length that was announced."""
    whole = _body(await work()) or b'{"cut": "here"}'
    answer = await _started(call, web.StreamResponse(), len(whole))
    await _poured(answer, [whole[: len(whole) // 2]])
    if call.request.transport is not None:
        call.request.transport.close()
    return answer


async def _content_type(_fault: Fault, _call: Call, _work: Work) -> web.StreamResponse:
    return web.Response(text=_LOGIN_PAGE, content_type="text/html")


async def _slow(fault: Fault, call: Call, work: Work) -> web.StreamResponse:
    """Do the work, and drip its body over the seconds; an answer without a body just comes late."""
    done = await work()
    body = _body(done)
    if not body:
        await asyncio.sleep(fault.seconds)
        return done
    answer = await _started(call, web.StreamResponse(status=done.status, headers=done.headers), len(body))
    pieces = min(10, len(body))
    parts = (body[n * len(body) // pieces : (n + 1) * len(body) // pieces] for n in range(pieces))
    return await _poured(answer, parts, pause=fault.seconds / pieces)


async def _big(fault: Fault, call: Call, _work: Work) -> web.StreamResponse:
    """Answer 200 with a JSON string of `size` bytes."""
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    await _started(call, answer, fault.size)
    parts = (b"x" * min(_PIECE, fault.size - 1 - start) for start in range(1, fault.size - 1, _PIECE))
    return await _poured(answer, chain([b'"'], parts, [b'"']))


async def _throttle(fault: Fault, call: Call, _work: Work) -> web.StreamResponse:
    return pages.throttled(call, fault.seconds)


async def _repeat_page(_fault: Fault, call: Call, work: Work) -> web.StreamResponse:
    call.pages_back = 1
    return await work()


async def _empty_page(fault: Fault, call: Call, work: Work) -> web.StreamResponse:
    return pages.shortened(call, await work(), fault.keep)


async def _false_total(fault: Fault, call: Call, work: Work) -> web.StreamResponse:
    return pages.with_total(call, await work(), fault.total)


async def _started(call: Call, answer: web.StreamResponse, length: int) -> web.StreamResponse:
    answer.content_length = length
    await answer.prepare(call.request)
    return answer


async def _poured(answer: web.StreamResponse, parts: Iterable[bytes], pause: float = 0.0) -> web.StreamResponse:
    """Write a body part by part; a client that hangs up in the middle is no mistake of the sandbox."""
    with suppress(ConnectionError):
        for part in parts:
            await asyncio.sleep(pause)
            await answer.write(part)
    return answer


def _body(answer: web.StreamResponse) -> bytes:
    return bytes(answer.body) if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""


def _is_connected(call: Call) -> bool:
    return call.request.transport is not None and not call.request.transport.is_closing()


def _abort(call: Call) -> web.Response:
    transport = call.request.transport
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    return web.Response(status=499)  # nobody receives it; the snapshot counts it


_KINDS: dict[str, Callable[[Fault, Call, Work], Awaitable[web.StreamResponse]]] = {
    "status": _status,
    "hang": _hang,
    "reset": _reset,
    "truncate": _truncate,
    "content_type": _content_type,
    "slow": _slow,
    "lost": _lost,
    "big": _big,
    "throttle": _throttle,
    "repeat_page": _repeat_page,
    "empty_page": _empty_page,
    "false_total": _false_total,
}
