"""Lines in, rows of named values out: CSV, NDJSON and text. A bad line is told of, and does not end the reading."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from orchestrator.validation import choices

_BETWEEN = r"[,;\t|]"
_PAIRS = json.JSONDecoder(object_pairs_hook=list, parse_int=str).decode  # several times slower than orjson
_AROUND = " \t\r\n\"'"

Row = Mapping[str, Any]
Parsed = Row | str  # a row, or what is wrong with the line that should be one
Lines = Iterator[tuple[int, str]]
Read = Callable[[Lines, Sequence[str], Sequence[str]], Iterator[tuple[int, Parsed]]]


class UnreadableError(ValueError):
    """A source that cannot be read as what it is; `line` is where, and there may be `more` wrong there."""

    def __init__(self, message: str, line: int | None = None, more: Sequence[str] = ()) -> None:
        self.line = line
        self.messages = (message, *more)
        super().__init__("; ".join(self.messages))


def csv_rows(lines: Lines, fields: Sequence[str], key: Sequence[str]) -> Iterator[tuple[int, Parsed]]:
    """Read rows under a line of field names (RFC 4180); yields (line, row)."""
    import csv  # the other formats do without

    numbered = _Numbered(lines)
    reader = csv.reader(numbered, strict=True)
    header: list[str] = []
    while True:
        start = numbered.line + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _no_csv(str(error), start, numbered.line) from None
        if not header:
            header = _header(values, fields, numbered.line)
        elif any(value.strip() for value in values):
            yield start, _cells(header, values)


def ndjson_rows(lines: Lines, fields: Sequence[str], key: Sequence[str]) -> Iterator[tuple[int, Parsed]]:
    """Read one JSON object a line; yields (line, row)."""
    for number, text in lines:
        if text.strip():
            yield number, _object(text)


def text_rows(lines: Lines, fields: Sequence[str], key: Sequence[str]) -> Iterator[tuple[int, Parsed]]:
    """Read one value a line, which is the target's first key field; `#` begins a comment. Yields (line, row)."""
    for number, text in lines:
        value = text.strip()
        if value and not value.startswith("#"):
            yield number, {key[0]: value}


FORMATS: Mapping[str, Read] = {".csv": csv_rows, ".ndjson": ndjson_rows, ".jsonl": ndjson_rows, ".txt": text_rows}


def guessed(first: str, fields: Sequence[str]) -> Read:
    """Tell the format by the first line: an object, a line with a field's name in it, or a value.

    A name in capitals, or with anything but commas around it, makes it CSV too, which then says what is wrong with it.
    """
    if first.lstrip().startswith("["):
        raise UnreadableError("begins with a list; JSON goes in as one object a line (NDJSON)", 1)
    if first.lstrip().startswith("{"):
        return ndjson_rows
    parts = {part.strip(_AROUND).lower() for part in re.split(_BETWEEN, first)}
    return csv_rows if parts & {name.lower() for name in fields} else text_rows


def _object(text: str) -> Parsed:
    """Read one JSON object; a key that is there twice is refused, because the last one would silently win."""
    try:
        row = orjson.loads(text)
        if not isinstance(row, dict):
            return "should be one JSON object"
        if text.count(":") == len(row):  # there is no other key in it, seen or not
            return row
        pairs = _PAIRS(text)
    except (json.JSONDecodeError, RecursionError):
        return "should be one JSON object"
    if len(pairs) > len(row):
        name = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        return f"has the key {name!r} twice"
    return row


def _header(values: Sequence[str], fields: Sequence[str], line: int) -> list[str]:
    names = [value.strip() for value in values]
    unknown = [name for name in names if name not in fields]
    if len(unknown) == len(names):
        between = " with commas between them" if len(names) == 1 and len(fields) > 1 else ""
        said = f"should begin with a line that names its fields{between}, out of {', '.join(fields)}"
        raise UnreadableError(said, line)
    problems = [f"has a column {name!r} that is no field{choices(name, fields)}" for name in unknown]
    if len(set(names)) < len(names):
        problems.append("has two columns of the same name")
    if problems:
        raise UnreadableError(problems[0], line, problems[1:])
    return names


def _no_csv(problem: str, begun: int, line: int) -> UnreadableError:
    """Say what the csv module found; a quote that is never closed is told where its row begins."""
    if "end of data" in problem:
        return UnreadableError(f"is not valid CSV: {problem}; a quote that begins here is not closed", begun)
    if "new-line" in problem:
        return UnreadableError("is not valid CSV: a line ends in a carriage return alone", line)
    return UnreadableError(f"is not valid CSV: {problem}", line)


def _cells(header: Sequence[str], values: Sequence[str]) -> Parsed:
    if len(values) != len(header):
        return f"has {len(values)} values; the first line names {len(header)} fields"
    return dict(zip(header, (value.strip() for value in values), strict=True))


class _Numbered:
    """Feeds lines to the csv module and remembers which line it is at."""

    def __init__(self, lines: Lines) -> None:
        self.line = 0
        self._lines = lines

    def __iter__(self) -> Iterator[str]:
        for number, text in self._lines:
            self.line = number
            yield text
