"""Whether size costs anything: CPU per target and resident memory from few targets to a million; plans; a resume.

A million calls would take too long here, so the three sizes are sent in batches of 100; single calls go up to 100,000.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from benchmarks.process import Ran, python
from benchmarks.product import SERVICE, Product, good, ids
from benchmarks.rows import Asked, Row, at_least, at_most, median, not_measured, ratios
from benchmarks.testbed import Server

NAME = "scale"
GOAL = "CPU and memory flat (10 %) from 10,000 to 1,000,000 targets, < 80 MB; 100,000 inline 15 times PyYAML's speed"

FEW = 1000
BATCH = 100
LIMIT = 400.0


def measure(asked: Asked) -> list[Row]:
    """Run the sizes, resume the largest, load plans."""
    rows: list[Row] = []
    with Server() as server:
        sizes = (2_000, 20_000) if asked.quick else (10_000, 100_000, 1_000_000)
        rows += _sizes(server, sizes, BATCH)
        rows += _sizes(server, (1_500, 4_000) if asked.quick else (10_000, 100_000), 1)
    inline, pure, turns = (5_000, 1_000, 1) if asked.quick else (100_000, 100_000, 2)
    return rows + _loading(inline, pure=pure, turns=turns) + [_line(inline)]


def _sizes(server: Server, sizes: Sequence[int], batch: int) -> list[Row]:
    kind = f"in batches of {batch}" if batch > 1 else "one a call"
    whole = sizes[-1] >= 100_000  # else these are not the goal's sizes
    turns = 5 if whole else 1  # of what takes less than a second: starting takes as long, and not always the same
    little: dict[int, list[Ran]] = {FEW: [], sizes[0]: []}
    for _ in range(turns):
        for size, tried in little.items():
            tried.append(_run(server, size, batch)[0])
    few, first = (sorted(tried, key=lambda ran: ran.cpu)[turns // 2] for tried in little.values())
    runs = [first]
    rows: list[Row] = []
    for size in sizes[1:]:
        ran, resumed = _run(server, size, batch, resume=size == sizes[-1])
        runs.append(ran)
        if resumed is not None:
            goal = 10.0 if size == 1_000_000 else None
            said = f"{resumed.wall:.1f} s, {resumed.peak:.0f} MB"
            rows.append(at_most(f"resume of {size:,} finished, {kind}: seconds", [resumed.wall], goal, said))
    cpu = [(ran.cpu - few.cpu) / (size - FEW) * 1e6 for ran, size in zip(runs, sizes, strict=True)]
    peaks = [ran.peak for ran in runs]
    last = f"{sizes[0]:,} to {sizes[-1]:,} targets {kind}"
    used = " ".join(f"{one:.0f}" for one in cpu)
    seen = {"sizes": list(sizes), "peaks": peaks, "batch": batch, "cpu": cpu, "walls": [ran.wall for ran in runs]}
    limit = 1.1 if whole else None
    growth = at_most(f"{last}: growth of CPU per target", [cpu[-1] / cpu[0]], limit, f"{used} us", data=seen)
    held = " ".join(f"{one:.0f}" for one in peaks) + " MB"
    memory = at_most(f"{last}: growth of memory", [peaks[-1] / peaks[0]], limit, held)
    top = at_most(f"{sizes[-1]:,} targets {kind}: peak MB", [peaks[-1]], 80 if sizes[-1] == 1_000_000 else None)
    return [growth, memory, top, *rows]


def _run(server: Server, count: int, batch: int, *, resume: bool = False) -> tuple[Ran, Ran | None]:
    with Product(rate="1000/s" if batch > 1 else "10000/s", concurrency=32) as product:
        product.target(server.site("a", status=200 if batch > 1 else 204), count, batch=batch).write()
        ran = good(product.run(seconds=LIMIT, memory=True))
        again = product.command("resume", "latest", "--progress", "plain", seconds=60, memory=True) if resume else None
        return ran, good(again) if again else None


def _plan(product: Product, count: int, last: str = "") -> None:
    product.target("http://127.0.0.1:1", 1).write()
    with (product.folder / "plan.yaml").open("w") as file:
        file.write(f"name: inline\ntargets:\n  - service: {SERVICE}\n    connection: bench\n    items:\n")
        file.writelines(f"      - session_id: {name}\n" for name in ids(count))
        file.write(last)


def _loading(count: int, pure: int, turns: int) -> list[Row]:
    """Load in turn; where the pure loader gets fewer items, its time is taken as proportional."""
    ours: list[float] = []
    theirs: list[float] = []
    peaks: list[float] = []
    with Product() as product, Product() as small:
        _plan(product, count)
        _plan(small, pure)
        for _ in range(turns):
            seconds, peak = json.loads(python("peers.load", "orchestrator", product.folder).out)
            ours.append(seconds)
            peaks.append(peak)
            theirs.append(json.loads(python("peers.load", "pyyaml", small.folder).out)[0] * count / pure)
    said = f"{median(ours):.2f} s / {median(theirs):.1f} s"
    what, whole = f"a plan of {count:,} inline targets", count == 100_000
    return [
        at_least(
            f"{what}: times as fast as PyYAML's pure loader",
            ratios(theirs, ours),
            15 if whole else None,
            said,
        ),
        at_most(f"{what}: peak MB", peaks, 100 if whole else None),
    ]


def _line(count: int) -> Row:
    """Look whether a fault in the last item is told with its line."""
    with Product() as product:
        _plan(product, count, "      - {session: typo}\n")
        ran = product.command("validate", "plan.yaml")
    what, line = "a fault in the last inline item is told with its line", 5 + count + 1
    if ran.code != 2:
        return not_measured(what, "yes", f"exit code {ran.code}")
    met = f"plan.yaml:{line}" in ran.err + ran.out
    return Row(what, "yes", "yes" if met else "no", None, "1 run", met)
