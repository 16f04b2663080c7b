"""A process of its own that serves a fresh sandbox for every line on its standard input, and says where."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

from orchestrator.sandbox import Sandbox, World


async def serve() -> None:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        while await loop.run_in_executor(None, sys.stdin.readline):
            sandbox = await stack.enter_async_context(Sandbox(World()))
            sys.stdout.write(sandbox.url + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve())
