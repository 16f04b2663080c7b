"""The product's command line under a given event loop: `python -m benchmarks.drive uvloop run plan.yaml`.

`shipped` is whatever the product takes by itself; `asyncio` hides uvloop from it.
"""

from __future__ import annotations

import asyncio
import sys


def main() -> int:
    """Choose the loop, then be the product."""
    loop, *arguments = sys.argv[1:]
    if loop == "asyncio":
        sys.modules["uvloop"] = None  # type: ignore[assignment]
    elif loop == "uvloop":
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    from orchestrator.cli import main as orchestrator

    return orchestrator(arguments)


if __name__ == "__main__":
    sys.exit(main())
