"""One connection to a service: a request goes out, and its answer comes back, bounded in size and time.

aiohttp makes the connection, with TLS and proxy. The rest of it (session, pool, streams) costs three times as much as
all of this, for what is not wanted here.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from httptools import HttpParserError

from orchestrator.model import Lost, Response
from orchestrator.replies import Replies

MAX_BODY = 256 * 1024
MAX_PAGE = 16 * 1024 * 1024  # what is read with GET may be a page of a thousand items
IDLE_SECONDS = 15.0  # so long after its last call a connection is used again: servers close them not much later


class Outbox:
    """Sends together what one pass of the event loop has to send: whoever receives it is woken once, not for each.

    Between `put` and the sending the loop hands over all that can be read: what came before the request is no answer to
    it. asyncio's loop reads between `call_soon` and a timer that is due, uvloop between two passes.
    """

    __slots__ = ("_due", "_new")

    def __init__(self) -> None:
        self._new: list[tuple[Wire, bytes]] = []  # what nothing was read after
        self._due: list[tuple[Wire, bytes]] = []

    def put(self, wire: Wire, request: bytes) -> None:
        """Send it soon."""
        if not self._new and not self._due:
            asyncio.get_running_loop().call_soon(self._send)
        self._new.append((wire, request))

    def _send(self) -> None:
        due, self._due, self._new = self._due, self._new, []
        if self._due:
            asyncio.get_running_loop().call_later(0, self._send)
        for wire, request in due:
            wire.write(request)


class _Alarm:
    """Rings when a call is due. One timer serves many calls: to make and to cancel one for each is 2 % of a run."""

    __slots__ = ("_armed", "_due", "_loop", "_ring", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], object]) -> None:
        self._loop = loop
        self._ring = ring
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._armed = math.inf  # when the timer goes off: not later than the call is due

    def set(self, due: float) -> None:
        """Ring then (by the loop's clock), and not at an earlier time that was set before."""
        self._due = due
        if due < self._armed:
            self.stop()
            self._armed, self._timer = due, self._loop.call_at(due, self._look)

    def stop(self) -> None:
        """Ring no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._armed, self._timer = math.inf, None
        if self._loop.time() < self._due:
            self.set(self._due)
        else:
            self._ring()


class Wire(asyncio.Protocol):
    """A connection on which one call at a time is made.

    When a call is over, and another may follow, it is put back at the end of `idle`.
    """

    def __init__(self, connection: Connection, outbox: Outbox, idle: list[Wire]) -> None:
        handler = connection.protocol
        if handler is None or handler.transport is None or handler.should_close:  # it is gone, or spoke before its turn
            connection.close()
            raise aiohttp.ServerDisconnectedError
        self._loop = asyncio.get_running_loop()
        self._idle_since = self._loop.time()
        self._connection = connection
        self._outbox = outbox
        self._idle = idle
        self._handler = handler  # aiohttp's own protocol, which keeps count of what is open
        self._transport = handler.transport
        self._replies = Replies()
        self._alarm = _Alarm(self._loop, self._expire)
        self._answer: asyncio.Future[Response | Lost] | None = None
        self._sent = False  # the request of the call that is under way
        self._seconds = 0.0  # that it may take
        self._transport.set_protocol(self)

    def is_fresh(self, now: float) -> bool:
        """Return whether another call can be made, for all that the loop has seen, and not too late for the server."""
        return not self._transport.is_closing() and now - self._idle_since < IDLE_SECONDS

    def free(self) -> None:
        """Let whoever comes next make a call on it."""
        self._idle.append(self)

    async def exchange(self, request: bytes, method: str, began: float, seconds: float) -> Response | Lost:
        """Send a request; return the answer, or what is known about there being none `seconds` after the call `began`.

        Where no other call may follow, the connection is closed. The method is any but HEAD.
        """
        self._replies.expect(MAX_PAGE if method == "GET" else MAX_BODY)
        answer: asyncio.Future[Response | Lost] = self._loop.create_future()
        self._answer, self._sent = answer, False
        self._seconds = seconds
        self._alarm.set(began + seconds)
        self._outbox.put(self, request)
        try:
            return await answer
        except BaseException:
            if answer.cancelled():  # what comes now is nobody's; if there was an answer, the next call may be under way
                self._tear()
            raise

    def write(self, request: bytes) -> None:
        """Send the request, unless the connection is gone by now."""
        if not self._transport.is_closing():
            self._sent = True
            self._transport.write(request)

    def close(self) -> None:
        """Let go of the connection."""
        self._alarm.stop()
        self._replies.close()
        self._connection.close()

    def data_received(self, data: bytes) -> None:
        """Take what came; where nobody was asked, or nobody waits any more, it is no answer, and no call may follow."""
        if self._waiting() is None or not self._sent:
            self._lose("the other side spoke before it was asked")
            return
        try:
            self._replies.feed(data)
        except HttpParserError as error:
            self._lose(f"the connection broke: {why(error)}")
            return
        if self._replies.answer is not None:
            self._conclude(self._replies.answer)

    def connection_lost(self, error: Exception | None) -> None:
        """Take the end of the connection, which is that of an answer whose length nobody said."""
        self._handler.connection_lost(error)
        if self._waiting() is None:
            return
        if error is None:
            self._replies.end()
        if self._replies.answer is not None:
            self._conclude(self._replies.answer)
        else:
            self._lose(f"the connection broke: {why(error or aiohttp.ServerDisconnectedError())}")

    def _conclude(self, answer: Response) -> None:
        """Hand over the answer; the connection is closed where it is the last, or was there before all was sent."""
        if self._answer is not None:
            self._answer.set_result(answer)
        self._answer = self._replies.answer = None  # it may be long, and is the caller's
        if self._replies.last or self._transport.is_closing() or self._transport.get_write_buffer_size():
            self.close()
        else:
            self._idle_since = self._loop.time()
            self.free()

    def _waiting(self) -> asyncio.Future[Response | Lost] | None:
        """Return where the answer goes, if somebody still waits for one."""
        return None if self._answer is None or self._answer.done() else self._answer

    def _expire(self) -> None:
        if self._waiting() is not None:
            self._lose(f"no answer within {self._seconds:g} s")

    def _lose(self, reason: str) -> None:
        """Give up; where the request was sent, the service may have seen it."""
        if (answer := self._waiting()) is not None:
            answer.set_result(Lost(reason, self._sent))
        self._answer = None
        self._tear()

    def _tear(self) -> None:
        """End a connection of which nothing more is expected, also what it has still to send."""
        self._transport.abort()
        self.close()


def why(error: BaseException) -> str:
    """Return an error's cause in a few words, without URLs (they may hold secrets)."""
    if isinstance(error, HttpProcessingError | HttpParserError):
        return "what came is no answer"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"the certificate was not accepted ({error.certificate_error})"
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return "the certificate's fingerprint is not the configured one"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the other side closed it"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered {error.status}"
    if isinstance(error, aiohttp.InvalidURL):
        return "the URL is not valid"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(cause).__name__
