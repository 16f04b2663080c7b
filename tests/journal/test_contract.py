"""What any journal has to do: durable before counted, one outcome per target and run, everything found again."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import replace

import pytest

from orchestrator.journal import SqliteJournal
from orchestrator.model import NEWER, Outcome

from .conftest import Open
from .samples import CONNECTION, RUN, SERVICE, a_run, a_target, batches, settled

LANE = (SERVICE, CONNECTION)
PLAIN = ("not_requested", False)


def outcomes(journal: SqliteJournal, run: str = RUN) -> dict[str, str]:
    return {target: outcome for _, _, target, outcome in journal.outcomes(run)}


def in_flight(journal: SqliteJournal, run: str = RUN) -> list[str]:
    return [one.target.id for one in journal.in_flight(run)]


# Runs


def test_a_run_is_found_as_it_was_noted(journal: SqliteJournal) -> None:
    journal.add(a_run())
    noted = a_run()._replace(notes=[])
    assert journal.find(RUN) == noted
    assert journal.runs() == [noted]
    assert journal.find("another") is None


def test_a_run_that_ended_says_how(journal: SqliteJournal) -> None:
    journal.add(a_run())
    ended = a_run()._replace(ended=1234.5, exit_code=3, reason="because", notes=["a note", "another"], ageless=["x"])
    journal.finish(ended)
    assert journal.find(RUN) == ended


def test_a_run_that_goes_on_is_not_over(journal: SqliteJournal) -> None:
    journal.add(a_run())
    journal.finish(a_run()._replace(ended=1234.5, exit_code=130, reason="interrupted", notes=["a note"]))
    journal.reopen(RUN)
    assert journal.find(RUN) == a_run()._replace(notes=[])


def test_a_run_of_a_sealed_plan_is_known_by_its_seal(journal: SqliteJournal) -> None:
    journal.add(a_run()._replace(seal="f" * 64))
    assert [record.seal for record in journal.runs()] == ["f" * 64]


def test_runs_come_in_the_order_in_which_they_began(journal: SqliteJournal) -> None:
    for run, started in (("b", 2.0), ("c", 3.0), ("a", 1.0), ("a2", 2.0)):
        journal.add(a_run(run, started=started))
    assert [record.run for record in journal.runs()] == ["a", "a2", "b", "c"]


def test_the_latest_run_is_that_of_the_same_plan(journal: SqliteJournal) -> None:
    assert journal.latest("plan") is None
    for run, lock_name, started in (("1", "plan", 1.0), ("3", "other", 3.0), ("2", "plan", 2.0)):
        journal.add(a_run(run, lock_name, started))
    latest = journal.latest("plan")
    assert latest is not None
    assert latest.run == "2"


# Intents and outcomes


def test_who_stops_reading_midway_needs_no_open_journal(opened: Open) -> None:
    journal = opened()
    for run in "ab":
        journal.add(a_run()._replace(run=run))
    rows = journal.read("SELECT run FROM runs", ())
    next(rows)
    journal.close()
    rows.close()  # type: ignore[attr-defined]


async def test_what_was_sent_is_in_flight_until_there_is_an_outcome(journal: SqliteJournal) -> None:
    await journal.sent(RUN, batches("a", "b", "c"))
    assert in_flight(journal) == ["a", "b", "c"]
    journal.settle(RUN, settled("b", batch=2))
    await journal.flush()
    assert in_flight(journal) == ["a", "c"]
    assert outcomes(journal) == {"b": "ended"}


async def test_a_target_in_flight_is_unknown_and_says_what_is_known(journal: SqliteJournal) -> None:
    await journal.sent(RUN, batches("a", number=7))
    (found,) = journal.in_flight(RUN)
    assert (found.outcome, found.batch) == (Outcome.UNKNOWN, 7)
    assert found.target == replace(a_target("a"), fields={})
    assert found.first_sent is not None
    assert "no answer is on record" in found.reason


async def test_an_outcome_without_an_intent_counts_too(journal: SqliteJournal) -> None:
    journal.settle(RUN, settled("a", Outcome.NOT_ATTEMPTED))
    await journal.flush()
    assert outcomes(journal) == {"a": "not_attempted"}
    assert in_flight(journal) == []


async def test_a_target_has_one_outcome_which_the_latest_replaces(journal: SqliteJournal) -> None:
    await journal.sent(RUN, batches("a", "b"))
    journal.settle(RUN, [*settled("a", Outcome.FAILED), *settled("b")])
    await journal.sent(RUN, batches("a", number=3))
    assert in_flight(journal) == ["a"]
    assert outcomes(journal) == {"b": "ended"}
    journal.settle(RUN, settled("a", batch=3))
    await journal.flush()
    assert outcomes(journal) == {"a": "ended", "b": "ended"}
    assert journal.tally(RUN) == [(*LANE, "ended", *PLAIN, 2)]
    assert len(list(journal.records(RUN))) == 2


@pytest.mark.parametrize("seed", range(20))
async def test_what_is_committed_together_is_as_if_it_had_been_committed_one_by_one(opened: Open, seed: int) -> None:
    """Intents and outcomes of the same few targets, in one group and each in its own."""
    chance = random.Random(seed)
    steps = [
        (chance.choice("abc"), chance.choice([None, None, Outcome.FAILED, Outcome.ENDED, Outcome.NOT_ATTEMPTED]))
        for _ in range(12)
    ]
    journal = opened()

    async def note(run: str, number: int) -> None:
        name, outcome = steps[number]
        if outcome is None:
            await journal.sent(run, batches(name, number=number))
        else:
            journal.settle(run, settled(name, outcome, number))

    together = [asyncio.create_task(note("together", number)) for number in range(len(steps))]
    await asyncio.sleep(0)  # all of it is queued before anybody writes
    journal.start()
    await asyncio.gather(*together)
    for number in range(len(steps)):
        await note("alone", number)
        await journal.flush()
    assert list(journal.outcomes("together")) == list(journal.outcomes("alone"))
    assert in_flight(journal, "together") == in_flight(journal, "alone")
    assert journal.tally("together") == journal.tally("alone")
    alone = [record.replace('"alone"', '"together"') for record in journal.records("alone")]
    assert list(journal.records("together")) == alone


async def test_runs_do_not_see_each_others_targets(journal: SqliteJournal) -> None:
    for run in ("one", "two"):
        await journal.sent(run, batches("a"))
    journal.settle("one", settled("a"))
    await journal.flush()
    assert (outcomes(journal, "one"), outcomes(journal, "two")) == ({"a": "ended"}, {})
    assert (in_flight(journal, "one"), in_flight(journal, "two")) == ([], ["a"])


async def test_the_same_name_on_another_service_is_another_target(journal: SqliteJournal) -> None:
    journal.settle(RUN, settled("a"))
    journal.settle(RUN, [replace(settled("a")[0], target=a_target("a", "das.builtin-account"))])
    await journal.flush()
    assert journal.tally(RUN) == [("das.builtin-account", CONNECTION, "ended", *PLAIN, 1), (*LANE, "ended", *PLAIN, 1)]


async def test_records_are_what_the_report_says_in_the_order_of_their_first_outcomes(journal: SqliteJournal) -> None:
    await journal.sent(RUN, batches("c", "a", "b"))
    journal.settle(RUN, settled("bac", batch=1))
    await journal.flush()
    records = [json.loads(line) for line in journal.records(RUN)]
    assert [record["target"] for record in records] == ["b", "a", "c"]
    assert records[0] == {
        "run": RUN,
        "stage": "applications",
        "service": SERVICE,
        "connection": CONNECTION,
        "target": "b",
        "outcome": "ended",
        "verification": "not_requested",
        "reason": "because",
        "http_status": 204,
        "error_code": None,
        "error_message": None,
        "request_id": None,
        "attempts": 1,
        "batch": 1,
        "first_sent": "1970-01-01T00:16:40.500Z",
        "settled": "1970-01-01T00:16:41.250Z",
        "duration_ms": 750,
    }


async def test_the_tally_counts_by_lane_and_outcome(journal: SqliteJournal) -> None:
    journal.settle(RUN, settled(range(3)))
    journal.settle(RUN, settled(range(3, 5), Outcome.FAILED))
    await journal.flush()
    assert journal.tally(RUN) == [(*LANE, "ended", *PLAIN, 3), (*LANE, "failed", *PLAIN, 2)]


async def test_the_last_batch_is_the_highest_number(journal: SqliteJournal) -> None:
    assert journal.last_batch(RUN) == 0
    await journal.sent(RUN, batches("a", "b", number=41))
    journal.settle(RUN, settled("a", batch=17))
    await journal.flush()
    assert journal.last_batch(RUN) == 42


async def test_hostile_names_are_only_names(journal: SqliteJournal) -> None:
    names = ["'; DROP TABLE targets; --", "\u202eevil", "a\nb", '"', "é/%2F", "x" * 1000]
    await journal.sent(RUN, batches(*names))
    journal.settle(RUN, settled(names))
    await journal.flush()
    assert set(outcomes(journal)) == set(names)
    assert [json.loads(line)["target"] for line in journal.records(RUN)] == names


# Durable before counted


async def test_an_intent_is_durable_when_it_returns(opened: Open, journal: SqliteJournal) -> None:
    await journal.sent(RUN, batches("a", "b"))
    assert in_flight(opened()) == ["a", "b"]


async def test_an_outcome_is_durable_after_a_flush(opened: Open, journal: SqliteJournal) -> None:
    journal.settle(RUN, settled("a"))
    await journal.flush()
    assert outcomes(opened()) == {"a": "ended"}


async def test_an_outcome_is_durable_soon_without_anybody_waiting(opened: Open, journal: SqliteJournal) -> None:
    journal.settle(RUN, settled(range(10)))
    other = opened()
    async with asyncio.timeout(5):
        while len(outcomes(other)) < 10:  # noqa: ASYNC110  nothing tells another connection
            await asyncio.sleep(0.01)


async def test_nothing_is_counted_before_it_is_durable(opened: Open, journal: SqliteJournal) -> None:
    other = opened()
    for start in range(0, 600, 20):
        journal.settle(RUN, settled(range(start, start + 20)))
        counted = sum(journal.counts.values())
        assert counted <= len(outcomes(other))
    await journal.flush()
    assert journal.counts == Counter({(*LANE, "ended"): 600})
    assert len(outcomes(other)) == 600


async def test_everything_queued_is_written_on_close(opened: Open, journal: SqliteJournal) -> None:
    journal.settle(RUN, settled(range(1000)))
    journal.close()
    assert len(outcomes(opened())) == 1000
    assert journal.counts == Counter({(*LANE, "ended"): 1000})


async def test_two_processes_may_write_at_the_same_time(opened: Open, journal: SqliteJournal) -> None:
    other = opened()
    other.start()
    for start in range(0, 300, 10):
        journal.settle("one", settled(range(start, start + 10)))
        other.settle("two", settled(range(start, start + 10)))
    await journal.flush()
    await other.flush()
    assert (len(outcomes(journal, "one")), len(outcomes(other, "two"))) == (300, 300)


@pytest.mark.parametrize("count", [1, 249, 250, 251, 5000])
async def test_groups_of_every_size(journal: SqliteJournal, count: int) -> None:
    journal.settle(RUN, settled(range(count)))
    await journal.flush()
    assert journal.tally(RUN) == [(*LANE, "ended", *PLAIN, count)]


@pytest.mark.parametrize("announced", [True, False])
async def test_what_was_not_attempted_this_time_keeps_the_outcome_it_had(
    journal: SqliteJournal, announced: bool
) -> None:
    journal.add(a_run())
    journal.settle(RUN, settled(["a"], Outcome.STILL_ACTIVE))
    if announced:
        await journal.sent(RUN, batches("a"))
    journal.settle(RUN, settled(["a"], Outcome.NOT_ATTEMPTED))
    await journal.flush()
    assert [outcome for *_, outcome in journal.outcomes(RUN)] == [Outcome.STILL_ACTIVE]
    assert ['"still_active"' in line for line in journal.records(RUN)] == [True]


@pytest.mark.parametrize("reason", ['HTTP 500 \u00fc "no"', ""])
async def test_that_a_session_gave_way_to_a_newer_one_is_told_beside_what_its_call_came_to(
    journal: SqliteJournal, reason: str
) -> None:
    journal.add(a_run())
    (one,) = settled(["a"], Outcome.FAILED)
    journal.settle(RUN, [replace(one, reason=reason)])
    await journal.flush()
    (before,) = map(json.loads, journal.records(RUN))
    for again in ("the deadline has passed", NEWER, NEWER):
        journal.settle(RUN, [replace(one, outcome=Outcome.NOT_ATTEMPTED, reason=again)])
        await journal.flush()
    (after,) = map(json.loads, journal.records(RUN))
    assert after.pop("reason").removeprefix(f"{reason}; ") == "not called again: newer than the cut-off"
    assert after == {name: value for name, value in before.items() if name != "reason"}


async def test_a_target_is_counted_once_with_what_stands_on_record(journal: SqliteJournal) -> None:
    (first,) = settled(["a"], Outcome.STILL_ACTIVE)
    again = [
        replace(first, outcome=outcome, instead_of=Outcome.STILL_ACTIVE)
        for outcome in (Outcome.NOT_ATTEMPTED, Outcome.STILL_ACTIVE, Outcome.ENDED)
    ]
    for one in (first, *again):
        journal.settle(RUN, [one])
        await journal.flush()
        (kept,) = outcomes(journal).values()
        assert +journal.counts == Counter({(*LANE, kept): 1})


@pytest.mark.parametrize("number", [1, 49, 50, 51, 100, 124])
async def test_many_at_once_are_all_kept_in_their_order_and_of_one_target_the_last_word(
    journal: SqliteJournal, number: int
) -> None:
    names = [f"t{i}" for i in range(number)]
    await journal.sent(RUN, batches(*names))
    journal.settle(RUN, settled(names))
    journal.settle(RUN, settled(names[:1], Outcome.FAILED))
    await journal.flush()
    assert outcomes(journal) == {**dict.fromkeys(names, "ended"), names[0]: "failed"}
    assert [json.loads(line)["target"] for line in journal.records(RUN)] == names
