"""What a lane does with one batch: calls, rests, retries, splits, hands over, stops."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable

import anyio
import pytest
from lanes import BUSY, ENDED, LOST, NEVER_SENT, REFUSED, SPLIT, START, Bench, Service, targets, throttled

from orchestrator.lane import LEFT_TOGETHER
from orchestrator.model import Batch, Outcome, Ruling, Secret, Verdict
from orchestrator.slots import AT_FIRST
from orchestrator.vain import HOPELESS

# Retries


async def test_one_call_one_outcome() -> None:
    bench = Bench(Service(ENDED))
    await bench.run(1)
    assert bench.service.calls == [["0"]]
    assert (bench.only.outcome, bench.only.attempts, bench.only.batch) == (Outcome.ENDED, 1, 1)
    assert (bench.only.first_sent, bench.only.settled) == (START, START)
    assert bench.stop.rests == []


async def test_what_is_busy_is_tried_again_after_a_growing_rest() -> None:
    bench = Bench(Service(BUSY, BUSY, ENDED))
    await bench.run(1)
    assert (bench.only.outcome, bench.only.attempts) == (Outcome.ENDED, 3)
    assert bench.stop.rests == [1.0, 2.0]
    assert (bench.only.first_sent, bench.only.settled) == (START, START + 3.0)


@pytest.mark.parametrize("attempts", [1, 2, 5])
async def test_attempts_are_bounded(attempts: int) -> None:
    bench = Bench(Service(BUSY), attempts=attempts)
    await bench.run(1)
    assert len(bench.service.calls) == attempts == bench.only.attempts
    assert (bench.only.outcome, bench.only.http_status) == (Outcome.FAILED, 503)
    assert len(bench.stop.rests) == attempts - 1


async def test_what_is_refused_is_not_tried_again() -> None:
    bench = Bench(Service(REFUSED))
    await bench.run(1)
    assert len(bench.service.calls) == 1
    assert (bench.only.outcome, bench.only.reason) == (Outcome.FAILED, "refused")


async def test_what_got_no_answer_is_unknown_and_not_failed() -> None:
    bench = Bench(Service(LOST))
    await bench.run(1)
    assert (bench.only.outcome, bench.only.attempts) == (Outcome.UNKNOWN, 3)


async def test_a_refusal_after_a_lost_answer_is_unknown() -> None:
    bench = Bench(Service(LOST, REFUSED))
    await bench.run(1)
    assert (bench.only.outcome, bench.only.attempts) == (Outcome.UNKNOWN, 2)
    assert "may have ended it" in bench.only.reason


async def test_what_never_left_is_failed() -> None:
    bench = Bench(Service(NEVER_SENT))
    await bench.run(1)
    assert (bench.only.outcome, bench.only.attempts) == (Outcome.FAILED, 3)


@pytest.mark.parametrize(
    ("ruling", "outcome", "calls"),
    [
        pytest.param(LOST, Outcome.UNKNOWN, 1, id="lost"),
        pytest.param(BUSY, Outcome.UNKNOWN, 1, id="500s-leave-it-open"),
        pytest.param(REFUSED, Outcome.FAILED, 1, id="refused"),
        pytest.param(NEVER_SENT, Outcome.FAILED, 3, id="never-sent"),
        pytest.param(throttled(), Outcome.FAILED, HOPELESS + 1, id="throttled"),
        pytest.param(Ruling(Verdict.RETRY, "conflict", 409), Outcome.FAILED, 3, id="refused-for-now"),
    ],
)
async def test_a_call_that_must_not_be_repeated(ruling: Ruling, outcome: Outcome, calls: int) -> None:
    bench = Bench(Service(ruling, idempotent=False))
    await bench.run(1)
    assert (bench.only.outcome, len(bench.service.calls)) == (outcome, calls)


# Rests hold nothing


async def test_no_slot_is_held_while_resting() -> None:
    service = Service()
    service.answer = lambda batch: BUSY if batch.targets[0].id == "0" and len(service.calls) == 1 else ENDED
    bench = Bench(service, concurrency=1)
    resting = asyncio.Event()

    async def rest(seconds: float) -> bool:
        while len(service.calls) < 4:  # noqa: ASYNC110  every other target goes first, through the only slot
            await asyncio.sleep(0)
        resting.set()
        return True

    bench.stop.rest = rest  # type: ignore[method-assign]
    async with asyncio.timeout(5):
        await bench.run(4)
    assert resting.is_set()
    assert service.calls[-1] == ["0"]
    assert bench.outcomes == Counter({Outcome.ENDED: 4})


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_no_more_calls_at_a_time_than_slots(concurrency: int) -> None:
    bench = Bench(Service(), concurrency=concurrency)
    bench.service.ticks = 10
    await bench.run(30)
    assert bench.service.most_open == concurrency


async def test_until_a_call_came_back_few_are_under_way() -> None:
    bench = Bench(Service(), concurrency=100)
    bench.service.ticks = 1000
    open_before: list[int] = []
    bench.service.before = lambda: open_before.append(bench.service.open)
    await bench.run(300)
    assert open_before[:AT_FIRST] == list(range(AT_FIRST))
    assert open_before[AT_FIRST] < AT_FIRST
    assert bench.service.most_open == 100


async def test_a_turn_is_taken_for_every_attempt() -> None:
    bench = Bench(Service(BUSY))
    await bench.run(2)
    assert len(bench.pacer.turns) == len(bench.service.calls) == 6


# Stopping


async def test_no_rest_goes_past_the_deadline() -> None:
    bench = Bench(Service(BUSY), attempts=10, deadline=5.0)
    await bench.run(1)
    assert bench.stop.rests == [1.0, 2.0]  # the next would be 4 s
    assert (bench.only.outcome, bench.only.http_status) == (Outcome.FAILED, 503)
    assert bench.only.reason == "not tried again: the next attempt would be past the deadline (last: busy (HTTP 503))"


async def test_a_stop_lets_calls_in_flight_finish_and_none_begin() -> None:
    bench = Bench(Service(ENDED), concurrency=2)
    bench.service.before = lambda: bench.stop.set("interrupted", 130) if len(bench.service.calls) == 5 else None
    await bench.run(2000)
    ended = bench.outcomes[Outcome.ENDED]
    assert ended == len(bench.service.calls)
    assert 5 <= ended <= 6
    left = [one for one in bench.memory.settled if one.outcome is not Outcome.ENDED]
    assert {(one.outcome, one.reason, one.attempts, one.first_sent) for one in left} == {
        (Outcome.NOT_ATTEMPTED, "interrupted", 0, None)
    }
    assert bench.memory.flushes >= 1900 // LEFT_TOGETHER  # what is left is not piled up in memory


async def test_who_is_cut_off_while_the_journal_catches_up_leaves_everything_once() -> None:
    bench = Bench(Service(), concurrency=1)
    bench.stop.set("interrupted", 130)
    bench.memory.flush = asyncio.Event().wait  # type: ignore[assignment,method-assign]
    with anyio.move_on_after(0.05) as scope:
        await bench.run(LEFT_TOGETHER + 10)
    assert scope.cancelled_caught
    assert len({one.target.id for one in bench.memory.settled}) == len(bench.memory.settled) >= LEFT_TOGETHER


@pytest.mark.parametrize(("ruling", "outcome"), [(BUSY, Outcome.FAILED), (LOST, Outcome.UNKNOWN)])
async def test_a_stop_during_a_rest(ruling: Ruling, outcome: Outcome) -> None:
    bench = Bench(Service(ruling))
    bench.stop.during = lambda: bench.stop.set("interrupted", 130)
    await bench.run(1)
    assert len(bench.service.calls) == 1
    assert bench.only.outcome is outcome
    assert "not tried again: interrupted" in bench.only.reason


async def test_nothing_begins_in_a_run_that_is_stopped_already() -> None:
    bench = Bench(Service())
    bench.stop.set("interrupted", 130)
    await bench.run(10)
    assert bench.service.calls == bench.memory.announced == []
    assert bench.outcomes == Counter({Outcome.NOT_ATTEMPTED: 10})


async def test_a_halt_ends_the_lane_with_the_services_reason() -> None:
    halt = Ruling(Verdict.HALT, "there is no such API here", 404, "APIGW.0101")
    bench = Bench(Service(ENDED, halt), concurrency=1)
    await bench.run(100)
    assert len(bench.service.calls) == 2
    assert bench.lane.halted == "there is no such API here"
    assert bench.outcomes == Counter({Outcome.ENDED: 1, Outcome.FAILED: 1, Outcome.NOT_ATTEMPTED: 98})
    left = [one.reason for one in bench.memory.settled if one.outcome is Outcome.NOT_ATTEMPTED]
    assert set(left) == {"there is no such API here"}
    assert not bench.stop.is_set()  # other lanes go on


async def test_the_first_reason_for_a_halt_stays() -> None:
    bench = Bench(Service())
    bench.lane.halt("first")
    bench.lane.halt("second")
    assert bench.lane.closed == "first"


async def test_a_credential_that_is_refused_elsewhere_ends_this_lane_too() -> None:
    bench = Bench(Service())
    bench.service.refuse("wrong key")
    await bench.run(10)
    assert bench.service.calls == []
    assert {one.reason for one in bench.memory.settled} == {"wrong key"}
    assert bench.lane.halted == "wrong key"


async def test_a_credential_that_is_refused_when_all_is_done_stopped_nothing() -> None:
    bench = Bench(Service())
    await bench.run(3)
    bench.service.refuse("wrong key")
    assert bench.lane.closed == "wrong key"
    assert bench.lane.halted is None


# Batches


def refuses(*bad: int) -> Callable[[Batch], Ruling]:
    names = {str(number) for number in bad}

    def answer(batch: Batch) -> Ruling:
        found = names & {target.id for target in batch.targets}
        return ENDED if not found else SPLIT if len(batch.targets) > 1 else REFUSED

    return answer


@pytest.mark.parametrize("bad", range(100))
async def test_a_refused_batch_is_split_until_the_culprit_stands_alone(bad: int) -> None:
    bench = Bench(Service(), size=100)
    bench.service.answer = refuses(bad)
    await bench.run(100)
    assert bench.outcomes == Counter({Outcome.ENDED: 99, Outcome.FAILED: 1})
    assert len(bench.service.calls) <= 1 + 11
    assert all(bench.service.calls)  # never an empty batch
    assert len(set(bench.service.numbers)) == len(bench.service.numbers)
    assert bench.stop.rests == []


async def test_the_part_that_must_hold_the_culprit_is_divided_without_a_call() -> None:
    bench = Bench(Service(), size=8, concurrency=1)
    bench.service.answer = refuses(5)
    await bench.run(8)
    assert [(call[0], len(call)) for call in bench.service.calls] == [
        ("0", 8),
        ("0", 3),  # goes through: it is one of 3 to 7
        ("3", 2),
        ("5", 1),  # the culprit: 6 and 7 may be good
        ("6", 2),
    ]
    found = {one.target.id: (one.outcome, one.attempts) for one in bench.memory.settled}
    assert found["5"] == (Outcome.FAILED, 2)
    assert {number: found[number][1] for number in "0346"} == dict.fromkeys("0346", 2)


async def test_a_first_part_that_fails_tells_nothing_of_the_second() -> None:
    bench = Bench(Service(), size=8, concurrency=1, attempts=1)
    script = iter([SPLIT, BUSY, ENDED])
    bench.service.answer = lambda batch: next(script)
    await bench.run(8)
    assert [len(call) for call in bench.service.calls] == [8, 3, 5]
    assert bench.outcomes == Counter({Outcome.FAILED: 3, Outcome.ENDED: 5})


async def test_a_batch_that_is_too_large_is_halved_and_both_halves_are_called() -> None:
    bench = Bench(Service(), size=8)
    bench.service.answer = lambda batch: Ruling(Verdict.SPLIT, status=413) if len(batch.targets) > 4 else ENDED
    await bench.run(8)
    assert [len(call) for call in bench.service.calls] == [8, 4, 4]


@pytest.mark.parametrize("seed", range(20))
async def test_ten_bad_ids_among_a_thousand_cost_few_calls_wherever_they_are(seed: int) -> None:
    drawn = random.Random(seed)
    bad = drawn.sample(range(1000), 10) if seed % 2 else [100 * i + drawn.randrange(100) for i in range(10)]
    bench = Bench(Service(), size=100)
    bench.service.answer = refuses(*bad)
    await bench.run(1000)
    assert {one.target.id for one in bench.memory.settled if one.outcome is Outcome.FAILED} == set(map(str, bad))
    assert len(bench.service.calls) <= 10 + 110


async def test_workers_are_hired_while_others_rest() -> None:
    bench = Bench(Service(BUSY, BUSY, BUSY, ENDED), concurrency=1, attempts=9)
    going = asyncio.Event()
    rest = bench.stop.rest

    async def long_rest(seconds: float) -> bool:
        await going.wait()
        return await rest(seconds)

    bench.stop.rest = long_rest  # type: ignore[method-assign]
    bench.service.before = lambda: going.set() if len(bench.service.calls) == 20 else None
    await bench.run(20)  # three rest, and seventeen others are called meanwhile by new workers
    assert bench.outcomes == Counter({Outcome.ENDED: 20})
    assert bench.service.most_open == 1


async def test_a_batch_in_which_all_are_bad_ends_too() -> None:
    bench = Bench(Service(), size=8)
    bench.service.answer = refuses(*range(8))
    await bench.run(8)
    assert bench.outcomes == Counter({Outcome.FAILED: 8})
    assert len(bench.service.calls) == 15


async def test_a_half_remembers_what_its_whole_went_through() -> None:
    bench = Bench(Service(), size=2)
    script = iter([LOST, SPLIT, REFUSED, ENDED])
    bench.service.answer = lambda batch: next(script)
    await bench.run(2)
    found = {one.target.id: one for one in bench.memory.settled}
    assert (found["0"].outcome, found["1"].outcome) == (Outcome.UNKNOWN, Outcome.ENDED)
    assert (found["0"].attempts, found["0"].first_sent) == (3, START)


async def test_a_batch_that_stays_busy_is_split_to_find_out_which_one_it_is() -> None:
    conflict = Ruling(Verdict.RETRY, "another operation is under way", 409)
    bench = Bench(Service(), size=2, attempts=2)
    bench.service.answer = lambda batch: conflict if "0" in bench.service.calls[-1] else ENDED
    await bench.run(2)
    found = {one.target.id: one.outcome for one in bench.memory.settled}
    assert found == {"0": Outcome.FAILED, "1": Outcome.ENDED}


@pytest.mark.parametrize("status", [400, 409, 422])
async def test_a_refusal_of_a_whole_batch_never_marks_them_all(status: int) -> None:
    bench = Bench(Service(), size=10)
    bench.service.answer = lambda batch: (
        Ruling(Verdict.FAIL, "no", status) if "3" in {target.id for target in batch.targets} else ENDED
    )
    await bench.run(10)
    assert bench.outcomes == Counter({Outcome.ENDED: 9, Outcome.FAILED: 1})


async def test_a_batch_at_an_address_where_there_is_nothing_is_not_split() -> None:
    """A 404 that no service signs is as true of every half."""
    bench = Bench(Service(), size=10)
    bench.service.answer = lambda batch: Ruling(Verdict.FAIL, "no", 404)
    await bench.run(20)
    assert bench.outcomes == Counter({Outcome.FAILED: 20})
    assert len(bench.service.calls) == 2


@pytest.mark.parametrize(
    ("before", "outcome", "reason"),
    [
        ([], Outcome.NOT_ATTEMPTED, "interrupted; the batch that it was in was refused"),  # for it, or for 2
        ([BUSY], Outcome.UNKNOWN, "not tried again: interrupted (last:"),  # and may have taken effect before
    ],
)
async def test_a_split_that_is_cut_off_keeps_what_its_first_half_came_to(
    before: list[Ruling], outcome: Outcome, reason: str
) -> None:
    bench = Bench(Service(), size=4, concurrency=1)
    never = asyncio.Event()
    call = bench.service.call

    async def hang(batch: Batch) -> Ruling:
        ruling = await call(batch)
        if len(bench.service.calls) == 3 + len(before):
            bench.stop.set("interrupted", 130)
            await never.wait()
        return ruling

    script = iter([*before, SPLIT, ENDED, ENDED])
    bench.service.answer = lambda batch: next(script)
    bench.service.call = hang  # type: ignore[method-assign]
    running = asyncio.create_task(bench.lane.run(iter(targets(range(4)))))
    while len(bench.service.calls) < 3 + len(before):  # noqa: ASYNC110
        await asyncio.sleep(0)
    await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    found = {one.target.id: (one.outcome, one.reason) for one in bench.memory.settled}
    assert found.keys() == {"0", "1", "3"}  # 2 was being called
    assert found["0"] == found["1"] == (Outcome.ENDED, "")
    assert found["3"][0] == outcome
    assert found["3"][1].startswith(reason)


async def test_what_was_dropped_before_it_was_sent_is_no_attempt() -> None:
    bench = Bench(Service(Ruling(Verdict.REAUTH, "the token was dropped")))
    bench.stop.during = lambda: None
    bench.service.before = lambda: bench.stop.set("interrupted", 130)
    await bench.run(1)
    assert (bench.only.outcome, bench.only.attempts, bench.only.first_sent) == (Outcome.NOT_ATTEMPTED, 0, None)


async def test_a_split_stops_with_the_run() -> None:
    bench = Bench(Service(), size=4)
    bench.service.answer = refuses(0)
    bench.service.before = lambda: bench.stop.set("interrupted", 130) if len(bench.service.calls) == 2 else None
    await bench.run(4)
    assert len(bench.service.calls) == 2
    assert all("interrupted" in one.reason for one in bench.memory.settled)


# Links


async def test_a_secret_that_was_issued_is_handed_over_and_not_reported() -> None:
    bench = Bench(Service(Ruling(Verdict.ISSUED, status=200, handover=Secret("https://x/secret")), idempotent=False))
    await bench.run(1)
    assert (bench.only.outcome, bench.only.reason) == (Outcome.ISSUED, "written to links/0")
    assert bench.memory.handed == [Secret("https://x/secret")]


async def test_a_secret_that_cannot_be_written_is_no_success() -> None:
    bench = Bench(Service(Ruling(Verdict.ISSUED, status=200, handover=Secret("https://x/secret")), idempotent=False))
    bench.memory.full = True
    await bench.run(1)
    assert bench.only.outcome is Outcome.FAILED
    assert "No space left" in bench.only.reason
    assert "secret" not in bench.only.reason


async def test_a_question_after_which_nothing_more_is_to_be_asked_ends_the_lane() -> None:
    bench = Bench(Service(Ruling(Verdict.HALT, "the limit of the day is used up", 429)))
    batch = Batch((targets([1])[0],), 1)
    assert (await bench.lane.ask(batch)).verdict is Verdict.HALT
    assert bench.lane.closed == "the limit of the day is used up"
    assert (await bench.lane.ask(batch)).reason == "the limit of the day is used up"
    assert len(bench.service.calls) == 1
