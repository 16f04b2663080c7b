"""What is counted between two refusals: a table of pure decisions, in seconds of no clock in particular."""

from __future__ import annotations

import pytest

from orchestrator.refill import EARLIER, EVIDENCE, MOMENT, ROUGH, SPAN, Found, Refill

ANSWER = 0.01  # seconds that an answer takes: short, so that nothing is in doubt for that


def counted(let_through: int, seconds: float, answer: float = ANSWER, known: float | None = None) -> Found | None:
    """Return what is found when so many calls were let through, evenly, between two refusals."""
    refill = Refill()
    refill.begin(0.0)
    for number in range(let_through):
        refill.let_through((number + 0.5) * seconds / let_through, answer)
    return refill.refused(seconds, answer, known)


@pytest.mark.parametrize(("calls", "seconds"), [(100, 1.0), (EVIDENCE, 0.5), (50, 10.0)])
def test_what_was_let_through_between_two_refusals_is_the_rate(calls: int, seconds: float) -> None:
    assert counted(calls, seconds) == Found(calls / seconds, 1 / calls)


@pytest.mark.parametrize("calls", range(EVIDENCE))
def test_few_calls_make_no_estimate_but_a_bound(calls: int) -> None:
    assert counted(calls, 1.0) == Found(calls + 1, rough=True)
    assert counted(calls, MOMENT / 2) == Found((calls + ROUGH) / (MOMENT / 2), rough=True)


def test_of_a_tenth_of_an_answers_time_nothing_is_made_for_answers_may_be_on_their_way() -> None:
    assert counted(2, 0.019, answer=0.2) is None
    assert counted(2, 0.021, answer=0.2) is not None


def test_what_comes_in_less_than_an_answers_time_is_doubted_by_how_unequal_answers_are() -> None:
    assert counted(20, 0.1, answer=0.2) == pytest.approx(Found(200.0, 0.14))
    assert counted(20, 0.01, answer=0.2) == pytest.approx(Found(2000.0, 0.3))
    assert counted(20, 0.2, answer=0.2) == Found(100.0, 1 / 20)


def test_an_answer_that_comes_late_is_counted_all_the_same() -> None:
    refill = Refill()
    refill.begin(0.0)
    for number in range(EVIDENCE - 1):
        assert refill.let_through(0.1 * number + 0.05, ANSWER) is None
    assert refill.refused(1.0, ANSWER, None) == Found(EVIDENCE, rough=True)
    assert refill.let_through(0.9, ANSWER) == Found(EVIDENCE, 1 / EVIDENCE)
    assert refill.let_through(1.1, ANSWER) is None  # it belongs to the next one


@pytest.mark.parametrize("forgotten", [True, False], ids=["counted anew", "while it still counts"])
def test_what_was_let_through_before_a_refusal_was_told_is_counted(forgotten: bool) -> None:
    """Only what came after it was, and 60/s that were refused after five seconds seemed to be 10."""
    refill = Refill()
    for number in range(100):
        assert refill.let_through(number / 10, ANSWER) is None
    refill.begin(1.95)
    assert refill.refused(9.95, ANSWER, None) == pytest.approx(Found(10.0, 1 / 80))
    if forgotten:
        refill.forget()
    refill.begin(5.95)
    assert refill.refused(9.95, ANSWER, None) == pytest.approx(Found(10.0, 1 / 40))


def test_of_what_was_let_through_before_a_refusal_was_told_no_more_is_counted_than_is_remembered() -> None:
    """Half of the limit was found, and was said to be certain."""
    refill = Refill()
    for number in range(4 * EARLIER):
        refill.went(number / 1000)
        refill.let_through(number / 1000, ANSWER)
    refill.begin(0.0)
    found = refill.refused(4 * EARLIER / 1000, ANSWER, None)
    assert found is not None
    assert found.per_second == pytest.approx(1000, rel=0.001)


def test_a_refusal_that_is_the_last_one_is_not_counted_from_for_ever() -> None:
    """32 MB were kept for a million calls."""
    refill = Refill()
    refill.begin(0.0)
    for number in range(10 * EARLIER):
        refill.went(1 + number / 1000)
        refill.let_through(1 + number / 1000, ANSWER)
    assert not refill.counting
    assert len(refill._made) <= 2 * EARLIER
    assert len(refill._accepted) <= 2 * EARLIER


def test_a_service_that_refuses_everything_has_no_lower_limit() -> None:
    """A tenth less than expected over the last refusals: 0.3/s was learned, and remembered, where it takes 100."""
    refill = Refill()
    refill.begin(0.0)
    for number in range(200):
        refill.let_through(0.01 * number + 0.005, ANSWER)
    found = [refill.refused(2.0 + 0.01 * number, ANSWER, 100.0) for number in range(50)]
    assert min(one.per_second for one in found if one is not None) >= 75


def test_what_began_before_the_first_refusal_is_not_counted() -> None:
    refill = Refill()
    assert refill.let_through(0.5, ANSWER) is None
    refill.begin(1.0)
    assert refill.let_through(0.9, ANSWER) is None
    assert refill.refused(0.8, ANSWER, None) is None
    for number in range(10):
        refill.let_through(1.05 + number / 10, ANSWER)
    assert refill.refused(2.0, ANSWER, None) == pytest.approx(Found(10.0, 1 / 10))


def test_where_refusals_come_sooner_than_answers_what_was_not_refused_was_let_through() -> None:
    """Answers took a second, and until they came 200/s seemed to be 10: it took four times as long."""
    refill = Refill()
    refill.begin(0.0)
    for number in range(100):
        refill.went(number / 100 + 0.005)
        if number % 2:
            refill.refused(number / 100 + 0.005, ANSWER, None, sooner=True)
    refill.went(1.0)
    assert refill.refused(1.0, ANSWER, None, sooner=True) == Found(50.0, 1 / 50)
    assert refill.refused(1.001, ANSWER, None) == Found(1 / 1.001, rough=True)


def half_refused() -> Refill:
    """Return what counted a second of 200 calls, of which every other one was refused at once."""
    refill = Refill()
    refill.begin(0.0)
    for number in range(1, 201):
        refill.went(number / 200)
        if number % 2 == 0:
            refill.refused(number / 200, ANSWER, None, sooner=True)
    return refill


def test_a_refusal_that_is_told_late_is_no_rule_for_those_that_come_at_once() -> None:
    """From then on only what was answered counted, which was nothing yet."""
    refill = half_refused()
    assert refill.refused(-0.5, 1.0, None) is None
    assert refill.refused(0.501, 1.0, None) == pytest.approx(Found(99.0, 1 / 99))
    assert [refill.let_through(number / 200, ANSWER) for number in range(1, 12, 2)] == 6 * [None]


def test_a_call_whose_target_is_why_it_was_refused_was_not_let_through() -> None:
    refill = Refill()
    refill.begin(0.0)
    for number in range(1, 201):
        refill.went(number / 200)
        if number % 2:
            refill.turned_away(number / 200)
    assert refill.refused(1.0, ANSWER, None, sooner=True) == Found(99.0, 1 / 99)


def test_what_was_before_the_refusal_that_is_counted_from_is_forgotten() -> None:
    refill = half_refused()
    for second in range(1, 100):
        for number in range(200):
            refill.went(second + number / 200)
            refill.let_through(second + number / 200, ANSWER)
        refill.turned_away(second + 0.5)
        refill.refused(second + 1, ANSWER, None)
        kept = refill._made, refill._accepted, refill._refused
        assert max(map(len, kept)) <= 2 * 2 * SPAN * 200
        assert min(min(times, default=second) for times in kept) >= second - 2 * SPAN


def test_an_answer_tells_nothing_new_where_refusals_come_sooner() -> None:
    refill = Refill()
    refill.begin(0.0)
    for number in range(10):
        refill.went(number / 10 + 0.05)
    refill.went(1.0)
    assert refill.refused(1.0, ANSWER, None, sooner=True) == Found(10.0, 1 / 10)
    assert [refill.let_through(number / 10 + 0.05, ANSWER) for number in range(10)] == 10 * [None]


def test_nothing_is_counted_over_a_time_in_which_no_call_went() -> None:
    refill = Refill()
    refill.begin(0.0)
    for number in range(10):
        refill.let_through(0.01 * (number + 1), ANSWER)
    refill.resumed(5.0)
    assert refill.refused(5.1, ANSWER, None) is None  # else two calls a second would be found
    for number in range(10):
        refill.let_through(5.1 + 0.01 * (number + 1), ANSWER)
    assert refill.refused(5.2, ANSWER, None) == pytest.approx(Found(100.0, 0.1))


def _after(second: int, calls_a_second: int, refusals: int, known: float) -> Found | None:
    """Count two seconds at 100/s, then some at another rate, with refusals; return what the last one tells."""
    refill, found = Refill(), None
    refill.begin(0.0)
    for number in range(200):
        refill.let_through(0.01 * number + 0.005, ANSWER)
    refill.refused(2.0, ANSWER, known)
    for number in range(calls_a_second * second):
        refill.let_through(2.0 + (number + 0.5) / calls_a_second, ANSWER)
    for number in range(refusals):
        found = refill.refused(2.0 + second * (number + 1) / refusals, ANSWER, known)
    return found


def test_a_refusal_that_is_told_late_and_was_before_all_that_is_counted_tells_nothing() -> None:
    refill = Refill()
    refill.begin(10.0)
    refill.refused(8.0, ANSWER, 200.0)
    for number in range(20):
        refill.let_through(10.0 + 0.005 * number + 0.002, ANSWER)
    assert refill.refused(10.1, ANSWER, 200.0) == pytest.approx(Found(200.0, 0.05))  # it was 40


def test_a_limit_that_fell_is_told_by_the_last_refusals_alone() -> None:
    found = _after(1, 20, 20, known=100.0)
    assert found is not None
    assert found.per_second == pytest.approx(20, rel=0.3)


def test_where_nothing_is_let_through_any_more_no_limit_fell_but_a_window_is_used_up() -> None:
    refill, found = Refill(), None
    refill.begin(0.0)
    for number in range(100):
        refill.let_through(0.005 * number + 0.002, ANSWER)
    for number in range(20):
        found = refill.refused(0.5 + 0.005 * number, ANSWER, 200.0)
    assert found is not None
    assert found.per_second == pytest.approx(100 / 0.595)


def test_a_limit_that_rose_is_told_from_the_last_refusal_on() -> None:
    found = _after(1, 400, 1, known=100.0)
    assert found is not None
    assert found.per_second == pytest.approx(400, rel=0.01)


def test_a_moment_in_which_many_were_let_through_is_no_limit_that_rose() -> None:
    refill = Refill()
    refill.begin(0.0)
    for number in range(100):
        refill.let_through(0.01 * number + 0.005, 0.05)
    refill.refused(1.0, 0.05, 100.0)
    for number in range(14):
        refill.let_through(1.001 + 0.001 * number, 0.05)
    found = refill.refused(1.018, 0.05, 100.0)
    assert found is not None
    assert found.per_second == pytest.approx(114 / 1.018)
