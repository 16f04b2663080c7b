"""One run around its lanes: stages in order, each target once, the exit code."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace

import pytest

from orchestrator import run, waves
from orchestrator.batches import Packing
from orchestrator.checks import Watched
from orchestrator.guards import NOBODY, Tripwire
from orchestrator.journal.record import encode
from orchestrator.lane import Lane
from orchestrator.memory import RunMemory
from orchestrator.model import Batch, Outcome, Ruling, Secret, Settled, Tallied, Target, Verdict, Verification
from orchestrator.pacing import Pacer
from orchestrator.rows import UnreadableError
from orchestrator.run import Intake, LaneWork, StageWork, execute, exit_code, fresh
from orchestrator.seen import Seen
from orchestrator.sources import Checked, Inline, Source, Takes, everything
from orchestrator.stop import Stop
from orchestrator.turn import Turn
from orchestrator.units import Rate


def target(name: object, service: str = "service", stage: str = "") -> Target:
    return Target(service, "prod", str(name), {"id": str(name)}, stage)


class Breaking:
    """A source that ends in the middle."""

    def __init__(self, error: Exception) -> None:
        self.name = "rows.csv"
        self.interactive = False
        self._error = error

    def check(self, takes: Takes = everything) -> Checked:
        return Checked(2, "")

    def digest(self) -> str:
        return ""

    def targets(self) -> Iterator[Target]:
        yield target("first")
        raise self._error


class Journal:
    """Takes everything, and remembers it."""

    def __init__(self) -> None:
        self.settled: list[Settled] = []
        self.events: list[str] = []

    async def sent(self, run: str, batches: Sequence[Batch]) -> None:
        self.events.append(f"sent {run}")

    async def flush(self) -> None:
        self.events.append("flush")

    def settle(self, run: str, settled: Sequence[Settled]) -> None:
        self.events.append(f"settled {run}")
        self.settled += settled


class Service:
    idempotent = True
    ready = True
    refused: str | None = None

    def __init__(self, log: list[str]) -> None:
        self._log = log

    def close_when_refused(self, one: Stop) -> None:
        pass

    def turn(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def obtain(self) -> Ruling | None:
        return None

    async def call(self, batch: Batch) -> Ruling:
        self._log.append(f"{batch.targets[0].stage} began")
        await asyncio.sleep(0.002)
        self._log.append(f"{batch.targets[0].stage} ended")
        return Ruling(Verdict.ENDED)


def lane(log: list[str], stop: Stop, journal: Journal, name: str = "service") -> Lane:
    pacer = Pacer((Rate(10_000, 1),))
    memory = RunMemory(journal, "a-run", lambda one, secret: f"{one.id}:{secret.reveal()}", Tripwire(None, {}, stop))
    return Lane(name, "prod", Service(log), pacer, memory, stop, packing=Packing(), numbers=itertools.count(1))


def intake(stop: Stop, *, good: bool = True) -> Intake:
    async def came_out(stage: str, requirement: str) -> bool:
        return good

    async def refresh(_sources: object) -> None:
        """Nothing has to be asked."""

    return Intake(everything, Seen(), NOBODY, Tripwire(None, {}, stop), stop, came_out, time.monotonic(), refresh)


# Once


def test_a_target_is_taken_up_once() -> None:
    seen = Seen()
    assert seen.take(target("a"))
    assert not seen.take(target("a"))
    assert seen.take(target("b"))
    assert seen.twice == 1


def test_what_failed_in_an_earlier_part_of_the_run_has_its_turn_after_all_others() -> None:
    seen = Seen()
    for name in "ac":
        seen.note_failed("service", "prod", name)
    sources: list[Source] = [Inline([target("a"), target("b"), target("a")]), Inline([target("c"), target("d")])]
    found = [one.id for one in fresh(sources, everything, seen, []) if one is not None]
    assert found == ["b", "d", "a", "c"]
    assert seen.twice == 1


def test_what_an_earlier_part_of_the_run_did_is_not_taken_up_nor_told_as_listed_twice() -> None:
    seen = Seen()
    seen.note_done("service", "prod", "a")
    assert not seen.take(target("a"))
    assert seen.take(target("a", "another"))
    assert seen.twice == 0


@pytest.mark.parametrize(("one", "other"), [(("a", "b", "c"), ("a", "bc", "")), (("ab", "", "c"), ("a", "b", "c"))])
def test_identities_do_not_run_into_each_other(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    seen = Seen()
    seen.note_done(*one)
    service, connection, name = other
    assert seen.take(Target(service, connection, name, {}))


# Sources


def test_sources_come_one_after_the_other() -> None:
    sources: list[Source] = [Inline([target("a"), target("b")]), Inline([target("b"), target("c")])]
    seen, failed = Seen(), list[str]()
    assert [one.id for one in fresh(sources, everything, seen, failed) if one] == ["a", "b", "c"]
    assert (seen.twice, failed) == (1, [])


def test_what_was_not_selected_is_not_taken_up() -> None:
    found = fresh([Inline([target("a"), target("b")])], lambda one: one.id == "b", Seen(), [])
    assert [one.id for one in found if one] == ["b"]


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), UnreadableError("is not UTF-8 text", 7), ValueError("changed")]
)
def test_a_source_that_breaks_is_told_of_and_the_next_one_read(error: Exception) -> None:
    failed: list[str] = []
    found = fresh([Breaking(error), Inline([target("next")])], everything, Seen(), failed)
    assert [one.id for one in found if one] == ["first", "next"]
    (said,) = failed
    assert said.startswith("rows.csv changed while it was read: ")


# Stages


async def test_a_stage_begins_when_the_one_before_is_done_and_its_lanes_run_side_by_side() -> None:
    log: list[str] = []
    stop, journal = Stop(), Journal()
    one, two = lane(log, stop, journal, "one"), lane(log, stop, journal, "two")
    stages = [
        StageWork(
            name,
            [
                LaneWork(each, [Inline([target(f"{name}-{n}", each.service, name) for n in range(4)])])
                for each in (one, two)
            ],
            Turn(needs),
        )
        for name, needs in (("first", ()), ("second", ("first",)))
    ]
    assert await execute(stages, intake(stop)) == []
    assert len(journal.settled) == 16
    assert log.index("second began") > max(at for at, said in enumerate(log) if said == "first ended")
    assert log[:2] == ["first began", "first began"]
    assert {said for said in journal.events if "settled" in said} == {"settled a-run"}


@pytest.mark.parametrize("good", [True, False])
async def test_a_stage_that_needs_another_begins_only_if_that_came_out(good: bool) -> None:
    stop, journal = Stop(), Journal()
    log: list[str] = []
    stages = [
        StageWork("first", [LaneWork(lane(log, stop, journal), [Inline([target("a", stage="first")])])]),
        StageWork(
            "second",
            [LaneWork(lane(log, stop, journal), [Inline([target("b", stage="second")])])],
            Turn(["first"], "ended"),
        ),
    ]
    await execute(stages, intake(stop, good=good))
    outcomes = {one.target.id: (one.outcome, one.reason) for one in journal.settled}
    assert ("second began" in log) is good
    if not good:
        assert outcomes["b"] == (Outcome.NOT_ATTEMPTED, "the stage first did not come out as this one needs it")


async def test_stages_that_need_nothing_run_side_by_side() -> None:
    stop, journal = Stop(), Journal()
    log: list[str] = []
    stages = [
        StageWork(name, [LaneWork(lane(log, stop, journal, name), [Inline([target(name, name, name)])])])
        for name in ("first", "second")
    ]
    await execute(stages, intake(stop))
    assert set(log[:2]) == {"first began", "second began"}


async def test_a_second_pass_calls_what_was_called_before() -> None:
    stop, journal = Stop(), Journal()
    log: list[str] = []
    works = [LaneWork(lane(log, stop, journal), [Inline([target("a", stage="only"), target("b", stage="only")])])]
    stages = [StageWork("only", works), StageWork("second pass", works, Turn(["only"], rest=0.001, anew=True))]
    await execute(stages, intake(stop))
    assert log.count("only began") == 4


class Looker:
    """A check that notes what it is given, portion by portion, and finds it as `verification` says."""

    def __init__(self, memory: RunMemory, verification: Verification = Verification.CONFIRMED) -> None:
        self.watched = Watched(memory)
        self.looked_at: list[list[str]] = []
        self._verification = verification

    async def carry_out(self, lane: Lane, spared: Callable[[Target], str]) -> None:
        pending = self.watched.drain()
        self.looked_at.append([one.target.id for one in pending])
        self.watched.tell([replace(one, verification=self._verification) for one in pending])


def watched(
    stop: Stop, journal: Journal, tripwire: Tripwire, verification: Verification = Verification.CONFIRMED
) -> tuple[LaneWork, Looker]:
    memory = RunMemory(journal, "a-run", lambda one, secret: "", tripwire)
    check = Looker(memory, verification)
    pacer = Pacer((Rate(10_000, 1),))
    made = Lane(
        "service", "prod", Service([]), pacer, check.watched, stop, packing=Packing(), numbers=itertools.count(1)
    )
    tripwire.lanes["service", "prod"] = made
    return LaneWork(made, follow_up=check), check  # type: ignore[arg-type]


def looked_after(name: object) -> Target:
    return replace(target(name), verify=True)


async def test_what_is_looked_at_is_called_a_portion_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what is pending stays small, however many targets there are."""
    monkeypatch.setattr(waves, "PORTION", 4)
    stop, journal = Stop(), Journal()
    work, check = watched(stop, journal, Tripwire(None, {}, stop))
    work.sources.append(Inline([looked_after(n) for n in range(10)]))
    await execute([StageWork("only", [work])], intake(stop))
    assert [sorted(names) for names in check.looked_at] == [["0", "1", "2", "3"], ["4", "5", "6", "7"], ["8", "9"]]


async def test_what_is_only_to_be_looked_at_is_looked_at_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waves, "PORTION", 4)
    monkeypatch.setattr(run, "PASSED_OVER", 2)
    stop, journal, after = Stop(), Journal(), intake(Stop())
    work, check = watched(stop, journal, Tripwire(None, {}, stop))
    work.sources.append(Inline([looked_after(n) for n in range(9)]))
    for n in range(9):
        record = encode("a-run", Settled(looked_after(n), Outcome.ACCEPTED, verification=Verification.UNAVAILABLE))
        after.seen.note_done("service", "prod", str(n))
        after.seen.note_unchecked("service", "prod", str(n), record.decode())
    await execute([StageWork("only", [work])], after)
    assert [len(names) for names in check.looked_at] == [2, 2, 2, 2, 1]
    assert {(one.outcome, one.verification) for one in journal.settled} == {("accepted", "confirmed")}
    assert "sent a-run" not in journal.events


@pytest.mark.parametrize(
    ("first", "turn", "waits"),
    [
        (Turn(), Turn(["first"]), False),
        (Turn(shuts=True), Turn(["first"]), True),
        (Turn(), Turn(["first"], proves=True), True),
        (Turn(), Turn(["first"], "accepted"), True),
        (Turn(), Turn(["first"], anew=True), True),
        (Turn(), Turn(["first"], own=True), True),
    ],
)
async def test_looks_hold_up_only_who_has_to_know_what_came_of_the_calls(first: Turn, turn: Turn, waits: bool) -> None:
    stop, journal = Stop(), Journal()
    log: list[str] = []
    work, check = watched(stop, journal, Tripwire(None, {}, stop))
    work.sources.append(Inline([looked_after("a")]))
    look = check.carry_out

    async def carry_out(slow: Lane, spared: Callable[[Target], str]) -> None:
        await asyncio.sleep(0.05)
        await look(slow, spared)
        log.append("looked")

    check.carry_out = carry_out  # type: ignore[method-assign, assignment]
    other = [LaneWork(lane(log, stop, journal, "other"), [Inline([target("b", "other")])])]
    taken = replace(intake(stop), own=lambda one: turn.own and one.id == "b")
    await execute([StageWork("first", [work], first), StageWork("second", other, turn)], taken)
    assert log.index("looked") == (0 if waits else len(log) - 1)
    assert len(log) == 3


@pytest.mark.parametrize(
    ("verification", "number"), [(Verification.CONFIRMED, 9), (Verification.UNAVAILABLE, 2), (Verification.PENDING, 2)]
)
async def test_a_wave_that_could_not_be_verified_is_the_last(verification: Verification, number: int) -> None:
    stop, journal = Stop(), Journal()
    tripwire = Tripwire(None, {("service", "prod"): 9}, stop, "verified")
    work, _ = watched(stop, journal, tripwire, verification)
    work.waves = (2, None)
    work.sources.append(Inline([looked_after(n) for n in range(9)]))
    await execute([StageWork("only", [work])], replace(intake(stop), tripwire=tripwire))
    called = {one.target.id for one in journal.settled if one.outcome is not Outcome.NOT_ATTEMPTED}
    assert len(called) == number
    assert stop.exit_code == (None if number == 9 else 5)
    if number == 2:
        assert "2 of a wave of 2 did not come out as the plan requires" in (work.lane.halted or "")


@pytest.mark.parametrize("wave", [2, 5])
async def test_a_first_wave_that_is_all_there_is_stops_nothing(wave: int) -> None:
    stop, journal = Stop(), Journal()
    tripwire = Tripwire(None, {("service", "prod"): 2}, stop, "verified")
    work, _ = watched(stop, journal, tripwire, Verification.UNAVAILABLE)
    work.waves = (wave, None)
    work.sources.append(Inline([looked_after(n) for n in range(2)]))
    await execute([StageWork("only", [work])], replace(intake(stop), tripwire=tripwire))
    assert (stop.exit_code, work.lane.halted) == (None, None)


@pytest.mark.parametrize(("told", "number"), [([None], 9), (["", ""], 9), (["", "nobody answers"], 4)])
async def test_since_when_sessions_are_there_is_asked_again_in_a_lane_that_takes_long(
    told: list[str | None], number: int
) -> None:
    stop, journal, now, answers = Stop(), Journal(), [0.0], list(told)

    async def refresh(sources: Sequence[Source]) -> str | None:
        return answers.pop(0) if answers else ""

    work, check = watched(stop, journal, Tripwire(None, {}, stop))
    work.sources.append(Inline(_slowly([looked_after(n) for n in range(9)], now)))
    slow = replace(intake(stop), refresh=refresh, asked=0.0, clock=lambda: now[0])
    await execute([StageWork("only", [work])], slow)
    fared = {one.target.id: (str(one.outcome), one.reason) for one in journal.settled}
    assert sum(outcome == "ended" for outcome, _ in fared.values()) == number
    assert {reason for outcome, reason in fared.values() if outcome == "not_attempted"} <= {"nobody answers"}
    assert len(fared) == 9
    assert sum(map(len, check.looked_at)) == number, "what was called is looked at all the same"


def _slowly(targets: Sequence[Target], now: list[float]) -> Iterable[Target]:
    class Slow:
        """Takes half a minute for each target."""

        def __iter__(self) -> Iterator[Target]:
            for target in targets:
                now[0] += 30.0
                yield target

    return Slow()


async def test_the_deadline_stops_what_is_left() -> None:
    stop, journal = Stop(deadline=100.0), Journal()
    works = [LaneWork(lane([], stop, journal), [Inline([target(n) for n in range(50)])])]
    await execute([StageWork("only", works)], replace(intake(stop), clock=lambda: 200.0))
    assert (stop.reason, stop.exit_code) == ("the deadline has passed", 5)
    assert len(journal.settled) == 50
    assert {one.outcome for one in journal.settled} >= {Outcome.NOT_ATTEMPTED}


async def test_stages_after_a_stop_are_reported_as_not_attempted() -> None:
    stop, journal = Stop(), Journal()
    stop.set("interrupted", 130)
    log: list[str] = []
    stages = [
        StageWork(name, [LaneWork(lane(log, stop, journal), [Inline([target(name, stage=name)])])], Turn(needs))
        for name, needs in (("first", ()), ("second", ("first",)))
    ]
    await execute(stages, intake(stop))
    assert log == []
    assert {(one.target.stage, one.outcome) for one in journal.settled} == {
        ("first", Outcome.NOT_ATTEMPTED),
        ("second", Outcome.NOT_ATTEMPTED),
    }


async def test_a_run_without_a_deadline_ends_when_its_stages_do() -> None:
    async with asyncio.timeout(5):
        assert await execute([], intake(Stop())) == []


def test_a_secret_goes_where_the_run_keeps_it() -> None:
    tripwire = Tripwire(None, {}, Stop())
    memory = RunMemory(Journal(), "a-run", lambda one, secret: f"{one.id}:{secret.reveal()}", tripwire)
    assert memory.hand_over(target("a"), Secret("link")) == "a:link"


# The exit code


def tally(verification: str = "not_requested", /, **counts: int) -> list[Tallied]:
    return [Tallied("service", "prod", outcome, verification, False, number) for outcome, number in counts.items()]


@pytest.mark.parametrize(
    ("counts", "require", "code"),
    [
        ({"ended": 3, "already_ended": 1, "accepted": 2, "denied": 1, "issued": 1}, "accepted", 0),
        ({"ended": 3, "accepted": 1}, "ended", 3),
        ({"ended": 3, "already_ended": 1, "denied": 1, "issued": 1}, "ended", 0),
        ({"ended": 3, "failed": 1}, "accepted", 3),
        ({"ended": 3, "unknown": 1}, "accepted", 3),
        ({"ended": 3, "not_attempted": 1}, "accepted", 3),
        ({"ended": 3, "still_active": 1}, "accepted", 3),
        ({}, "accepted", 6),
    ],
    ids=str,
)
def test_exit_codes(counts: dict[str, int], require: str, code: int) -> None:
    assert exit_code(tally("not_requested", **counts), require, Stop(), failed=False, allow_empty=False) == code


@pytest.mark.parametrize(
    ("verification", "counts", "code"),
    [
        ("confirmed", {"ended": 3, "already_ended": 1}, 0),
        ("unavailable", {"ended": 1}, 3),
        ("not_requested", {"accepted": 1}, 3),
        ("pending", {"ended": 1}, 3),
        ("contradicted", {"still_active": 1}, 3),
        ("not_requested", {"denied": 1, "issued": 1}, 0),
    ],
    ids=str,
)
def test_exit_codes_where_verification_is_required(verification: str, counts: dict[str, int], code: int) -> None:
    found = tally(verification, **counts)
    assert exit_code(found, "verified", Stop(), failed=False, allow_empty=False) == code


def test_a_protected_target_is_good() -> None:
    found = [Tallied("service", "prod", "not_attempted", "not_requested", True, 1)]
    assert exit_code(found, "verified", Stop(), failed=False, allow_empty=False) == 0


def test_nothing_is_all_right_where_the_plan_says_so() -> None:
    assert exit_code([], "accepted", Stop(), failed=False, allow_empty=True) == 0


@pytest.mark.parametrize("counts", [{"ended": 1}, {}])
def test_a_source_that_broke_is_never_green(counts: dict[str, int]) -> None:
    assert exit_code(tally("not_requested", **counts), "accepted", Stop(), failed=True, allow_empty=True) == 3


@pytest.mark.parametrize("code", [5, 130, 143])
def test_why_a_run_stopped_goes_before_how_its_targets_fared(code: int) -> None:
    stop = Stop()
    stop.set("because", code)
    assert exit_code(tally(ended=1, failed=1), "accepted", stop, failed=True, allow_empty=False) == code
