"""What follows the calls of a lane: looked at, ended once more, told; with a clock and sights of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
from lanes import LOST, REFUSED, START, Bench, Service, throttled

from orchestrator.checks import FollowUp, Unseen, Watched
from orchestrator.guards import Tripwire
from orchestrator.memory import RunMemory
from orchestrator.model import Batch, Outcome, Ruling, Settled, Target, Verdict, Verification
from orchestrator.sights import Sight, State
from orchestrator.units import Amount
from orchestrator.verify import Timing, Verifier

LANE = ("some.service", "prod")
ENDED = Ruling(Verdict.ENDED, status=204)


def target(name: str, *, verify: bool = True) -> Target:
    return Target(*LANE, name, {"id": name}, verify=verify)


class Journal:
    """Counts as the journal does, and keeps the last outcome of each target as it does."""

    def __init__(self) -> None:
        self.told: list[Settled] = []
        self.kept: dict[str, Settled] = {}
        self.counts: dict[str, int] = {}

    async def sent(self, run: str, batches: Sequence[Batch]) -> None: ...

    async def flush(self) -> None: ...

    def settle(self, run: str, settled: Sequence[Settled]) -> None:
        self.told += settled
        for one in settled:
            if not (one.outcome is Outcome.NOT_ATTEMPTED and one.target.id in self.kept):
                self.kept[one.target.id] = one
            self.counts[one.stands] = self.counts.get(one.stands, 0) + 1
            if one.instead_of is not None:
                self.counts[one.instead_of] -= 1

    @property
    def fared(self) -> dict[str, tuple[str, str]]:
        return {name: (str(one.outcome), str(one.verification)) for name, one in self.kept.items()}

    @property
    def number(self) -> dict[str, int]:
        return {str(outcome): number for outcome, number in self.counts.items() if number}


class World(Bench):
    """A lane that is watched, in front of sessions that end, or do not, when they are called so often."""

    def __init__(self, *, again: int = 1, allowed: Amount | None = None, twice: bool = False) -> None:
        self.journal = Journal()
        self._services = ["some.service"] if twice else []
        self._allowed = allowed
        super().__init__(Service(ENDED), remembers=lambda bench: self._watched())
        self.tripwire.lanes[LANE] = self.lane
        self.blind: str | None = None
        self.stubborn: dict[str, int] = {}
        self.seen: Callable[[Target], Sight | None] = lambda one: None
        verifier = Verifier(self, Timing(1.0, 4.0), self.stop, self.clock, self.clock)
        self.follow_up = FollowUp(self.watched, verifier, again)

    def _watched(self) -> Watched:
        self.tripwire = Tripwire(self._allowed, {LANE: 10}, self.stop)
        self.kept = RunMemory(self.journal, "run", lambda one, secret: "", self.tripwire, self._services)
        self.watched = Watched(self.kept)
        return self.watched

    async def at(self, targets: Sequence[Target]) -> Mapping[str, Sight]:
        return {one.id: self.seen(one) or self._sight(one.id) for one in targets}

    def _sight(self, name: str) -> Sight:
        called = sum(name in call for call in self.service.calls)
        return Sight(State.ALIVE, "it is on") if called <= self.stubborn.get(name, 0) else Sight(State.GONE)

    async def end(self, *names: str, spared: Callable[[Target], str] = lambda one: "") -> None:
        await self.lane.run(iter([target(name) for name in names]))
        await self.follow_up.carry_out(self.lane, spared)


async def test_until_it_is_looked_at_a_target_is_pending() -> None:
    world = World()
    await world.lane.run(iter([target("a"), target("b", verify=False)]))
    assert world.journal.fared == {"a": ("ended", "pending"), "b": ("ended", "not_requested")}
    assert [one.target.id for one in world.watched.drain()] == ["a"]
    assert world.watched.drain() == []


async def test_what_failed_is_not_looked_at() -> None:
    world = World()
    world.service.answer = lambda batch: REFUSED
    await world.end("a")
    assert world.journal.fared == {"a": ("failed", "not_requested")}


async def test_what_lives_on_is_ended_once_more_and_seen_to_be_gone() -> None:
    world = World()
    world.stubborn = {"b": 1}
    await world.end("a", "b")
    assert world.service.calls == [["a"], ["b"], ["b"]]
    assert world.journal.fared == {"a": ("ended", "confirmed"), "b": ("ended", "confirmed")}
    assert world.journal.number == {"ended": 2}
    assert {name: one.attempts for name, one in world.journal.kept.items()} == {"a": 1, "b": 2}


@pytest.mark.parametrize("again", [0, 1, 3])
async def test_what_lives_on_is_ended_so_often_and_then_told(again: int) -> None:
    world = World(again=again)
    world.stubborn = {"a": 99}
    await world.end("a")
    assert len(world.service.calls) == 1 + again
    assert world.journal.fared == {"a": ("still_active", "contradicted")}
    assert world.journal.number == {"still_active": 1}


async def test_each_ending_is_followed_by_the_lag_and_the_deadline_again() -> None:
    world = World()
    world.stubborn = {"a": 99}
    await world.end("a")
    assert world.clock.now - START >= 2 * (1.0 + 4.0)


# What is on record meanwhile


async def test_nothing_that_lives_is_told_before_it_was_ended_once_more() -> None:
    """With it told, stop_when_failed would stop the run before the second call that ends it."""
    world = World(allowed=Amount(number=0))
    world.stubborn = {str(n): 1 for n in range(5)}
    await world.end(*"01234")
    assert not world.stop.is_set()
    assert world.journal.number == {"ended": 5}
    assert world.tripwire.failed[LANE] == 0


async def test_what_is_about_to_be_ended_again_is_not_on_record_as_ended() -> None:
    world = World()
    world.stubborn = {"a": 1}
    before_the_second_call: list[dict[str, tuple[str, str]]] = []
    world.service.before = lambda: before_the_second_call.append(world.journal.fared)
    await world.end("a")
    assert before_the_second_call == [{}, {"a": ("accepted", "pending")}]


async def test_too_many_that_live_on_after_all_stop_the_run() -> None:
    world = World(allowed=Amount(number=1))
    world.stubborn = {"a": 99, "b": 99}
    await world.end("a", "b", "c")
    assert world.stop.exit_code == 5
    assert world.journal.number == {"still_active": 2, "ended": 1}


async def test_what_is_not_ended_again_because_the_lane_halts_lives_on() -> None:
    world = World()
    world.stubborn = {"a": 99, "b": 99, "c": 99}
    halt = Ruling(Verdict.HALT, "the service is gone", 503)
    world.service.answer = lambda batch: halt if len(world.service.calls) > 3 else ENDED
    world.service.ticks = 0
    await world.end("a", "b", "c")
    assert set(world.journal.fared.values()) == {("still_active", "contradicted")}
    why = sorted(one.reason.partition("it is on); ")[2] for one in world.journal.kept.values())
    assert why[0].startswith("ended again, which failed: the service is gone")
    assert why[1:] == ["it was not ended again: the service is gone"] * 2
    assert world.tripwire.failed[LANE] == 3
    assert sum(world.journal.number.values()) == 3


async def test_a_lane_that_halted_ends_nothing_again_and_what_lives_is_told() -> None:
    world = World()
    world.stubborn = {"a": 99}
    await world.lane.run(iter([target("a")]))
    world.lane.halt("enough")
    await world.follow_up.carry_out(world.lane)
    assert world.journal.fared == {"a": ("still_active", "contradicted")}
    assert len(world.service.calls) == 1


async def test_what_is_spared_by_now_is_told_and_not_called_again() -> None:
    world = World()
    world.stubborn = {"a": 99, "b": 1}
    await world.end("a", "b", spared=lambda one: "protected" if one.id == "a" else "")
    assert world.service.calls == [["a"], ["b"], ["b"]]
    assert world.journal.fared == {"a": ("still_active", "contradicted"), "b": ("ended", "confirmed")}


async def test_a_second_call_without_an_answer_replaces_the_first() -> None:
    world = World()
    world.stubborn = {"a": 99}
    world.service.answer = lambda batch: LOST if len(world.service.calls) > 1 else ENDED
    await world.end("a")
    assert world.journal.fared == {"a": ("still_active", "contradicted")}
    assert world.tripwire.failed[LANE] == 1
    assert world.journal.number == {"still_active": 1}


@pytest.mark.parametrize("gone", [True, False])
async def test_a_second_call_that_is_refused_is_looked_at_too(gone: bool) -> None:
    """That there is no such session is a refusal to some, and the first call may have shown late."""
    world = World()
    world.stubborn = {"a": 1 if gone else 99}
    world.service.answer = lambda batch: REFUSED if len(world.service.calls) > 1 else ENDED
    await world.end("a")
    assert world.journal.fared == {"a": ("ended", "confirmed") if gone else ("still_active", "contradicted")}
    assert "and the session still lives (it is on); ended again, which failed: " in world.journal.kept["a"].reason
    assert world.journal.kept["a"].attempts == 2
    assert world.tripwire.failed[LANE] == (not gone)


async def test_a_call_whose_answer_was_lost_is_looked_at_and_settled_by_what_is_seen() -> None:
    world = World()
    world.service.answer = lambda batch: LOST
    world.stubborn = {"b": 99}
    await world.lane.run(iter([target("a"), target("b"), target("c", verify=False)]))
    assert world.journal.fared["a"] == world.journal.fared["b"] == ("unknown", "pending")
    assert world.tripwire.failed[LANE] == 3
    await world.follow_up.carry_out(world.lane)
    assert world.journal.fared == {
        "a": ("ended", "confirmed"),
        "b": ("still_active", "contradicted"),
        "c": ("unknown", "not_requested"),
    }
    assert world.journal.kept["a"].reason.endswith("; seen to be gone all the same")
    assert "no clear answer is on record, and the session still lives" in world.journal.kept["b"].reason
    assert world.tripwire.failed[LANE] == 2


async def test_what_lives_on_and_was_never_answered_for_is_not_accepted_until_it_is_called_again() -> None:
    world = World()
    world.stubborn = {"a": 3}
    world.service.answer = lambda batch: ENDED if len(world.service.calls) > 3 else LOST
    before: list[tuple[str, str]] = []
    world.service.before = lambda: before.extend(world.journal.fared.values())
    await world.end("a")
    assert before[-1] == ("unknown", "pending")
    assert world.journal.fared == {"a": ("ended", "confirmed")}


async def test_when_the_run_stops_what_was_not_looked_at_stays_pending() -> None:
    world = World()
    await world.lane.run(iter([target("a")]))
    world.stop.set("terminated", 143)
    await world.follow_up.carry_out(world.lane)
    assert world.journal.fared == {"a": ("ended", "pending")}


async def test_what_an_earlier_part_of_the_run_left_is_looked_at_with_the_rest() -> None:
    world = World()
    world.watched.recheck(Settled(target("old"), Outcome.ACCEPTED, verification=Verification.PENDING))
    await world.end("a")
    assert world.journal.fared == {"old": ("ended", "confirmed"), "a": ("ended", "confirmed")}
    assert world.journal.number == {"ended": 2}


# Counted once


async def test_a_target_that_fails_in_both_passes_counts_once() -> None:
    world = World(allowed=Amount(number=1), twice=True)
    world.service.answer = lambda batch: REFUSED
    await world.end("a")
    await world.end("a")
    assert not world.stop.is_set()
    assert (world.tripwire.failed[LANE], world.journal.number) == (1, {"failed": 1})


async def test_a_target_that_ends_in_the_second_pass_did_not_fail() -> None:
    world = World(allowed=Amount(number=1), twice=True)
    world.service.answer = lambda batch: REFUSED if len(world.service.calls) == 1 else ENDED
    await world.end("a")
    await world.end("a")
    assert (world.tripwire.failed[LANE], world.journal.number) == (0, {"ended": 1})


@pytest.mark.parametrize("recalled", [False, True])
async def test_what_was_seen_to_be_gone_is_not_undone_by_a_second_pass_that_fails(recalled: bool) -> None:
    world = World(twice=True)
    if recalled:
        world.kept.recall([(*LANE, "a", "ended"), ("another.service", "prod", "a", "ended")])
    else:
        await world.end("a")
        assert world.journal.fared == {"a": ("ended", "confirmed")}
    world.service.answer = lambda batch: REFUSED
    await world.end("a")
    assert world.journal.fared == {"a": ("ended", "unavailable")}
    assert world.journal.kept["a"].reason.startswith("seen to be gone before; called once more: failed; ")
    assert (world.tripwire.failed[LANE], world.journal.number) == (0, {} if recalled else {"ended": 1})


@pytest.mark.parametrize(("sight", "fared"), [(State.UNCLEAR, "unavailable"), (State.ALIVE, "contradicted")])
async def test_a_second_pass_that_sees_nothing_undoes_nothing_and_one_that_sees_life_does(
    sight: State, fared: str
) -> None:
    world = World(twice=True, again=0)
    await world.end("a")
    world.seen = lambda one: Sight(sight, "what it is")
    await world.end("a")
    assert world.journal.fared == {"a": ("ended" if fared == "unavailable" else "still_active", fared)}


async def test_what_a_second_pass_sees_alive_and_not_again_is_not_called_ended() -> None:
    world = World(twice=True, again=0)
    await world.end("a")
    sights = iter([Sight(State.ALIVE, "it is on")])
    world.seen = lambda one: next(sights, Sight(State.UNCLEAR, "HTTP 500"))
    await world.end("a")
    assert world.journal.fared == {"a": ("accepted", "contradicted")}
    assert world.journal.kept["a"].reason == "seen alive (it is on), and not again: HTTP 500"


async def test_what_the_first_pass_ended_was_not_over_before_the_run() -> None:
    world = World(twice=True)
    await world.end("a")
    world.service.answer = lambda batch: Ruling(Verdict.ABSENT, status=404)
    await world.end("a")
    assert world.journal.fared == {"a": ("ended", "confirmed")}


async def test_what_was_ended_late_by_the_first_of_two_calls_was_not_over_before_the_run() -> None:
    world = World()
    world.stubborn = {"a": 1}
    world.service.answer = lambda batch: Ruling(Verdict.ABSENT) if len(world.service.calls) > 1 else ENDED
    await world.end("a")
    assert world.journal.fared == {"a": ("ended", "confirmed")}


async def test_a_second_pass_that_does_not_come_to_a_target_takes_nothing_back() -> None:
    world = World(twice=True)
    world.service.answer = lambda batch: REFUSED
    await world.end("a")
    world.lane.halt("enough")
    await world.end("a")
    assert (world.tripwire.failed[LANE], world.journal.number) == (1, {"failed": 1})


async def test_throttling_changes_nothing_of_it() -> None:
    world = World()
    world.stubborn = {"a": 1}
    world.service.answer = lambda batch: throttled(1.0) if len(world.service.calls) == 2 else ENDED
    world.seen = lambda one: Sight(State.ALIVE, "it is on") if len(world.service.calls) < 3 else None
    await world.end("a")
    assert world.journal.number == {"ended": 1}


# Where there is no read-back


def test_what_cannot_be_looked_at_is_unavailable() -> None:
    bench = Bench(Service())
    outcomes = [Outcome.ENDED, Outcome.ACCEPTED, Outcome.ALREADY_ENDED, Outcome.FAILED, Outcome.ISSUED]
    Unseen(bench.memory).settle([Settled(target(outcome), outcome) for outcome in outcomes])
    told = {one.outcome: one.verification for one in bench.memory.settled}
    assert {outcome for outcome, said in told.items() if said is Verification.UNAVAILABLE} == set(outcomes[:3])
