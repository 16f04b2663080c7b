"""One connection's HTTP client: sends a finished request, and returns a bounded answer or the lack of one."""

from __future__ import annotations

import asyncio
import ssl
from contextvars import ContextVar
from types import TracebackType

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from orchestrator import __version__
from orchestrator.model import Lost, Request, Response

MAX_BODY = 256 * 1024
MAX_PAGE = 16 * 1024 * 1024  # what is read with GET may be a page of a thousand items
MAX_HEADER = 128 * 1024  # an IAM token alone is tens of kilobytes
CONNECT_SECONDS = 10.0
USER_AGENT = f"orchestrator/{__version__}"

Trust = ssl.SSLContext | aiohttp.Fingerprint | bool  # what aiohttp takes for `ssl`

_connected: ContextVar[bool] = ContextVar("connected")


class _Connector(aiohttp.TCPConnector):
    """Notes when a call has its connection, with TLS and proxy settled: before that, nothing of it was sent.

    Tracing would say the same, for some 10 µs a call.
    """

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  the signature is aiohttp's
    ) -> Connection:
        """Return a connection from the pool, or a new one."""
        connection = await super().connect(req, traces, timeout)
        _connected.set(True)
        return connection


class HttpTransport:
    """Keeps one aiohttp session; follows no redirects, keeps no cookies, and decodes nothing."""

    def __init__(self, tls: Trust = True, proxy: str | None = None) -> None:
        self._tls = tls
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> HttpTransport:
        connector = _Connector(limit=0, ssl=self._tls)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            auto_decompress=False,
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
        )
        self._session._retry_connection = False  # aiohttp would repeat a GET or a DELETE on its own; lanes do that
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, request: Request, timeout: float = 30.0) -> Response | Lost:  # noqa: ASYNC109  one deadline
        """Return the answer, or what is known about there being none within `timeout` seconds."""
        _connected.set(False)
        try:
            async with asyncio.timeout(timeout):
                return await self._exchange(request)
        except TimeoutError:
            sent = _connected.get()
            return Lost(f"no answer within {timeout:g} s" if sent else "could not connect in time", sent)
        except (aiohttp.ClientError, OSError) as error:
            sent = _connected.get()
            return Lost(f"{'the connection broke' if sent else 'could not connect'}: {_why(error)}", sent)

    async def _exchange(self, request: Request) -> Response:
        if self._session is None:
            raise RuntimeError("the transport is used outside its `async with`")
        async with self._session.request(
            request.method,
            URL(request.url, encoded=True),
            data=request.body or None,
            headers=request.headers,
            allow_redirects=False,
            proxy=self._proxy,
        ) as answer:
            headers = {_text(name).lower(): _text(value) for name, value in answer.headers.items()}
            cookies = tuple(map(_text, answer.headers.getall("Set-Cookie", ())))
            most = MAX_PAGE if request.method == "GET" else MAX_BODY
            return Response(answer.status, headers, await _read(answer, most), cookies)


def _text(value: str) -> str:
    """Return a header's text without the surrogates that stand for bytes that are no UTF-8: nobody could write them."""
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


async def _read(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """Read at most so many bytes; what is longer is cut, and its connection is given up."""
    parts = [await answer.content.read(most)]
    left = most - len(parts[0])
    while left and (more := await answer.content.read(left)):
        parts.append(more)
        left -= len(more)
    if not left and not answer.content.at_eof():
        answer.close()
    return b"".join(parts)


def _why(error: Exception) -> str:
    """Return an error's cause in a few words, without URLs (they may hold secrets)."""
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
