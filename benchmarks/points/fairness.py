"""What a dead lane takes from the others: eleven good ones with and without it, in turn."""

from __future__ import annotations

import math
import socket
from collections.abc import Sequence

from benchmarks.product import Product, description, ids
from benchmarks.rows import Asked, Row, at_most, median, ratios
from benchmarks.testbed import Server

NAME = "fairness"
GOAL = "eleven good lanes beside a dead one finish within 2 % of the time they take without it"

LANES = 11
RATE = 60
DEAD = 40  # targets of the dead lane: more than it gets through while the others work
BEARER = "hangs, one token for all"
KEY = "hangs, one access key for all"
SHARED = (BEARER, KEY)
HOLD = 1.5  # seconds after which a run that should be over is stopped
DEATHS = ("hangs", "refuses every call", "nobody listens", *SHARED)
SECRETS = {
    "BENCH_TOKEN": "bench-token-0123456789",
    "BENCH_AK": "BENCHACCESSKEY000001",
    "BENCH_SK": "bench-secret-0123456789",
}
AUTH: dict[str, dict[str, str]] = {
    BEARER: {"type": "bearer", "token": "env:BENCH_TOKEN"},
    KEY: {"type": "aksk", "access_key": "env:BENCH_AK", "secret_key": "env:BENCH_SK"},
}


def measure(asked: Asked) -> list[Row]:
    """Run without a dead lane and with each kind of one, in turn."""
    seconds, turns = (0.8, 1) if asked.quick else (3.0, 2)
    deaths = (DEATHS[0], *SHARED) if asked.quick else DEATHS
    alone: dict[str, list[float]] = {shared: [] for shared in ("", *SHARED)}
    beside: dict[str, list[float]] = {death: [] for death in deaths}
    with Server() as server:
        for _ in range(turns):
            for shared, took in alone.items():
                took.append(_good_time(server, None, seconds, shared=shared))
            for death in deaths:
                beside[death].append(_good_time(server, death, seconds, shared=_shared(death)))
    return [
        _row(death, beside[death], alone[_shared(death)], None if asked.quick and death == KEY else 1.02)
        for death in deaths
    ]


def _shared(death: str) -> str:
    """Return what kind of credential all lanes share, the empty string where each has its own."""
    return death if death in SHARED else ""


def _row(death: str, beside: Sequence[float], alone: Sequence[float], goal: float | None) -> Row:
    """Return the row of one kind of death; where all wait for 40 ms once, a short run tells nothing of the goal."""
    late = sum(map(math.isinf, beside))
    took = f"{median(beside):.2f} s" if not late else f"not done {HOLD:g} s later"
    measured = f"{took}, alone {median(alone):.2f} s"
    return at_most(f"the twelfth lane {death}", ratios(beside, alone), goal, measured)


def _good_time(server: Server, death: str | None, seconds: float, *, shared: str) -> float:
    """Return the seconds from the first call of the run to the last one of a good lane."""
    good = [f"good-{number}" for number in range(LANES)]
    for name in good:
        server.site(name)
    server.site("dead", mode="refuse" if death == DEATHS[1] else "hang")
    with Product() as product:
        for name in good:
            _lane(product, server, name, int(RATE * seconds), shared=shared)
        if death:
            _lane(product, server, "dead", DEAD, shared=shared)
            product.groups.insert(0, product.groups.pop())  # it begins first, which is the harder case
            if death == DEATHS[2]:
                product.connections["dead"]["endpoint"] = f"http://127.0.0.1:{_closed_port()}"
        product.write()
        limit = f"{round(1000 * (seconds + HOLD))}ms"
        product.run("--deadline", limit, env=SECRETS)
    seen = [server.summary(name) for name in good]
    if any(one["accepted"] < int(RATE * seconds) for one in seen):
        return math.inf  # they were held up until the deadline
    first = min(one["first"] for one in [*seen, server.summary("dead")] if one["first"] is not None)
    return float(max(one["last"] for one in seen) - first)


def _lane(product: Product, server: Server, name: str, count: int, *, shared: str) -> None:
    """Add a lane: a connection of its own, or a service of its own on the connection that all share."""
    service = f"bench.{name}"
    dead = name == "dead"
    limits = {"rate": f"{RATE}/s", "concurrency": 4, "timeout": "1s" if dead else "10s", "attempts": 2}
    described = description(service, limits=limits)
    if shared:
        described["end"]["path"] = f"/{name}{described['end']['path']}"
        product.connections["all"] = {"endpoint": server.url(), "auth": AUTH[shared]}
    else:
        product.connections[name] = {"endpoint": server.url(name), "auth": {"type": "none"}}
    product.services[service] = described
    product.listed(service, "all" if shared else name, ids(count, name))


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
