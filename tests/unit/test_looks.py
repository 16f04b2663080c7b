"""When it is looked whether a limit has risen, and what comes of it: a table of pure decisions."""

from __future__ import annotations

import pytest

from orchestrator.looks import CALLS, CERTAIN, DIP, FURTHEST, NEAR, SELDOM, TRIAL, Looks, interval

LIMIT = 100.0
LOOK = 1.0  # seconds


@pytest.mark.parametrize(
    ("limit", "doubt", "told_after", "seconds"),
    [
        pytest.param(20.0, 0.0, 0.0, CALLS / 20, id="in the time of some forty calls"),
        pytest.param(1000.0, 0.0, 0.0, SELDOM, id="not more often, however fast they go"),
        pytest.param(20.0, 0.0, 1.0, 6 * CALLS / 20, id="later where refusals are told late, and many with them"),
        pytest.param(20.0, CERTAIN, 0.0, CALLS / 20, id="as it is almost certain"),
        pytest.param(20.0, 4 * CERTAIN, 0.0, CALLS / 80, id="the sooner the more is in doubt"),
    ],
)
def test_when_it_is_looked(limit: float, doubt: float, told_after: float, seconds: float) -> None:
    assert interval(limit, doubt, told_after) == pytest.approx(seconds)


def test_after_one_look_one_call_more_went_than_the_limit_allows() -> None:
    looks, calls, step = Looks(), 0.0, LOOK / 1000
    looks.begin(5.0)
    for number in range(1000):
        calls += step * LIMIT * (1 - DIP + looks.growth(LIMIT, LOOK, 5.0 + (number + 0.5) * step))
    assert calls == pytest.approx(LIMIT * LOOK + 1, abs=0.01)


def test_the_pace_grows_no_more_where_no_refusal_comes() -> None:
    looks = Looks()
    furthest = looks.growth(LIMIT, LOOK, FURTHEST * LOOK)
    assert looks.growth(LIMIT, LOOK, 1000.0) == furthest > looks.growth(LIMIT, LOOK, LOOK)


def test_a_refusal_is_overdue_after_a_call_more_than_those_that_may_be_refused_yet() -> None:
    looks = Looks()
    looks.begin(0.0)
    for _ in range(3):
        assert not looks.overdue(1.0)
        looks.went(0.25)
    assert looks.overdue(1.0)
    assert not looks.overdue(2.0)


def test_calls_that_something_else_held_back_tell_nothing() -> None:
    looks = Looks()
    looks.begin(0.0)
    looks.went(6.0)
    assert looks.behind(4.0)
    assert not looks.behind(5.0)


def test_calls_that_may_go_at_once_after_a_rest_tell_nothing() -> None:
    looks = Looks()
    looks.begin(0.0, room=8)
    for _ in range(9):
        looks.went(0.0)
        assert not looks.overdue(0.0)
    looks.went(0.0)
    assert looks.overdue(0.0)


def test_a_limit_is_tried_that_lies_below_what_was_refused_lately() -> None:
    looks = Looks()
    assert looks.trial(LIMIT, LIMIT, LOOK, 1.0) is None
    looks.refused(1.21 * LIMIT, 1.0)
    assert looks.trial(LIMIT, LIMIT, LOOK, 2.0) == pytest.approx(1.1 * LIMIT)
    assert looks.trial(LIMIT, 1.21 * LIMIT / NEAR, LOOK, 2.0) is None
    assert looks.trial(LIMIT, LIMIT, LOOK, 100.0) is None


def test_each_trial_that_is_good_goes_further() -> None:
    looks = Looks()
    looks.refused(100 * LIMIT, 1.0)
    tried = [looks.trial(LIMIT, LIMIT, LOOK, 2.0) for _ in range(3)]
    assert tried == pytest.approx([TRIAL * LIMIT, TRIAL**2 * LIMIT, TRIAL**3 * LIMIT])


def test_a_trial_is_over_with_the_first_refusal_and_was_good_if_that_comes_late() -> None:
    for began, before in ((2.2, LIMIT), (2.7, None)):
        looks = Looks()
        looks.refused(1.21 * LIMIT, 1.0)
        looks.trial(LIMIT, LIMIT, LOOK, 2.0)
        looks.begin(2.0)
        assert looks.tried(began, LOOK) == before
        assert looks.tried(2.1, LOOK) is None


def test_where_there_is_no_more_to_try_nothing_is_on_trial_any_more() -> None:
    """A refusal long after it put back the limit from before the trial."""
    looks = Looks()
    looks.refused(3 * LIMIT, 1.0)
    assert looks.trial(LIMIT, LIMIT, LOOK, 2.0) == TRIAL * LIMIT
    assert looks.trial(TRIAL * LIMIT, 4 * LIMIT, LOOK, 4.0) is None
    looks.begin(20.0)
    assert looks.tried(20.1, LOOK) is None


def test_where_the_whole_lane_waits_nothing_is_on_trial() -> None:
    looks = Looks()
    looks.refused(1.21 * LIMIT, 1.0)
    looks.trial(LIMIT, LIMIT, LOOK, 2.0)
    looks.no_trial()
    assert looks.tried(0.0, LOOK) is None
