"""A bare aiohttp loop: workers over one iterator, ready bytes, a URL per target; with `--rate`, a plain AsyncLimiter.

It keeps nothing, retries nothing and looks at nothing but the status.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator

import aiohttp
from yarl import URL

from benchmarks.product import ids

HEADERS = {"Content-Type": "application/json", "User-Agent": "orchestrator/0", "Accept-Encoding": "identity"}


async def main(url: str, count: int, concurrency: int, rate: float | None) -> None:
    """Post once for every target."""
    names = iter(ids(count))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as session:
        limiter = None
        if rate:
            from aiolimiter import AsyncLimiter

            limiter = AsyncLimiter(rate, 1.0)

        async def work(shared: Iterator[str]) -> None:
            for name in shared:
                if limiter is not None:
                    await limiter.acquire()
                target = URL(f"{url}/v1/sessions/{name}/logout", encoded=True)
                async with session.post(target, data=b'{"session":"%s"}' % name.encode(), headers=HEADERS) as answer:
                    await answer.read()
                    if answer.status != 204:
                        raise RuntimeError(f"status {answer.status}")

        await asyncio.gather(*(work(names) for _ in range(concurrency)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="asyncio")
    options = parser.parse_args()
    job = main(options.url, options.count, options.concurrency, options.rate)
    if options.loop == "uvloop":
        import uvloop

        uvloop.run(job)
    else:
        asyncio.run(job)
