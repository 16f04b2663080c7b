"""What a line of progress says of a lane at one moment."""

from __future__ import annotations

import pytest

from orchestrator.cli.progress import Row, _line


@pytest.mark.parametrize(
    ("row", "said"),
    [
        pytest.param(
            Row("s@c", 100, 400, 95.8, 0, "", 183.2, at_work=True),
            "s@c: 100 of 400 done, 95.8/s, 0 not good, 3:03 left",
            id="at work",
        ),
        pytest.param(
            Row("s@c", 100, 400, 0.0, 2, "3 calls in flight", None, at_work=True),
            "s@c: 100 of 400 done, 0.0/s, 2 not good, ? left; 3 calls in flight",
            id="stuck",
        ),
        pytest.param(
            Row("s@c", 100, 400, 95.8, 0, "stopped: used up", 3.1, at_work=True, halted=True),
            "s@c: 100 of 400 done, 95.8/s, 0 not good; stopped: used up",
            id="halted, which has no time left",
        ),
        pytest.param(
            Row("s@c", 400, 400, 95.8, 0, "", 0.0, at_work=False), "s@c: 400 of 400 done, 95.8/s, 0 not good", id="done"
        ),
    ],
)
def test_a_line_tells_how_far_a_lane_is(row: Row, said: str) -> None:
    assert _line(row) == said
