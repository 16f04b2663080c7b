"""One connection's HTTP client: sends a finished request, and returns a bounded answer or the lack of one."""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType

import aiohttp
from yarl import URL

from orchestrator import __version__
from orchestrator.model import Lost, Request, Response

MAX_BODY = 256 * 1024
MAX_HEADER = 128 * 1024  # an IAM token alone is tens of kilobytes
CONNECT_SECONDS = 10.0
USER_AGENT = f"orchestrator/{__version__}"

Trust = ssl.SSLContext | aiohttp.Fingerprint | bool  # what aiohttp takes for `ssl`

_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


class HttpTransport:
    """Keeps one aiohttp session; follows no redirects, keeps no cookies, and decodes nothing."""

    def __init__(self, tls: Trust = True, proxy: str | None = None) -> None:
        self._tls = tls
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> HttpTransport:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls)
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
        try:
            async with asyncio.timeout(timeout):
                return await self._exchange(request)
        except TimeoutError as error:
            never = isinstance(error, aiohttp.ConnectionTimeoutError)
            return Lost("could not connect in time" if never else f"no answer within {timeout:g} s", sent=not never)
        except _NEVER_SENT as error:
            return Lost(f"could not connect: {_why(error)}", sent=False)
        except (aiohttp.ClientError, OSError) as error:
            return Lost(f"the connection broke: {_why(error)}", sent=True)

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
            body, truncated = await _read(answer)
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Response(answer.status, headers, body, answer.headers.getall("Set-Cookie", ()), truncated)


async def _read(answer: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """Read at most MAX_BYTES; what is longer is cut, and its connection is given up."""
    body = await answer.content.read(MAX_BODY)
    while len(body) < MAX_BODY and (more := await answer.content.read(MAX_BODY - len(body))):
        body += more
    if len(body) < MAX_BODY or answer.content.at_eof():
        return body, False
    answer.close()
    return body, True


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
