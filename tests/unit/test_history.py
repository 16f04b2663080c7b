"""What the journal says about earlier runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator import catalogue, history, story
from orchestrator.errors import InvalidInput, Refused
from orchestrator.journal import BACKENDS, SqliteJournal
from orchestrator.model import Batch, Outcome, RunRecord, Settled, Tallied, Target, Verification
from orchestrator.seen import Seen

RUN = "20261122T193000Z-nightly-0001"
RECORD = RunRecord(
    RUN, "nightly", "/plans/nightly.yaml", None, "digest", "accepted", 1000.0, lock_name="nightly", planned=6
)
SERVICES = catalogue.load().services
REPEATABLE, ONCE, LOOKS = "dcs.webcli", "cbh.console", "workspace.desktops"
ONCE_LOOKS = "once.sessions"
_END = SERVICES[LOOKS].end.model_copy(update={"idempotent": False})
SERVICES = {**SERVICES, ONCE_LOOKS: SERVICES[LOOKS].model_copy(update={"service": ONCE_LOOKS, "end": _END})}


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    made = BACKENDS["sqlite"](tmp_path / "journal.sqlite")
    made.start()
    yield made
    made.close()


def fared(outcome: str, number: int, verification: str = "not_requested", *, protected: bool = False) -> Tallied:
    return Tallied(REPEATABLE, "prod", outcome, verification, protected, number)


def target(name: str, service: str = REPEATABLE) -> Target:
    return Target(service, "prod", name, {}, "stage")


async def note(journal: SqliteJournal, name: str, outcome: Outcome | None, service: str = REPEATABLE) -> None:
    """Note a target with its outcome, or as in flight."""
    await journal.sent(RUN, [Batch([target(name, service)], 1)])
    if outcome is not None:
        journal.settle(RUN, [Settled(target(name, service), outcome)])
        await journal.flush()


# Which run


async def test_a_run_is_found_by_its_id_or_the_beginning_of_it_or_as_the_latest(journal: SqliteJournal) -> None:
    other = "20261123T193000Z-nightly-0002"
    journal.add(RECORD)
    journal.add(RECORD._replace(run=other, started=2000.0))
    assert history.find(journal, RUN).run == RUN
    assert history.find(journal, "20261122").run == RUN
    assert history.find(journal, "latest").run == other
    with pytest.raises(InvalidInput, match="the beginning of 2 runs"):
        history.find(journal, "2026112")
    with pytest.raises(InvalidInput, match=r"no run '20261122T193000Z-nightly-001'.*did you mean.*nightly-0001"):
        history.find(journal, "20261122T193000Z-nightly-001")


async def test_an_id_that_another_one_begins_with_is_found(journal: SqliteJournal) -> None:
    journal.add(RECORD)
    journal.add(RECORD._replace(run=RUN + "0"))
    assert history.find(journal, RUN).run == RUN


async def test_the_latest_of_no_runs_is_no_run(journal: SqliteJournal) -> None:
    with pytest.raises(InvalidInput, match="no run 'latest'"):
        history.find(journal, "latest")


@pytest.mark.parametrize(
    ("code", "over"), [(None, False), (0, True), (3, True), (5, False), (6, True), (130, False), (143, False)]
)
async def test_a_run_is_unfinished_by_its_exit_code(journal: SqliteJournal, code: int | None, over: bool) -> None:
    journal.add(RECORD)
    if code is not None:
        journal.finish(RECORD._replace(ended=2000.0, exit_code=code))
    found = history.unfinished(journal, "nightly")
    assert (found is None) is over


async def test_only_the_latest_run_of_the_plan_counts(journal: SqliteJournal) -> None:
    assert history.unfinished(journal, "nightly") is None
    journal.add(RECORD)
    journal.add(RECORD._replace(run="later", started=2000.0, ended=2001.0, exit_code=0))
    journal.add(RECORD._replace(run="another", started=3000.0, lock_name="another"))
    assert history.unfinished(journal, "nightly") is None


# May it go on


def test_a_run_goes_on_with_the_same_plan_and_the_same_sources() -> None:
    history.agree(RECORD._replace(inputs={"a.csv": "1"}), "digest", {"a.csv": "1"})


@pytest.mark.parametrize(
    ("digest", "inputs", "named"),
    [
        ("other", {"a.csv": "1"}, "/plans/nightly.yaml"),
        ("digest", {"a.csv": "2"}, "a.csv"),
        ("digest", {}, "a.csv"),
        ("digest", {"a.csv": "1", "b.csv": "1"}, "b.csv"),
        ("other", {"a.csv": "2", "b.csv": "1"}, "/plans/nightly.yaml, a.csv, b.csv"),
    ],
)
def test_a_run_does_not_go_on_with_anything_else(digest: str, inputs: dict[str, str], named: str) -> None:
    with pytest.raises(Refused, match=named):
        history.agree(RECORD._replace(inputs={"a.csv": "1"}), digest, inputs)


# What is left of it


@pytest.mark.parametrize(
    ("outcome", "service", "again"),
    [
        (Outcome.ENDED, REPEATABLE, False),
        (Outcome.ALREADY_ENDED, REPEATABLE, False),
        (Outcome.ACCEPTED, REPEATABLE, False),
        (Outcome.DENIED, ONCE, False),
        (Outcome.ISSUED, ONCE, False),
        (Outcome.FAILED, REPEATABLE, True),
        (Outcome.FAILED, ONCE, True),
        (Outcome.NOT_ATTEMPTED, REPEATABLE, True),
        (Outcome.NOT_ATTEMPTED, ONCE, True),
        (Outcome.UNKNOWN, REPEATABLE, True),
        (Outcome.UNKNOWN, ONCE, False),
        (Outcome.UNKNOWN, "no.longer-in-the-catalogue", False),
        (None, REPEATABLE, True),
        (None, ONCE, False),
        (None, "no.longer-in-the-catalogue", False),
    ],
)
async def test_what_a_resume_sends_again(
    journal: SqliteJournal, outcome: Outcome | None, service: str, again: bool
) -> None:
    await note(journal, "a", outcome, service)
    seen = Seen()
    settled = history.recall(journal, RUN, SERVICES, seen)
    assert seen.take(target("a", service)) is again
    assert settled == ({} if again else Counter({(service, "prod"): 1}))


@pytest.mark.parametrize(
    ("require", "outcome", "verification", "service", "looked_at"),
    [
        ("accepted", Outcome.ACCEPTED, Verification.PENDING, LOOKS, True),
        ("accepted", Outcome.ENDED, Verification.PENDING, LOOKS, True),
        ("accepted", Outcome.ACCEPTED, Verification.UNAVAILABLE, LOOKS, False),
        ("ended", Outcome.ACCEPTED, Verification.UNAVAILABLE, LOOKS, True),
        ("ended", Outcome.ENDED, Verification.UNAVAILABLE, LOOKS, True),
        ("verified", Outcome.ENDED, Verification.UNAVAILABLE, LOOKS, True),
        ("verified", Outcome.ALREADY_ENDED, Verification.UNAVAILABLE, LOOKS, True),
        ("verified", Outcome.ENDED, Verification.CONFIRMED, LOOKS, False),
        ("verified", Outcome.ENDED, Verification.NOT_REQUESTED, LOOKS, False),
        ("verified", Outcome.ENDED, Verification.UNAVAILABLE, "das.builtin-account", False),
        ("verified", Outcome.ENDED, Verification.PENDING, "no.longer-in-the-catalogue", False),
        ("verified", Outcome.STILL_ACTIVE, Verification.CONTRADICTED, LOOKS, False),
        ("accepted", Outcome.UNKNOWN, Verification.PENDING, LOOKS, False),
        ("accepted", Outcome.UNKNOWN, Verification.NOT_REQUESTED, ONCE_LOOKS, True),
        ("accepted", Outcome.UNKNOWN, Verification.PENDING, ONCE_LOOKS, True),
        ("accepted", Outcome.UNKNOWN, Verification.UNAVAILABLE, ONCE_LOOKS, True),
        ("accepted", Outcome.UNKNOWN, Verification.NOT_REQUESTED, ONCE, False),
    ],
)
async def test_what_a_resume_looks_at_again(
    journal: SqliteJournal, require: str, outcome: Outcome, verification: Verification, service: str, looked_at: bool
) -> None:
    journal.settle(RUN, [Settled(target("a", service), outcome, verification=verification)])
    await journal.flush()
    seen = Seen()
    settled = history.recall(journal, RUN, SERVICES, seen, require)
    called = seen.take(target("a", service))
    record = seen.unchecked(target("a", service))
    assert (record is not None) is looked_at
    assert called is (outcome is Outcome.STILL_ACTIVE or (outcome is Outcome.UNKNOWN and service == LOOKS))
    assert settled[service, "prod"] == (0 if looked_at or called else 1)


async def test_what_was_in_flight_once_more_is_called_and_not_only_looked_at(journal: SqliteJournal) -> None:
    journal.settle(RUN, [Settled(target("a", LOOKS), Outcome.ACCEPTED, verification=Verification.PENDING)])
    await note(journal, "a", None, LOOKS)
    seen = Seen()
    settled = history.recall(journal, RUN, SERVICES, seen)
    assert seen.take(target("a", LOOKS))
    assert seen.unchecked(target("a", LOOKS)) is None
    assert settled.total() == 0


async def test_a_call_that_was_cut_off_is_unknown_and_stays_so_until_it_is_made_again(journal: SqliteJournal) -> None:
    await note(journal, "a", None, ONCE)
    await note(journal, "b", None, REPEATABLE)
    seen = Seen()
    history.recall(journal, RUN, SERVICES, seen)
    assert set(journal.outcomes(RUN)) == {(ONCE, "prod", "a", "unknown"), (REPEATABLE, "prod", "b", "unknown")}
    assert [seen.take(Target(service, "prod", name, {})) for service, name in ((ONCE, "a"), (REPEATABLE, "b"))] == [
        False,
        True,
    ]
    left = Settled(Target(REPEATABLE, "prod", "b", {}), Outcome.NOT_ATTEMPTED, "interrupted")
    journal.settle(RUN, [left])  # a resume that was stopped before it got there
    await journal.flush()
    assert (REPEATABLE, "prod", "b", "unknown") in set(journal.outcomes(RUN))


@pytest.mark.parametrize(
    ("tally", "expected"),
    [
        pytest.param([fared("ended", 4), fared("already_ended", 2)], {(REPEATABLE, "prod"): 6}, id="all-done"),
        pytest.param([fared("ended", 5)], None, id="one-was-never-taken-up"),
        pytest.param([fared("ended", 5), fared("failed", 1)], None, id="one-failed"),
        pytest.param([fared("ended", 5), fared("unknown", 1)], None, id="one-unknown"),
        pytest.param([fared("ended", 5), fared("not_attempted", 1, protected=True)], None, id="one-protected"),
        pytest.param([fared("ended", 5), fared("ended", 1, "pending")], None, id="one-to-be-looked-at"),
        pytest.param([], None, id="nothing"),
    ],
)
def test_a_run_that_is_done_with_everything_is_known_by_its_journal(
    tally: list[Tallied], expected: dict[tuple[str, str], int] | None
) -> None:
    assert history.whole(RECORD, tally, SERVICES) == expected


def test_a_run_that_planned_nothing_is_not_done_with_everything() -> None:
    assert history.whole(RECORD._replace(planned=0), [], SERVICES) is None


async def test_of_a_lane_that_is_done_no_target_is_noted_one_by_one(journal: SqliteJournal) -> None:
    await note(journal, "a", Outcome.ENDED)
    await note(journal, "b", Outcome.ENDED, ONCE)
    seen = Seen()
    planned = {(REPEATABLE, "prod"): 1, (ONCE, "prod"): 2}
    assert history.recall(journal, RUN, SERVICES, seen, planned=planned) == {(REPEATABLE, "prod"): 1, (ONCE, "prod"): 1}
    assert seen.take(target("a"))  # it is not asked for: its sources are not read
    assert not seen.take(target("b", ONCE))


# What its report reads


async def test_targets_in_flight_come_last_and_as_unknown(journal: SqliteJournal) -> None:
    for name, outcome in (("a", None), ("b", Outcome.ENDED), ("c", None)):
        await note(journal, name, outcome)
    lines = [json.loads(line) for line in story.lines(journal, RUN)]
    assert [(line["target"], line["outcome"]) for line in lines] == [("b", "ended"), ("a", "unknown"), ("c", "unknown")]


async def test_the_summary_of_a_run_that_was_cut_off(journal: SqliteJournal) -> None:
    journal.add(RECORD)
    for name, outcome in (("a", None), ("b", Outcome.ENDED), ("c", Outcome.FAILED)):
        await note(journal, name, outcome)
    summary = story.summary(journal, history.find(journal, RUN))
    assert (summary.total, summary.in_flight, summary.good, summary.not_good) == (3, 1, 1, 2)
    assert list(summary.notes) == ["3 of 6 rows of the sources were never taken up"]
    assert summary.resume is not None


async def test_the_summary_of_a_run_that_is_over(journal: SqliteJournal) -> None:
    journal.add(RECORD)
    await note(journal, "a", Outcome.ENDED)
    journal.finish(RECORD._replace(ended=2000.0, exit_code=0, notes=["a note"]))
    summary = story.summary(journal, history.find(journal, RUN))
    assert summary.green
    assert list(summary.notes) == ["a note"]
    assert summary.resume is None
