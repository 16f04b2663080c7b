"""CSV (RFC 4180) with the columns of the JSON line; no cell can become a formula in a spreadsheet.

Text that a spreadsheet would compute gets a leading apostrophe, and characters that would be obeyed rather than
shown are written as escapes; outcomes.jsonl has every text exactly.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import Any, TextIO

from orchestrator.report.summary import Summary
from orchestrator.report.wording import Record, as_it_stands, shown
from orchestrator.report.writer import feed

COLUMNS = (
    "run",
    "stage",
    "service",
    "connection",
    "target",
    "outcome",
    "verification",
    "reason",
    "http_status",
    "error_code",
    "error_message",
    "request_id",
    "attempts",
    "batch",
    "first_sent",
    "settled",
    "duration_ms",
)
_COMPUTED = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four are their full-width forms
_SKIPPED = ("\t", "\r", "\n")
_MAY_COMPUTE = re.compile(rf'"[ {re.escape("".join(_COMPUTED))}]')  # in a JSON line, where every text begins so


class CsvWriter:
    """outcomes.csv: a header, then one row per target."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._rows = csv.writer(out, lineterminator="\r\n")

    def begin(self) -> None:
        """Write the header."""
        self._rows.writerow(COLUMNS)

    def add(self, line: str, record: Record, good: bool) -> None:
        """Write one target; where the line shows that no text of it needs a change, none is looked at."""
        values = map(record.get, COLUMNS)
        if not as_it_stands(line) or _MAY_COMPUTE.search(line):
            self._rows.writerow(map(cell, values))
        elif line.count(",") >= len(record):  # some text has one, and needs quotation marks
            self._rows.writerow(values)
        else:
            self._out.write(",".join(["" if value is None else str(value) for value in values]) + "\r\n")

    def end(self) -> None:
        """Do nothing: there is no footer."""


def cell(value: Any) -> Any:
    """Return a value as it may stand in a spreadsheet: numbers as they are, text disarmed."""
    if not isinstance(value, str) or (value[:1].isalnum() and value.isprintable()):
        return value
    text = shown(value)
    return "'" + text if text.startswith(_SKIPPED) or text.lstrip().startswith(_COMPUTED) else text


def write(out: TextIO, summary: Summary, lines: Iterable[str]) -> None:
    """Write one row per target."""
    feed(summary, [CsvWriter(out)], lines)
