"""One connection's HTTP client: sends a finished request, and returns a bounded answer or the lack of one."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from types import TracebackType

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from orchestrator import __version__
from orchestrator.model import Lost, Request, Response

MAX_BODY = 256 * 1024
MAX_PAGE = 16 * 1024 * 1024  # what is read with GET may be a page of a thousand items
MAX_HEADER = 128 * 1024  # an IAM token alone is tens of kilobytes
CONNECT_SECONDS = 10.0
USER_AGENT = f"orchestrator/{__version__}"

Trust = ssl.SSLContext | aiohttp.Fingerprint | bool  # what aiohttp takes for `ssl`

_TIMES = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
_HEADERS = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(slots=True)
class _Place:
    """One base URL: what of a request's head is the same for all, and the ticket at which connections are got.

    `ticket` is never sent: it tells aiohttp's pool where a connection goes, by what proxy and TLS, and has the headers
    that a request has unless it says otherwise. `prefix` stands before every path.
    """

    ticket: aiohttp.ClientRequest
    prefix: str
    _unsaid: dict[tuple[str, ...], list[str]] = field(default_factory=dict)

    def head(self, request: Request) -> bytes:
        """Return all that stands before the body."""
        query = f"?{request.query}" if request.query else ""
        lines = [f"{request.method} {self.prefix}{request.path or '/'}{query} HTTP/1.1"]
        lines += self._others(tuple(request.headers))
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        if request.body or request.method not in _BODILESS:
            lines.append(f"Content-Length: {len(request.body)}")
        text = "\r\n".join([*lines, "", ""])
        # one that was smuggled in would begin another header, or another call
        if not text.count("\r") == text.count("\n") == len(lines) + 1 or "\0" in text:
            raise ValueError("a header holds a line break or a NUL")
        return text.encode()

    def _others(self, said: tuple[str, ...]) -> list[str]:
        """Return the lines of the headers that are not said; nearly all calls to one place say the same."""
        if said not in self._unsaid:
            names = {name.lower() for name in said}
            others = self.ticket.headers.items()
            self._unsaid[said] = [f"{name}: {value}" for name, value in others if name.lower() not in names]
        return self._unsaid[said]


class HttpTransport:
    """Keeps the connections to one side; follows no redirects, keeps no cookies, decodes and repeats nothing.

    Of aiohttp it takes the pool, with TLS and proxies, and the reading of answers. Its session would make some 50 µs of
    the 65 that a call costs then, for what is not wanted here.
    """

    def __init__(self, tls: Trust = True, proxy: str | None = None) -> None:
        self._tls = tls
        self._proxy = URL(proxy) if proxy else None
        self._pool: aiohttp.TCPConnector | None = None
        self._places: dict[str, _Place] = {}
        self._outbox = _Outbox()

    async def __aenter__(self) -> HttpTransport:
        self._pool = aiohttp.TCPConnector(limit=0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            await self._pool.close()

    async def send(self, request: Request, timeout: float = 30.0) -> Response | Lost:  # noqa: ASYNC109  one deadline
        """Return the answer, or what is known about there being none within `timeout` seconds."""
        if self._pool is None:
            raise RuntimeError("the transport is used outside its `async with`")
        place = self._places.get(request.base_url) or self._place(request.base_url)
        connection: Connection | None = None  # until there is one, with TLS and proxy settled, nothing was sent
        deadline = _Deadline(timeout)
        try:
            connection = await self._pool.connect(place.ticket, [], _TIMES)
            return await _exchange(connection, self._outbox, place.head(request) + request.body, request.method)
        except (TimeoutError, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and not deadline.cancelled():
                raise
            sent = connection is not None
            return Lost(f"no answer within {timeout:g} s" if sent else "could not connect in time", sent)
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            said = "the connection broke" if connection else "could not connect"
            return Lost(f"{said}: {_why(error)}", bool(connection))
        finally:
            deadline.over()
            if connection is not None:
                connection.close()  # does nothing where all went well, and it was released

    def _place(self, base_url: str) -> _Place:
        url = URL(base_url, encoded=True)
        ticket = aiohttp.ClientRequest(
            "GET", url, headers=_HEADERS, ssl=self._tls, proxy=self._proxy, loop=asyncio.get_running_loop()
        )
        whole = self._proxy is not None and not ticket.is_ssl()  # such a proxy has to be told where the call goes
        place = _Place(ticket, base_url if whole else url.raw_path.rstrip("/"))
        self._places[base_url] = place
        return place


class _Outbox:
    """Sends together what one pass of the event loop has to send: whoever receives it is woken once, not for each."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []

    def put(self, transport: asyncio.Transport, sent: bytes) -> None:
        """Send it soon; what has to wait for it finds out by the connection whether it went."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._send)
        self._waiting.append((transport, sent))

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for transport, sent in waiting:
            if not transport.is_closing():
                transport.write(sent)


class _Deadline:
    """Cancels the task that makes it when its time is up: what `asyncio.timeout` does, in a third of its time."""

    __slots__ = ("_passed", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        self._task = asyncio.current_task()
        self._passed = False
        self._timer = asyncio.get_running_loop().call_later(seconds, self._pass)

    def cancelled(self) -> bool:
        """Return whether the task was cancelled for this, and for nothing else."""
        return self._passed and self._task is not None and self._task.uncancel() == 0

    def over(self) -> None:
        """Cancel nothing any more."""
        self._timer.cancel()

    def _pass(self) -> None:
        self._passed = True
        if self._task is not None:
            self._task.cancel()


async def _exchange(connection: Connection, outbox: _Outbox, sent: bytes, method: str) -> Response:
    """Send a request, and read the answer; the connection is released where another call may use it."""
    protocol = connection.protocol
    if protocol is None or protocol.transport is None:
        raise aiohttp.ServerDisconnectedError
    protocol.set_response_params(
        skip_payload=method == "HEAD",
        read_until_eof=True,
        auto_decompress=False,
        max_line_size=MAX_HEADER,
        max_field_size=MAX_HEADER,
    )
    outbox.put(protocol.transport, sent)
    message, content = await protocol.read()
    while 100 <= message.code < 200 and message.code != 101:
        message, content = await protocol.read()
    body = await _read(content, MAX_PAGE if method == "GET" else MAX_BODY)
    if content.is_eof() and not (protocol.transport and protocol.transport.get_write_buffer_size()):
        connection.release()
    headers = {name.lower(): _text(value) for name, value in message.headers.items()}
    return Response(message.code, headers, body, tuple(map(_text, message.headers.getall("Set-Cookie", ()))))


def _text(value: str) -> str:
    """Return a header's text without the surrogates that stand for bytes that are no UTF-8: nobody could write them."""
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


async def _read(content: aiohttp.StreamReader, most: int) -> bytes:
    """Read at most so many bytes."""
    if content.at_eof():
        return b""
    parts = [await content.read(most)]
    left = most - len(parts[0])
    while left and (more := await content.read(left)):
        parts.append(more)
        left -= len(more)
    return b"".join(parts)


def _why(error: Exception) -> str:
    """Return an error's cause in a few words, without URLs (they may hold secrets)."""
    if isinstance(error, HttpProcessingError):
        return "what came is no answer"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"the certificate was not accepted ({error.certificate_error})"
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return "the certificate's fingerprint is not the configured one"
    if isinstance(error, aiohttp.InvalidURL):
        return "the URL is not valid"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(cause).__name__


def tls_context(ca_file: str | None, fingerprint: str | None, *, insecure: bool) -> Trust:
    """Return what aiohttp takes for `ssl`; raise ValueError or OSError when the CA file is no good."""
    if fingerprint:
        return aiohttp.Fingerprint(bytes.fromhex(fingerprint.replace(":", "")))
    if insecure:
        return False
    return ssl.create_default_context(cafile=ca_file) if ca_file else True
