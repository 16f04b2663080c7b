"""One connection's HTTP client: sends a finished request, and returns a bounded answer or the lack of one."""

from __future__ import annotations

import asyncio
import base64
import ssl
from dataclasses import dataclass, field
from types import TracebackType

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from orchestrator import __version__, certificates
from orchestrator.model import Lost, Request, Response
from orchestrator.wire import Outbox, Wire, why

CONNECT_SECONDS = 10.0
AHEAD_SECONDS = 1.0  # that a connection may take which is made before its call's turn: else the call makes its own
USER_AGENT = f"orchestrator/{__version__}"

Trust = ssl.SSLContext | aiohttp.Fingerprint | bool  # what aiohttp takes for `ssl`

_TIMES = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
_HEADERS = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
_UNTRUSTED = (aiohttp.ClientConnectorCertificateError, aiohttp.ServerFingerprintMismatch)


@dataclass(slots=True, eq=False)
class Place:
    """One base URL: what of a request's head is the same for all, and the connections to it.

    `ticket` is never sent: it tells aiohttp where a connection goes, by what proxy and TLS, and has the headers that a
    request has unless it says otherwise. `prefix` stands before every path; `idle` are the connections that no call is
    made on, the one that was used last at the end. It is `trusted` when there has been a connection to it.
    """

    ticket: aiohttp.ClientRequest
    prefix: str
    idle: list[Wire] = field(default_factory=list)
    trusted: bool = False
    _unsaid: dict[tuple[str, ...], tuple[str, int]] = field(default_factory=dict)

    def head(self, request: Request) -> bytes:
        """Return all that stands before the body."""
        query = f"?{request.query}" if request.query else ""
        said = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
        others, lines = self._others(tuple(request.headers))
        length = f"Content-Length: {len(request.body)}\r\n" if request.body or request.method != "GET" else ""
        text = f"{request.method} {self.prefix}{request.path or '/'}{query} HTTP/1.1\r\n{others}{said}{length}\r\n"
        # one that was smuggled in would begin another header, or another call
        if not text.count("\r") == text.count("\n") == lines + bool(length) or "\0" in text:
            raise ValueError("a header holds a line break or a NUL")
        return text.encode()

    def take(self, now: float) -> Wire | None:
        """Return a connection that can be used at once, if there is one."""
        while self.idle:
            wire = self.idle.pop()
            if wire.is_fresh(now):
                return wire
            wire.close()
        return None

    def close(self) -> None:
        """Let go of the connections that no call is made on."""
        while self.idle:
            self.idle.pop().close()

    def _others(self, said: tuple[str, ...]) -> tuple[str, int]:
        """Return the headers that are not said, and how many lines a head has then, one about the length aside.

        Nearly all calls to one place say the same.
        """
        if said not in self._unsaid:
            names = {name.lower() for name in said}
            others = [
                f"{name}: {value}\r\n" for name, value in self.ticket.headers.items() if name.lower() not in names
            ]
            self._unsaid[said] = "".join(others), len(others) + len(said) + 2
        return self._unsaid[said]


class HttpTransport:
    """Keeps the connections to one side; follows no redirects, keeps no cookies, decodes nothing, repeats no call."""

    def __init__(self, tls: Trust = True, proxy: str | None = None) -> None:
        self._tls = tls
        self._proxy = URL(proxy) if proxy else None
        self._dialler: aiohttp.TCPConnector | None = None
        self._places: dict[str, Place] = {}
        self._outbox = Outbox()

    async def __aenter__(self) -> HttpTransport:
        self._dialler = aiohttp.TCPConnector(limit=0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._dialler is not None:
            await self._dialler.close()  # with all that is idle
        for place in self._places.values():
            place.close()

    def lines(self, base_url: str) -> Lines:
        """Return what takes and makes connections to a base URL before there is a call to make."""
        return Lines(self, base_url)

    def place(self, base_url: str) -> Place:
        """Return what is the same for all requests to a base URL, and the connections to it."""
        return self._places.get(base_url) or self._placed(base_url)

    async def send(self, request: Request, timeout: float = 30.0) -> Response | Lost:  # noqa: ASYNC109
        """Return the answer, or what is known about there being none within `timeout` seconds."""
        place = self.place(request.base_url)
        sent = place.head(request) + request.body
        began = asyncio.get_running_loop().time()
        if (idle := place.take(began)) is not None:
            answer = await idle.exchange(sent, request.method, began, timeout)
            if not isinstance(answer, Lost) or answer.sent:
                return answer
            if asyncio.get_running_loop().time() >= began + timeout:  # else it was gone before anything was sent
                return answer
        wire = await self.dial(place, began + timeout)
        return wire if isinstance(wire, Lost) else await wire.exchange(sent, request.method, began, timeout)

    async def dial(self, place: Place, due: float) -> Wire | Lost:
        """Return a new connection; until there is one, with TLS and proxy settled, nothing was sent."""
        if self._dialler is None:
            raise RuntimeError("the transport is used outside its `async with`")
        try:
            async with asyncio.timeout_at(due):
                connection = await self._dialler.connect(place.ticket, [], _TIMES)
                place.trusted = True
                return Wire(connection, self._outbox, place.idle)
        except TimeoutError:
            return Lost("could not connect in time", sent=False)
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            return Lost(
                f"could not connect: {why(error)}", False, final=isinstance(error, _UNTRUSTED) and not place.trusted
            )

    def _placed(self, base_url: str) -> Place:
        url = URL(base_url, encoded=True)
        ticket = aiohttp.ClientRequest(
            "GET", url, headers=_HEADERS, ssl=self._trust(url), proxy=self._proxy, loop=asyncio.get_running_loop()
        )
        prefix = url.raw_path.rstrip("/")
        if self._proxy is not None and not ticket.is_ssl():  # which is told with each call where it goes, and whose
            prefix = base_url
            if self._proxy.user is not None:
                who = base64.b64encode(f"{self._proxy.user}:{self._proxy.password or ''}".encode()).decode()
                ticket.headers["Proxy-Authorization"] = f"Basic {who}"
        place = Place(ticket, prefix)
        self._places[base_url] = place
        return place

    def _trust(self, url: URL) -> Trust:
        """Return whom to trust there; the system's certificates are read, which takes 20 ms, when they are needed."""
        tls = "https" in (url.scheme, self._proxy and self._proxy.scheme)
        return certificates.trusted() if tls and self._tls is True else self._tls


class Lines:
    """The connections to one base URL, for whoever waits for a call's turn.

    So one is there when the turn comes: what is made then has the call arrive late, and the next one with it.
    """

    def __init__(self, transport: HttpTransport, base_url: str) -> None:
        self._transport = transport
        self._base_url = base_url

    @property
    def ready(self) -> bool:
        """Return whether there is a connection that no call is made on; it may be gone."""
        return bool(self._transport.place(self._base_url).idle)

    def take(self) -> Wire | None:
        """Return one that is open, if one is, for nobody else until it is freed."""
        return self._transport.place(self._base_url).take(asyncio.get_running_loop().time())

    async def dial(self) -> Wire | None:
        """Return a new one, for nobody else until it is freed; None if there is none in a moment."""
        due = asyncio.get_running_loop().time() + AHEAD_SECONDS
        made = await self._transport.dial(self._transport.place(self._base_url), due)
        return None if isinstance(made, Lost) else made


def tls_context(ca_file: str | None, fingerprint: str | None, *, insecure: bool) -> Trust:
    """Return what aiohttp takes for `ssl`; raise ValueError or OSError when the CA file is no good."""
    if fingerprint:
        return aiohttp.Fingerprint(bytes.fromhex(fingerprint.replace(":", "")))
    if insecure:
        return False
    return certificates.trusted(ca_file) if ca_file else True
