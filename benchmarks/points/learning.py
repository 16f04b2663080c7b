"""Finding a limit that nobody told: makespan over the ideal, and the share of calls that were refused.

The makespan is what the server saw, from the first arrival to the last call it took. Who takes more than PATIENCE
times the ideal is stopped there.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import product as combinations
from threading import Lock
from typing import Any

from benchmarks.process import python
from benchmarks.product import Product
from benchmarks.rows import Asked, Row, at_most, not_measured
from benchmarks.testbed import Server

NAME = "learning"
GOAL = "4,000 targets against a hidden limit: makespan <= 1.02 of the ideal, <= 3 % refused (8 % where it bursts 200)"

COUNT = 4000  # the goal's number of calls ...
FEW = 800  # ... and that of a quick look
HELD, DRAWN = "held out", "drawn"  # kinds that constants must not be tuned on: chosen, and chosen by nobody
PATIENCE = 2.0
START = 2.0  # seconds that a program may take until its first call
AT_ONCE = 14
APART = 1.0  # seconds between two starts: who begins to call while others import sees a service slower than it is
_starting = Lock()


@dataclass(frozen=True, slots=True)
class Scenario:
    """A token bucket: calls a second, how many at once, seconds to an answer, what it tells, what changes midway.

    One with a `window` counts by the clock, in so many seconds, and has no goal: the even rate is its ideal. The `kind`
    tells whether constants may be tuned on it.
    """

    rate: float = 200.0
    burst: float = 20.0
    latency: float = 0.02
    retry_after: str | None = None
    tells: str | None = None  # its limit: in the body of refusals, or the headers of every answer
    then: float | None = None
    count: int = COUNT
    window: float | None = None
    kind: str = "tuned"

    @property
    def name(self) -> str:
        """Return the scenario in words."""
        hint = f", Retry-After {self.retry_after}" if self.retry_after else ""
        hint += f", told in the {self.tells}" if self.tells else ""
        change = f", then {self.then:g}/s" if self.then else ""
        if self.window:
            return f"{self.rate * self.window:g} in {self.window:g} s by the clock, {self.latency * 1000:g} ms{hint}"
        hint += " (drawn)" if self.kind == DRAWN else ""
        return f"{self.rate:g}/s{change}, burst {self.burst:g}, {self.latency * 1000:g} ms{hint}"

    @property
    def ideal(self) -> float:
        """Return the shortest time in which the bucket lets all of it in."""
        if self.window:
            return self.count / self.rate
        if self.then is None:
            return (self.count - self.burst) / self.rate
        half = self.count // 2
        return (half - self.burst) / self.rate + (self.count - half) / self.then

    @property
    def refused(self) -> float:
        """Return the share of calls that may be refused."""
        return 0.08 if self.burst >= 100 else 0.03

    def site(self) -> dict[str, Any]:
        """Return the server's settings."""
        change = {"changes_after": self.count // 2, "changes_to": self.then} if self.then else {}
        return {
            "rate": self.rate,
            "burst": self.burst,
            "latency": self.latency,
            "retry_after": self.retry_after,
            "tells": self.tells,
            "window": self.window,
            **change,
        }


# What constants may be tuned on, and what they must not be.
TUNED = [
    Scenario(burst=burst, latency=latency, retry_after=hint)
    for burst, latency, hint in combinations((20.0, 200.0), (0.02, 0.2), (None, "1"))
] + [
    Scenario(then=50.0),
    Scenario(then=50.0, retry_after="1"),
    Scenario(latency=0.2, then=50.0),
    Scenario(burst=200.0, latency=0.2, then=50.0, retry_after="1"),
]
HELD_OUT = [
    replace(scenario, kind=HELD)
    for scenario in (
        Scenario(rate=430.0, burst=60.0, latency=0.05, retry_after="1"),
        Scenario(rate=70.0, burst=35.0, latency=0.08),
        Scenario(rate=120.0, burst=12.0, latency=0.12, then=40.0),
        Scenario(rate=60.0, burst=6.0, latency=0.03, then=240.0),
        Scenario(tells="body"),
        Scenario(latency=0.2, tells="headers"),
        Scenario(rate=80.0, burst=8.0, latency=0.05, tells="headers", then=200.0),
        Scenario(window=1.0),
    )
]


@dataclass(frozen=True, slots=True)
class Came:
    """What came of one client in one scenario."""

    makespan: float
    share: float
    done: int
    calls: int

    def over(self, scenario: Scenario) -> float:
        """Return the makespan over the ideal; infinite for who did not get through."""
        return self.makespan / scenario.ideal if self.done >= scenario.count else math.inf


def drawn(number: int, seed: int) -> list[Scenario]:
    """Return scenarios that nobody chose, of which every other one falls midway."""
    chance = random.Random(seed)  # noqa: S311

    def between(least: float, most: float) -> float:
        return math.exp(chance.uniform(math.log(least), math.log(most)))

    some = []
    for each in range(number):
        rate = round(between(50, 500))
        burst, latency, hint = round(max(2, rate * between(0.05, 1))), between(0.01, 0.25), chance.choice((None, "1"))
        then = round(rate * chance.uniform(0.2, 0.8)) if each % 2 == 0 else None
        some.append(Scenario(rate, burst, round(latency, 3), hint, then=then, kind=DRAWN))
    return some


def measure(asked: Asked) -> list[Row]:
    """Run every client through every scenario, several at once: they wait most of the time."""
    anyone = drawn(asked.drawn, asked.seed)
    scenarios = [*TUNED, *HELD_OUT, *anyone]
    if asked.quick:
        scenarios = [replace(s, count=FEW) for s in (TUNED[0], HELD_OUT[0], *anyone)]
    pairs = [(s, who) for s in scenarios for who in (OURS if s.kind == DRAWN else CLIENTS)]
    each = [pair for pair in pairs for _ in range(1 if asked.quick else _times(*pair))]
    jobs = sorted(each, key=lambda job: -job[0].ideal)
    came: dict[tuple[Scenario, str], list[Came | Exception]] = {pair: [] for pair in pairs}
    with Server() as server, ThreadPoolExecutor(AT_ONCE) as pool:
        running = [(job, pool.submit(_come, server, *job, f"site-{i}")) for i, job in enumerate(jobs)]
        for job, one in running:
            try:
                came[job].append(one.result())
            except Exception as error:  # noqa: BLE001  one client that fails is a line of the table
                came[job].append(error)
    return [row for pair, runs in came.items() for row in _rows(*pair, runs)]


def _come(server: Server, scenario: Scenario, who: str, name: str) -> Came:
    url = server.site(name, **scenario.site())
    with _starting:
        time.sleep(APART)
    CLIENTS[who](url, scenario.count, PATIENCE * scenario.ideal + START)
    seen = server.summary(name)
    if not seen["accepted"]:
        raise RuntimeError("no call was taken")
    makespan = seen["last"] - seen["first"]
    return Came(makespan, 1 - seen["accepted"] / seen["calls"], seen["accepted"], seen["calls"])


def _orchestrator(limits: Mapping[str, Any]) -> Callable[[str, int, float], None]:
    def client(url: str, count: int, seconds: float) -> None:
        with Product(**limits) as product:
            product.target(url, count).write()
            product.run("--deadline", f"{max(1, round(seconds))}s", seconds=seconds + 10)

    return client


def _peer(module: str, *arguments: str) -> Callable[[str, int, float], None]:
    def client(url: str, count: int, seconds: float) -> None:
        try:
            python(f"peers.{module}", url, count, *arguments, seconds=seconds)
        except RuntimeError as error:
            if "ended with -9" not in str(error):  # stopped because it took too long, which the server's log shows
                raise

    return client


UNKNOWN = "orchestrator, no rate"
TOO_HIGH = "orchestrator, rate 1000/s"
CLIENTS: dict[str, Callable[[str, int, float], None]] = {
    UNKNOWN: _orchestrator({"concurrency": 128, "attempts": 100}),
    TOO_HIGH: _orchestrator({"rate": "1000/s", "concurrency": 128, "attempts": 100}),
    "32 in flight, tenacity": _peer("backoff"),
    "botocore adaptive": _peer("adaptive"),
}
OURS = (UNKNOWN, TOO_HIGH)


def _times(scenario: Scenario, who: str) -> int:
    """Return how often a client runs: it is chance when it sees that a limit has risen."""
    rises = scenario.then is not None and scenario.then > scenario.rate
    return 1 if who not in OURS else 4 if rises else 2


def _rows(scenario: Scenario, who: str, came: Sequence[Came | Exception]) -> list[Row]:
    whole = scenario.count >= COUNT  # of fewer calls, what the start costs is a larger share
    what, ours = f"{scenario.name}: {who}", whole and who in OURS and not scenario.window
    failed = [one for one in came if isinstance(one, Exception)]
    if failed:
        return [not_measured(what, "", str(failed[0]).strip().splitlines()[-1][:100])]
    runs = [one for one in came if isinstance(one, Came)]
    over, shares = [one.over(scenario) for one in runs], [one.share for one in runs]
    measured = ", ".join(
        f"{one.makespan:.1f} s" if one.done >= scenario.count else f"{one.done} of {scenario.count} done"
        for one in runs
    )
    seen = {"scenario": scenario.name, "client": who, "ideal": scenario.ideal, "kind": scenario.kind}
    seen["runs"] = [asdict(one) for one in runs]
    share = ", ".join(f"{one:.1%}" for one in shares)
    allowed = scenario.refused if ours and all(map(math.isfinite, over)) else None
    return [
        at_most(f"{what}: makespan", over, 1.02 if ours else None, measured, data=seen),
        at_most(f"{what}: refused", shares, allowed, share),
    ]
