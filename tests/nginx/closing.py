"""The HTTP client against a real nginx, which closes what is idle and what was used often; started by .ci/nginx.

nginx closes a connection after 37 requests, and after a second without one. No call may be lost for that, and none
may get the answer to another.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter

import uvloop

from orchestrator.model import Lost, Request
from orchestrator.transport import HttpTransport, tls_context

WORKERS, CALLS = 24, 100
SECONDS = 5.0
RESTS = 0.01  # of the calls: after them a worker rests, and its connection is still open, or closed by then


async def called(transport: HttpTransport, base: str, path: str, body: bytes) -> str:
    """Make one call, and say what came of it; nginx says in a header which path it was asked for."""
    method = "POST" if body else "GET"
    answer = await transport.send(Request(method, base, path, "", {"Content-Type": "application/json"}, body), SECONDS)
    if isinstance(answer, Lost):
        return answer.reason
    return str(answer.status) if answer.headers.get("x-asked") == path else f"the answer to another call: {answer}"


async def side(base: str, ca_file: str, path: str, body: bytes) -> Counter[str]:
    """Call from many workers over one transport; return what came of it."""
    came: Counter[str] = Counter()
    chance = random.Random(1)
    async with HttpTransport(tls_context(ca_file, None, insecure=False)) as transport:

        async def work(worker: int) -> None:
            for number in range(CALLS):
                came[await called(transport, base, f"{path}/{worker}/{number}", body)] += 1
                if chance.random() < RESTS:
                    await asyncio.sleep(chance.choice((0.5, 1.3)))

        await asyncio.gather(*map(work, range(WORKERS)))
    return came


def main(plain: str, secure: str, ca_file: str) -> int:
    """Go through both loops, with and without TLS, with and without bodies; return the exit code."""
    wrong = 0
    for loop in (uvloop, asyncio):
        for base in (plain, secure):
            for path, body, status in (("/empty", b'{"session": "s"}', "204"), ("/page", b"", "200")):
                came = loop.run(side(base, ca_file, path, body))
                good = came == {status: WORKERS * CALLS}
                wrong += not good
                said = f"nginx: {loop.__name__}, {base}{path}: {dict(came)}"
                print(said if good else f"{said} WRONG")  # noqa: T201
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
