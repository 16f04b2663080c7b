"""A lane learns a hidden limit, in virtual time: no clock is waited for."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest
from hidden import Bucket, Hidden, Simulation, Window, simulate

from orchestrator.climbing import Climb
from orchestrator.learning import SLOWEST, TOLD_REST, Learner
from orchestrator.looks import CALLS
from orchestrator.slots import first_pace
from orchestrator.vain import HOPELESS, HOPELESS_SECONDS

SEEDS = range(3)
# The constants of `learning` were tuned on these ...
TUNED = [
    *(Hidden(burst=burst, latency=latency, retry_after=hint) for burst, latency, hint in
      product((20.0, 200.0), (0.02, 0.2), (None, 1.0))),
    *(Hidden(then=50.0, burst=burst, retry_after=hint) for burst, hint in product((20.0, 200.0), (None, 1.0))),
]  # fmt: skip
# ... and not on these.
HELD_OUT = [
    Hidden(rate=430.0, burst=60.0, latency=0.05, retry_after=1.0),
    Hidden(rate=333.0, burst=80.0, latency=0.1),
    Hidden(rate=150.0, burst=10.0, latency=0.06, retry_after=1.0, count=3000),
    Hidden(rate=90.0, burst=90.0, latency=0.15, count=2500, slots=64),
    Hidden(rate=250.0, burst=40.0, latency=0.3, retry_after=1.0),
    Hidden(rate=500.0, burst=50.0, latency=0.03, then=125.0),
    Hidden(rate=200.0, burst=2.0),
]
# Too few calls for 3 % to hold what is under way when the first refusal comes.
FEW = [
    Hidden(rate=70.0, burst=35.0, latency=0.08, count=1500),
    Hidden(rate=120.0, burst=12.0, latency=0.12, then=40.0, count=1500),
    Hidden(rate=25.0, burst=5.0, latency=0.1, count=800, slots=16),
]


def name(scenario: Hidden) -> str:
    return f"{scenario.rate:g}-{scenario.then}-{scenario.burst:g}-{scenario.latency:g}-{scenario.retry_after}"


@pytest.mark.parametrize("scenario", [*TUNED, *HELD_OUT], ids=name)
def test_a_lane_that_knows_nothing_comes_close_to_the_ideal(scenario: Hidden) -> None:
    for seed, uneven in product(SEEDS, (0.0, 0.1)):
        came = simulate(replace(scenario, start=first_pace(scenario.slots), uneven=uneven), seed)
        assert came.over <= 1.016
        assert came.refused <= (0.07 if scenario.burst >= 100 else 0.03 if scenario.count >= 4000 else 0.032)


@pytest.mark.parametrize("scenario", [*TUNED, *HELD_OUT], ids=name)
def test_a_rate_that_is_too_high_is_corrected(scenario: Hidden) -> None:
    for seed, uneven in product(SEEDS, (0.0, 0.1)):
        came = simulate(replace(scenario, ceiling=1000.0, uneven=uneven), seed)
        assert came.over <= 1.01
        if scenario.count >= 2500:  # of fewer calls those under way at the first refusal are a larger share
            assert came.refused <= (0.07 if scenario.burst >= 100 else 0.03 if scenario in TUNED else 0.038)


def drawn(seed: int) -> Hidden:
    """Return a scenario that nobody chose; every other one falls midway."""
    chance = random.Random(seed)
    rate = round(math.exp(chance.uniform(math.log(50), math.log(500))))
    return Hidden(
        rate=rate,
        burst=max(2, round(rate * math.exp(chance.uniform(math.log(0.05), 0)))),
        latency=math.exp(chance.uniform(math.log(0.01), math.log(0.25))),
        retry_after=chance.choice([None, 1.0]),
        then=rate * chance.uniform(0.2, 0.8) if seed % 2 else None,
        late=0.002,
        uneven=chance.choice([0.0, 0.02, 0.1]),
        start=first_pace(128),
    )


def test_what_nobody_chose_comes_close_to_the_ideal_too() -> None:
    """Of constant limits nearly all, of those that fall most, and none by far."""
    met = {"constant": 0, "falls": 0}
    for seed in range(1000, 1100):
        scenario = drawn(seed)
        came = simulate(scenario, seed)
        assert came.over <= 1.025
        assert came.refused <= (0.08 if scenario.burst >= 100 else 0.045)
        good = came.over <= 1.02 and came.refused <= (0.08 if scenario.burst >= 100 else 0.03)
        met["falls" if scenario.then else "constant"] += good
    assert met["constant"] >= 49
    assert met["falls"] >= 45


@pytest.mark.parametrize("scenario", TUNED, ids=name)
def test_a_busy_machine_costs_little(scenario: Hidden) -> None:
    """In every hundredth moment it does something else for 20 ms, some four times a second."""
    came = simulate(replace(scenario, start=first_pace(scenario.slots), stall=0.02))
    assert came.over <= 1.008
    assert came.refused <= (0.08 if scenario.burst >= 100 else 0.03)


def test_a_busy_machine_costs_little_near_the_end_either() -> None:
    """What was lost in the last second was made up for by nobody: up to a tenth of it."""
    scenario = Hidden(rate=430.0, burst=60.0, latency=0.05, count=2000, start=64.0, stall=0.03)
    came = [simulate(scenario, seed) for seed in range(10)]
    assert sum(one.over for one in came) / 10 <= 1.105
    assert all(one.refused <= 0.04 for one in came)


@pytest.mark.parametrize("scenario", FEW, ids=name)
@pytest.mark.parametrize("knows_nothing", [True, False])
def test_few_calls_are_no_less_quick(scenario: Hidden, knows_nothing: bool) -> None:
    changed = {"start": first_pace(scenario.slots)} if knows_nothing else {"ceiling": 1000.0}
    came = simulate(replace(scenario, **changed))  # type: ignore[arg-type]
    assert came.over <= 1.01
    assert came.refused <= (0.045 if knows_nothing else 0.1)


@pytest.mark.parametrize(("latency", "refusal"), [(0.02, 0.1), (0.02, 1.0), (0.2, 0.4), (0.2, 1.0), (0.05, 5.0)])
@pytest.mark.parametrize("knows_nothing", [True, False])
def test_a_service_that_takes_its_time_to_refuse_is_not_taken_for_a_slow_one(
    latency: float, refusal: float, knows_nothing: bool
) -> None:
    """What was let through before the refusal was told was not counted: it took 1.6 to 3.8 of the ideal."""
    changed = {"start": first_pace(128)} if knows_nothing else {"ceiling": 1000.0}
    scenario = Hidden(latency=latency, refusal=refusal, **changed)  # type: ignore[arg-type]
    for seed in SEEDS:
        came = simulate(scenario, seed)
        assert came.over <= 1.025
        assert came.refused <= 0.065  # it was up to 0.25


@pytest.mark.parametrize(
    ("scenario", "over"), [(Hidden(), 1.2), (Hidden(rate=430.0, burst=60.0), 1.3)], ids=["200", "430"]
)
@pytest.mark.parametrize("refusal", [0.005, 0.02, 0.1, 0.4])
@pytest.mark.parametrize("knows_nothing", [True, False])
def test_nor_is_one_that_takes_a_second_for_the_work(
    scenario: Hidden, over: float, refusal: float, knows_nothing: bool
) -> None:
    """While no answer was there, nothing seemed to be let through: it took up to 4.5 of the ideal."""
    changed = {"start": first_pace(128)} if knows_nothing else {"ceiling": 1000.0}
    slow = replace(scenario, latency=1.0, refusal=refusal, slots=1000, **changed)  # type: ignore[arg-type]
    for seed in SEEDS:
        came = simulate(slow, seed)
        assert came.over <= over
        assert came.refused <= 0.06


def test_a_call_that_is_refused_again_and_again_does_not_count_as_let_through_where_refusals_come_sooner() -> None:
    """Half of 100 calls a second are let through, and take a second; twice as many were learned."""
    learner = Learner(1000.0)
    learner.go(0.0)
    learner.accepted(0.0, 1.0)
    happens: list[tuple[float, str, float]] = []
    for number in range(400):
        went = 2 + number / 100
        first = number % 50 == 0
        what, took = ("refused", 0.02) if first else ("again", 0.02) if number % 2 else ("accepted", 1.0)
        happens += [(went, "go", went), (went + took, what, went)]
    for now, what, went in sorted(happens):
        if what == "go":
            learner.go(now)
        elif what == "accepted":
            learner.accepted(went, now)
        else:
            (learner.refused if what == "refused" else learner.refused_again)(went, now)
    assert learner.learned == pytest.approx(50, rel=0.2)


class Opens(Bucket):
    """A bucket that lets nothing through in its first seconds."""

    def take(self, now: float) -> bool:
        if now < 8:
            self.level, self.at = -1.0, now
        return super().take(now)


def test_what_nobody_answered_yet_is_not_let_through_because_it_is_not_refused_yet() -> None:
    """Refusals of 20 to 80 ms in any order, and no other answer: the lane was slowed down for minutes in some runs."""
    for seed in range(12):
        scenario = Hidden(latency=0.02, uneven=3.0, count=3000, ceiling=1000.0)
        simulation = Simulation(scenario, Learner(scenario.ceiling), seed)
        simulation.bucket = Opens(scenario.rate, scenario.burst)
        assert simulation.run().over <= 6  # it was up to 29


@pytest.mark.parametrize("latency", [0.02, 0.2])
@pytest.mark.parametrize("knows_nothing", [True, False])
def test_nor_is_one_that_refuses_sooner_than_it_does_the_work(latency: float, knows_nothing: bool) -> None:
    changed = {"start": first_pace(128)} if knows_nothing else {"ceiling": 1000.0}
    scenario = Hidden(latency=latency, refusal=0.005, **changed)  # type: ignore[arg-type]
    for seed in SEEDS:
        came = simulate(scenario, seed)
        assert came.over <= 1.02
        assert came.refused <= 0.03


class Crooked(Bucket):
    """Sees calls in their order, and later than they were made: some by milliseconds, and all by up to 40 at times."""

    def __init__(self, scenario: Hidden, seed: int) -> None:
        super().__init__(scenario.rate, scenario.burst)
        self._random = random.Random(seed)
        self._held_until = self._holds_at = 0.0

    def take(self, now: float) -> bool:
        if now >= self._holds_at:
            self._held_until = now + self._random.uniform(0, 0.04)
            self._holds_at = now + self._random.uniform(0.1, 0.6)
        return super().take(max(self.at, self._held_until, now + self._random.uniform(0, 0.01)))


WINDOWS = [
    Hidden(rate=200.0, latency=0.02, count=2000, slots=16),
    Hidden(rate=50.0, latency=0.005, count=500, slots=16),
    Hidden(rate=200.0, latency=0.2, count=4000),
    Hidden(rate=1000.0, latency=0.02, count=10_000, slots=64),
]


@pytest.mark.parametrize(("retry_after", "over"), [(None, 1.08), (1.0, 1.12)])
@pytest.mark.parametrize("scenario", WINDOWS, ids=name)
@pytest.mark.parametrize("knows_nothing", [True, False])
def test_a_limit_by_the_second_of_the_clock_is_found(
    scenario: Hidden, knows_nothing: bool, retry_after: float | None, over: float
) -> None:
    """It was 2.0: in the second half of each window every refusal slowed the lane down, to a standstill."""
    changed = {"start": first_pace(scenario.slots)} if knows_nothing else {"ceiling": 5 * scenario.rate}
    windows = replace(scenario, burst=0.0, window=1.0, retry_after=retry_after, **changed)  # type: ignore[arg-type]
    for seed in range(3):
        came = simulate(windows, seed)
        assert came.over <= over
        assert came.refused <= 0.12
        assert came.learner.learned == pytest.approx(scenario.rate, rel=0.1)


@pytest.mark.parametrize("scenario", WINDOWS[:3], ids=name)
@pytest.mark.parametrize("knows_nothing", [True, False])
def test_a_limit_in_any_second_is_found(scenario: Hidden, knows_nothing: bool) -> None:
    """It was 1.9: what was let through came back in the same bursts a second later, and looked like many limits."""
    windows = replace(scenario, burst=0.0, window=1.0, slides=True)
    starts = [first_pace(scenario.slots) * share for share in (0.8, 0.9, 1.0, 1.1, 1.2)]
    known = [replace(windows, ceiling=5 * scenario.rate)]
    unknown = [replace(windows, start=start) for start in starts]
    for changed, seed in product(unknown if knows_nothing else known, range(3)):
        came = simulate(changed, seed)
        assert came.over <= 1.13
        assert came.refused <= 0.22


@pytest.mark.parametrize("then", [50.0, 400.0])
def test_a_limit_in_windows_that_changes_midway_is_followed(then: float) -> None:
    simulation = Simulation(Hidden(burst=0.0, window=1.0, count=5000, ceiling=1000.0), Learner(1000.0))
    bucket = simulation.bucket
    assert isinstance(bucket, Window)
    simulation.trace = lambda now, pace: bucket.change(then) if now >= 5 else None
    simulation.run()
    assert simulation.learner.estimate == pytest.approx(then, rel=0.1)
    assert simulation.last <= 5 + 4000 / then * (1.05 if then < 200 else 1.3)


def test_a_call_that_is_refused_again_tells_nothing_as_long_as_others_are_let_through() -> None:
    learner = Learner(100.0)
    learner.go(1.0)
    learner.accepted(1.0, 1.02)
    learner.refused_again(1.01, 1.03)
    assert learner.pace is None
    learner.refused_again(1.6, 1.65)  # and now none is
    assert learner.pace == 50.0


def test_a_lane_in_which_only_calls_are_refused_again_gives_up_all_the_same() -> None:
    learner = Learner(100.0)
    learner.accepted(1.0, 1.0)
    for second in range(61):
        learner.refused_again(1.0 + second, 1.0 + second)
    assert learner.hopeless(62.0)


class Outage(Bucket):
    """Refuses everything for a while."""

    def __init__(self, began: float, seconds: float) -> None:
        super().__init__(200.0, 20.0)
        self._began, self._ended = began, began + seconds

    def take(self, now: float) -> bool:
        return super().take(now) and not self._began <= now < self._ended


@pytest.mark.parametrize(("began", "seconds"), [(10.0, 1.0), (10.0, 3.0), (0.3, 1.0), (2.0, 0.5)])
@pytest.mark.parametrize("knows_nothing", [True, False])
def test_a_bucket_that_refuses_everything_for_a_while_is_not_taken_for_windows(
    began: float, seconds: float, knows_nothing: bool
) -> None:
    """Its pace was 12/s for the rest of the run: 506 s where it takes 41."""
    changed = {"start": first_pace(16)} if knows_nothing else {"ceiling": 1000.0}
    scenario = Hidden(count=8000, slots=16, **changed)  # type: ignore[arg-type]
    simulation = Simulation(scenario, Learner(scenario.ceiling, scenario.start))
    simulation.bucket = Outage(began, seconds)
    simulation.run()
    assert simulation.last <= 40 + seconds + 9
    assert simulation.learner.learned == pytest.approx(200, rel=0.05)


@pytest.mark.parametrize("began", [3.0, 8.0])
@pytest.mark.parametrize("seconds", [5.0, 20.0, 50.0])
def test_an_outage_costs_little_more_than_twice_its_time(began: float, seconds: float) -> None:
    """A service that takes no calls for a while looks like a window; it cost nearly four times its time."""
    scenario = Hidden(count=5000, slots=16, start=first_pace(16))
    simulation = Simulation(scenario, Learner(scenario.ceiling, scenario.start))
    simulation.bucket = Outage(began, seconds)
    simulation.run()
    assert simulation.last <= 25 + seconds + 1.5 * seconds + 3


def test_windows_of_a_long_run_are_no_shorter_than_those_of_a_short_one() -> None:
    """The shortest time in which one seemed to be used up was gone by, and 7.5 % refused in the end."""
    came = simulate(Hidden(burst=0.0, window=1.0, slides=True, count=40_000, slots=16, ceiling=1000.0))
    assert came.over <= 1.03
    assert came.refused <= 0.03


@pytest.mark.parametrize("early", [100, 1000])
def test_a_rest_between_two_waves_is_no_part_of_a_window(early: int) -> None:
    """What was let through over ten minutes, of which nine were a rest, would be a tenth of the limit."""
    scenario = Hidden(burst=0.0, window=1.0, count=2000, ceiling=1000.0, early=early, idle=600.0)
    came = simulate(scenario)
    assert came.over <= 1.0 + 1.0 / 610
    assert came.learner.estimate == pytest.approx(200, rel=0.05)


def test_a_wait_for_the_whole_lane_ends_what_was_thought_of_windows() -> None:
    learner = simulate(Hidden(burst=0.0, window=1.0, count=2000, ceiling=1000.0)).learner
    learner.held_off(1000.0, 1000.1, 5.0)
    held = learner.pace
    assert held is not None
    learner.accepted(1006.0, 1006.1)
    assert learner.pace == held


def test_a_limit_that_the_service_tells_bounds_windows_too() -> None:
    learner = simulate(Hidden(burst=0.0, window=1.0, count=2000, ceiling=1000.0)).learner
    assert (learner.pace or 0) > 200
    learner.limit(200.0)
    learner.told(1000.0)
    assert learner.pace == 180.0
    learner.accepted(1000.5, 1000.6)
    assert 195.0 < (learner.pace or 0) <= 200.0


@pytest.mark.parametrize("burst", [20.0, 200.0])
@pytest.mark.parametrize("seed", range(6))
def test_calls_that_travel_at_unequal_speed_cost_little(burst: float, seed: int) -> None:
    """What a few milliseconds at the start tell of the limit may be wrong by half."""
    scenario = Hidden(burst=burst, latency=0.2, ceiling=1000.0)
    simulation = Simulation(scenario, Learner(scenario.ceiling), seed)
    simulation.bucket = Crooked(scenario, seed)
    assert simulation.run().over <= 1.012  # it was 1.1


@pytest.mark.parametrize("seed", range(20))
def test_nor_do_timers_that_are_late_as_well_bring_a_lane_to_a_crawl(seed: int) -> None:
    scenario = Hidden(burst=20.0, latency=0.2, ceiling=1000.0, late=0.01)
    simulation = Simulation(scenario, Learner(scenario.ceiling), seed)
    simulation.bucket = Crooked(scenario, seed)
    assert simulation.run().over <= 1.04  # it was 1.08


@pytest.mark.parametrize(
    ("ceiling", "start", "most", "mean"), [(1000.0, None, 1.02, 1.01), (10_000.0, first_pace(128), 1.06, 1.015)]
)
def test_what_a_service_does_after_it_held_everything_up_is_not_taken_for_its_limit(
    ceiling: float, start: float | None, most: float, mean: float
) -> None:
    """Of 430 calls a second several are taken, or refused, in a row, and 40 were thought to be the limit, or 900."""
    scenario = Hidden(rate=430.0, burst=60.0, latency=0.05, ceiling=ceiling, late=0.01)
    over = []
    for seed in range(40):
        simulation = Simulation(scenario, Learner(ceiling, start), seed)
        simulation.bucket = Crooked(scenario, seed)
        over.append(simulation.run().over)
    assert max(over) <= most  # it was 1.2
    assert sum(over) / len(over) <= mean


class Moody(Bucket):
    """Refuses a share of all calls, whatever their pace."""

    def __init__(self, scenario: Hidden, share: float) -> None:
        super().__init__(scenario.rate, scenario.burst)
        self.share = share
        self._random = random.Random(7)

    def take(self, now: float) -> bool:
        return self._random.random() >= self.share and super().take(now)


@pytest.mark.parametrize(
    ("rate", "count", "slots", "over"), [(50.0, 800, 16, 1.2), (200.0, 4000, 128, 1.29), (5.0, 600, 16, 1.16)]
)
def test_a_service_that_takes_no_two_calls_at_once_is_made_use_of(
    rate: float, count: int, slots: int, over: float
) -> None:
    """Just above its limit it refuses every other call: what it lets through there is half of the limit."""
    scenario = Hidden(rate=rate, burst=1.0, latency=0.05, count=count, slots=slots)
    for seed in SEEDS:
        for changed in (replace(scenario, start=first_pace(slots)), replace(scenario, ceiling=5 * rate)):
            came = simulate(changed, seed)
            assert came.over <= over  # it was 1.28, 1.4 and 1.6
            assert came.refused <= 0.055  # it was 0.45


class Windowed(Bucket):
    """Lets so many calls through in each stretch of ten seconds."""

    def __init__(self, number: int) -> None:
        super().__init__(0.0, 0.0)
        self.number, self.window, self.taken = number, 0, 0

    def take(self, now: float) -> bool:
        if int(now / 10) > self.window:
            self.window, self.taken = int(now / 10), 0
        self.taken += 1
        return self.taken <= self.number


@pytest.mark.parametrize(("pause", "over"), [(3.0, 1.6), (10.0, 2.0)])
@pytest.mark.parametrize(("start", "ceiling"), [(16.0, 10_000.0), (None, 1000.0), (None, 60.0)])
def test_a_service_that_has_the_lane_wait_after_each_refusal_is_soon_not_asked_too_fast(
    pause: float, over: float, start: float | None, ceiling: float
) -> None:
    """It took up to 36 times as long: each refusal lowered the pace by a tenth, and the pace grew again at once."""
    scenario = Hidden(rate=50.0, burst=10.0, latency=0.05, count=3000, slots=16, pause=pause)
    for seed in SEEDS:
        came = simulate(replace(scenario, start=start, ceiling=ceiling), seed)
        assert came.over <= over
        assert came.refused <= 0.02


def test_a_limit_over_a_window_is_used_up_in_each_window() -> None:
    scenario = Hidden(latency=0.05, count=1000, slots=16, ceiling=1000.0, pause=9.5)
    simulation = Simulation(scenario, Learner(scenario.ceiling))
    simulation.bucket = Windowed(100)
    simulation.run()
    assert simulation.last <= 150  # at best it is 91


@pytest.mark.parametrize("share", [0.1, 0.2, 0.33, 0.5])
@pytest.mark.parametrize(
    "scenario",
    [
        Hidden(rate=1e9, burst=1e9, latency=0.05, count=400, slots=1, ceiling=2.0),
        Hidden(rate=1e9, burst=1e9, latency=0.05, count=800, slots=4, ceiling=50.0),
        Hidden(rate=200.0, burst=20.0, latency=0.05, count=3000, slots=128, ceiling=1000.0),
    ],
    ids=["2/s, one at a time", "50/s", "200/s behind it"],
)
def test_a_service_that_refuses_whatever_the_pace_slows_nobody_to_a_standstill(scenario: Hidden, share: float) -> None:
    """It took up to 4,000 times as long as it should: every refusal looked like an empty bucket."""
    simulation = Simulation(scenario, Learner(scenario.ceiling))
    simulation.bucket = Moody(scenario, share)
    simulation.run()
    ideal = scenario.count / min(scenario.rate, scenario.ceiling * (1 - share))
    rests = 60.0 * (share >= 0.3) * (1 + 3 * (share >= 0.5))  # of the few targets that are refused time and again
    assert simulation.last < 15 * ideal + rests


def test_when_hardly_any_call_is_refused_any_more_the_limit_is_learned_again() -> None:
    scenario = Hidden(rate=200.0, burst=20.0, count=6000, slots=32, ceiling=1000.0)
    simulation = Simulation(scenario, Learner(scenario.ceiling))
    moody = simulation.bucket = Moody(scenario, 0.33)
    simulation.trace = lambda now, pace: setattr(moody, "share", 0.33 if now < 20 else 0.0)
    came = simulation.run()
    assert came.learner.learned == pytest.approx(200, rel=0.1)


@pytest.mark.parametrize(
    ("rate", "burst", "latency", "then"), [(60, 6, 0.03, 240), (100, 10, 0.03, 300), (50, 20, 0.05, 150)]
)
def test_a_limit_that_rises_midway_is_made_use_of(rate: float, burst: float, latency: float, then: float) -> None:
    scenario = Hidden(rate=rate, burst=burst, latency=latency, then=then, count=4000, start=first_pace(128))
    for seed in SEEDS:
        came = simulate(scenario, seed)
        assert came.over <= 1.025  # it was 1.047: nothing says that it has risen, which shows without a refusal
        assert came.refused <= 0.03
        assert came.learner.estimate == pytest.approx(then, rel=0.03)


@pytest.mark.parametrize("idle", [2.0, 60.0, 600.0])
@pytest.mark.parametrize("early", [22, 25, 40, 2000])
@pytest.mark.parametrize(("start", "burst"), [(None, 20.0), (first_pace(128), 20.0), (None, 200.0)])
def test_while_there_is_nothing_to_call_no_limit_is_learned(
    early: int, idle: float, start: float | None, burst: float
) -> None:
    """It took up to ninety times as long: what was let through was divided by the idle time too."""
    scenario = Hidden(burst=burst, count=early + 2000, early=early, idle=idle, start=start, ceiling=1000.0)
    came = simulate(scenario)
    assert (came.over - 1) * scenario.ideal <= 0.4  # seconds
    assert came.refused <= 0.03
    assert came.learner.learned == pytest.approx(200, rel=0.02)


def climbing() -> Learner:
    """A lane that seeks its pace by what comes of it, from 0.1 s on."""
    learner = Learner(10_000.0)
    learner.go(0.0)
    learner.accepted(0.0, 0.05)
    learner.refused(0.01, 0.06)
    learner._climb = Climb(30.0, 10_000.0, 0.1)
    return learner


@pytest.mark.parametrize("idle", [1.0, 5.0, 60.0, 600.0])
def test_after_refusals_that_did_not_follow_the_pace_and_a_rest_it_goes_on_at_what_it_found(idle: float) -> None:
    """It went on at the ceiling, because the pace had grown with the time."""
    learner, now = climbing(), 0.1
    for _ in range(100):
        now += learner.wait(now) + 1 / 30
        learner.go(now)
        learner.accepted(now, now + 0.01)
    assert learner._climb is None
    found = learner.learned
    learner.go(now + idle)
    assert learner.pace == pytest.approx(found, rel=0.03)


@pytest.mark.parametrize(
    ("rate", "slots", "share"), [(200.0, 16, 0.97), (200.0, 16, 0.93), (50.0, 4, 0.97), (1000.0, 64, 0.9)]
)
def test_while_its_slots_hold_it_back_a_little_the_pace_stays_near_the_limit(
    rate: float, slots: int, share: float
) -> None:
    scenario = Hidden(rate=rate, burst=20.0, latency=0.02, count=int(60 * rate), ceiling=5 * rate, slots=slots)
    simulation = Simulation(scenario, Learner(scenario.ceiling))
    most = 0.0

    def look(now: float, pace: float) -> None:
        nonlocal most
        if now > 10:  # answers are as slow by now as makes the slots the limit
            simulation.scenario = replace(scenario, latency=slots / (share * rate), uneven=0.0)
        most = max(most, pace) if now > 12 else 0.0

    simulation.trace = look
    simulation.run()
    assert most <= 1.6 * rate  # it was 4


def waves(rate: float, size: int, pause: float, number: int) -> tuple[Simulation, float]:
    """Call so many waves with a pause after each; return the simulation and the seconds they took without pauses."""
    scenario = Hidden(rate=rate, burst=rate, count=size, slots=2, ceiling=10_000.0, start=first_pace(2))
    simulation, took = Simulation(scenario, Learner(scenario.ceiling, scenario.start)), 0.0
    for wave in range(number):
        began = simulation.now
        simulation.fresh, simulation.scenario = size, replace(scenario, count=size * (wave + 1))
        simulation.run()
        took += simulation.now - began
        simulation.now += pause
    return simulation, took


@pytest.mark.parametrize(("rate", "size", "pause"), [(2.0, 10, 5.0), (1.0, 10, 30.0), (2.0, 20, 5.0)])
def test_small_waves_at_a_slow_service_take_no_longer_than_they_must(rate: float, size: int, pause: float) -> None:
    simulation, took = waves(rate, size, pause, 20)
    assert took <= 1.2 * 20 * (size - rate) / rate
    assert simulation.refused <= 0.15 * 20 * size  # it was 0.45
    assert simulation.learner._climb is None


@pytest.mark.parametrize(("pause", "over", "refused"), [(5.0, 2.7, 0.15), (10.0, 1.7, 0.35)])
def test_what_is_let_through_over_a_rest_of_ten_calls_time_is_no_limit(
    pause: float, over: float, refused: float
) -> None:
    """It was taken for one, and after some waves a fifth of the limit was left; half of that rest still is."""
    simulation, took = waves(1.0, 10, pause, 20)
    assert took <= over * 20 * 9  # after ten seconds it was 4.6
    assert simulation.refused <= refused * 20 * 10  # the second call after a rest, and those that find the pace again


@pytest.mark.parametrize("hidden", [2.0, 10.0, 50.0])
@pytest.mark.parametrize("slots", [2, 16])
def test_a_slow_service_is_found_and_kept_to(hidden: float, slots: int) -> None:
    scenario = Hidden(rate=hidden, burst=5.0, latency=0.03, count=int(hidden * 120), slots=slots)
    came = simulate(replace(scenario, start=first_pace(slots)))
    assert came.over <= 1.02
    assert came.refused <= 1 / CALLS + 32 / scenario.count  # some at the start, and those that look


@pytest.mark.parametrize("latency", [0.02, 0.2])
def test_where_few_calls_go_a_second_no_refusal_is_risked_every_other_second(latency: float) -> None:
    came = simulate(Hidden(rate=5.0, burst=5.0, latency=latency, count=600, slots=8, start=first_pace(8)))
    assert came.over <= 1.01
    assert came.refused <= 0.045  # it was 0.07


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_the_slots_bound_a_lane_that_knows_nothing(slots: int) -> None:
    """Where the calls go as fast as the slots allow, the pace does not run away from them."""
    scenario = Hidden(rate=1e6, burst=1e6, latency=0.1, count=400, slots=slots, start=first_pace(slots), uneven=0.0)
    came = simulate(scenario)
    assert came.refused == 0
    assert came.learner.pace is not None
    assert came.learner.pace <= 4 * slots / 0.1


def test_a_remembered_pace_saves_the_search() -> None:
    scenario = Hidden(rate=200.0, burst=20.0, latency=0.2, ceiling=1000.0)
    first = simulate(scenario)
    assert first.learner.learned == pytest.approx(200, rel=0.02)
    again = simulate(replace(scenario, start=first.learner.learned))
    assert again.over <= 1.005
    assert again.refused <= 0.02
    assert again.over < first.over


def test_a_remembered_pace_that_is_too_low_by_far_is_left_behind() -> None:
    came = simulate(Hidden(start=5.0))
    assert came.over <= 1.1
    assert came.learner.learned == pytest.approx(200, rel=0.02)


def test_a_remembered_pace_is_never_more_than_the_ceiling() -> None:
    assert Learner(10.0, 500.0).pace == 10.0
    assert Learner(10.0, 0.0).pace == SLOWEST


def test_a_limit_that_is_lifted_is_made_use_of() -> None:
    simulation = Simulation(Hidden(rate=10.0, burst=5.0, count=4000, slots=8, ceiling=100.0), Learner(100.0))
    simulation.trace = lambda now, pace: setattr(simulation.bucket, "rate", 1e9) if now > 10 else None
    came = simulation.run()
    assert came.learner.pace == 100.0


def test_one_refusal_alone_slows_a_lane_for_a_moment_only() -> None:
    learner = Learner(10.0)
    learner.refused(0.0, 0.1)
    assert learner.pace == 5.0
    now = 0.1
    while now < 5.0:
        now += learner.wait(now) + 0.001
        learner.go(now)
        learner.accepted(now, now + 0.05)
    assert learner.pace == 10.0


def test_without_a_refusal_nothing_is_held_back() -> None:
    learner = Learner(10.0)
    for moment in range(100):
        assert learner.wait(moment / 1000) == 0.0
        learner.go(moment / 1000)
        learner.accepted(moment / 1000, moment / 1000 + 0.01)
    assert learner.pace is None
    assert learner.learned is None


def test_little_is_kept_of_many_calls() -> None:
    scenario = Hidden(rate=1000.0, burst=100.0, count=30_000, start=first_pace(128))
    simulation = Simulation(scenario, Learner(scenario.ceiling, scenario.start))
    most = 0

    def look(now: float, pace: float) -> None:
        nonlocal most
        refill = simulation.learner._refill
        most = max(most, len(refill._made), len(refill._accepted), len(refill._refused))

    simulation.trace = look
    simulation.run()
    assert most <= 10_000


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
    assert learner.learned is None
    learner.accepted(now, now)
    assert not learner.hopeless(now)


def test_what_the_service_told_overrules_what_was_learned() -> None:
    came = simulate(Hidden(start=first_pace(128), count=1000))
    learner = came.learner
    learner.limit(20.0)
    assert (learner.pace, learner.estimate, learner.ceiling) == (20.0, 20.0, 20.0)
    learner.told(1000.0)
    assert learner.pace == 18.0
    assert learner.wait(1000.0) == pytest.approx(TOLD_REST)


def test_when_the_service_raises_the_limit_that_it_tells_the_pace_is_that_at_once() -> None:
    learner = simulate(Hidden(start=first_pace(128), count=1000)).learner
    learner.limit(20.0)
    learner.told(1000.0)
    learner.limit(50.0)
    assert (learner.pace, learner.estimate, learner.ceiling) == (50.0, None, 50.0)


def test_when_the_service_raises_a_limit_below_which_it_refused_the_pace_is_still_what_was_learned() -> None:
    learner = simulate(Hidden(start=first_pace(128), count=1000)).learner
    known = learner.pace, learner.estimate
    learner.limit(400.0)
    learner.limit(500.0)
    assert (learner.pace, learner.estimate) == known


@pytest.mark.parametrize("waves", [(0.0, 600.0, 1200.0), (0.0, 60.0)])
def test_the_time_between_two_waves_is_not_taken_for_a_slow_service(waves: Sequence[float]) -> None:
    """The next run began at a call in 24 seconds, and said in its forecast that it would go on like that."""
    learner = Learner(10_000.0, start=50.0)
    for wave in waves:
        for number in range(25):
            learner.go(wave + number / 50)
            learner.accepted(wave + number / 50, wave + number / 50 + 0.05)
    assert learner.learned == pytest.approx(50, rel=0.1)


def test_what_held_the_calls_back_is_not_taken_for_a_pace_that_the_service_takes() -> None:
    learner = Learner(10_000.0, start=4.0)
    now = 0.0
    for _ in range(20):  # fifty at once in every ten seconds, as the service tells: it never refuses one
        for _ in range(50):
            learner.go(now)
            learner.accepted(now, now + 0.05)
            now += 0.01
        learner.paused(now + 9.5)
        now += 9.5
    assert learner.pace is not None
    assert learner.pace > 100
    assert learner.learned == pytest.approx(5.0, rel=0.06)
