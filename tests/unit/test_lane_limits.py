"""What holds a lane back: the service's limit, the journal's intents, the credential."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import replace

import anyio
import pytest
from lanes import ENDED, NEVER_SENT, START, Bench, Memory, Service, Wires, targets, throttled

from orchestrator.backoff import Backoff
from orchestrator.batches import Packing
from orchestrator.intents import AT_ONCE, MOMENT, Intents
from orchestrator.lane import LANE_PAUSE, STUBBORN, Lane
from orchestrator.learning import Learner
from orchestrator.model import Batch, Outcome, Ruling, Verdict
from orchestrator.pacing import AHEAD, SOON, Pacer
from orchestrator.stop import Stop
from orchestrator.units import Rate
from orchestrator.vain import HOPELESS

# Throttling


async def test_a_long_wait_holds_the_whole_lane_back() -> None:
    bench = Bench(Service(throttled(30.0), ENDED), concurrency=1)
    await bench.run(3)
    assert bench.pacer.pauses == [30.0]
    assert bench.pacer.turns == [START, *[START + 30.0] * 3]


@pytest.mark.parametrize("wait", [None, 0.5, LANE_PAUSE])
async def test_a_short_wait_or_none_holds_its_target_back_and_the_lane_learns_from_it(wait: float | None) -> None:
    bench = Bench(Service(throttled(wait), ENDED))
    await bench.run(3)
    assert bench.pacer.pauses == []
    (rest,) = bench.stop.rests
    assert rest >= (wait or 0.0)
    assert bench.pacer.learner.pace is not None
    assert bench.pacer.learner.pace < bench.pacer.per_second


@pytest.mark.parametrize(("refusal", "pauses"), [(throttled(30.0), {30.0}), (throttled(pace=15.0), set())])
async def test_calls_that_were_under_way_when_the_lane_was_told_say_nothing_new(
    refusal: Ruling, pauses: set[float]
) -> None:
    service = Service()
    service.ticks = 50  # so that all four are under way together
    service.answer = lambda batch: refusal if len(service.calls) <= 4 else ENDED
    bench = Bench(service, concurrency=4)
    await bench.run(4)
    assert service.most_open == 4
    assert bench.lane.throttles == 4
    assert set(bench.pacer.pauses) == pauses
    assert bench.pacer.learner.pace is not None
    assert bench.pacer.learner.pace > 0.8 * bench.pacer.per_second


async def test_calls_that_were_under_way_when_a_good_answer_told_the_limit_say_nothing_new_either() -> None:
    service = Service()
    service.ticks = 50
    told = replace(ENDED, pace=15.0)
    service.answer = lambda batch: (
        told if len(service.calls) == 1 else throttled() if len(service.calls) <= 4 else ENDED
    )
    bench = Bench(service, concurrency=4)
    await bench.run(4)
    assert bench.lane.throttles == 3
    assert bench.pacer.per_second == 15.0
    assert bench.pacer.learner.pace is None  # it goes at what was told


@pytest.mark.parametrize("attempts", [1, 3])
async def test_a_throttle_costs_a_target_no_attempt(attempts: int) -> None:
    bench = Bench(Service(*[throttled(1.0)] * 5, ENDED), attempts=attempts, concurrency=1)
    await bench.run(1)
    assert (bench.only.outcome, bench.only.attempts) == (Outcome.ENDED, 6)


async def test_a_lane_that_is_let_through_no_more_gives_up() -> None:
    bench = Bench(Service(throttled()), concurrency=1)
    await bench.run(10)
    assert HOPELESS <= len(bench.service.calls) < 100
    assert bench.lane.halted is not None
    assert "throttled 8 calls in a row" in bench.lane.halted
    tried = len({name for names in bench.service.calls for name in names})
    assert bench.outcomes == Counter({Outcome.FAILED: tried, Outcome.NOT_ATTEMPTED: 10 - tried})


async def test_a_target_that_alone_is_throttled_does_not_hold_the_others_for_ever() -> None:
    service = Service()
    service.answer = lambda batch: throttled(1.0) if batch.targets[0].id == "0" else ENDED
    bench = Bench(service, concurrency=1)
    await bench.run(200)
    assert bench.outcomes == Counter({Outcome.ENDED: 199, Outcome.FAILED: 1})


async def test_a_wait_that_comes_with_a_retry_is_not_the_lanes() -> None:
    bench = Bench(Service(Ruling(Verdict.RETRY, "busy", 409, wait=30.0), ENDED))
    await bench.run(2)
    assert bench.pacer.pauses == []
    assert bench.stop.rests[0] >= 30.0


async def test_a_service_that_is_not_available_for_a_while_holds_the_whole_lane_back() -> None:
    """A 503 that names a time is how some services throttle; thirty more calls went, and it counted as let through."""
    bench = Bench(Service(Ruling(Verdict.RETRY, "busy", 503, wait=30.0), ENDED), concurrency=1)
    await bench.run(3)
    assert bench.pacer.pauses == [30.0]
    assert bench.pacer.turns == [START, *[START + 30.0] * 3]
    assert bench.lane.throttles == 1


async def test_a_pace_that_a_refusal_names_slows_the_lane_and_never_speeds_it_up() -> None:
    bench = Bench(Service(throttled(pace=5.0), throttled(pace=50.0), ENDED), concurrency=1)
    await bench.run(1)
    assert bench.pacer.per_second == 5.0
    assert bench.lane.throttles == 2


@pytest.mark.parametrize(
    ("said", "pace"),
    [
        pytest.param([5.0, 5.0, 12.0, 12.0], 12.0, id="it was raised"),
        pytest.param([5.0, 5.0, 12.0], 5.0, id="not at once: another node may say less"),
        pytest.param([5.0, 12.0, 5.0, 12.0, 5.0, 12.0], 5.0, id="another node does"),
        pytest.param([5.0, 300.0, 300.0, 300.0], 20.0, id="never above the rate"),
        pytest.param([12.0, 5.0, 12.0, 12.0, 5.0], 5.0, id="it was lowered again"),
        pytest.param([12.0, -5.0, 12.0, 12.0], 5.0, id="a refusal named another limit, which holds"),
        pytest.param([12.0, -5.0, 11.0, 12.0, 12.0], 5.0, id="also where the other one rises"),
        pytest.param([-5.0, 12.0, 12.0, 12.0], 5.0, id="it was not less before"),
        pytest.param([-5.0, 5.0, 12.0, 12.0], 12.0, id="a refusal named it first"),
        pytest.param([5.0, -5.0, 12.0, 12.0], 12.0, id="a refusal named it too"),
    ],
)
async def test_the_lane_follows_a_limit_that_good_answers_announce(said: list[float], pace: float) -> None:
    """Below zero it is a refusal that says so."""
    rulings = [throttled(pace=-one) if one < 0 else replace(ENDED, pace=one) for one in said]
    bench = Bench(Service(*rulings), concurrency=1)
    bench.service.before = lambda: setattr(bench.clock, "now", bench.clock.now + 1)
    await bench.run(sum(one > 0 for one in said))
    assert bench.pacer.per_second == pace
    assert bench.pacer.pace_now <= pace


async def test_an_answer_of_a_call_before_the_limit_was_lowered_raises_nothing() -> None:
    service = Service(*(replace(ENDED, pace=one) for one in (12.0, 5.0, 12.0)))
    service.ticks = 50  # so that all are under way together
    bench = Bench(service, concurrency=4)
    await bench.run(3)
    assert bench.pacer.per_second == 5.0


async def test_a_wait_past_the_deadline_ends_the_lane() -> None:
    bench = Bench(Service(throttled(30.0)), deadline=20.0, concurrency=1)
    await bench.run(50)
    assert len(bench.service.calls) == 1
    assert bench.lane.halted is not None
    assert "past the deadline" in bench.lane.halted
    assert bench.outcomes == Counter({Outcome.FAILED: 1, Outcome.NOT_ATTEMPTED: 49})


@pytest.mark.parametrize(
    ("first", "rate"),
    [
        pytest.param([], 1000, id="at once"),
        pytest.param([600.0], 1000, id="while others wait for the end of a pause"),
        pytest.param([], 4, id="while others wait for their turn"),
    ],
)
async def test_a_lane_that_halts_waits_for_nothing(first: list[float], rate: int) -> None:
    stop = Stop()
    service = Service(*map(throttled, first), throttled(40_000.0))
    memory = Memory()
    made = Lane(
        "some.service",
        "prod",
        service,
        Pacer((Rate(rate, 1),)),
        memory,
        stop,
        packing=Packing(),
        numbers=itertools.count(1),
        concurrency=3,
        backoff=Backoff(600.0, 600.0, lambda low, high: high),
    )
    with anyio.fail_after(5):
        await made.run(iter(targets(range(100))))
    assert made.halted is not None
    assert "used up" in made.halted
    assert len(memory.settled) == 100
    assert len(service.calls) <= 3


async def test_a_lane_that_is_halted_waits_for_no_turn() -> None:
    service = Service(Ruling(Verdict.HALT, "no more", 403))
    turns: list[None] = []

    def turn() -> AbstractAsyncContextManager[None]:
        turns.append(None)
        return nullcontext()

    service.turn = turn  # type: ignore[method-assign]
    bench = Bench(service, concurrency=1)
    await bench.run(50)
    assert len(turns) == 1


async def test_a_lane_that_is_halted_asks_for_no_credential() -> None:
    bench = Bench(Service(Ruling(Verdict.HALT, "no more", 403)), concurrency=1)
    bench.service.before = lambda: setattr(bench.service, "ready", False)
    await bench.run(50)
    assert bench.service.obtained == 0
    assert bench.outcomes == Counter({Outcome.FAILED: 1, Outcome.NOT_ATTEMPTED: 49})


def told(left: int, wait: float) -> Ruling:
    """Return an answer that is good, and says how many calls are left until when."""
    return Ruling(Verdict.ENDED, status=204, left=left, wait=wait)


async def test_a_lane_waits_for_a_limit_that_is_used_up_before_it_is_refused() -> None:
    bench = Bench(Service(told(1, 40.0), told(0, 30.0), ENDED), concurrency=1)
    await bench.run(4)
    assert bench.outcomes == Counter({Outcome.ENDED: 4})
    assert (bench.pacer.pauses, bench.lane.throttles) == ([30.0], 0)


async def test_what_is_under_way_takes_from_what_is_left() -> None:
    service = Service()
    service.ticks = 50  # so that all four are under way together
    service.answer = lambda batch: told(3, 30.0) if len(service.calls) == 1 else ENDED
    bench = Bench(service, concurrency=4)
    await bench.run(8)
    assert bench.pacer.pauses == [30.0]


async def test_a_limit_that_is_used_up_for_a_moment_holds_nobody_back() -> None:
    bench = Bench(Service(told(0, LANE_PAUSE)))
    await bench.run(4)
    assert bench.pacer.pauses == []


async def test_a_limit_that_is_used_up_for_hours_ends_the_lane_and_says_so() -> None:
    bench = Bench(Service(told(0, 40_000.0)), concurrency=1)
    await bench.run(10)
    assert bench.lane.halted == "the service's limit is used up, for another 11.1 hours"
    assert bench.outcomes == Counter({Outcome.ENDED: 1, Outcome.NOT_ATTEMPTED: 9})


@pytest.mark.parametrize(("wait", "deadline"), [(40_000.0, None), (3000.0, 2700.0)])
async def test_a_limit_that_the_last_call_used_up_is_nobody_s_affair(wait: float, deadline: float | None) -> None:
    bench = Bench(Service(ENDED, told(0, wait)), concurrency=2, deadline=deadline)
    await bench.run(2)
    assert bench.outcomes == Counter({Outcome.ENDED: 2})
    assert (bench.lane.halted, bench.stop.exit_code) == (None, None)


async def test_a_limit_that_is_used_up_ends_the_wait_of_who_has_its_turn_before_it() -> None:
    """Nobody else comes along who would see that the pause is too long."""
    stop, memory, service = Stop(), Memory(), Service(told(0, 40_000.0))
    pacer = Pacer((Rate(4, 1),))
    made = Lane("s", "prod", service, pacer, memory, stop, packing=Packing(), numbers=itertools.count(1), concurrency=2)
    with anyio.fail_after(5):
        await made.run(iter(targets(range(2))))
    assert [one.outcome for one in memory.settled] == [Outcome.ENDED, Outcome.NOT_ATTEMPTED]


async def test_a_pause_that_another_lane_at_the_same_pacer_made_is_not_waited_for_in_vain() -> None:
    stop, memory, pacer = Stop(), Memory(), Pacer((Rate(4, 1),))
    made = [
        Lane("s", "prod", one, pacer, memory, stop, packing=Packing(), numbers=itertools.count(1), concurrency=1)
        for one in (Service(told(0, 40_000.0)), Service(ENDED))
    ]
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for lane in made:
                group.start_soon(lane.run, iter(targets(range(1))))
    assert Counter(one.outcome for one in memory.settled) == {Outcome.ENDED: 1, Outcome.NOT_ATTEMPTED: 1}
    assert [lane.halted is not None for lane in made] == [False, True]


async def test_a_pace_that_a_good_answer_tells_is_kept() -> None:
    bench = Bench(Service(Ruling(Verdict.ENDED, status=204, pace=4.0)), concurrency=1)
    await bench.run(3)
    assert bench.pacer.per_second == 4.0
    assert bench.outcomes == Counter({Outcome.ENDED: 3})


async def test_a_lane_that_learned_a_limit_sees_its_end_come() -> None:
    service = Service()
    bench = Bench(service, concurrency=1)
    bench.pacer.learner.estimate = bench.pacer.learner.pace = 20.0
    seen: list[tuple[int, bool]] = []
    service.before = lambda: seen.append((len(service.calls), bench.pacer.learner.ending))
    await bench.run(60)
    assert bench.outcomes == Counter({Outcome.ENDED: 60})
    endings = [number for number, ending in seen if ending]
    assert endings == list(range(endings[0], 61))
    assert 0 < 60 - endings[0] <= AHEAD * 20


async def test_a_lane_whose_service_was_never_reached_gives_up_after_a_while() -> None:
    """Each target was tried five times: 10,000 of them took an hour."""
    bench = Bench(Service(NEVER_SENT), concurrency=1)
    await bench.run(500)
    assert bench.lane.halted == "nobody was reached in 60 s (last: could not connect)"
    assert HOPELESS <= len(bench.service.calls) < 100
    assert set(bench.outcomes) == {Outcome.FAILED, Outcome.NOT_ATTEMPTED}


async def test_a_lane_whose_service_was_reached_goes_on_after_an_outage() -> None:
    bench = Bench(Service(ENDED, NEVER_SENT), concurrency=1)
    await bench.run(50)
    assert bench.lane.halted is None
    assert bench.outcomes == Counter({Outcome.FAILED: 49, Outcome.ENDED: 1})


async def test_the_time_between_two_waves_of_a_lane_says_nothing_of_its_service() -> None:
    service = Service()
    bench = Bench(service, concurrency=1)
    bench.pacer.learner = Learner(20.0, start=20.0)

    def tenth() -> None:
        bench.clock.now += 0.1

    service.before = tenth
    for wave in range(3):
        await bench.lane.run(iter(targets(range(10 * wave, 10 * wave + 10))))
        bench.clock.now += 600
    assert bench.pacer.learner.learned == pytest.approx(10, rel=0.15)


# Intents


@pytest.mark.parametrize("size", [1, 50])
def test_few_left_is_seen_without_reading_all(size: int) -> None:
    drawn = 0

    def batches() -> Iterator[Batch]:
        nonlocal drawn
        for number in range(100):
            drawn += 1
            yield Batch(tuple(targets(range(size))), number)

    intents = Intents(batches(), Memory().sent)
    assert not intents.few(10)
    assert drawn == 11
    assert [intents.take().number for _ in range(95)] == list(range(95))  # type: ignore[union-attr]
    assert intents.few(10)
    assert [batch.number for batch in intents.unused()] == [95, 96, 97, 98, 99]
    assert not Intents(batches(), Memory().sent).few(0)
    assert Intents(iter(()), Memory().sent).few(0)


def test_of_large_batches_few_are_read_ahead() -> None:
    batches = (Batch(tuple(targets(range(400))), number) for number in range(100))
    intents = Intents(batches, Memory().sent)
    assert not intents.few(1000)
    assert not intents.few(1000)
    assert len(next(batches).targets) == 400
    assert sum(len(batch.targets) for batch in intents.unused()) <= AT_ONCE + 400


@pytest.mark.parametrize(("rate", "groups"), [(1, 200), (400, 10)])
async def test_every_call_is_announced_before_it_is_made(rate: int, groups: int) -> None:
    bench = Bench(Service(), concurrency=1)
    bench.pacer.per_second = rate
    waiting: list[int] = []

    def look() -> None:
        announced = {name for names in bench.memory.announced for name in names}
        assert set(bench.service.calls[-1]) <= announced
        waiting.append(len(announced) - len(bench.service.calls))

    bench.service.before = look
    await bench.run(200)
    assert len(bench.memory.announced) <= groups
    assert max(waiting) <= rate * MOMENT  # a crash leaves no more in doubt that were never sent


async def test_large_calls_are_not_announced_by_the_ten_thousand() -> None:
    bench = Bench(Service(), size=100, concurrency=2)
    bench.pacer.per_second = 1000
    waiting: list[int] = []
    bench.service.before = lambda: waiting.append(
        sum(map(len, bench.memory.announced)) - sum(map(len, bench.service.calls))
    )
    await bench.run(10_000)
    assert max(waiting) <= AT_ONCE + 100 * 12  # and what the twelve workers have in their hands
    assert 10_000 / AT_ONCE <= len(bench.memory.announced) <= 50  # and yet there are fewer commits than calls


async def test_an_intent_that_is_not_on_disk_yet_lets_none_of_its_calls_go() -> None:
    bench = Bench(Service(), concurrency=3)
    bench.pacer.per_second = 400
    durable: set[str] = set()

    async def sent(batches: Sequence[Batch]) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        durable.update(target.id for batch in batches for target in batch.targets)

    def look() -> None:
        assert set(bench.service.calls[-1]) <= durable

    bench.memory.sent = sent  # type: ignore[method-assign]
    bench.service.before = look
    await bench.run(200)
    assert len(bench.service.calls) == 200


async def test_a_lane_that_is_cut_off_leaves_open_only_what_it_was_calling() -> None:
    bench = Bench(Service(), concurrency=2)
    bench.pacer.per_second = 400
    never = asyncio.Event()
    call = bench.service.call

    async def hang(batch: Batch) -> Ruling:
        if len(bench.service.calls) >= 5:
            bench.service.calls.append([target.id for target in batch.targets])
            bench.stop.set("interrupted", 130)
            await never.wait()
        return await call(batch)

    bench.service.call = hang  # type: ignore[method-assign]
    running = asyncio.create_task(bench.lane.run(iter(targets(range(50)))))
    while len(bench.service.calls) < 6:  # noqa: ASYNC110
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    announced = {name for names in bench.memory.announced for name in names}
    settled = {one.target.id for one in bench.memory.settled}
    called = {name for names in bench.service.calls for name in names}
    open_calls = announced - settled
    assert 1 <= len(open_calls) <= 2
    assert open_calls <= called
    assert {one.outcome for one in bench.memory.settled if one.target.id not in called} == {Outcome.NOT_ATTEMPTED}


async def test_what_must_not_be_repeated_is_announced_one_by_one_just_before_the_call() -> None:
    bench = Bench(Service(idempotent=False), concurrency=1)
    waiting: list[int] = []

    def look() -> None:
        announced = sum(len(names) for names in bench.memory.announced)
        waiting.append(announced - len(bench.service.calls))

    bench.service.before = look
    await bench.run(50)
    assert waiting == [0] * 50
    assert all(len(names) == 1 for names in bench.memory.announced)


async def test_what_must_not_be_repeated_is_announced_once_however_often_it_is_throttled() -> None:
    bench = Bench(Service(throttled(), throttled(), ENDED, idempotent=False))
    await bench.run(1)
    assert bench.memory.announced == [["0"]]


async def test_a_target_that_is_refused_again_and_again_slows_no_others_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """One in fifty had a limit of its own: the lane fell from 100 to 12 calls a second."""
    counted: list[float] = []
    monkeypatch.setattr(Learner, "refused", lambda self, began, now: counted.append(now))
    service = Service()
    hot = ["0"]
    service.answer = lambda batch: throttled() if service.calls[-1] == hot and service.calls.count(hot) < 9 else ENDED
    bench = Bench(service, concurrency=1)
    await bench.run(200)
    assert service.calls.count(hot) == 9
    assert len(counted) <= STUBBORN


# The connection for a call


def paced(service: Service, rate: float, concurrency: int, stop: Stop | None = None) -> Lane:
    """Return a lane that goes at a rate, in real time."""
    return Lane(
        "some.service",
        "prod",
        service,
        Pacer((Rate(rate, 1),)),
        Memory(),
        stop or Stop(),
        packing=Packing(),
        numbers=itertools.count(1),
        concurrency=concurrency,
        lines=Wires(service),
    )


class Kept:
    """A connection that is kept; it notes what happened to it."""

    def __init__(self, noted: list[str]) -> None:
        self._noted = noted

    def free(self) -> None:
        self._noted.append("freed")


async def test_a_call_has_its_connection_when_its_turn_comes_and_is_made_on_it() -> None:
    """Over TLS the first call of each slot came late, and those after it on time: 116 in a second at 100/s."""
    noted: list[str] = []
    service = Service()
    service.dialled = Kept(noted)
    bench = Bench(service, concurrency=1)

    async def dial() -> None:
        noted.append(f"dialled before turn {len(bench.pacer.turns)}")

    service.dialling = dial
    service.before = lambda: noted.append(f"called after turn {len(bench.pacer.turns)}")
    await bench.run(2)
    assert noted == [
        *("dialled before turn 0", "freed", "called after turn 1"),
        *("dialled before turn 1", "freed", "called after turn 2"),
    ]


async def test_a_connection_that_is_there_is_taken() -> None:
    noted: list[str] = []
    service = Service()
    service.next_line = Kept(noted)

    async def dial() -> None:
        noted.append("dialled")

    service.dialling = dial
    await Bench(service, concurrency=1).run(2)
    assert noted == ["freed", "freed"]


async def test_a_call_that_has_its_turn_later_makes_its_connection_then() -> None:
    """Servers close a connection that is not used for some seconds."""
    noted: list[str] = []
    bench = Bench(Service(), concurrency=1)
    bench.service.next_line = Kept(noted)
    bench.pacer.heed(0.9 / SOON)
    await bench.run(2)
    assert noted == []


@pytest.mark.parametrize(("rate", "seconds", "kept"), [(20.0, 0.0, 1), (20.0, 0.06, 3)])
async def test_as_many_connections_are_kept_as_calls_have_their_turn_while_one_is_made(
    rate: float, seconds: float, kept: int
) -> None:
    """Each slot had one: what a server of four workers serves, or one that closes what is idle, was held up or lost."""
    holding = most = 0

    class One(Kept):
        def free(self) -> None:
            nonlocal holding
            holding -= 1

    async def dial() -> None:
        nonlocal holding, most
        await asyncio.sleep(seconds)
        holding += 1
        most = max(most, holding)

    service = Service()
    service.dialling, service.dialled = dial, One([])
    await paced(service, rate, 4).run(iter(targets(range(12))))
    assert most == kept
    assert holding == 0


@pytest.mark.parametrize("how", ["stopped", "cut off"])
async def test_a_connection_whose_call_has_no_turn_is_free_for_another(how: str) -> None:
    noted: list[str] = []
    service, stop = Service(), Stop()
    service.next_line = Kept(noted)
    made = paced(service, 1, 3, stop)
    running = asyncio.create_task(made.run(iter(targets(range(9)))))
    while len(service.calls) < 1:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    if how == "stopped":
        stop.set("interrupted", 130)
    else:
        running.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.wait_for(running, 2)
    assert len(service.calls) == 1
    assert noted == ["freed", "freed"]  # the one that was called, and the one that had no turn


async def test_a_reason_to_stop_is_not_kept_waiting_by_a_connection() -> None:
    service = Service()
    service.dialling = anyio.sleep_forever
    bench = Bench(service, concurrency=2)
    running = asyncio.create_task(bench.run(3))
    await asyncio.sleep(0.01)
    bench.stop.set("interrupted", 130)
    await asyncio.wait_for(running, 2)
    assert service.calls == []


async def test_once_there_is_a_reason_to_stop_no_connection_is_made() -> None:
    service = Service()
    dialled: list[int] = []

    async def dial() -> None:
        dialled.append(1)

    service.dialling = dial
    bench = Bench(service, concurrency=1)
    service.unready, service.ready = [None], False
    service.obtaining = asyncio.Event()
    running = asyncio.create_task(bench.run(3))
    while not service.obtained:  # noqa: ASYNC110
        await asyncio.sleep(0)
    bench.stop.set("interrupted", 130)
    await running
    assert dialled == []


async def test_after_a_pause_connections_are_made_anew() -> None:
    """Those that were kept are too old by then: made at each turn, calls arrived late, and 108 in a second at 100/s."""
    noted: list[str] = []
    service = Service()
    service.next_line = Kept(noted)
    made = paced(service, 20, 3)
    service.answer = lambda batch: throttled(2.1) if len(service.calls) == 1 else ENDED
    running = asyncio.create_task(made.run(iter(targets(range(4)))))
    await asyncio.sleep(1.0)
    assert noted.count("freed") == 3  # and now none is kept
    assert len(service.calls) == 1
    await asyncio.wait_for(running, 5)
    assert len(service.calls) == 5


# The credential


async def test_a_credential_is_got_before_the_turn_is_taken() -> None:
    bench = Bench(Service(ENDED))
    bench.service.ready = False
    await bench.run(3)
    assert bench.outcomes == Counter({Outcome.ENDED: 3})
    assert 1 <= bench.service.obtained <= 2


async def test_a_stop_while_the_credential_is_got_ends_at_once_and_sends_nothing() -> None:
    bench = Bench(Service(ENDED), concurrency=1)
    bench.service.ready = False
    bench.service.obtaining = asyncio.Event()  # never set: a login that hangs

    async def interrupt() -> None:
        while not bench.service.obtained:  # noqa: ASYNC110  there is no event for it
            await asyncio.sleep(0)
        bench.stop.set("interrupted", 130)

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(interrupt())
        group.create_task(bench.run(3))
    assert bench.service.calls == bench.memory.announced == []
    assert bench.outcomes == Counter({Outcome.NOT_ATTEMPTED: 3})
    assert {(one.reason, one.attempts, one.first_sent) for one in bench.memory.settled} == {("interrupted", 0, None)}


async def test_a_credential_that_is_refused_before_anything_was_sent_leaves_every_target_not_attempted() -> None:
    bench = Bench(Service(ENDED), concurrency=1)
    bench.service.ready = False
    bench.service.unready = [Ruling(Verdict.HALT, "the password is wrong")]
    await bench.run(5)
    assert bench.service.calls == []
    assert bench.outcomes == Counter({Outcome.NOT_ATTEMPTED: 5})
    assert {one.reason for one in bench.memory.settled} == {"the password is wrong"}


async def test_a_credential_that_cannot_be_had_for_now_is_asked_for_again() -> None:
    bench = Bench(Service(ENDED), concurrency=1)
    bench.service.ready = False
    bench.service.unready = [Ruling(Verdict.RETRY, "IAM does not answer")] * 2
    await bench.run(1)
    assert (bench.only.outcome, bench.only.attempts) == (Outcome.ENDED, 1)
    assert bench.stop.rests == [1.0, 2.0]


async def test_without_a_credential_nothing_was_attempted() -> None:
    bench = Bench(Service(ENDED), concurrency=1)
    bench.service.ready = False
    bench.service.unready = [Ruling(Verdict.RETRY, "IAM does not answer")] * 9
    await bench.run(1)
    assert (bench.only.outcome, bench.only.reason) == (Outcome.NOT_ATTEMPTED, "IAM does not answer")


async def test_a_renewed_credential_costs_no_attempt() -> None:
    bench = Bench(Service(Ruling(Verdict.REAUTH, "expired", 401), ENDED), attempts=1)
    await bench.run(1)
    assert (bench.only.outcome, bench.only.attempts, bench.stop.rests) == (Outcome.ENDED, 2, [])


async def test_a_target_that_is_never_let_in_is_given_up() -> None:
    bench = Bench(Service(Ruling(Verdict.REAUTH, "expired", 401)), attempts=2)
    await bench.run(1)
    assert (bench.only.outcome, bench.only.attempts) == (Outcome.FAILED, 3)


async def test_the_next_intents_are_written_while_calls_that_have_theirs_go_on() -> None:
    held = asyncio.Event()
    groups: list[list[int]] = []

    async def sent(batches: Sequence[Batch]) -> None:
        groups.append([batch.number for batch in batches])
        if len(groups) == 2:
            await held.wait()

    intents = Intents((Batch([target], number) for number, target in enumerate(targets(range(100)))), sent)
    announced = []
    for _ in range(20):
        batch = intents.take()
        assert batch is not None
        announcing = asyncio.create_task(intents.announce(batch, 10 / MOMENT))
        await asyncio.sleep(0)
        announced.append(announcing.done())
    assert groups == [list(range(10)), list(range(10, 19))]
    assert [number for number in range(10) if not announced[number]] == [8]  # which saw that few were left
    assert not any(announced[10:])  # these wait until their own are on disk
    held.set()
    await asyncio.sleep(0.001)
    assert sorted(itertools.chain(*groups))[:20] == list(range(20))
    assert len(set(itertools.chain(*groups))) == sum(map(len, groups))  # none twice
