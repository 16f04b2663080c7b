"""What the journal tells of a run for its report: the lines, and the run in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import orjson

from orchestrator.journal import SqliteJournal
from orchestrator.journal.record import encode
from orchestrator.model import RunRecord, Tallied
from orchestrator.report import Summary, statement, summarize


def lines(journal: SqliteJournal, run: str) -> Iterator[str]:
    """Return the lines of outcomes.jsonl; targets in flight come last, as unknown."""
    yield from journal.records(run)
    for settled in journal.in_flight(run):
        yield encode(run, settled).decode()


def summary(journal: SqliteJournal, record: RunRecord) -> Summary:
    """Return a run's summary as its journal has it now."""
    flying = Counter(settled.target.service for settled in journal.in_flight(record.run))
    return summarized(journal, record, journal.tally(record.run), flying)


def summarized(journal: SqliteJournal, record: RunRecord, tally: Sequence[Tallied], flying: Counter[str]) -> Summary:
    """Return a run's summary from how its targets fared, and how many of each service are in flight."""
    in_flight = flying.total()
    taken_up = in_flight + sum(one.number for one in tally)
    notes = list(record.notes)
    if record.unfinished and record.planned > taken_up:
        notes.append(f"{record.planned - taken_up} of {record.planned} rows of the sources were never taken up")
    last = last_calls(journal.records(record.run)) if record.subject else {}
    remains = statement(record, tally, flying, last)
    return summarize(record, tally, folder=record.folder, in_flight=in_flight, notes=notes, residual=remains)


def last_calls(lines: Iterable[str]) -> dict[str, float]:
    """Return by service when the last answer to a call was there, from the lines of outcomes.jsonl."""
    last: dict[str, float] = {}
    for line in lines:
        record = orjson.loads(line)
        if record["first_sent"]:
            settled = datetime.fromisoformat(record["settled"]).timestamp()
            last[record["service"]] = max(settled, last.get(record["service"], 0.0))
    return last
