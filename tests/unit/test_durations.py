"""How long calls take, held against the arithmetic on paper and against the pacer itself."""

from __future__ import annotations

import time
from typing import Any

import pytest

from orchestrator.bounds import Bounds
from orchestrator.durations import LookBack, Pace
from orchestrator.pacing import Pacer, spread
from orchestrator.stop import Stop
from orchestrator.units import Rate
from orchestrator.verify import Timing

BOUNDS = Bounds(concurrency=4, timeout=10.0, attempts=3, backoff=1.0, backoff_cap=60.0)


def pace(*rates: Rate, latency: float = 0.0, **bounds: Any) -> Pace:
    return Pace(BOUNDS._replace(rates=rates or (Rate(10, 1.0),), **bounds), latency)


@pytest.mark.parametrize("per_second", [20.0, 200.0, 1000.0])
async def test_calls_are_spread_as_the_pacer_lets_them_go(per_second: float) -> None:
    pacer, calls = Pacer([Rate(per_second, 1.0)]), int(per_second / 2)
    began = time.monotonic()
    for _ in range(calls):
        await pacer.take(Stop())
    assert time.monotonic() - began == pytest.approx(spread(calls, [Rate(per_second, 1.0)]), abs=0.1)


@pytest.mark.parametrize(
    ("given", "calls", "seconds"),
    [
        pytest.param(pace(), 0, 0.0, id="none"),
        pytest.param(pace(latency=0.3), 1, 0.3, id="one"),
        pytest.param(pace(latency=0.1), 21, 2.1, id="the-rate"),
        pytest.param(pace(Rate(10, 1.0), Rate(60, 60.0)), 11, 1.0, id="a-window-that-is-not-used-up"),
        pytest.param(pace(Rate(10, 1.0), Rate(60, 60.0)), 121, 120.0, id="the-window-that-allows-least"),
        pytest.param(pace(Rate(10, 1.0), Rate(60, 60.0)), 131, 121.0, id="two-windows"),
        pytest.param(pace(Rate(1000, 1.0), Rate(5000, 60.0)), 5001, 60.0, id="a-large-window"),
        pytest.param(pace(Rate(1000, 1.0), latency=2.0), 9, 6.0, id="the-slots"),
    ],
)
def test_what_binds_decides_how_long_it_takes(given: Pace, calls: int, seconds: float) -> None:
    assert given.seconds(calls) == pytest.approx(seconds, rel=0.02)


def test_a_lane_says_what_holds_it_back() -> None:
    assert (pace(latency=0.1).bound, pace(latency=0.1).per_second) == ("rate", 10.0)
    assert (pace(latency=1.0).bound, pace(latency=1.0).per_second) == ("concurrency", 4.0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param(pace(Rate(350, 10.0), Rate(10_000, 3600.0)), "350/10s and 10000/h", id="both"),
        pytest.param(pace(Rate(14.5, 1.0), Rate(20, 1.0)), "14.5/s", id="the lower one"),
        pytest.param(pace(latency=1.0), "4/s, all that its slots allow", id="the slots"),
    ],
)
def test_a_pace_is_told_as_the_rates_that_hold(given: Pace, said: str) -> None:
    assert str(given) == said


def test_the_worst_is_every_attempt_with_all_its_time_and_the_longest_pauses() -> None:
    assert pace().worst(0) == 0.0
    assert pace().worst(1) == pytest.approx(3 * 10 + 1 + 2)
    assert pace(backoff_cap=1.5).worst(1) == pytest.approx(3 * 10 + 1 + 1.5)
    assert pace().worst(9) == pytest.approx(33 + 8 * 30 / 4)
    assert pace(attempts=1, timeout=0.001).worst(101) == pytest.approx(10.0, abs=0.1)


@pytest.mark.parametrize(
    ("page_size", "listed", "targets", "calls"),
    [(None, 5000, 7, 1), (1000, 2500, 7, 3), (1000, 0, 999, 2), (1000, 2000, 7, 3), (100, 0, 250, 3), (100, 900, 0, 0)],
)
def test_a_listing_is_read_to_its_end_once_for_all(
    page_size: int | None, listed: int, targets: int, calls: int
) -> None:
    assert LookBack(pace(), Timing(), True, page_size, listed).calls(targets) == calls


def test_a_question_is_asked_for_each_after_the_lag() -> None:
    look = LookBack(pace(), Timing(lag=5.0, deadline=20.0), by_listing=False)
    assert (look.calls(21), look.seconds(0)) == (21, 0.0)
    assert look.seconds(21) == pytest.approx(7.0, rel=0.01)
    assert look.worst(1) == pytest.approx(5 + 20 + 2 * 33)
    assert look.worst(0) == 0.0
    assert (look.seconds(21, 9.0), look.worst(1, 9.0)) == (look.seconds(21) + 4.0, look.worst(1) + 4.0)
