"""Never more than the rate in any second, plus one: the one test here that has to look at a real clock."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from orchestrator import learning, pacing
from orchestrator.pacing import Pacer, Window
from orchestrator.stop import Stop
from orchestrator.units import Rate

SHORT = 0.5  # seconds; what is to return at once has this long on a busy machine


def most_in_a_second(moments: list[float]) -> int:
    """Return the most moments in any window of one second; the window is open at one end."""
    return max(sum(1 for other in moments if moment - 1.0 < other <= moment) for moment in moments)


async def take_for(
    rate: int, seconds: float, slowed_to: int | None = None, burst: int = 1, idle: float = 0.0
) -> list[float]:
    """Take turns with eight workers for some seconds, after one and a while without; return when each turn came."""
    stop = Stop()
    pacer = Pacer((Rate(rate, 1),), burst=burst)
    moments: list[float] = []
    if idle:
        await pacer.take(stop)
        await asyncio.sleep(idle)
    if slowed_to is not None:
        await pacer.take(stop)
        pacer.heed(slowed_to)

    async def work() -> None:
        while await pacer.take(stop):
            moments.append(time.monotonic())

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(work())
        await asyncio.sleep(seconds)
        stop.set("that is enough", 0)
    return moments


async def test_a_burst_goes_at_once_where_one_is_asked_for_and_the_rate_after_it() -> None:
    with_burst, slowed = await asyncio.gather(take_for(100, 1.5, burst=40), take_for(100, 1.2, slowed_to=50, burst=40))
    assert sum(moment - with_burst[0] < 0.02 for moment in with_burst) >= 40
    assert most_in_a_second(with_burst) <= 100 + 40 + 1
    assert len(with_burst) <= 1.5 * 100 + 40 + 1
    assert most_in_a_second(slowed[1:]) <= 51  # what the service announces is a rate, and no burst


async def test_no_second_sees_more_than_the_rate_and_one() -> None:
    """All rates side by side, so that this costs two seconds in all."""
    rates = (5, 20, 100, 400)
    taken = await asyncio.gather(*(take_for(rate, 2.2) for rate in rates))
    for rate, moments in zip(rates, taken, strict=True):
        assert most_in_a_second(moments) <= rate + 1
        assert len(moments) >= 2.2 * rate * 0.75  # and what is allowed is made use of


async def test_a_fast_rate_of_which_several_calls_are_let_go_together_is_kept_too() -> None:
    moments, with_burst = await asyncio.gather(take_for(2500, 1.3, idle=0.1), take_for(2000, 1.2, burst=50, idle=0.1))
    assert most_in_a_second(moments) <= 2501
    assert len(moments) >= 1.3 * 2500 * 0.5
    assert most_in_a_second(with_burst) <= 2050 + 1


async def test_calls_that_were_let_go_together_wait_for_a_pause_and_are_lost_to_a_slower_pace() -> None:
    pacer, stop = Pacer((Rate(10_000, 1),)), Stop()
    assert await pacer.take(stop)
    until = time.monotonic() + 0.1
    pacer.pause(until)
    assert await pacer.take(stop)
    assert time.monotonic() >= until - 0.005
    pacer.heed(20)
    moments = [time.monotonic() for _ in range(3) if await pacer.take(stop)]
    assert moments[-1] - moments[0] >= 0.09
    stop.set("interrupted", 130)
    assert not await pacer.take(stop)


async def test_the_smallest_of_several_rates_holds() -> None:
    pacer = Pacer((Rate(1000, 1), Rate(600, 60), Rate(50, 1)))
    assert pacer.per_second == 10.0


def virtually(windows: list[Window], pace: float, seconds: float) -> list[float]:
    """Return when calls go that are only held back by windows and an even pace; no clock is waited for."""
    now, moments = 0.0, list[float]()
    while now < seconds:
        wait = max(window.wait(now) for window in windows)
        if wait > 0:
            now += wait
            continue
        moments.append(now)
        for window in windows:
            window.go(now)
        now += 1 / pace
    return moments


@pytest.mark.parametrize(
    ("number", "seconds", "pace"), [(100, 5, 30), (10_000, 600, 50), (3, 2, 1000), (2500, 60, 200)]
)
def test_a_window_is_used_up_and_never_holds_more(number: int, seconds: float, pace: float) -> None:
    moments = virtually([Window(Rate(number, seconds))], pace, 20 * seconds)
    assert all(later - earlier >= seconds for earlier, later in zip(moments, moments[number:], strict=False))
    assert len(moments) >= 20 * number * 0.98
    assert moments[number - 1] <= number / pace + 1e-6  # to the last call: the next one is a window later
    assert moments[number] >= seconds


def test_a_window_of_very_many_calls_is_counted_in_fewer_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "LOGGED", 1000)
    window = Window(Rate(1_000_000, 86_400))
    moments = virtually([window], 1000, 1100)
    assert 0.998 * 1_000_000 <= len(moments) <= 1_000_000
    assert window.wait(1100) > 80_000


@pytest.mark.parametrize(
    ("rates", "pace", "kept"),
    [
        ([Rate(350, 10), Rate(10_000, 3600)], 35.0, 10_000 / 3600),
        ([Rate(10_000, 3600), Rate(350, 10)], 35.0, 10_000 / 3600),
        ([Rate(1000, 1), Rate(50, 1), Rate(40, 0.5)], 80.0, 50.0),
        ([Rate(5, 1), Rate(1000, 60)], 5.0, 5.0),
    ],
)
async def test_of_several_rates_the_shortest_time_gives_the_pace(rates: list[Rate], pace: float, kept: float) -> None:
    pacer = Pacer(rates)
    assert pacer._pace == pace
    assert pacer.per_second == pytest.approx(kept)
    pacer.heed((pace + kept) / 2)
    assert pacer.per_second == pytest.approx(kept)


async def test_two_windows_hold_at_once() -> None:
    stop = Stop()
    pacer = Pacer((Rate(40, 1), Rate(20, 2)))
    moments: list[float] = []
    async with asyncio.timeout(5):
        while len(moments) < 22 and await pacer.take(stop):
            moments.append(time.monotonic())
    assert moments[19] - moments[0] < 1.0  # the burst, at the pace of the shorter one
    assert moments[20] - moments[0] >= 2.0
    waiting = asyncio.create_task(pacer.take(stop))
    pacer.pause(time.monotonic() + 3600)
    await asyncio.sleep(0.01)
    stop.set("interrupted", 130)
    async with asyncio.timeout(SHORT):
        assert not await waiting


async def test_a_slow_rate_is_kept_to_the_millisecond() -> None:
    moments = await take_for(2, 2.2)  # the interval is longer than what is waited for between two looks at a stop
    assert [round(later - earlier, 1) for earlier, later in itertools.pairwise(moments)] == [0.5] * (len(moments) - 1)


async def test_the_first_turn_is_there_at_once() -> None:
    pacer = Pacer((Rate(1, 3600),))
    async with asyncio.timeout(SHORT):
        assert await pacer.take(Stop())


async def test_a_pause_holds_everybody_back() -> None:
    pacer = Pacer((Rate(1000, 1),))
    until = time.monotonic() + 0.15
    pacer.pause(until)
    pacer.pause(until - 10)  # a shorter one does not shorten it
    assert all(await asyncio.gather(pacer.take(Stop()), pacer.take(Stop())))
    assert time.monotonic() >= until - 0.005


async def test_a_pause_may_be_made_longer_while_somebody_waits() -> None:
    pacer = Pacer((Rate(1000, 1),))
    pacer.pause(time.monotonic() + 0.05)
    waiting = asyncio.create_task(pacer.take(Stop()))
    await asyncio.sleep(0.01)
    until = time.monotonic() + 0.15
    pacer.pause(until)
    assert await waiting
    assert time.monotonic() >= until - 0.005


async def test_a_stop_ends_a_pause_at_once() -> None:
    stop = Stop()
    pacer = Pacer((Rate(1000, 1),))
    pacer.pause(time.monotonic() + 3600)
    waiting = [asyncio.create_task(pacer.take(stop)) for _ in range(5)]
    await asyncio.sleep(0.01)
    stop.set("interrupted", 130)
    async with asyncio.timeout(SHORT):
        assert await asyncio.gather(*waiting) == [False] * 5


async def test_a_stop_ends_the_wait_for_a_slow_rate_at_once() -> None:
    stop = Stop()
    pacer = Pacer((Rate(1, 3600),))
    assert await pacer.take(stop)
    waiting = [asyncio.create_task(pacer.take(stop)) for _ in range(5)]
    await asyncio.sleep(0.01)
    stop.set("interrupted", 130)
    async with asyncio.timeout(SHORT):
        assert await asyncio.gather(*waiting) == [False] * 5


async def test_a_stop_that_comes_with_the_turn_lets_nothing_go() -> None:
    stop = Stop()
    pacer = Pacer((Rate(20, 1),))
    assert await pacer.take(stop)
    waiting = asyncio.create_task(pacer.take(stop))
    await asyncio.sleep(0.01)  # it waits for an even slot, which is short
    stop.set("interrupted", 130)
    assert not await waiting


async def test_there_is_no_turn_after_a_stop() -> None:
    stop = Stop()
    stop.set("interrupted", 130)
    assert not await Pacer((Rate(1000, 1),)).take(stop)


async def test_an_announced_pace_is_kept() -> None:
    moments = await take_for(400, 1.1, slowed_to=20)
    assert 15 <= most_in_a_second(moments) <= 21


async def test_what_is_announced_in_turns_lets_no_more_calls_go_than_the_rate() -> None:
    """Each change made a new limiter, which was full: of two nodes that announce 200 and 190, 300 calls in a second."""
    stop, pacer = Stop(), Pacer((Rate(100, 1),))
    moments: list[float] = []
    for number in range(150):
        await pacer.take(stop)
        moments.append(time.monotonic())
        pacer.heed(95 if number % 2 else 100, may_rise=True)
    assert most_in_a_second(moments) <= 101


async def test_who_waits_for_a_turn_when_the_service_tells_its_limit_heeds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call went on at once, was refused by a bucket that was empty still, and halved the pace that was told."""
    monkeypatch.setattr(learning, "TOLD_REST", 0.3)
    stop, pacer = Stop(), Pacer((Rate(20, 1),))
    await pacer.take(stop)
    turn = asyncio.create_task(pacer.take(stop))
    await asyncio.sleep(0.01)
    told = time.monotonic()
    pacer.heed(10)
    pacer.learner.told(told)
    assert await turn
    assert time.monotonic() - told >= 0.29


async def test_calls_that_were_granted_at_a_faster_rate_are_none_when_the_service_tells_a_slower_one() -> None:
    stop, pacer = Stop(), Pacer((Rate(10_000, 1),))
    turn = asyncio.create_task(pacer.take(stop))
    while True:  # until one waits for the limiter
        await asyncio.sleep(0)
        if not turn.done():
            break
        turn = asyncio.create_task(pacer.take(stop))
    pacer.heed(100)
    assert await turn
    assert pacer._granted == 0  # nine more went at once


async def test_it_is_not_the_end_any_more_when_nothing_is_known_of_the_limit_any_more() -> None:
    pacer = Pacer((Rate(100, 1),))
    pacer.learner.estimate = 50.0
    pacer.near_end(lambda calls: True)
    assert pacer.learner.ending
    pacer.learner.estimate = None
    pacer.near_end(lambda calls: True)
    assert not pacer.learner.ending


@pytest.mark.parametrize("pace", [0.0, -1.0, 20.0, 1000.0])
async def test_a_pace_that_is_no_slower_changes_nothing(pace: float) -> None:
    pacer = Pacer((Rate(20, 1),))
    pacer.heed(pace)
    assert pacer.per_second == 20


async def test_what_has_to_be_done_before_a_call_does_not_bring_two_calls_together() -> None:
    """An intent that took long to write must not be followed at once by the next call."""
    stop = Stop()
    pacer = Pacer((Rate(20, 1),))
    moments: list[float] = []
    slow = [0.0, 0.12, 0.0, 0.0]

    async def work(seconds: float) -> None:
        assert await pacer.take(stop, before=lambda: asyncio.sleep(seconds))
        moments.append(time.monotonic())

    async with asyncio.TaskGroup() as group:
        for seconds in slow:
            group.create_task(work(seconds))
    assert min(later - earlier for earlier, later in itertools.pairwise(moments)) > 0.04
