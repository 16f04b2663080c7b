"""Whether the whole rate is used, and never more of it: arrivals as the server saw them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.handshake import Handshake
from benchmarks.process import python
from benchmarks.product import Product, good
from benchmarks.rows import Asked, Row, at_least, at_most
from benchmarks.testbed import Server

NAME = "pacing"
GOAL = "at 20, 100 and 1,000/s at least 99 % of the rate is used, and no second holds more than rate + 1 arrivals"

RATES = (20, 100, 1000)
WINDOWS = (("30/s", 30, 1.0), ("100/5s", 100, 5.0))
OVER_TLS = 100  # calls a second, where ...
HANDSHAKE = 0.2  # ... a connection takes so many seconds longer to be made
SETTLED = 1.0  # seconds after the first arrival, from which on the use of the rate is counted


def measure(asked: Asked) -> list[Row]:
    """Run product and plain limiter in turn at each rate; slow rates side by side, the fast one alone."""
    seconds, turns = (2.2, 1) if asked.quick else (8.0, 2)
    found: dict[tuple[str, int], list[list[float]]] = {}
    windows: list[list[float]] = []
    slowly: list[list[float]] = []
    with Server() as server:
        for _ in range(turns):
            slow = [(who, rate) for rate in RATES[:-1] for who in CLIENTS]
            with ThreadPoolExecutor(len(slow) + 2) as pool:
                running = {job: pool.submit(_arrivals, server, *job, seconds) for job in slow}
                several = pool.submit(_several, server, max(5.4, seconds))
                over_tls = pool.submit(_over_tls, server, min(4.0, seconds))
                for job, one in running.items():
                    found.setdefault(job, []).append(one.result())
                windows.append(several.result())
                slowly.append(over_tls.result())
            for who in CLIENTS:
                found.setdefault((who, RATES[-1]), []).append(_arrivals(server, who, RATES[-1], seconds))
    return [row for rate in RATES for row in _rows(rate, found)] + _window_rows(windows) + [_tls_row(slowly)]


def most(arrivals: Sequence[float], seconds: float = 1.0) -> int:
    """Return the most arrivals in any window of so many seconds."""
    first = best = 0
    for last, at in enumerate(arrivals):
        while arrivals[first] <= at - seconds:
            first += 1
        best = max(best, last - first + 1)
    return best


def used(arrivals: Sequence[float], rate: float) -> float:
    """Return the share of the rate that was used once the client had settled."""
    steady = [at for at in arrivals if at >= arrivals[0] + SETTLED]
    return (len(steady) - 1) / (steady[-1] - steady[0]) / rate


def _arrivals(server: Server, who: str, rate: int, seconds: float) -> list[float]:
    name = f"{who}-{rate}"
    CLIENTS[who](server.site(name), rate, int(rate * seconds))
    return server.arrivals(name)


def _product(url: str, rate: int, count: int) -> None:
    with Product(rate=f"{rate}/s", concurrency=32) as product:
        product.target(url, count).write()
        good(product.run())


def _plain(url: str, rate: int, count: int) -> None:
    python("peers.bare", url, count, "--rate", rate)


CLIENTS: dict[str, Callable[[str, int, int], None]] = {"orchestrator": _product, "AsyncLimiter(rate)": _plain}


def _several(server: Server, seconds: float) -> list[float]:
    with Product(rate=[text for text, *_ in WINDOWS], concurrency=32) as product:
        product.target(server.site("several"), int(20 * seconds)).write()
        good(product.run())
    return server.arrivals("several")


def _over_tls(server: Server, seconds: float) -> list[float]:
    server.site("tls")
    with Handshake(server.port, HANDSHAKE) as front, Product(rate=f"{OVER_TLS}/s", concurrency=16) as product:
        product.target(f"https://127.0.0.1:{front.port}/tls", int(OVER_TLS * seconds))
        product.connections["bench"]["tls"] = {"insecure": True}
        product.write()
        good(product.run())
    return server.arrivals("tls")


def _rows(rate: int, found: dict[tuple[str, int], list[list[float]]]) -> list[Row]:
    rows = []
    for who in CLIENTS:
        runs, ours = found[who, rate], who == "orchestrator"
        seen = {"rate": rate, "client": who, "arrivals": [at - runs[0][0] for at in runs[0]]}
        uses, tops = [used(run, rate) for run in runs], [float(most(run)) for run in runs]
        rows.append(at_least(f"{who} at {rate}/s: use of the rate", uses, 0.99 if ours else None, data=seen))
        shares = [top / (rate + 1) for top in tops]
        rows.append(
            at_most(
                f"{who} at {rate}/s: most in a second, of rate + 1",
                shares,
                1.0 if ours else None,
                f"{max(tops):.0f} calls",
                by=max,
            )
        )
    return rows


def _window_rows(runs: list[list[float]]) -> list[Row]:
    limits = " and ".join(text for text, *_ in WINDOWS)
    worst = [max(most(run, seconds) / (calls + 1) for _, calls, seconds in WINDOWS) for run in runs]
    slowest = min(calls / seconds for _, calls, seconds in WINDOWS)
    uses = [
        (len(run) - 1) / (run[-1] - run[0]) / slowest for run in runs
    ]  # from the start: there is a burst, and a wait
    return [
        at_most(f"orchestrator at {limits}: most in a window, of its calls + 1", worst, 1.0, by=max),
        at_least(f"orchestrator at {limits}: use of the tighter", uses, 0.99),
    ]


def _tls_row(runs: list[list[float]]) -> Row:
    tops = [most(run) for run in runs]
    what = f"orchestrator at {OVER_TLS}/s over TLS, {HANDSHAKE * 1000:.0f} ms more to connect"
    shares = [top / (OVER_TLS + 1) for top in tops]
    return at_most(f"{what}: most in a second, of rate + 1", shares, 1.0, f"{max(tops)} calls", by=max)
