"""Two runs side by side: every target of either, in order, read as it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from orchestrator.journal import statements as sql
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.model import Outcome

Identity = tuple[str, str, str]  # service, connection, id


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
    known = map(Pair._make, journal.read(sql.PAIRS, {"before": before, "after": after}))
    flying = [_flying(journal, run) for run in (before, after)]
    yield from _with_flying(known, *flying) if any(flying) else known


def _flying(journal: SqliteJournal, run: str) -> set[Identity]:
    """Return what a run was calling when it ended, or is calling now: few targets, of which most have no row yet."""
    found = (settled.target for settled in journal.in_flight(run))
    return {(target.service, target.connection, target.id) for target in found}


def _with_flying(known: Iterator[Pair], before: set[Identity], after: set[Identity]) -> Iterator[Pair]:
    """Put in what is in flight, as unknown, in its place."""
    unseen = sorted(before | after, reverse=True)
    for pair in known:
        while unseen and unseen[-1] < pair[:3]:
            yield _flight(unseen.pop(), before, after)
        if unseen and unseen[-1] == pair[:3]:
            flight = _flight(unseen.pop(), before, after)
            yield pair._replace(before=pair.before or flight.before, after=pair.after or flight.after)
        else:
            yield pair
    while unseen:
        yield _flight(unseen.pop(), before, after)


def _flight(identity: Identity, before: set[Identity], after: set[Identity]) -> Pair:
    unknown = [str(Outcome.UNKNOWN) if identity in run else None for run in (before, after)]
    return Pair(*identity, unknown[0], None, 0, unknown[1], None, 0, None)


def listing_failures(journal: SqliteJournal, run: str) -> list[str]:
    """Return why lists of a run are not whole."""
    return [failure for (failure,) in journal.read(sql.LISTING_FAILURES, (run,))]
