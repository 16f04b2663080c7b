"""Durations, rates, shares, statuses and patterns as people write them, their pydantic types, and dates as text."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,6})?(?:ms|s|m|h|d))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)/(\d{0,6})(s|m|h|d)")
_SHARE = r"(\d{1,3}(?:\.\d{1,6})?)%"
LONGEST = 36_500 * 86_400  # seconds: what is longer makes moments that no calendar has


class Rate(NamedTuple):
    """At most `calls` in every `seconds`."""

    calls: float
    seconds: float

    @property
    def per_second(self) -> float:
        """Return the rate in calls per second."""
        return self.calls / self.seconds

    def __str__(self) -> str:
        unit = next((name for name, size in _SECONDS.items() if size == self.seconds), None)
        return f"{self.calls:g}/{unit}" if unit else f"{self.calls:g}/{self.seconds:g}s"


class Amount(NamedTuple):
    """A number of targets, or a share of all of them (`share` between 0 and 1)."""

    number: int | None = None
    share: float | None = None

    def of(self, total: int) -> int:
        """Return the number of targets that this means when there are `total`, rounded down."""
        return self.number if self.number is not None else int((self.share or 0.0) * total + 1e-9)


def parse_duration(value: object) -> float:
    """Return the seconds of `90s`, `45m`, `1h30m` or a bare 0; raise ValueError with what would be right."""
    text = str(value).strip()
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value
    elif _DURATION.fullmatch(text):
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    else:
        raise ValueError("should be a duration such as 30s, 45m or 1h30m")
    if not seconds <= LONGEST:  # nor is it, when it is no number
        raise ValueError("should be at most 36500d")
    return float(seconds)


def written_duration(seconds: float) -> str:
    """Return a duration as people write it: `7d`, `1h30m`."""
    written = ""
    for name, size in reversed(_SECONDS.items()):
        number, seconds = divmod(seconds, size)
        written += f"{number:.0f}{name}" if number else ""
    return written or "0s"


def parse_rate(value: object) -> Rate:
    """Return the rate of `5/s`, `60/m` or `350/10s`; raise ValueError with what would be right."""
    if isinstance(value, Rate):
        return value
    match = _RATE.fullmatch(str(value).strip().replace(" ", ""))
    if not match or float(match[1]) <= 0 or (match[2] and int(match[2]) == 0):
        raise ValueError("should be a rate such as 5/s, 60/m or 350/10s")
    return Rate(float(match[1]), float(match[2] or 1) * _SECONDS[match[3]])


def parse_amount(value: object) -> Amount:
    """Return the amount of `500` or `10%`; raise ValueError with what would be right."""
    if isinstance(value, Amount):
        return value
    text = str(value).strip()
    if (match := re.fullmatch(_SHARE, text)) and float(match[1]) <= 100:
        return Amount(share=float(match[1]) / 100)
    if re.fullmatch(r"\d{1,12}", text):
        return Amount(number=int(text))
    raise ValueError("should be a count such as 500 or a share such as 10%")


def http_date(text: str) -> float | None:
    """Return the seconds since the epoch of an HTTP date, or None when it is none."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def is_utf8(text: str) -> bool:
    """Return whether UTF-8 can carry a text: a file name that is none comes in as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def timestamp(seconds: float | None) -> str | None:
    """Return `2026-11-22T19:30:00.123Z` for seconds since the epoch."""
    if seconds is None:
        return None
    whole = math.floor(seconds)
    return _moment(whole * 1000 + round((seconds - whole) * 1e6) // 1000)  # to the microsecond, as datetime rounds


@functools.lru_cache(maxsize=1024)
def _moment(milliseconds: int) -> str:
    """Return the text of a millisecond, of which a fast run has many records."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03}Z"


def _positive(value: object) -> float:
    seconds = parse_duration(value)
    if seconds <= 0:
        raise ValueError("should be longer than zero")
    return seconds


def _rates(value: object) -> tuple[Rate, ...]:
    items: list[Any] = list(value) if isinstance(value, list | tuple) else [value]
    if not items:
        raise ValueError("should name at least one rate, such as 5/s")
    return tuple(map(parse_rate, items))


def parse_pattern(value: object) -> str:
    """Return a regular expression as it stands; raise ValueError when it is none."""
    if not isinstance(value, str):
        raise ValueError("should be text")  # noqa: TRY004  it is the user's value that is wrong
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return value


def parse_status(value: object) -> str:
    """Return the status `404` or the class of statuses `5xx`; raise ValueError with what would be right."""
    text = str(value)
    if not re.fullmatch(r"[1-5](?:\d\d|xx)", text):
        raise ValueError("should be a status such as 404, or a class such as 5xx")
    return text


class ParsedBy:
    """The pydantic type of what `parse` makes of a value; it raises ValueError with what would be right."""

    def __init__(self, parse: Callable[[object], object], written: dict[str, Any]) -> None:
        self._parse = parse
        self._written = written  # the JSON schema

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self._written)


def listed(value: object) -> object:
    """Return a single value as a list of one; raise ValueError for an empty list."""
    if isinstance(value, list | tuple) and not value:
        raise ValueError("should not be empty")
    return list(value) if isinstance(value, list | tuple) else [value]


def one_or_more(one: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of what may be written as one value or as a list."""
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


_DURATION_SCHEMA = {"type": ["string", "number"], "examples": ["30s", "45m", "1h30m"]}
_RATE_SCHEMA = {"type": "string", "pattern": rf"^{_RATE.pattern}$", "examples": ["5/s", "60/m", "350/10s"]}
_AMOUNT_SCHEMA = {"type": ["string", "integer"], "examples": [500, "10%"]}

Duration = Annotated[float, ParsedBy(_positive, _DURATION_SCHEMA)]
Rates = Annotated[tuple[Rate, ...], ParsedBy(_rates, one_or_more(_RATE_SCHEMA))]
Quantity = Annotated[Amount, ParsedBy(parse_amount, _AMOUNT_SCHEMA)]
Pattern = Annotated[str, ParsedBy(parse_pattern, {"type": "string"})]
Statuses = Annotated[
    tuple[Annotated[str, ParsedBy(parse_status, {"type": "string"})], ...],
    BeforeValidator(listed),
    WithJsonSchema(
        one_or_more(
            {"anyOf": [{"type": "integer", "minimum": 100, "maximum": 599}, {"type": "string", "pattern": "^[1-5]xx$"}]}
        )
    ),
]


def joined(*texts: str) -> str:
    """Return what there is of some texts in one line."""
    return "; ".join(filter(None, texts))


def plural(count: int, noun: str) -> str:
    """Return `1 target`, `1,204 targets`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
