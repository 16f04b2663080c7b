"""Fixed concurrency and tenacity's exponential backoff with full jitter: the usual way with a limit nobody told."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator

import aiohttp
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from yarl import URL

from benchmarks.product import ids


class RefusedError(Exception):
    """The service said 429."""


async def main(url: str, count: int, concurrency: int) -> None:
    """Post for every target until it is taken."""
    names = iter(ids(count))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def end(name: str) -> None:
            target = URL(f"{url}/v1/sessions/{name}/logout", encoded=True)
            async with session.post(target, data=b'{"session":"%s"}' % name.encode()) as answer:
                await answer.read()
                if answer.status == 429:
                    raise RefusedError

        stubborn = retry(
            retry=retry_if_exception_type(RefusedError),
            stop=stop_after_attempt(100),
            wait=wait_random_exponential(multiplier=0.5, max=20),
        )(end)

        async def work(shared: Iterator[str]) -> None:
            for name in shared:
                await stubborn(name)

        await asyncio.gather(*(work(names) for _ in range(concurrency)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    parser.add_argument("--concurrency", type=int, default=32)
    options = parser.parse_args()
    asyncio.run(main(options.url, options.count, options.concurrency))
