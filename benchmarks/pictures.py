"""The pictures for docs/performance.md, drawn from the rows: makespan, arrivals, memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import svg
from benchmarks.points.learning import DRAWN
from benchmarks.points.pacing import most
from benchmarks.rows import Row

RATE = 100  # the rate whose arrivals are drawn


def draw(rows: Mapping[str, Sequence[Row]], folder: Path) -> None:
    """Write one SVG for each point that has something to show."""
    for point, name, make in PICTURES:
        picture = make(rows.get(point, ()))
        if picture:
            (folder / f"{name}.svg").write_text(picture)


def makespan(rows: Sequence[Row]) -> str | None:
    """Return bars: each client's makespan over the ideal, by scenario."""
    groups: dict[str, list[tuple[str, float | None]]] = {}
    for row in rows:
        if "scenario" in row.data and row.data["kind"] != DRAWN and row.what.endswith("makespan"):
            over = row.ratio if row.ratio is not None and math.isfinite(row.ratio) else None
            groups.setdefault(row.data["scenario"], []).append((row.data["client"], over))
    if not groups:
        return None
    return svg.bars("Makespan over the ideal, against a hidden limit", list(groups.items()), 3.0, 1.0)


def arrivals(rows: Sequence[Row]) -> str | None:
    """Return lines: how many calls arrived within the last second, over time."""
    seen = [row.data for row in rows if row.data.get("rate") == RATE and "arrivals" in row.data]
    if not seen:
        return None
    lines = [svg.Line(one["client"], _within(one["arrivals"]), stairs=True) for one in seen]
    title = f"Arrivals at the server within one second, at {RATE}/s"
    return svg.chart(title, "seconds", "calls in the last second", lines, level=(f"limit: {RATE + 1}", RATE + 1))


def memory(rows: Sequence[Row]) -> str | None:
    """Return lines: peak resident memory over the number of targets."""
    seen = [row.data for row in rows if "peaks" in row.data]
    if not seen:
        return None
    lines = [svg.Line(_kind(one["batch"]), list(zip(one["sizes"], one["peaks"], strict=True))) for one in seen]
    title = "Peak memory of a run over its targets"
    return svg.chart(title, "targets", "MB", lines, log=True, level=("goal: 80 MB", 80.0))


PICTURES = (("learning", "makespan", makespan), ("pacing", "arrivals", arrivals), ("scale", "memory", memory))


def _kind(batch: int) -> str:
    return "one a call" if batch == 1 else f"batches of {batch}"


def _within(times: Sequence[float]) -> list[tuple[float, float]]:
    """Return how many arrivals the second before a moment holds, every 50 ms."""
    end = times[-1]
    moments = [0.05 * n for n in range(int(end / 0.05) + 1)]
    return [(moment, float(most([t for t in times if moment - 1.0 < t <= moment]))) for moment in moments]
