"""How long to wait: jitter under a cap, and what the service asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.announced import Announced, announced
from orchestrator.backoff import Backoff

NOW = 1_700_000_000.0


def longest(low: float, high: float) -> float:
    return high


@pytest.mark.parametrize(
    ("attempt", "ceiling"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 32.0), (8, 60.0), (1000, 60.0)], ids=str
)
def test_the_pause_doubles_up_to_the_cap(attempt: int, ceiling: float) -> None:
    assert Backoff(uniform=longest).delay(attempt) == ceiling


@given(st.integers(1, 10_000), st.floats(0.001, 100), st.floats(0.001, 1000))
def test_a_pause_is_between_nothing_and_the_cap(attempt: int, base: float, cap: float) -> None:
    assert 0 <= Backoff(base, cap).delay(attempt) <= cap


@given(st.integers(1, 100), st.floats(0, 3600))
def test_what_is_asked_for_is_the_least_and_little_is_added(attempt: int, asked: float) -> None:
    assert asked <= Backoff().delay(attempt, asked) <= asked * 1.1 + 0.501


@pytest.mark.parametrize(
    ("message", "wait", "pace"),
    [
        pytest.param("policy user over ratelimit,limit:200,time:5 minute", 300, 200 / 300, id="gateway"),
        pytest.param("policy domain over ratelimit, limit:1000, time:1 day", 86400, None, id="a-day-is-no-pace"),
        pytest.param("POLICY IP OVER RATELIMIT, LIMIT:5, TIME:1 SECOND", 1, 5, id="any-case"),
        pytest.param("over ratelimit, limit: 60 , time: 1 hour", None, None, id="another-comma"),
        pytest.param("over ratelimit, limit: 60, time: 1hour", 3600, None, id="an-hour-with-other-blanks"),
        pytest.param("policy x over ratelimit, limit:0, time:1 minute", 60, None, id="no-calls-at-all"),
        pytest.param("policy x over ratelimit, limit:5, time:0 minute", None, None, id="no-time-at-all"),
        pytest.param("policy x over ratelimit, limit:5, time:1 fortnight", None, None, id="unknown-unit"),
        pytest.param("Threshold: 5 times per 60 seconds", 60, 5 / 60, id="iam"),
        pytest.param("Threshold: 5 times per 0 seconds", None, None, id="iam-no-time"),
        pytest.param("The throttling threshold has been reached", None, None, id="says-nothing"),
        pytest.param("", None, None, id="empty"),
        pytest.param(None, None, None, id="none"),
    ],
)
def test_a_limit_in_a_message(message: str | None, wait: float | None, pace: float | None) -> None:
    said = announced({}, message, NOW)
    assert (said.wait, said.pace) == (wait, pace)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        pytest.param({"retry-after": "120"}, 120, id="seconds"),
        pytest.param({"retry-after": " 1.5 "}, 1.5, id="fraction"),
        pytest.param({"retry-after": "0"}, 0, id="zero"),
        pytest.param({"retry-after": "99999999999999999999"}, 1e10, id="for-ever"),
        pytest.param({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30, id="date"),
        pytest.param({"retry-after": "Tuesday, 14-Nov-23 22:13:50 GMT"}, 30, id="old-date"),
        pytest.param({"retry-after": "Tue, 14 Nov 2023 22:13:00 GMT"}, 0, id="past"),
        pytest.param(
            {"retry-after": "Wed, 01 Jan 2020 00:01:00 GMT", "date": "Wed, 01 Jan 2020 00:00:00 GMT"},
            60,
            id="by-the-services-clock",
        ),
        pytest.param({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT", "date": "rubbish"}, 30, id="a-date-of-rubbish"),
        pytest.param({"retry-after": "soon"}, None, id="word"),
        pytest.param({"retry-after": "-1"}, None, id="negative"),
        pytest.param({"retry-after": "1e9"}, None, id="exponent"),
        pytest.param({"retry-after": "nan"}, None, id="nan"),
        pytest.param({"retry-after": "9" * 400}, None, id="huge"),
        pytest.param({"retry-after": "Tue, 99 Nov 2023 22:13:50 GMT"}, None, id="no-such-day"),
        pytest.param({"retry-after": ""}, None, id="empty"),
        pytest.param({}, None, id="none"),
    ],
)
def test_retry_after(headers: dict[str, str], wait: float | None) -> None:
    assert announced(headers, None, NOW).wait == wait


DAILY = "10000;w=86400"


@pytest.mark.parametrize(
    ("headers", "message", "used_up"),
    [
        pytest.param({"ratelimit-policy": DAILY}, None, True, id="nothing-else-is-told"),
        pytest.param({"ratelimit-policy": DAILY, "ratelimit": "r=0;t=40000"}, None, True, id="none-left"),
        pytest.param({"ratelimit-policy": DAILY, "ratelimit": "r=500;t=40000"}, None, False, id="some-left"),
        pytest.param({"x-ratelimit-limit": DAILY, "retry-after": "1"}, None, False, id="in-a-second"),
        pytest.param({"x-ratelimit-limit": DAILY, "retry-after": "40000"}, None, True, id="in-hours"),
        pytest.param({"ratelimit-policy": f"100;w=60, {DAILY}"}, None, False, id="another-one-too"),
        pytest.param({"retry-after": "1"}, "over ratelimit,limit:9,time:1 day", True, id="it-names-the-one-it-is"),
    ],
)
def test_a_limit_by_the_day_is_used_up_where_nothing_says_that_it_is_not(
    headers: dict[str, str], message: str | None, used_up: bool
) -> None:
    assert bool(announced(headers, message, NOW).used_up) is used_up


def test_retry_after_goes_before_the_limits_window() -> None:
    said = announced({"retry-after": "4"}, "policy app over ratelimit, limit:100, time:1 minute", NOW)
    assert said == Announced(4, 100 / 60)


@given(st.text() | st.text("0123456789 ,:-+GMTJanFebSun"), st.text(max_size=20))
def test_a_hostile_header_is_no_error(value: str, date: str) -> None:
    wait = announced({"retry-after": value, "date": date}, value, NOW).wait
    assert wait is None or wait >= 0
