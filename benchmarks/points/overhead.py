"""What a whole run costs over the bare calls: CPU per target and throughput, against peers, in turn.

CPU per target is (CPU of a run of N - CPU of a run of a few) / (N - a few), whole processes, so that start-up is not
in it (start-up has a point of its own). Throughput is N over the time from the first arrival at the server to the last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.process import Ran, python
from benchmarks.product import FAST, Product, good, ids
from benchmarks.rows import Asked, Row, at_least, at_most, median, not_measured, ratios
from benchmarks.testbed import Server, span

NAME = "overhead"
GOAL = "CPU per target <= 1.2 of a bare aiohttp loop, throughput >= 0.9; >= 3 times a tenacity script, >= 9 the SDK"

FEW = 200
PROJECT = "0123456789abcdef0123456789abcdef"
SIGNED = {"BENCH_AK": "BENCHAK", "BENCH_SK": "bench-secret-key"}


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU per target in microseconds, targets a second on the wire, and until the process was gone."""

    cpu: float
    rate: float
    whole: float


def measure(asked: Asked) -> list[Row]:
    """Run everything in turn, and hold the product against each peer."""
    turns, share = (1, 0.15) if asked.quick else (6, 1.0)
    found: dict[str, list[Cost]] = {}
    problems: dict[str, str] = {}
    with Server() as server:
        for _ in range(turns):
            for name, (client, count) in CLIENTS.items():
                try:
                    found.setdefault(name, []).append(_cost(server, client, int(count * share)))
                except (RuntimeError, ImportError) as error:
                    problems[name] = str(error).strip().splitlines()[-1][:100]
    too_short = asked.quick  # for CPU: one run
    pairs = [(ours, theirs, None if too_short else cpu, rate) for ours, theirs, cpu, rate in PAIRS]
    return [row for pair in pairs for row in _rows(*pair, found, problems)]


def _cost(server: Server, client: Callable[[Server, int], Ran], count: int) -> Cost:
    few, all_of_it = client(server, FEW), client(server, count)
    seen = next(one for name in ("v2", "a") if (one := server.summary(name))["calls"])
    if seen["accepted"] != count:
        raise RuntimeError(f"{seen['accepted']} calls for {count} targets")
    whole = all_of_it.started + all_of_it.wall - seen["first"]
    return Cost((all_of_it.cpu - few.cpu) / (count - FEW) * 1e6, count / span(seen), count / whole)


def _fresh(server: Server) -> str:
    server.site("v2")
    return server.site("a")


def _product(loop: str) -> Callable[[Server, int], Ran]:
    def client(server: Server, count: int) -> Ran:
        with Product() as product:
            product.target(_fresh(server), count).write()
            return good(product.run(loop=loop))

    return client


def _signed(server: Server, count: int) -> Ran:
    _fresh(server)
    with Product() as product:
        auth = {"type": "aksk", "access_key": "env:BENCH_AK", "secret_key": "env:BENCH_SK"}
        product.connections["cloud"] = {"endpoint": server.url(), "region": "r-1", "project_id": PROJECT, "auth": auth}
        product.listed("dcs.webcli", "cloud", ids(count), "instance_id", "client_id")
        product.write({"limits": {"dcs.webcli": FAST}, "log": {"level": "error"}})
        return good(product.run(env=SIGNED))


def _peer(module: str, *arguments: str) -> Callable[[Server, int], Ran]:
    def client(server: Server, count: int) -> Ran:
        url = _fresh(server)
        return python(f"peers.{module}", server.url() if module == "sdk" else url, count, *arguments)

    return client


CLIENTS: dict[str, tuple[Callable[[Server, int], Ran], int]] = {
    "bare aiohttp, uvloop": (_peer("bare", "--loop", "uvloop"), 10_000),
    "orchestrator": (_product("shipped"), 10_000),
    "bare aiohttp, asyncio": (_peer("bare", "--loop", "asyncio"), 10_000),
    "script, a row per outcome": (_peer("script", "--durable"), 10_000),
    "orchestrator, asyncio": (_product("asyncio"), 10_000),
    "script": (_peer("script"), 10_000),
    "orchestrator, signing": (_signed, 5_000),
    "official SDK": (_peer("sdk"), 2_000),
}
# ours, theirs, CPU at most, throughput at least
PAIRS: list[tuple[str, str, float | None, float | None]] = [
    ("orchestrator", "bare aiohttp, asyncio", 1.2, 0.9),  # both as they are installed
    ("orchestrator", "bare aiohttp, uvloop", 1.2, 0.9),  # harder: the bare loop with what the product brings along
    ("orchestrator, asyncio", "bare aiohttp, asyncio", 1.2, 0.9),
    ("orchestrator", "script, a row per outcome", None, 3.0),
    ("orchestrator", "script", None, 3.0),
    ("orchestrator, signing", "official SDK", None, 9.0),
    ("orchestrator", "orchestrator, asyncio", None, None),  # it takes uvloop where that is
]


def _rows(
    ours: str,
    theirs: str,
    cpu_goal: float | None,
    rate_goal: float | None,
    found: dict[str, list[Cost]],
    problems: dict[str, str],
) -> list[Row]:
    a, b = found.get(ours, []), found.get(theirs, [])
    if not (a and b):
        return [not_measured(f"{ours} / {theirs}", "", problems.get(ours) or problems.get(theirs) or "nothing came")]
    cpu, rate, whole = ([getattr(c, key) for c in a] for key in ("cpu", "rate", "whole"))
    cpu_b, rate_b, whole_b = ([getattr(c, key) for c in b] for key in ("cpu", "rate", "whole"))
    said = f"{median(cpu):.0f} us / {median(cpu_b):.0f} us"
    speed = f"{median(rate):.0f}/s / {median(rate_b):.0f}/s"
    end = f"{median(whole):.0f}/s / {median(whole_b):.0f}/s"
    return [
        at_most(f"{ours} / {theirs}: CPU per target", ratios(cpu, cpu_b), cpu_goal, said),
        at_least(f"{ours} / {theirs}: throughput on the wire", ratios(rate, rate_b), rate_goal, speed),
        at_least(f"{ours} / {theirs}: throughput, first call to exit", ratios(whole, whole_b), None, end),
    ]
