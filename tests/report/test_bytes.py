"""The tables byte for byte, over hostile records: `expected/` was written before the writers were made quicker.

Where the output is meant to change, take the file that is there away: the test writes it anew, and fails once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.model import Outcome, Settled, Target, Verification

from .samples import FACTS, HOSTILE, START, lines_of, mixed, rendered, summary_of

EXPECTED = Path(__file__).parent / "expected"
FIELDS = ("reason", "error_code", "error_message", "request_id")
PLAIN = (
    "a",
    "7",
    "a-b",
    "a = b",
    "\u00e9t\u00e9",
    "\u684c\u9762 7",
    "https://h.example/?a=b&c=d",
    "it's",
    "a\u00a0b",
    "-",
    "\u00b2",
)


def records() -> Iterator[Settled]:
    """Return records in which every hostile text stands in every place, alone and in all of them."""
    known = {"http_status": 400, "attempts": 2, "batch": 3, "first_sent": START}
    for number, text in enumerate([*HOSTILE.values(), *PLAIN]):
        good = Outcome.ENDED if number % 3 else Outcome.ACCEPTED
        everywhere = Target(text, text, text, {}, text)
        for outcome in (good, Outcome.FAILED, Outcome.UNKNOWN, Outcome.NOT_ATTEMPTED):
            yield Settled(everywhere, outcome, text, 500, text, text, text, 1, 1, START, START + number)
        for place in range(4):
            names = ["dcs.webcli", "prod", "t-1", "stage"]
            names[place] = text
            service, connection, target, stage = names
            yield Settled(Target(service, connection, target, {}, stage), good, settled=START + number / 1000)
        plain = Target("dcs.webcli", "prod", f"t-{number}", {}, "stage")
        for name in FIELDS:
            for outcome in (good, Outcome.STILL_ACTIVE):
                yield Settled(plain, outcome, **{**known, name: text, "settled": START - 1})  # type: ignore[arg-type]
    for verification in Verification:
        yield Settled(Target("a.b", "c", str(verification), {}), Outcome.ENDED, verification=verification)
    yield from mixed()


@pytest.mark.parametrize(
    ("require", "form", "name"),
    [("accepted", "csv", "csv"), ("accepted", "junit", "xml"), ("verified", "junit", "xml")],
)
def test_every_byte_is_as_it_was(require: str, form: str, name: str) -> None:
    lines = lines_of(records())
    written = rendered(form, summary_of(lines, FACTS._replace(require=require)), lines).encode(
        "utf-8", "backslashreplace"
    )
    path = EXPECTED / f"{require}.{name}"
    if not path.exists():
        path.write_bytes(written)
        pytest.fail(f"{path} was not there, and is written now")
    assert written == path.read_bytes()
