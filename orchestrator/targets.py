"""Rows in, targets out: converts and checks the fields that a service's description declares."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from orchestrator.model import FieldValue, Item, Secret, Target, Unread
from orchestrator.service import FieldSpec, Service
from orchestrator.templates import holes
from orchestrator.validation import choices

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HEADER = re.compile(r"[\x20-\x7e]*")

Convert = Callable[[Any], FieldValue]
Resolve = Callable[[str], Secret]

_EVERYTHING = "{}, and a call without it could end everything; if that is meant, the group says `everything: [{}]`"


def name_of(fields: Mapping[str, Any], key: Sequence[str]) -> tuple[str, ...]:
    """Return what tells a target, or a row, from the others that a service lists: its key, as text."""
    return tuple(str(fields.get(name, "")) for name in key)


def item_name(item: Item, key: Sequence[str]) -> tuple[str, ...]:
    """Return the same of what is listed; one that tells two values of a field is nobody's."""
    return tuple("/".join(item.get(name, ())) for name in key)


def comparable(value: object) -> str:
    """Return an id to compare with another; that two differ in capitals alone is no proof that they are two."""
    return (value.reveal() if isinstance(value, Secret) else str(value)).casefold()


class RowError(ValueError):
    """A row that is no target; carries (field, message) for everything wrong with it, never a value."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{name}: {message}" if name else message for name, message in problems))


class TargetBuilder:
    """Makes the targets of one service on one connection out of rows of named values.

    `unusual` counts, by field, the targets whose value is allowed and does not look as it usually does; `verify` says
    that they are looked at afterwards.
    """

    def __init__(
        self,
        service: Service,
        connection: str,
        *,
        stage: str = "",
        expect: str = "",
        verify: bool = False,
        everything: Collection[str] = (),
    ) -> None:
        self.stage = stage
        self._service = service
        self.verify = verify
        self._names = (service.service, connection, expect)
        self._convert = {name: _converter(name, spec, service) for name, spec in service.fields.items()}
        self._required = [n for n, spec in service.fields.items() if not spec.optional and spec.default is None]
        selectors = [n for n, spec in service.fields.items() if spec.everything_without]
        self._never_without = [name for name in selectors if name not in everything]
        self._needed = {*self._required, *self._never_without}
        self._defaults = {n: spec.default for n, spec in service.fields.items() if spec.default is not None}
        self.secret = frozenset(name for name, spec in service.fields.items() if spec.secret)
        self.fields = tuple(service.fields)
        self.key = service.key
        self.unusual: Counter[str] = Counter()
        self._usual = {name: re.compile(spec.usual) for name, spec in service.fields.items() if spec.usual}

    def build(self, row: Mapping[str, Any], resolve: Resolve) -> Target:
        """Return the target of a row; raise RowError with everything wrong with the row."""
        fields = self.read(row, resolve)
        if self._usual:
            self.unusual.update(name for name in self._usual if name in fields and not self._looks_usual(name, fields))
        service, connection, expect = self._names
        return Target(service, connection, self.identity(fields), fields, self.stage, expect, self.verify)

    def _looks_usual(self, name: str, fields: Mapping[str, FieldValue]) -> bool:
        return self._usual[name].fullmatch(str(fields[name])) is not None

    def read(self, row: Mapping[str, Any], resolve: Resolve) -> dict[str, FieldValue]:
        """Return the fields of a row; `resolve` makes a secret of what is written in a secret field.

        An empty or missing value is one that is not there. Raises RowError with everything wrong with the row.
        """
        fields: dict[str, FieldValue] = dict(self._defaults)
        problems: list[tuple[str, str]] = []
        for name, value in row.items():
            if value is None or value == "":
                continue
            convert = self._convert.get(name)
            if convert is None:
                problems.append((name, f"{self._service.service} has no such field{choices(name, self._convert)}"))
                continue
            try:
                fields[name] = self.field(name, value, resolve) if name in self.secret else convert(value)
            except ValueError as error:
                problems.append((name, str(error)))
        if problems or not self._needed <= fields.keys():
            raise RowError([*problems, *self._lacking({*fields, *(name for name, _ in problems)}, row)])
        return fields

    def _lacking(self, known: Collection[str], row: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield what is missing, or has no value in the row, and was not complained about already."""
        wrong = {name: "is empty" if name in row else "is missing" for name in self._needed if name not in known}
        yield from ((name, f"{wrong[name]}, and is required") for name in self._required if name in wrong)
        yield from ((name, _EVERYTHING.format(wrong[name], name)) for name in self._never_without if name in wrong)

    def identity(self, fields: Mapping[str, FieldValue]) -> str:
        """Return what tells a target from others: its key fields, a secret one as its fingerprint.

        One that is absent keeps its place, unless nothing comes after it: `a`, `/b`, `a//c`.
        """
        key = self.key
        if len(key) == 1:
            return str(fields[key[0]])
        parts = [str(fields.get(name, "")) for name in key]
        return "/".join([part.replace("%", "%25").replace("/", "%2F") for part in parts]).rstrip("/")

    def field(self, name: str, value: Any, resolve: Resolve) -> FieldValue:
        """Return one field's value; raise ValueError with what is wrong with it, never with what it is."""
        if name not in self.secret:
            return self._convert[name](value)
        secret = value if isinstance(value, Secret) else resolve(_string(value))
        if not isinstance(secret, Unread):
            self._convert[name](secret.reveal())
        return secret


def _converter(name: str, spec: FieldSpec, service: Service) -> Convert:
    if spec.type == "integer":
        return lambda value: _integer(value, spec)
    if spec.type == "boolean":
        return _boolean
    pattern = re.compile(spec.pattern) if spec.pattern else None
    question = service.verify.question if service.verify else None
    calls = [service.end, *([question.ask] if question else [])]
    in_path = any(name == hole for call in calls for _, hole in holes(call.path))
    in_header = any(name == hole for call in calls for _, hole in holes([call.headers, call.cookies]))
    least, most = spec.min or 0, sys.maxsize if spec.max is None else spec.max

    def convert(value: Any) -> str:
        text = value if type(value) is str else _string(value)
        if not least <= len(text) <= most:
            raise ValueError(_length(text, spec))
        if not text.isprintable() and _CONTROL.search(text):
            raise ValueError("has a control character in it")
        if pattern and not pattern.fullmatch(text):
            raise ValueError(f"has a character or a form that is not allowed here (allowed: {spec.pattern})")
        if in_path and text in (".", ".."):
            raise ValueError("cannot be . or .. in a path")
        if in_header and not _HEADER.fullmatch(text):
            raise ValueError("can only have printable ASCII characters in a header")
        return text

    return convert


def _string(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dict | list):
        raise ValueError("should be a single value")  # noqa: TRY004  it is the user's value that is wrong
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _length(text: str, spec: FieldSpec) -> str:
    if spec.max is not None and len(text) > spec.max:
        return f"is {len(text)} characters long; {spec.max} are allowed"
    return f"is {len(text)} characters long; at least {spec.min} are needed"


def _integer(value: Any, spec: FieldSpec) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"[-+]?\d{1,18}", str(value)):
        raise ValueError("should be a whole number")
    number = int(value)
    if (spec.min is not None and number < spec.min) or (spec.max is not None and number > spec.max):
        raise ValueError(f"should be between {spec.min} and {spec.max}")
    return number


def _boolean(value: Any) -> bool:
    text = str(value).lower()
    if text not in _TRUE | _FALSE:
        raise ValueError("should be true or false")
    return text in _TRUE
