"""HTML: one page that needs nothing but itself, for the person who opens it at 03:00 on a phone.

No scripts and nothing fetched: a content security policy forbids both, and allows the one style sheet by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from orchestrator.model import DONE, PROTECTED
from orchestrator.report import wording
from orchestrator.report.html_style import STYLE
from orchestrator.report.residual import STATES, Row
from orchestrator.report.summary import Summary
from orchestrator.report.wording import Record, lane_of, one_line, text_of
from orchestrator.report.writer import Chosen, Portion, feed
from orchestrator.units import plural

LISTED = 1000
LISTED_GOOD = 200
CELL = 600
BAR = 1000
THINNEST = 6
TONES = {"still_active": "bad", "failed": "bad", "unknown": "doubt", "accepted": "doubt", "not_attempted": "idle"}
_STATES = {"open": "bad", "confirmed": "fine"}
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
_REMAINS = ("What may still work", "Where", "Until", "What ends it", "In this run")
_HEADINGS = ("Outcome", "Target", "Why", "For the service's owner", "Attempts", "Settled (UTC)")


class HtmlWriter:
    """report.html; everything but the list of targets comes from the summary."""

    def __init__(self, out: TextIO, summary: Summary) -> None:
        self._out = out
        self._summary = summary
        self._chosen = Chosen(LISTED, LISTED_GOOD)

    def begin(self) -> None:
        """Write what happened, how to go on, the counts, the lanes."""
        for part in (_top, _banner, _notes, _residual, _counts, _lanes):
            self._out.writelines(part(self._summary))

    def add(self, portion: Portion) -> None:
        """Remember the targets that have to be listed."""
        self._chosen.add(portion)

    def end(self) -> None:
        """Write the targets that are not good, some of those that are, and the facts of the run."""
        self._out.writelines(_not_good(self._summary, self._chosen))
        self._out.writelines(_good(self._summary, self._chosen.good))
        self._out.writelines(_facts(self._summary))
        self._out.write("</main>\n</body>\n</html>\n")


def safe(text: str, limit: int = 0) -> str:
    """Return text with nothing in it that a browser would obey."""
    return html.escape(one_line(text, limit))


def tone(summary: Summary, outcome: str) -> str:
    """Return the colour class of an outcome: fine, order (taken, not done), doubt, bad or idle."""
    if outcome == PROTECTED:
        return "fine"
    if outcome not in DONE or not summary.is_good(outcome):
        return TONES.get(outcome, "doubt")
    return "order" if outcome == "accepted" else "fine"


def _top(summary: Summary) -> Iterator[str]:
    title = safe(f"{summary.facts.plan}: {summary.status}")
    yield f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
"""


def _banner(summary: Summary) -> Iterator[str]:
    facts = summary.facts
    colour = "fine" if summary.green else "doubt" if summary.met or facts.exit_code is None else "bad"
    code = "" if facts.exit_code is None else f" <small>exit code {facts.exit_code}</small>"
    yield f'<header class="{colour}">\n<h1><bdi>{safe(facts.plan)}</bdi></h1>\n'
    yield f'<p class="status">{safe(summary.status.capitalize())}{code}</p>\n'
    yield f'<p class="sentence">{safe(summary.sentence)}</p>\n<p>{safe(summary.meaning)}</p>\n'
    if facts.reason:
        yield f"<p>Reason: <bdi>{safe(facts.reason, CELL)}</bdi></p>\n"
    times = f"Started {wording.moment(facts.started)}, took {wording.duration(summary.duration)}"
    known = f"<br>{safe(summary.cut_off)}" if facts.cut_off else ""
    yield f'<p class="soft">{times}{known}</p>\n</header>\n'


def _notes(summary: Summary) -> Iterator[str]:
    if summary.resume:
        yield f"<section>\n<h2>Go on with</h2>\n<pre>{safe(summary.resume)}</pre>\n</section>\n"
    if summary.notes:
        notes = "".join(f"<li><bdi>{safe(note, CELL)}</bdi></li>\n" for note in summary.notes)
        yield f"<section>\n<h2>Notes</h2>\n<ul>\n{notes}</ul>\n</section>\n"


def _residual(summary: Summary) -> Iterator[str]:
    """Say what may still work for the person whom the run is about."""
    if (remains := summary.residual) is None:
        return
    yield f"<section>\n<h2>What may still work for <bdi>{safe(remains.subject)}</bdi></h2>\n"
    yield f"<p><bdi>{safe(remains.sentence())}</bdi></p>\n"
    if remains.rows:
        heads = "".join(f'<th scope="col">{heading}</th>' for heading in _REMAINS)
        yield f'<table class="residual">\n<thead><tr>{heads}</tr></thead>\n<tbody>\n'
        yield from map(_remaining, remains.rows)
        yield "</tbody>\n</table>\n"
    yield "</section>\n"


def _remaining(row: Row) -> str:
    badge = f'<span class="badge {_STATES.get(row.state, "doubt")}">{STATES[row.state]}</span>'
    return (
        f"<tr><td><bdi>{safe(row.what, CELL)}</bdi></td>"
        f"<td><bdi>{safe(row.service)}</bdi><small><bdi>{safe(', '.join(row.connections), CELL)}</bdi></small></td>"
        f'<td data-label="until"><bdi>{safe(row.when, CELL)}</bdi></td>'
        f'<td data-label="what ends it"><bdi>{safe(row.remedy, CELL)}</bdi></td>'
        f"<td>{badge}<small>{safe(row.fared)}</small></td></tr>\n"
    )


def _counts(summary: Summary) -> Iterator[str]:
    counts = [*summary.open_counts(), *summary.good_counts()]
    if not counts:
        return
    yield f"<section>\n<h2>{plural(summary.total, 'target')}</h2>\n"
    yield from _bar(summary, counts)
    yield '<dl class="tiles">\n'
    for outcome, count in counts:
        yield f'<div class="{tone(summary, outcome)}"><dt>{safe(wording.name(outcome))}</dt>'
        yield f'<dd><span class="number">{count:,}</span><small>{safe(wording.meaning(outcome))}</small></dd></div>\n'
    yield "</dl>\n</section>\n"


def _bar(summary: Summary, counts: Sequence[tuple[str, int]]) -> Iterator[str]:
    """Draw the shares side by side; the smallest is still wide enough to be seen."""
    widths = [max(THINNEST, count * BAR // summary.total) for _, count in counts]
    yield f'<svg class="bar" viewBox="0 0 {sum(widths)} 1" preserveAspectRatio="none" aria-hidden="true">'
    at = 0
    for (outcome, _), width in zip(counts, widths, strict=True):
        yield f'<rect class="{tone(summary, outcome)}" x="{at}" width="{width}" height="1"/>'
        at += width
    yield "</svg>\n"


def _lanes(summary: Summary) -> Iterator[str]:
    if not summary.lanes:
        return
    present = [outcome for outcome in sorted(summary.counts, key=wording.rank) if summary.counts[outcome]]
    heads = "".join(f'<th scope="col">{safe(wording.name(outcome))}</th>' for outcome in present)
    yield '<section>\n<h2>Lanes</h2>\n<div class="scroll">\n<table class="lanes">\n<thead><tr><th scope="col">lane</th>'
    yield f'<th scope="col">targets</th>{heads}</tr></thead>\n<tbody>\n'
    for lane, counts in summary.lanes.items():
        cells = "".join(_count(summary, outcome, counts.get(outcome, 0)) for outcome in present)
        total = f'<td data-label="in all">{sum(counts.values()):,}</td>'
        yield f'<tr><th scope="row"><bdi>{safe(lane)}</bdi></th>{total}{cells}</tr>\n'
    yield "</tbody>\n</table>\n</div>\n</section>\n"


def _count(summary: Summary, outcome: str, count: int) -> str:
    colour = tone(summary, outcome) if count else "zero"
    return f'<td class="{colour}" data-label="{safe(wording.name(outcome))}">{count:,}</td>'


def _not_good(summary: Summary, chosen: Chosen) -> Iterator[str]:
    if not chosen.not_good:
        return
    yield f"<section>\n<h2>Not good: {plural(chosen.not_good, 'target')}</h2>\n"
    yield "<p>Behind each of these there may still be a live session, or access.</p>\n"
    yield from _table(summary, chosen.worst)
    if chosen.not_good > LISTED:
        more = f"and {chosen.not_good - LISTED:,} more"
        yield f'<p>{more}, see <a href="outcomes.csv">outcomes.csv</a></p>\n'
    yield "</section>\n"


def _good(summary: Summary, records: Sequence[Record]) -> Iterator[str]:
    if not records:
        return
    yield f"<section>\n<details>\n<summary>Good: {plural(summary.good, 'target')}</summary>\n"
    yield from _table(summary, records)
    if summary.good > len(records):
        more = f"and {summary.good - len(records):,} more"
        yield f'<p>{more}, see <a href="outcomes.csv">outcomes.csv</a></p>\n'
    yield "</details>\n</section>\n"


def _table(summary: Summary, records: Iterable[Record]) -> Iterator[str]:
    heads = "".join(f'<th scope="col">{heading}</th>' for heading in _HEADINGS)
    yield f'<table class="targets">\n<thead><tr>{heads}</tr></thead>\n<tbody>\n'
    for record in records:
        yield f"<tr>{_row(summary, record)}</tr>\n"
    yield "</tbody>\n</table>\n"


def _row(summary: Summary, record: Record) -> str:
    outcome = text_of(record, "outcome")
    colour = tone(summary, PROTECTED if outcome == "not_attempted" and summary.meets(record) else outcome)
    place = " in ".join(filter(None, (lane_of(record), text_of(record, "stage"))))
    settled = text_of(record, "settled").replace("T", " ")[:19]
    facts = safe(wording.facts(record), CELL)
    return (
        f'<td><span class="badge {colour}">{safe(wording.name(outcome))}</span></td>'
        f"<td><code><bdi>{safe(text_of(record, 'target'))}</bdi></code><small><bdi>{safe(place)}</bdi></small></td>"
        f"<td><bdi>{safe(wording.why(record), CELL)}</bdi></td>"
        f"<td>{facts and f'<code><bdi>{facts}</bdi></code>'}</td>"
        f'<td data-label="attempts">{safe(text_of(record, "attempts"))}</td>'
        f'<td data-label="settled">{safe(settled)}</td>'
    )


def _facts(summary: Summary) -> Iterator[str]:
    facts = summary.facts
    rows = [("run", facts.run), ("plan", facts.plan_path), ("plan digest", facts.digest), ("requires", facts.require)]
    rows += [("config", facts.config_path)] if facts.config_path else []
    rows += [("ended", wording.moment(facts.ended)), ("report", summary.folder)]
    rows += [(f"variable {key}", value) for key, value in facts.variables.items()]
    rows += [(f"input {key}", digest) for key, digest in facts.inputs.items()]
    yield '<section>\n<h2>The run</h2>\n<dl class="facts">\n'
    for key, value in rows:
        yield f"<dt><bdi>{safe(key)}</bdi></dt><dd><code><bdi>{safe(value)}</bdi></code></dd>\n"
    yield '</dl>\n<p>Every target: <a href="outcomes.csv">outcomes.csv</a></p>\n</section>\n'


def write(out: TextIO, summary: Summary, lines: Iterable[str]) -> None:
    """Write the page."""
    feed(summary, [HtmlWriter(out, summary)], lines)
