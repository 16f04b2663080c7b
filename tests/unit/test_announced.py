"""What headers say about a limit: how many calls are left, until when, and how fast they may go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.announced import TELLING, Announced, announced, policies, remaining

NOW = 1_700_000_000.0
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"  # NOW


@pytest.mark.parametrize(
    ("headers", "left", "wait", "pace"),
    [
        pytest.param({"x-ratelimit-remaining": "7", "x-ratelimit-reset": "30"}, 7, 30, None, id="seconds"),
        pytest.param({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000060"}, 0, 60, None, id="epoch"),
        pytest.param({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000060000"}, 0, 60, None, id="millis"),
        pytest.param({"x-rate-limit-remaining": "0", "x-rate-limit-reset": "5"}, 0, 5, None, id="another-hyphen"),
        pytest.param({"ratelimit-remaining": "3", "ratelimit-reset": "9"}, 3, 9, None, id="early-draft"),
        pytest.param({"ratelimit": "limit=100, remaining=50, reset=5"}, 50, 5, None, id="draft-of-one-header"),
        pytest.param({"ratelimit": '"default";r=50;t=30'}, 50, 30, None, id="late-draft"),
        pytest.param({"ratelimit": '"a";r=50;t=30, "b";r=2;t=4'}, 2, 4, None, id="several"),
        pytest.param({"ratelimit": '"day";r=0;t=40000, "second";r=19;t=1'}, 0, 40000, None, id="the-longer-one-binds"),
        pytest.param({"ratelimit": '"second";r=0;t=1, "day";r=0;t=40000'}, 0, 40000, None, id="the-longest-of-equals"),
        pytest.param({"ratelimit": f'"a";r=50;t=30, {" " * 500}"b";r=0;t=4'}, 50, 30, None, id="no-more-is-read"),
        pytest.param({"ratelimit-policy": '"default";q=100;w=10'}, None, None, 10, id="policy"),
        pytest.param({"ratelimit-policy": "10;w=1, 50;w=60, 1000;w=3600"}, None, None, 50 / 60, id="slowest-short"),
        pytest.param({"x-ratelimit-limit": "100, 100;w=20"}, None, None, 5, id="window-in-limit"),
        pytest.param({"ratelimit-policy": "5000;w=3600"}, None, None, None, id="long-window-is-no-pace"),
        pytest.param({"x-ratelimit-limit": "5000"}, None, None, None, id="limit-alone"),
        pytest.param({"x-ratelimit-remaining": "5"}, None, None, None, id="left-until-nobody-knows"),
        pytest.param({"x-ratelimit-remaining": "-5", "x-ratelimit-reset": "9"}, None, 9, None, id="negative"),
        pytest.param({"x-ratelimit-remaining": "many", "x-ratelimit-reset": "soon"}, None, None, None, id="words"),
        pytest.param({"ratelimit-policy": "0;w=1, 5;w=0, q=;w="}, None, None, None, id="nothings"),
        pytest.param({"content-type": "text/html"}, None, None, None, id="none"),
    ],
)
def test_an_answer_tells_what_is_left(
    headers: dict[str, str], left: int | None, wait: float | None, pace: float | None
) -> None:
    assert remaining(headers, NOW) == Announced(wait, pace, left)


def test_a_moment_is_by_the_services_clock() -> None:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000060", "date": DATE}
    assert remaining(headers, NOW + 40).wait == 60
    assert remaining({**headers, "x-ratelimit-reset": "1600000000"}, NOW).wait == 0


@pytest.mark.parametrize(
    ("headers", "wait", "pace"),
    [
        pytest.param({"x-ratelimit-reset": "30"}, 30, None, id="reset"),
        pytest.param({"x-ratelimit-reset": "30", "retry-after": "4"}, 4, None, id="retry-after-goes-first"),
        pytest.param({"ratelimit-policy": "20;w=10"}, 10, 2, id="policy-alone"),
        pytest.param({"ratelimit-policy": "20;w=10", "ratelimit": '"x";r=0;t=3'}, 3, 2, id="policy-and-reset"),
    ],
)
def test_a_refusal_tells_when_to_go_on(headers: dict[str, str], wait: float, pace: float | None) -> None:
    said = announced(headers, None, NOW)
    assert (said.wait, said.pace, said.used_up) == (wait, pace, "")


@pytest.mark.parametrize(
    ("headers", "message", "words"),
    [
        ({}, "policy domain over ratelimit, limit:1000, time:1 day", "its limit of 1000 calls a day is used up"),
        ({"retry-after": "1"}, "policy x over ratelimit, limit:9, time:2 day", "its limit of 9 calls in 2 days"),
        ({"ratelimit-policy": "500;w=86400"}, None, "its limit of 500 calls a day is used up"),
        ({"ratelimit-policy": "5;w=1, 500;w=86400"}, None, ""),  # which of them it was nobody says
        ({}, "policy x over ratelimit, limit:1000, time:1 hour", ""),
    ],
)  # fmt: skip
def test_a_limit_by_the_day_is_told_in_words(headers: dict[str, str], message: str | None, words: str) -> None:
    said = announced(headers, message, NOW).used_up
    assert words in said if words else not said


@given(
    st.dictionaries(
        st.sampled_from(sorted(TELLING)), st.text(max_size=60) | st.from_regex(r'"?[a-z]?"?;?[qrtw]=\d{1,20}')
    )
)
def test_whatever_they_say_it_is_numbers_or_nothing(headers: dict[str, str]) -> None:
    said = remaining(headers, NOW)
    assert said.wait is None or said.wait >= 0
    assert said.left is None or said.left >= 0
    assert said.pace is None or said.pace > 0
    assert all(calls > 0 and seconds > 0 for calls, seconds in policies(headers))
    assert announced(headers, None, NOW).wait is None or announced(headers, None, NOW).wait >= 0  # type: ignore[operator]
