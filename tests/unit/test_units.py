"""Durations, rates and amounts as people write them, and dates as text."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from orchestrator.units import (
    Amount,
    Duration,
    Rate,
    Rates,
    http_date,
    parse_amount,
    parse_duration,
    parse_rate,
    timestamp,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("90s", 90.0),
        ("45m", 2700.0),
        ("1h30m", 5400.0),
        ("1d", 86400.0),
        ("1.5h", 5400.0),
        (" 30s ", 30.0),
        (0, 0.0),
        (2.5, 2.5),
    ],
    ids=str,
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "30", "s", "-5s", "1h 30m", "1w", "forever", "1e3s", "5S", None, True], ids=str)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="30s, 45m or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize(
    "text", ["36501d", "999999999d", float("inf"), float("nan"), 10**400], ids=lambda one: str(one)[:9]
)
def test_a_duration_is_no_longer_than_the_calendar(text: object) -> None:
    assert parse_duration("36500d") == 36_500 * 86_400
    with pytest.raises(ValueError, match="at most 36500d"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0s", "0ms", 0, -1], ids=str)
def test_a_duration_in_a_file_is_longer_than_zero(text: object) -> None:
    with pytest.raises(ValidationError, match="longer than zero"):
        TypeAdapter(Duration).validate_python(text)


@pytest.mark.parametrize(
    ("text", "rate", "per_second", "shown"),
    [
        pytest.param("5/s", Rate(5, 1), 5.0, "5/s", id="second"),
        pytest.param("60/m", Rate(60, 60), 1.0, "60/m", id="minute"),
        pytest.param("350/10s", Rate(350, 10), 35.0, "350/10s", id="window"),
        pytest.param("0.5/s", Rate(0.5, 1), 0.5, "0.5/s", id="fraction"),
        pytest.param("100 / 5m", Rate(100, 300), 1 / 3, "100/300s", id="spaces"),
        pytest.param("1000/d", Rate(1000, 86400), 1000 / 86400, "1000/d", id="day"),
        pytest.param(Rate(5, 1), Rate(5, 1), 5.0, "5/s", id="a-rate"),
    ],
)
def test_rates(text: object, rate: Rate, per_second: float, shown: str) -> None:
    found = parse_rate(text)
    assert found == rate
    assert found.per_second == pytest.approx(per_second)
    assert str(found) == shown
    assert parse_rate(shown) == rate


@pytest.mark.parametrize("text", ["", "5", "5/", "/s", "0/s", "0.0/s", "-5/s", "5/0s", "5/00s", "5/w", "x/s"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="5/s, 60/m or 350/10s"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("value", "rates"),
    [
        pytest.param("5/s", (Rate(5, 1),), id="one"),
        pytest.param(["5/s", "100/m"], (Rate(5, 1), Rate(100, 60)), id="several"),
    ],
)
def test_a_limit_is_one_rate_or_several(value: object, rates: tuple[Rate, ...]) -> None:
    assert TypeAdapter(Rates).validate_python(value) == rates


def test_no_rate_at_all_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least one rate"):
        TypeAdapter(Rates).validate_python([])


@pytest.mark.parametrize(
    ("text", "total", "number"),
    [
        pytest.param("500", 10, 500, id="count"),
        pytest.param(5, 10, 5, id="number"),
        pytest.param("0", 10, 0, id="none"),
        pytest.param("10%", 100, 10, id="share"),
        pytest.param("10%", 9, 0, id="rounded-down"),
        pytest.param("10%", 19, 1, id="rounded-down-again"),
        pytest.param("29%", 100, 29, id="no-rounding-error"),
        pytest.param("0.5%", 1000, 5, id="fraction"),
        pytest.param("100%", 7, 7, id="all"),
        pytest.param("0%", 7, 0, id="no-share"),
        pytest.param(Amount(share=0.5), 4, 2, id="an-amount"),
    ],
)
def test_amounts(text: object, total: int, number: int) -> None:
    assert parse_amount(text).of(total) == number


@pytest.mark.parametrize("text", ["", "%", "-1", "-5%", "101%", "1.5", "ten", "1000%", "5 %"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="500 or a share such as 10%"):
        parse_amount(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("Tue, 14 Nov 2023 22:13:20 GMT", 1_700_000_000.0, id="date"),
        pytest.param("Tue, 14 Nov 2023 23:13:20 +0100", 1_700_000_000.0, id="another-zone"),
        pytest.param("Thu, 01 Jan 1970 00:00:00 GMT", 0.0, id="the-epoch-is-a-date"),
        pytest.param("", None, id="empty"),
        pytest.param("yesterday", None, id="a-word"),
        pytest.param("Tue, 99 Nov 2023 22:13:50 GMT", None, id="no-such-day"),
        pytest.param("Tue, 14 Nov 99999 22:13:50 GMT", None, id="no-such-year"),
        pytest.param("Tue, 14 Nov 2023 22:13:20 +9999999999999", None, id="an-absurd-zone"),
    ],
)
def test_http_date(text: str, seconds: float | None) -> None:
    assert http_date(text) == seconds


@given(st.text() | st.text("0123456789 ,:-+GMTJanFebSun"))
def test_a_hostile_date_is_no_error(text: str) -> None:
    assert isinstance(http_date(text), float | None)


@pytest.mark.parametrize("text", ["Tue, 14 Nov 2023 22:13:20 -0000", "Tue, 14 Nov 2023 22:13:20"])
def test_a_date_without_a_zone_is_in_utc_wherever_this_runs(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert http_date(text) == 1_700_000_000.0
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(0.0, "1970-01-01T00:00:00.000Z", id="the-epoch"),
        pytest.param(1795375800.9999, "2026-11-22T19:30:00.999Z", id="never-rounded-into-the-next-second"),
        pytest.param(None, None, id="none"),
    ],
)
def test_timestamp(seconds: float | None, text: str | None) -> None:
    assert timestamp(seconds) == text


@given(st.floats(0, 4e9), st.sampled_from([0.0, 0.0005, 0.001, 0.9989999, 0.999, 0.9999994, 0.9999995, 0.9999999]))
def test_a_timestamp_is_rounded_as_datetime_rounds(seconds: float, rest: float) -> None:
    for moment in (seconds, int(seconds) + rest):
        exact = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
        assert timestamp(moment) == exact.replace("+00:00", "Z")
