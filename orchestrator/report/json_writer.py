"""JSON: the summary as one document, the same with every outcome in it, and outcomes.jsonl."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

import orjson

from orchestrator.report.summary import Summary
from orchestrator.report.writer import Portion, feed


def document(summary: Summary) -> str:
    """Return report.json, indented, with a line end."""
    return orjson.dumps(summary.to_json(), option=orjson.OPT_INDENT_2).decode() + "\n"


class JsonWriter:
    """The summary document with an `outcomes` array at its end."""

    def __init__(self, out: TextIO, summary: Summary) -> None:
        self._out = out
        self._summary = summary
        self._before = "\n    "

    def begin(self) -> None:
        """Write the summary and open the array."""
        self._out.write(document(self._summary).removesuffix("\n}\n") + ',\n  "outcomes": [')

    def add(self, portion: Portion) -> None:
        """Write targets as they stand in the journal."""
        self._out.write(self._before + ",\n    ".join(portion.lines))
        self._before = ",\n    "

    def end(self) -> None:
        """Close the array and the document."""
        self._out.write("\n  ]\n}\n")


class JsonLinesWriter:
    """outcomes.jsonl: one object per target and line, as in the journal."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def begin(self) -> None:
        """Do nothing: there is no header."""

    def add(self, portion: Portion) -> None:
        """Write targets."""
        self._out.write("\n".join([*portion.lines, ""]))

    def end(self) -> None:
        """Do nothing: there is no footer."""


def write(out: TextIO, summary: Summary, lines: Iterable[str]) -> None:
    """Write the summary document with every outcome in it."""
    feed(summary, [JsonWriter(out, summary)], lines)
