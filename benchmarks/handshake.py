"""TLS in front of the server, with a handshake that takes its time, as it does between two data centres.

It runs in a thread of whoever measures, which waits for a program meanwhile.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

# Made for this measurement, and trusted by nobody.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgMkYwGDb7oxv68yL1
MuIyANmYBRWxwwxaHLQmdqivqyChRANCAATmb3IbaVe6N6U/XBiY5ma33R0Dn3w7
X6jywjglM/S1JZ7zvHJPd/n3kKNJYfplnKWqGJIdvO0tBVrDcfbSsSzY
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBjjCCATWgAwIBAgITGKRmhPKxkI89ZRGoxt8dEVL25DAKBggqhkjOPQQDAjAU
MRIwEAYDVQQDDAliZW5jaG1hcmswIBcNMjYxMTMwMTc1MzE4WhgPMjEyNjExMDYx
NzUzMThaMBQxEjAQBgNVBAMMCWJlbmNobWFyazBZMBMGByqGSM49AgEGCCqGSM49
AwEHA0IABOZvchtpV7o3pT9cGJjmZrfdHQOffDtfqPLCOCUz9LUlnvO8ck93+feQ
o0lh+mWcpaoYkh287S0FWsNx9tKxLNijZDBiMB0GA1UdDgQWBBT3w85L5ggmr4N1
cAtBwyEJo76EPDAfBgNVHSMEGDAWgBT3w85L5ggmr4N1cAtBwyEJo76EPDAPBgNV
HRMBAf8EBTADAQH/MA8GA1UdEQQIMAaHBH8AAAEwCgYIKoZIzj0EAwIDRwAwRAIg
FLGILzcRDEnwWXJW65yNaRm1VfXAlcIdZ2IABon3MyQCIDyLH76qSjhhbLosluGe
/Z68Y8ljoAB4+IsTR+iVoV4b
-----END CERTIFICATE-----
"""


class Handshake:
    """`with Handshake(server.port, 0.2) as front:` and `front.port` speaks TLS, after so many seconds."""

    def __init__(self, port: int, seconds: float) -> None:
        self._behind, self._seconds = port, seconds

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(ready),))
        self._thread.start()
        ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(CERTIFICATE)
            file.flush()
            tls.load_cert_chain(file.name)
        inner = await asyncio.start_server(_to(self._behind), "127.0.0.1", 0, backlog=1024, ssl=tls)
        front = await asyncio.start_server(_to(_port(inner), self._seconds), "127.0.0.1", 0, backlog=1024)
        async with inner, front:
            self.port = _port(front)
            ready.set()
            await self._over.wait()


def _port(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


def _to(port: int, seconds: float = 0.0) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Return what hands over all that comes to a port, after so many seconds."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.sleep(seconds)
            behind, out = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_pump(reader, out), _pump(behind, writer))
        except OSError:
            writer.close()

    return relay


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
    writer.close()
