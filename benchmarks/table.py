"""The table: one line a row, the columns as wide as they need to be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from benchmarks.rows import Row

HEAD = ("", "goal", "measured", "ratio", "spread", "met")


def text(rows: Mapping[str, Sequence[Row]]) -> str:
    """Return all rows under the names of their points."""
    cells = {point: [_cells(row) for row in some] for point, some in rows.items()}
    every = [HEAD, *(line for some in cells.values() for line in some)]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    lines = [_line(HEAD, widths)]
    for point, some in cells.items():
        lines += ["", f"== {point}", *(_line(cell, widths) for cell in some)]
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio:.3g}" if math.isfinite(row.ratio) else "never"
    met = {True: "yes", False: "NO", None: ""}[row.met]
    return row.what, row.goal, row.measured, ratio, row.spread.replace("inf", "never"), met


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
