"""The summary for a terminal or a cron mail: plain text, no colours, nothing that a terminal would obey."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrator.report import wording
from orchestrator.report.summary import Summary, listed
from orchestrator.report.wording import Record, lane_of, one_line, text_of
from orchestrator.report.writer import Chosen, feed
from orchestrator.units import plural

LISTED = 20
LINE = 400


def text_summary(summary: Summary, worst: Iterable[str], limit: int = LISTED, *, go_on: bool = True) -> str:
    """Return what happened, each lane, the first targets that are not good, how to go on, and where the report is.

    `worst` are JSON lines; those of good targets among them are passed over, and of the others `limit` are shown.
    Without `go_on` it does not say how to go on, for a run that nobody can go on with.
    """
    chosen = Chosen(limit)
    feed(summary, [chosen], worst)
    parts = [_head(summary), _lanes(summary), _targets(summary, chosen.worst)]
    parts += [_residual(summary), _notes(summary), _foot(summary, go_on)]
    return "\n\n".join("\n".join(lines) for part in parts if (lines := list(part))) + "\n"


def _head(summary: Summary) -> Iterator[str]:
    code = "" if summary.facts.exit_code is None else f" (exit code {summary.facts.exit_code})"
    yield f"{one_line(summary.facts.plan)}: {summary.status.upper()}{code}. {summary.sentence}"
    if not summary.green:
        yield summary.meaning
    yield from summary.remarks
    if summary.facts.reason:
        yield f"Reason: {one_line(summary.facts.reason, LINE)}"


def _lanes(summary: Summary) -> Iterator[str]:
    width = max((len(one_line(lane)) for lane in summary.lanes), default=0)
    for lane, counts in summary.lanes.items():
        ordered = sorted(counts.items(), key=lambda item: wording.rank(item[0]))
        present = [(outcome, count) for outcome, count in ordered if count]
        yield f"  {one_line(lane):{width}}  {plural(sum(counts.values()), 'target')}: {listed(present)}"


def _targets(summary: Summary, worst: list[Record]) -> Iterator[str]:
    if worst:
        yield "Not good:"
    for record in worst:
        yield f"  {_target(record)}"
    recorded = summary.not_good - summary.in_flight
    if worst and recorded > len(worst):
        yield f"  and {recorded - len(worst):,} more, see outcomes.csv"


def _target(record: Record) -> str:
    outcome = wording.name(text_of(record, "outcome"))
    why = one_line(wording.why(record), LINE)
    said = wording.facts(record, beside=why)
    place = f"{lane_of(record)} {text_of(record, 'target')}"
    return one_line(f"{outcome:13}  {place}: ") + why + (f" ({one_line(said)})" if said else "")


def _residual(summary: Summary) -> Iterator[str]:
    """Say in short what may still work for the person whom the run is about."""
    if (remains := summary.residual) is None:
        return
    yield one_line(remains.opening(), LINE) + ("" if remains.rows else ":")
    clauses = list(remains.clauses())
    yield from (f"  - {one_line(clause, LINE)}" for clause in clauses[:LISTED])
    if len(clauses) > LISTED:
        yield f"  and {len(clauses) - LISTED:,} more, see report.html"
    yield f"  {remains.closing()}."
    yield f"  {summary.cut_off}"


def _notes(summary: Summary) -> Iterator[str]:
    if summary.notes:
        yield "Notes:"
        yield from (f"  {one_line(note, LINE)}" for note in summary.notes)


def _foot(summary: Summary, go_on: bool) -> Iterator[str]:
    took = "" if summary.duration is None else f", took {wording.duration(summary.duration)}"
    yield f"Started:     {wording.moment(summary.facts.started)}{took}"
    if go_on and summary.resume:
        yield f"Go on with:  {one_line(summary.resume)}"
    none = f"none was written; to have one: orchestrator report {summary.facts.run} --format html"
    yield f"Report:      {one_line(none if summary.facts.ended is None else summary.folder)}"
