"""Two runs side by side: every target of either, in order, read as it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from orchestrator.journal import statements as sql
from orchestrator.journal.sqlite import SqliteJournal


class Pair(NamedTuple):
    """How one target fared in two runs; the outcome is None where a run does not have it.

    `record` is its line of outcomes.jsonl in the later run, where it has one.
    """

    service: str
    connection: str
    target: str
    before: str | None
    before_verification: str | None
    before_protected: int
    after: str | None
    after_verification: str | None
    after_protected: int
    record: str | None


def pairs(journal: SqliteJournal, before: str, after: str) -> Iterator[Pair]:
    """Yield every target of two runs by service, connection and id."""
    yield from map(Pair._make, journal.read(sql.PAIRS, {"before": before, "after": after}))


def listing_failures(journal: SqliteJournal, run: str) -> list[str]:
    """Return why lists of a run are not whole."""
    return [failure for (failure,) in journal.read(sql.LISTING_FAILURES, (run,))]
