"""`diff`: two runs compared, in words or as one document, however many targets they have."""

from __future__ import annotations

import argparse
import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

import orjson

from orchestrator import comparison
from orchestrator.cli import common, looking
from orchestrator.comparison import Change, Comparison
from orchestrator.journal.pairs import Pair
from orchestrator.model import RunRecord
from orchestrator.report import wording
from orchestrator.report.wording import one_line
from orchestrator.units import plural, timestamp

LISTED = 100
LINE = 400
TITLES = {
    Change.NEWLY_FAILING: "newly failing",
    Change.NEWLY_UNKNOWN: "newly unknown",
    Change.STILL_FAILING: "still failing",
    Change.RECOVERED: "recovered",
    Change.NEW: "new",
    Change.GONE: "gone",
}
CHUNK = 500  # lines that are written at once


def diff(options: argparse.Namespace) -> int:
    """Compare two runs; 3 when something is newly not good."""
    with looking.open_journal(options) as journal:
        compared = Comparison(journal, *comparison.find(journal, options.run, options.other))
        if options.output == "json":
            with common.standard_output() as out:
                out.reconfigure(encoding="utf-8", newline="")  # type: ignore[attr-defined]
                _document(out, compared)
        else:
            first = _first(compared)
            if options.output == "text":
                common.say("\n".join(_lines(compared, first)))
        return compared.exit_code


def _document(out: TextIO, compared: Comparison) -> None:
    """Write the whole comparison as one document, as it is read; what is good in both runs is only counted."""
    head = {"before": _facts(compared.before), "after": _facts(compared.after), "notes": compared.notes}
    out.write(orjson.dumps(head).decode()[:-1] + ',"targets":[')
    lines = (_target(found, pair) for found, pair in compared.changes() if found is not Change.STILL_GOOD)
    between = "\n"
    while chunk := list(itertools.islice(lines, CHUNK)):
        out.write(between + ",\n".join(chunk))
        between = ",\n"
    totals = dict(zip(("before", "after"), compared.totals, strict=True))
    tail = {
        "counts": {one.value: compared.counts[one] for one in Change},
        "totals": totals,
        "exit_code": compared.exit_code,
    }
    out.write("\n]," + orjson.dumps(tail).decode()[1:] + "\n")


def _facts(record: RunRecord) -> dict[str, Any]:
    names = ("run", "plan", "require", "exit_code")
    times = {"started": timestamp(record.started), "ended": timestamp(record.ended)}
    return {**{name: getattr(record, name) for name in names}, **times}


def _target(found: Change, pair: Pair) -> str:
    record = _record(pair)
    told = ("reason", "error_code", "error_message")
    said = {
        "change": found,
        "service": pair.service,
        "connection": pair.connection,
        "target": pair.target,
        "before": pair.before,
        "after": pair.after,
        **{name: record.get(name) for name in told},
    }
    return orjson.dumps(said).decode()


def _record(pair: Pair) -> Mapping[str, Any]:
    record: Mapping[str, Any] = orjson.loads(pair.record) if pair.record else {}
    return record


def _first(compared: Comparison) -> Mapping[Change, Sequence[Pair]]:
    """Read the whole comparison, and keep the first of every change for people to look at."""
    kept: defaultdict[Change, list[Pair]] = defaultdict(list)
    for found, pair in compared.changes():
        if found is not Change.STILL_GOOD and len(kept[found]) < LISTED:
            kept[found].append(pair)
    return kept


def _lines(compared: Comparison, first: Mapping[Change, Sequence[Pair]]) -> Iterator[str]:
    """Yield the comparison in words: the counts, the two runs, what is to be known of them, the targets."""
    numbers = ", ".join(f"{compared.counts[one]:,} {title}" for one, title in TITLES.items())
    yield f"{one_line(compared.after.plan)}: {numbers}; {compared.counts[Change.STILL_GOOD]:,} good in both"
    for when, record, total in zip(
        ("before", "after"), (compared.before, compared.after), compared.totals, strict=True
    ):
        code = "" if record.exit_code is None else f", exit code {record.exit_code}"
        yield f"{when + ':':8}{one_line(record.run)}  {plural(total, 'target')}{code}"
    yield from (f"note:   {one_line(note, LINE)}" for note in compared.notes)
    for found, title in TITLES.items():
        if pairs := first.get(found):
            yield ""
            yield f"{title.capitalize()}:"
            yield from (f"  {_line(pair)}" for pair in pairs)
            if (more := compared.counts[found] - len(pairs)) > 0:
                yield f"  and {more:,} more; --output json has them all"


def _line(pair: Pair) -> str:
    place = one_line(f"{pair.service}@{pair.connection} {pair.target}")
    way = f"{_name(pair.before, 'not there')} -> {_name(pair.after, 'not there')}"
    record = _record(pair)
    why = wording.why(record) if record.get("reason") or record.get("error_message") else ""
    said = wording.facts(record, beside=why)
    return one_line(f"{place}: {way}" + (f": {why}" if why else "") + (f" ({said})" if said else ""), LINE)


def _name(outcome: str | None, absent: str) -> str:
    return absent if outcome is None else wording.name(outcome)
