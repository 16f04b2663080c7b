"""A lane learns a hidden limit, in virtual time: no clock is waited for."""

from __future__ import annotations

import heapq

import pytest

from orchestrator.learning import HOPELESS, HOPELESS_SECONDS, SLOWEST, Learner


class Bucket:
    """A service's token bucket, whose rate may change."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst, self.level, self.at = rate, burst, burst, 0.0

    def take(self, now: float) -> bool:
        self.level = min(self.burst, self.level + (now - self.at) * self.rate)
        self.at = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


def simulate(
    learner: Learner, bucket: Bucket, calls: int, latency: float, slots: int, change: tuple[float, float] | None = None
) -> tuple[float, int]:
    """Make calls until so many were let through; return (seconds, refused)."""
    now, done, refused = 0.0, 0, 0
    flying: list[tuple[float, float, bool]] = []
    while done < calls:
        if change and now >= change[0]:
            bucket.rate, change = change[1], None
        wait = learner.wait(now)
        if len(flying) < slots and wait == 0:
            learner.go(now)
            heapq.heappush(flying, (now + latency, now, bucket.take(now + latency / 2)))
            continue
        landing = flying[0][0] if flying else now + wait
        now = min(landing, now + wait) if wait and len(flying) < slots else landing
        while flying and flying[0][0] <= now:
            _, began, let_through = heapq.heappop(flying)
            if let_through:
                learner.accepted()
                done += 1
            else:
                learner.refused(began, now)
                refused += 1
    return now, refused


@pytest.mark.parametrize("hidden", [2.0, 10.0, 50.0, 200.0])
@pytest.mark.parametrize("latency", [0.02, 0.2])
def test_a_hidden_limit_is_found_and_kept_to(hidden: float, latency: float) -> None:
    calls = int(hidden * 60)
    seconds, refused = simulate(Learner(10 * hidden), Bucket(hidden, 5), calls, latency, 64)
    assert seconds <= 60 * 1.10
    assert refused <= 0.2 * calls + 70  # those that were under way when the first refusal came


def test_a_limit_that_falls_midway_is_followed() -> None:
    seconds, refused = simulate(Learner(1000.0), Bucket(100.0, 5), 3000, 0.02, 64, change=(20.0, 25.0))
    assert seconds <= (20 + 1000 / 25) * 1.10
    assert refused <= 0.15 * 3000


def test_a_limit_that_is_lifted_is_made_use_of() -> None:
    learner = Learner(100.0)
    simulate(learner, Bucket(10.0, 5), 100, 0.02, 8)
    assert learner.pace is not None
    assert learner.pace < 15
    simulate(learner, Bucket(1e9, 1e9), 4000, 0.02, 8)
    assert learner.pace == 100.0


def test_without_a_refusal_nothing_is_held_back() -> None:
    learner = Learner(10.0)
    for moment in range(100):
        assert learner.wait(moment / 1000) == 0.0
        learner.go(moment / 1000)
        learner.accepted()
    assert learner.pace is None


def test_where_nothing_is_let_through_it_goes_ever_more_slowly_and_says_so() -> None:
    learner = Learner(10.0)
    now, refusals = 0.0, 0
    while not learner.hopeless(now):
        now += learner.wait(now)
        learner.go(now)
        learner.refused(now, now)
        refusals += 1
        assert now < 300
    assert HOPELESS <= refusals < 30
    assert now >= HOPELESS_SECONDS
    assert learner.pace is not None
    assert SLOWEST <= learner.pace < 0.1
    learner.accepted()
    assert not learner.hopeless(now)
