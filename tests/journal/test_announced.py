"""What is about to be called is one row for many targets, which goes when all of them have an outcome."""

from __future__ import annotations

from orchestrator.journal import SqliteJournal
from orchestrator.journal.pairs import pairs
from orchestrator.model import Outcome

from .conftest import Open
from .samples import CONNECTION, RUN, SERVICE, batches, settled


def announced(journal: SqliteJournal) -> int:
    return int(next(journal.read("SELECT COUNT(*) FROM announced", ()))[0])


async def test_the_row_goes_with_the_last_outcome(journal: SqliteJournal) -> None:
    await journal.sent(RUN, batches("a", "b", "c"))
    journal.settle(RUN, settled("ab"))
    await journal.flush()
    assert announced(journal) == 1
    journal.settle(RUN, settled("c"))
    await journal.flush()
    assert announced(journal) == 0


async def test_what_is_announced_and_not_called_yet_is_not_announced_once_more(journal: SqliteJournal) -> None:
    await journal.sent(RUN, batches("a", "b"))
    await journal.sent(RUN, batches("a"))
    assert announced(journal) == 1
    journal.settle(RUN, settled("ab"))
    await journal.flush()
    assert announced(journal) == 0


async def test_what_is_called_once_more_has_no_outcome_until_there_is_another(journal: SqliteJournal) -> None:
    await journal.sent(RUN, batches("a", "b"))
    journal.settle(RUN, settled("ab", Outcome.FAILED))
    await journal.sent(RUN, batches("a", number=7))
    assert [one[2:] for one in journal.outcomes(RUN)] == [("b", "failed")]
    assert [(one.target.id, one.batch) for one in journal.in_flight(RUN)] == [("a", 7)]
    assert journal.last_batch(RUN) == 7
    journal.settle(RUN, settled("a", Outcome.ENDED, batch=7))
    await journal.flush()
    assert sorted(one[2:] for one in journal.outcomes(RUN)) == [("a", "ended"), ("b", "failed")]


async def test_a_run_that_goes_on_knows_what_another_process_announced(opened: Open, journal: SqliteJournal) -> None:
    await journal.sent(RUN, batches("a", "b", number=4))
    journal.settle(RUN, settled("a"))
    await journal.flush()
    later = opened()
    later.note_unknown(RUN, list(later.in_flight(RUN)))
    assert announced(later) == 0
    assert sorted(one[2:] for one in later.outcomes(RUN)) == [("a", "ended"), ("b", "unknown")]
    assert later.last_batch(RUN) == 5


async def test_what_is_in_flight_is_told_once_however_often_it_was_announced(journal: SqliteJournal) -> None:
    await journal.sent(RUN, batches("a", "b"))
    journal.settle(RUN, settled("a", Outcome.FAILED))
    await journal.sent(RUN, batches("a", number=7))  # while b is still out, and with it the first announcement
    flying = [(one.target.id, one.batch) for one in journal.in_flight(RUN)]
    assert sorted(flying) == [("a", 7), ("b", 2)]


async def test_every_target_that_was_taken_up_is_known_by_name(journal: SqliteJournal) -> None:
    await journal.sent(RUN, batches("a", "b"))
    journal.settle(RUN, settled("c"))
    await journal.flush()
    assert {target for _, _, target in journal.identities(RUN)} == {"a", "b", "c"}


async def test_what_is_in_flight_is_unknown_in_a_comparison_and_in_its_place(journal: SqliteJournal) -> None:
    for run, flying, done in (("one", "bd", "ac"), ("two", "ae", "cd")):
        await journal.sent(run, batches(*flying))
        journal.settle(run, settled(done))
    await journal.flush()
    found = [(pair.target, pair.before, pair.after) for pair in pairs(journal, "one", "two")]
    assert found == [
        ("a", "ended", "unknown"),
        ("b", "unknown", None),
        ("c", "ended", "ended"),
        ("d", "unknown", "ended"),
        ("e", None, "unknown"),
    ]
    assert {pair[:2] for pair in pairs(journal, "one", "two")} == {(SERVICE, CONNECTION)}
