"""CSV (RFC 4180) with the columns of the JSON line; no cell can become a formula in a spreadsheet.

Text that a spreadsheet would compute gets a leading apostrophe, and characters that would be obeyed rather than
shown are written as escapes; outcomes.jsonl has every text exactly.
"""

from __future__ import annotations

import csv
import functools
import io
import operator
import re
from collections.abc import Iterable
from typing import Any, TextIO

from orchestrator.report.summary import Summary
from orchestrator.report.wording import Record, shown, text_of
from orchestrator.report.writer import Portion, feed

LANE = ("run", "stage", "service", "connection")
FATE = ("outcome", "verification", "reason", "http_status", "error_code", "error_message")
TIMES = ("attempts", "batch", "first_sent", "settled", "duration_ms")
COLUMNS = (*LANE, "target", *FATE, "request_id", *TIMES)
_LANE, _FATE, _TIMES = (operator.itemgetter(*names) for names in (LANE, FATE, TIMES))
_NOTHING = dict.fromkeys(COLUMNS)
_COMPUTED = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four are their full-width forms
_SKIPPED = ("\t", "\r", "\n")
_PLAIN = re.compile(r"[A-Za-z0-9][\w.:/-]*|", re.ASCII)  # nothing computed, obeyed or quoted


class CsvWriter:
    """outcomes.csv: a header, then one row per target."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def begin(self) -> None:
        """Write the header."""
        self._out.write(_cells(*COLUMNS) + "\r\n")

    def add(self, portion: Portion) -> None:
        """Write targets."""
        self._out.write("".join(map(_row, portion.records)))

    def end(self) -> None:
        """Do nothing: there is no footer."""


def _row(record: Record) -> str:
    """Return a target's row; what many targets share is put into cells once."""
    if len(record) < len(COLUMNS):
        record = {**_NOTHING, **record}
    lane, fate, times = _cells(*_LANE(record)), _cells(*_FATE(record)), _TIMES(record)
    target, request = _text(text_of(record, "target")), _text(text_of(record, "request_id"))
    told = times if None not in times else ["" if value is None else value for value in times]
    return "{},{},{},{},{},{},{},{},{}\r\n".format(lane, target, fate, request, *told)


def _text(text: str) -> str:
    """Return one cell."""
    return text if _PLAIN.fullmatch(text) else _cells(text)


@functools.lru_cache(maxsize=256)  # a run has few lanes, and few different messages
def _cells(*values: Any) -> str:
    """Return cells, with commas between them, and quotation marks where they are needed."""
    row = io.StringIO()
    csv.writer(row, lineterminator="\r\n").writerow(map(cell, values))
    return row.getvalue().removesuffix("\r\n")


def cell(value: Any) -> Any:
    """Return a value as it may stand in a spreadsheet: numbers as they are, text disarmed."""
    if not isinstance(value, str) or (value[:1].isalnum() and value.isprintable()):
        return value
    text = shown(value)
    return "'" + text if text.startswith(_SKIPPED) or text.lstrip().startswith(_COMPUTED) else text


def write(out: TextIO, summary: Summary, lines: Iterable[str]) -> None:
    """Write one row per target."""
    feed(summary, [CsvWriter(out)], lines)
