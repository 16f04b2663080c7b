"""Plain SVG: lines and bars on two axes, readable without colour and in the dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 340, 70, 180, 40, 50
COLOURS = ("#1f6feb", "#d1242f", "#8250df", "#9a6700", "#1a7f37")
DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 4")
STYLE = "text{font:12px sans-serif;fill:#656d76}.title{font-weight:bold;font-size:14px}.axis{stroke:#8c959f;fill:none}"


@dataclass(frozen=True, slots=True)
class Line:
    """A named series of points; `stairs` holds each value until the next."""

    name: str
    points: Sequence[tuple[float, float]]
    stairs: bool = False


def chart(
    title: str,
    across: str,
    up: str,
    lines: Sequence[Line],
    *,
    log: bool = False,
    level: tuple[str, float] | None = None,
) -> str:
    """Return a chart of lines over an axis that may be logarithmic, with a level to compare them with."""
    xs = [_place(x, log) for line in lines for x, _ in line.points]
    top = 1.1 * max([y for line in lines for _, y in line.points] + ([level[1]] if level else []))
    low, high = min(xs), max(max(xs), min(xs) + 1e-9)

    def at(x: float, y: float) -> tuple[float, float]:
        along = (_place(x, log) - low) / (high - low)
        return LEFT + along * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM)

    parts = [*_frame(title, across, up), *_ticks_up(top)]
    parts += _ticks_across(lines, low, high, log=log)
    for number, line in enumerate(lines):
        placed = [at(*point) for point in _stairs(line)]
        parts.append(_path(placed, number))
        parts.append(_text(WIDTH - RIGHT + 34, TOP + 18 * number + 4, line.name))
        parts.append(_path([(WIDTH - RIGHT + 8, TOP + 18 * number), (WIDTH - RIGHT + 30, TOP + 18 * number)], number))
    if level:
        y = at(lines[0].points[0][0], level[1])[1]
        parts.append(f'<path class="axis" stroke-dasharray="4 4" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(WIDTH - RIGHT + 8, y + 4, level[0]))
    return _document(parts, HEIGHT)


Group = tuple[str, Sequence[tuple[str, float | None]]]


def bars(title: str, groups: Sequence[Group], most: float, level: float) -> str:
    """Return groups of named bars from the left; None and what is beyond `most` runs to the edge, and says so."""
    left, thick, gap = 330, 11, 14
    wide, y = WIDTH - left - 60, TOP
    names = list(dict.fromkeys(name for _, some in groups for name, _ in some))
    height = TOP + sum(len(some) * thick + gap for _, some in groups) + 18 * len(names) + BOTTOM
    parts = [_text(20, 22, title, "title")]
    for group, some in groups:
        parts.append(_text(left - 8, y + len(some) * thick / 2 + 4, group, anchor="end"))
        for name, value in some:
            length = wide * min(value if value is not None else most, most) / most
            colour = COLOURS[names.index(name) % len(COLOURS)]
            parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{thick - 2}" fill="{colour}"/>')
            parts.append(_text(left + length + 4, y + 9, "not done" if value is None else f"{value:.2f}"))
            y += thick
        y += gap
    edge = left + wide * level / most
    parts.append(f'<path class="axis" stroke-dasharray="4 4" d="M{edge:.1f} {TOP - 6}V{y - gap + 4}"/>')
    for number, name in enumerate(names):
        parts.append(f'<rect x="{left}" y="{y + 18 * number + 6}" width="20" height="9" fill="{COLOURS[number]}"/>')
        parts.append(_text(left + 28, y + 18 * number + 15, name))
    return _document(parts, height)


def _place(value: float, log: bool) -> float:
    return math.log10(value) if log else value


def _stairs(line: Line) -> list[tuple[float, float]]:
    if not line.stairs:
        return list(line.points)
    made = [line.points[0]]
    for x, y in line.points[1:]:
        made += [(x, made[-1][1]), (x, y)]
    return made


def _frame(title: str, across: str, up: str) -> list[str]:
    return [
        _text(20, 22, title, "title"),
        f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>',
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, across, anchor="middle"),
        f'<text transform="translate(18 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" '
        f'text-anchor="middle">{escape(up)}</text>',
    ]


def _ticks_up(top: float) -> list[str]:
    step = _step(top)
    marks = [step * n for n in range(int(top / step) + 1)]
    scale = (HEIGHT - TOP - BOTTOM) / top
    return [_text(LEFT - 8, HEIGHT - BOTTOM - mark * scale + 4, f"{mark:g}", anchor="end") for mark in marks]


def _ticks_across(lines: Sequence[Line], low: float, high: float, *, log: bool) -> list[str]:
    if log:
        marks = sorted({x for line in lines for x, _ in line.points})
    else:
        step = _step(high - low)
        marks = [step * n for n in range(math.ceil(low / step), int(high / step) + 1)]
    scale = (WIDTH - LEFT - RIGHT) / (high - low)
    return [
        _text(LEFT + (_place(m, log) - low) * scale, HEIGHT - BOTTOM + 18, f"{m:,.7g}", anchor="middle") for m in marks
    ]


def _step(reach: float) -> float:
    base = 10 ** math.floor(math.log10(reach))
    return float(next(base * part for part in (0.2, 0.5, 1, 2) if reach / (base * part) <= 6))


def _path(points: Sequence[tuple[float, float]], number: int) -> str:
    way = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    look = f'stroke="{COLOURS[number % 5]}" stroke-dasharray="{DASHES[number % 5]}"'
    return f'<path fill="none" stroke-width="2" {look} d="M{way}"/>'


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def _document(parts: Sequence[str], height: float) -> str:
    size = f'width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{STYLE}</style>\n' + "\n".join(parts) + "\n</svg>\n"
