"""The script that one writes: a task per target, a semaphore, tenacity, `json=`; `--durable`: a row per outcome."""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import tempfile
from pathlib import Path

import aiohttp
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from benchmarks.product import ids


async def main(url: str, count: int, concurrency: int, journal: sqlite3.Connection | None) -> None:
    """Post once for every target, and note what came of it."""
    slots = asyncio.Semaphore(concurrency)
    async with aiohttp.ClientSession() as session:

        async def end(name: str) -> int:
            target = f"{url}/v1/sessions/{name}/logout"
            timeout = aiohttp.ClientTimeout(total=30)
            async with session.post(target, json={"session": name}, timeout=timeout) as answer:
                answer.raise_for_status()
                await answer.read()
                return answer.status

        stubborn = retry(
            retry=retry_if_exception_type(aiohttp.ClientError),
            stop=stop_after_attempt(5),
            wait=wait_random_exponential(multiplier=0.5, max=60),
        )(end)

        async def one(name: str) -> int:
            async with slots:
                status = int(await stubborn(name))
            if journal is not None:
                journal.execute("INSERT INTO outcomes VALUES (?, ?)", (name, status))
                journal.commit()
            return status

        await asyncio.gather(*(one(name) for name in ids(count)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--durable", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = None
        if options.durable:
            database = sqlite3.connect(Path(folder) / "outcomes.sqlite")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("CREATE TABLE outcomes (target TEXT PRIMARY KEY, status INTEGER)")
        asyncio.run(main(options.url, options.count, options.concurrency, database))
