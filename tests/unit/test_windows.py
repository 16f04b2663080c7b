"""Telling windows from a bucket, and their limit: pure decisions, in seconds of no clock in particular."""

from __future__ import annotations

import pytest

from orchestrator.windows import (
    ABOVE,
    AGAIN,
    AS_BEFORE,
    AT_ONCE,
    HIGHER,
    HIGHEST,
    IN_VAIN,
    LONG,
    MANY,
    PATIENCE,
    PROBE,
    SELDOM,
    SEVERAL,
    TRIALS,
    TWICE,
    WAITS,
    Suspicion,
    Windows,
)

PACE = 1000.0  # calls a second, before a window was used up
ANSWER = 0.02


def used_up(let_through: int = 40, seconds: float = 0.8, refused: int = 20) -> Suspicion:
    """Return what is suspected after so many calls were let through in a fifth of a second, and then none."""
    suspicion = Suspicion()
    for number in range(let_through + 1):
        suspicion.let_through(0.2 * number / max(1, let_through))
    for number in range(refused):
        suspicion.refused(0.2 + seconds * number / (refused - 1), PACE)
    return suspicion


@pytest.mark.parametrize(
    ("suspicion", "tries"),
    [
        pytest.param(used_up(), True, id="a silence"),
        pytest.param(used_up(seconds=0.9 * LONG), False, id="a short one"),
        pytest.param(used_up(refused=MANY - 1), False, id="of few refusals"),
        pytest.param(used_up(let_through=SEVERAL - 1), False, id="after next to nothing"),
    ],
)
def test_a_window_is_suspected_where_a_silence_follows_what_was_let_through(suspicion: Suspicion, tries: bool) -> None:
    assert suspicion.let_through(1.05) is tries
    assert (suspicion.pace is not None) is tries
    assert not suspicion.found


def test_it_is_tried_at_twice_the_average_and_with_few_calls_of_which_it_is_not_known_yet() -> None:
    suspicion = used_up()
    assert suspicion.let_through(1.05)
    assert suspicion.pace == pytest.approx(TWICE * 40 / 1.0)
    assert suspicion.apart(1 / PACE, ANSWER) == ANSWER / AT_ONCE
    assert suspicion.apart(1.0, ANSWER) == 1.0


def test_it_is_tried_at_no_more_than_the_pace_was_before() -> None:
    suspicion = used_up(let_through=10_000)
    assert suspicion.let_through(1.05)
    assert suspicion.pace == PACE


def test_windows_are_found_where_much_more_is_let_through_after_a_silence_than_a_bucket_refills() -> None:
    suspicion = used_up()
    for number in range(SEVERAL):
        assert not suspicion.found
        suspicion.let_through(1.05 + 0.01 * number)
    assert suspicion.found
    windows = suspicion.windows()
    assert windows.pace == suspicion.pace
    assert windows.limit is None


def test_a_bucket_that_refilled_meanwhile_is_none() -> None:
    suspicion = used_up()
    for number in range(10):  # one in the time of the silence, each
        suspicion.let_through(1.05 + 0.8 * number)
    assert not suspicion.found


def test_a_trial_that_fails_is_made_again_later_and_later_and_then_not_for_long() -> None:
    suspicion = used_up()
    assert suspicion.let_through(1.05)
    now, rest = 1.1, AGAIN * 0.8
    for _ in range(1, TRIALS):
        suspicion.refused(now, PACE)
        assert suspicion.pace is None
        assert not suspicion.let_through(now + rest)
        assert suspicion.let_through(now + rest + 0.01)
        now, rest = now + rest + 0.02, SELDOM * rest
    suspicion.refused(now, PACE)
    assert suspicion.pace is None
    assert not suspicion.let_through(now + 60)  # and now nothing is suspected


def test_a_trial_that_is_neither_good_nor_bad_is_over_after_a_while() -> None:
    suspicion = used_up()
    assert suspicion.let_through(1.05)
    assert not suspicion.in_vain(1.05)
    assert suspicion.in_vain(1.0 + PATIENCE * 1.0 + WAITS + 0.1)


def test_windows_of_which_none_is_used_up_are_none() -> None:
    """A bucket that said 429 to everybody for a second fills meanwhile: a pace of 12/s was kept where it takes 200."""
    windows = Windows(PACE, 0.0, 0, at_an_end=True, seconds=1.0, until=3.0)
    windows.let_through(3.0)
    assert not windows.over
    windows.let_through(3.1)
    assert windows.over


def test_a_silence_that_began_before_what_is_counted_tells_nothing() -> None:
    """A call of before a rest that was refused after it made a pace below zero."""
    suspicion = used_up()
    suspicion.rested(600.0)
    for number in range(SEVERAL):
        suspicion.let_through(600.1 + number / 100)
    for number in range(MANY):
        suspicion.refused(1.0 + number / 10, PACE)
    assert not suspicion.let_through(600.2)


def test_in_a_silence_only_some_calls_go() -> None:
    suspicion = used_up(seconds=0.8)
    assert suspicion.apart(1 / PACE, ANSWER) == pytest.approx(PROBE * 0.8)
    assert used_up(seconds=0.9 * AS_BEFORE).apart(1 / PACE, ANSWER) == 1 / PACE
    assert used_up(let_through=SEVERAL - 1).apart(1 / PACE, ANSWER) == 1 / PACE
    assert suspicion.let_through(1.05)
    suspicion.refused(1.06, PACE)
    suspicion.refused(1.4, PACE)
    assert suspicion.apart(1 / PACE, ANSWER) == 1 / PACE  # where it was none


def test_a_call_that_was_let_through_before_the_last_refusal_ends_the_silence() -> None:
    suspicion = used_up()
    assert not suspicion.let_through(0.5)
    assert not suspicion.let_through(1.05)


def windowed(*cycles: tuple[int, float, float], at_an_end: bool = True) -> Windows:
    """Return what is made of so many calls let through, in so many seconds, and then so many without any: each time."""
    windows, now = Windows(PACE, 0.0, 0, at_an_end=at_an_end, seconds=1.0, until=60.0), 0.0
    for let_through, seconds, silence in cycles:
        for number in range(let_through):
            windows.let_through(now + (number + 1) * seconds / (let_through + 1))
        for number in range(3):
            windows.refused(now + seconds + silence * number / 2)
        now += seconds + silence
    for number in range(SEVERAL):
        windows.let_through(now + 0.001 * (1 + number))
    return windows


@pytest.mark.parametrize(
    ("cycles", "limit"),
    [
        pytest.param([(50, 0.4, 0.6)], 50.0, id="one window"),
        pytest.param([(50, 0.4, 0.6), (51, 0.9, 0.1)], 51.0, id="the last of two"),
        pytest.param([(50, 0.4, 0.6), (4, 0.09, 0.01)], 50.0, id="not a part of one"),
        pytest.param([(50, 0.4, 0.6), (12, 0.3, 0.7)], 12.0, id="one that is lower"),
        pytest.param([(50, 0.4, 0.6), (2, 0.1, 0.1), (50, 0.4, 0.6)], 50.0, id="from the last silence before it"),
        pytest.param([(3, 0.4, 0.6)], None, id="of next to nothing none"),
    ],
)
def test_the_limit_is_what_is_let_through_from_the_end_of_one_silence_to_that_of_another(
    cycles: list[tuple[int, float, float]], limit: float | None
) -> None:
    windows = windowed(*cycles)
    assert windows.limit == (None if limit is None else pytest.approx(limit))
    assert windows.pace == pytest.approx(PACE if limit is None else ABOVE * limit)


def test_what_was_not_counted_from_the_end_of_a_silence_tells_nothing() -> None:
    assert windowed((50, 0.4, 0.6), at_an_end=False).limit is None
    assert windowed((50, 0.4, 0.6), (40, 0.2, 0.8), at_an_end=False).limit == pytest.approx(40.0)


def test_what_was_counted_over_a_rest_tells_nothing() -> None:
    windows = windowed((50, 0.4, 0.6))
    windows.rested(600.0)
    for number in range(20):
        windows.let_through(600.0 + number / 100)
    windows.refused(600.3)
    windows.let_through(600.4)
    assert windows.limit == pytest.approx(50.0)
    suspicion = used_up()
    suspicion.rested(600.0)
    assert not suspicion.let_through(600.1)


def test_where_no_window_is_used_up_any_more_the_limit_is_higher_by_ever_more() -> None:
    windows = windowed((50, 0.4, 0.6))
    raised: list[float] = []
    now = 1.001
    for _ in range(4000):
        now += 1 / windows.pace
        before = windows.limit or 0.0
        windows.let_through(now)
        if windows.limit != before:
            raised.append((windows.limit or 0.0) / before - 1)
    assert raised[:3] == pytest.approx([HIGHER, 2 * HIGHER, 4 * HIGHER])
    assert raised[-1] == pytest.approx(HIGHEST)
    assert now < 20


def test_in_a_silence_of_windows_only_some_calls_go_from_the_first_on() -> None:
    windows = windowed((50, 0.4, 0.6))
    windows.refused(2.0)
    assert windows.apart(0.02) == 0.02
    windows.refused(2.5)
    assert windows.apart(0.02) == pytest.approx(PROBE * 0.5)
    windows.let_through(2.6)
    assert windows.apart(0.02) == 0.02


def test_few_calls_between_two_silences_are_of_the_same_window() -> None:
    """Of so many in any second: who came one by one makes room one by one, a second later. 200/s seemed to be 300."""
    few = (SEVERAL - 1, 0.1, 0.1)
    assert windowed((50, 0.3, 0.1), few, few, few, (50, 0.3, 0.7)).limit == pytest.approx(50.0)
    assert windowed((50, 0.3, 0.1), few, few, few).limit == pytest.approx((50 + 3 * len(few)) / 1.0)


def test_where_every_other_call_is_let_through_that_is_the_limit() -> None:
    """There was never an end of a window, and the lane went on at twice the limit."""
    assert windowed((50, 0.5, 0.1), *[(1, 0.01, 0.01)] * (IN_VAIN + 1)).limit == pytest.approx(57 / 0.74)


def test_where_more_is_refused_than_let_through_again_and_again_it_is_over() -> None:
    assert not windowed(*[(1, 0.1, 0.4)] * (IN_VAIN - 1)).over
    assert windowed(*[(1, 0.1, 0.4)] * IN_VAIN).over
    assert not windowed(*[(1, 0.1, 0.4)] * (IN_VAIN - 1), (50, 0.4, 0.6), (1, 0.1, 0.4)).over
