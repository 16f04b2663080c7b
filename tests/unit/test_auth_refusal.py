"""The words for a refused credential, and the clock behind some of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.auth.refusal import clock_skew, refusal_text

NOW = 1704164645.0
CLOCK = (
    "; the service's clock differs by 1260 s from this machine's; "
    "signatures older than 15 minutes are refused: set the clock"
)


@pytest.mark.parametrize(
    ("header", "skew"),
    [
        pytest.param("Tue, 02 Jan 2024 03:04:05 GMT", 0.0, id="the-same"),
        pytest.param("Tue, 02 Jan 2024 02:43:05 GMT", 1260.0, id="ours-is-ahead"),
        pytest.param("Tue, 02 Jan 2024 03:25:05 GMT", -1260.0, id="ours-is-behind"),
        pytest.param("Tue, 02 Jan 2024 04:04:05 +0100", 0.0, id="another-zone"),
        pytest.param("Tue, 02 Jan 2024 03:04:05 -0000", 0.0, id="no-zone-is-utc"),
        pytest.param(None, None, id="no-header"),
        pytest.param("", None, id="empty"),
        pytest.param("yesterday", None, id="not-a-date"),
        pytest.param("Tue, 02 Jan 2024 03:04:05 +9999999999999", None, id="an-absurd-zone"),
    ],
)
def test_clock_skew(header: str | None, skew: float | None) -> None:
    assert clock_skew(header, NOW) == skew


@given(st.text())
def test_a_hostile_date_header_is_no_error(header: str) -> None:
    assert isinstance(clock_skew(header, NOW), float | None)


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        pytest.param(
            (401, "APIGW.0301", "verify aksk signature fail", None),
            "the service refused the credential: verify aksk signature fail (HTTP 401, APIGW.0301)",
            id="all-facts",
        ),
        pytest.param((401, None, None, 2.0), "the service refused the credential (HTTP 401)", id="status-only"),
        pytest.param((None, None, "no", None), "the service refused the credential: no", id="message-only"),
        pytest.param(
            (401, None, None, 1260.4), f"the service refused the credential (HTTP 401){CLOCK}", id="clock-ahead"
        ),
        pytest.param(
            (401, None, None, -1260.0), f"the service refused the credential (HTTP 401){CLOCK}", id="clock-behind"
        ),
        pytest.param((401, None, None, 800.0), "the service refused the credential (HTTP 401)", id="close-enough"),
    ],
)
def test_refusal_text(facts: tuple[int | None, str | None, str | None, float | None], text: str) -> None:
    assert refusal_text(*facts) == text
