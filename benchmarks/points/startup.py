"""What starting costs, over a bare interpreter and over the import of the HTTP client; in turn."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.process import beside, run
from benchmarks.product import Product, good
from benchmarks.rows import Asked, Row, at_most, median, not_measured, ratios
from benchmarks.testbed import Server

NAME = "start-up"
GOAL = "--version <= 3 and --help <= 5 times `python -c pass`; the first call <= 1.6 times `python -c 'import aiohttp'`"

PASS, AIOHTTP, FIRST = "python -c pass", "python -c 'import aiohttp'", "first call on the wire"
GOALS = ((("--version"), PASS, 3.0), ("--help", PASS, 5.0), (FIRST, AIOHTTP, 1.6))


def measure(asked: Asked) -> list[Row]:
    """Start everything in turn; the first round only fills the caches."""
    script = beside("orchestrator")
    if not script.exists():
        return [not_measured(what, f"<= {goal:g}", "orchestrator is not installed here") for what, _, goal in GOALS]
    commands: dict[str, list[str | Path]] = {
        PASS: [sys.executable, "-c", "pass"],
        "--version": [script, "--version"],
        "--help": [script, "--help"],
        AIOHTTP: [sys.executable, "-c", "import aiohttp"],
    }
    took: dict[str, list[float]] = {name: [] for name in (*commands, FIRST)}
    with Server() as server:
        for turn in range(5 if asked.quick else 21):
            for name, command in commands.items():
                seconds = run(command, seconds=20).wall
                took[name] += [seconds] if turn else []
            seconds = _first_call(server)
            took[FIRST] += [seconds] if turn else []
    return [_row(what, under, goal, took) for what, under, goal in GOALS]


def _first_call(server: Server) -> float:
    """Return the seconds from the start of the process to the first arrival at the server."""
    with Product() as product:
        product.target(server.site("a"), 1).write()
        ran = good(product.run(loop="script", seconds=20))
    return float(server.summary("a")["first"] - ran.started)


def _row(what: str, under: str, goal: float, took: dict[str, list[float]]) -> Row:
    said = f"{median(took[what]) * 1000:.0f} ms / {median(took[under]) * 1000:.0f} ms"
    return at_most(f"{what} / {under}", ratios(took[what], took[under]), goal, said)
