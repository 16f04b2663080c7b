"""Markdown for a mail or a ticket: the headline, a table by lane, the targets that are not good.

What others wrote stands in code spans, where no markup, link or mention works; a backtick in it becomes an
apostrophe and a pipe a broken bar, the only two characters that could end a span or a cell.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from orchestrator.report import wording
from orchestrator.report.residual import STATES
from orchestrator.report.summary import Summary
from orchestrator.report.wording import Record, lane_of, one_line, text_of
from orchestrator.report.writer import Chosen, Portion, feed

LISTED = 100
CELL = 300
_SPAN = str.maketrans({"`": "'", "|": "\u00a6"})


class MarkdownWriter:
    """report.md; everything but the list of targets comes from the summary."""

    def __init__(self, out: TextIO, summary: Summary) -> None:
        self._out = out
        self._summary = summary
        self._chosen = Chosen(LISTED)

    def begin(self) -> None:
        """Write what happened, and the table by lane."""
        summary = self._summary
        self._out.write(f"**{span(summary.facts.plan)}: {summary.status}.** {summary.sentence}\n\n")
        self._out.write("".join(f"- {line}\n" for line in _run_lines(summary)))
        self._out.write("".join(_residual(summary)))
        if summary.lanes:
            self._out.write("\n" + "".join(_lane_table(summary)))

    def add(self, portion: Portion) -> None:
        """Remember the targets that have to be listed."""
        self._chosen.add(portion)

    def end(self) -> None:
        """Write the targets that are not good."""
        worst = self._chosen.worst
        if not worst:
            return
        self._out.write("\n| outcome | target | lane | why | for the service's owner |\n|---|---|---|---|---|\n")
        for record in worst:
            self._out.write(_target_row(record))
        if self._chosen.not_good > len(worst):
            self._out.write(f"\nand {self._chosen.not_good - len(worst):,} more, see outcomes.csv\n")


def span(text: str) -> str:
    """Return hostile text as a code span of one line."""
    text = one_line(text, CELL).translate(_SPAN).strip()
    return f"`{text}`" if text else ""


def _run_lines(summary: Summary) -> Iterable[str]:
    facts = summary.facts
    yield summary.meaning if facts.exit_code is None else f"Exit code {facts.exit_code}: {summary.meaning}"
    yield from summary.remarks
    if facts.cut_off:
        yield summary.cut_off
    if facts.reason:
        yield f"Reason: {span(facts.reason)}"
    yield f"Run {span(facts.run)}, started {wording.moment(facts.started)}, took {wording.duration(summary.duration)}"
    if facts.variables:
        yield "Variables: " + ", ".join(span(f"{key}={value}") for key, value in facts.variables.items())
    yield from map(span, summary.notes)
    if summary.resume:
        yield f"Go on with: {span(summary.resume)}"
    yield f"Report: {span(summary.folder)}"


def _residual(summary: Summary) -> Iterable[str]:
    """Say what may still work for the person whom the run is about."""
    if (remains := summary.residual) is None:
        return
    yield f"\n{remains.sentence(span)}\n"
    if remains.rows:
        yield "\n| what may still work | where | until | what ends it | in this run |\n|---|---|---|---|---|\n"
    for row in remains.rows:
        fared = f"{STATES[row.state]}{f': {row.fared}' if row.counts else ''}"
        said = (row.what, f"{row.service} ({', '.join(row.connections)})", row.when, row.remedy)
        yield f"| {' | '.join(map(span, said))} | {one_line(fared)} |\n"


def _lane_table(summary: Summary) -> Iterable[str]:
    shown = [outcome for outcome in sorted(summary.counts, key=wording.rank) if summary.counts[outcome]]
    yield "| lane | " + " | ".join(map(wording.name, shown)) + " |\n"
    yield "|---|" + "---:|" * len(shown) + "\n"
    for lane, counts in summary.lanes.items():
        yield f"| {span(lane)} | " + " | ".join(f"{counts.get(outcome, 0):,}" for outcome in shown) + " |\n"


def _target_row(record: Record) -> str:
    outcome = wording.name(text_of(record, "outcome"))
    said = (text_of(record, "target"), lane_of(record), wording.why(record), wording.facts(record))
    return f"| {one_line(outcome)} | " + " | ".join(map(span, said)) + " |\n"


def write(out: TextIO, summary: Summary, lines: Iterable[str]) -> None:
    """Write the summary, and the targets that are not good."""
    feed(summary, [MarkdownWriter(out, summary)], lines)
