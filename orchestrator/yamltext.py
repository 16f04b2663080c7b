"""Reads YAML as YAML 1.2 reads it where people get hurt, and finds the line of a path when something is wrong.

Every plain scalar but null stays the text that was written (`Plain`), so that `no`, `on` and `0123` are themselves in
a field that is text; a field that is a number or a switch converts them. Duplicate keys, tags, merge keys, a second
document and aliases that explode are refused. It is built on libyaml's event stream, which keeps nothing per node.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from orchestrator.errors import Fault, InvalidInput

MAX_DEPTH = 40
MAX_ALIASED_NODES = 10_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,30}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?")


class Plain(str):
    """A scalar that was written without quotes; what it means is decided by the field it stands in."""

    __slots__ = ()


def load(text: str, source: str, faults: list[Fault] | None = None) -> dict[str, Any]:
    """Return the mapping that `text` holds; raise InvalidInput with every fault of its form.

    With a list for `faults`, those that leave the rest readable are put there instead, to be told with the others.
    """
    reader = _Reader(source)
    try:
        document = reader.read(_events(text))
    except yaml.YAMLError as error:
        raise InvalidInput([*reader.faults, _syntax_fault(error, text, source)]) from None
    except InvalidInput as error:
        raise InvalidInput([*reader.faults, *error.faults]) from None
    if not isinstance(document, dict):
        wrong = Fault(source, f"should be a mapping of keys to values, not {_kind(document)}", 1)
        raise InvalidInput([*reader.faults, *([] if reader.faults else [wrong])])
    if reader.faults and faults is None:
        raise InvalidInput(reader.faults)
    if faults is not None:
        faults += reader.faults
    return document


def _events(text: str) -> Iterator[Any]:
    """Return the events of a text as libyaml gives them, without a step of Python's between one and the next."""
    return iter(_LOADER(text).get_event, None)


def typed(value: Any) -> Any:
    """Give plain scalars the types of YAML 1.2's core schema, all the way down."""
    if isinstance(value, dict):
        return {str(key): typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return _typed_scalar(value) if isinstance(value, Plain) else value


def locate(text: str, paths: Sequence[tuple[str | int, ...]]) -> list[int]:
    """Return the line of each path in `text`, or of its nearest parent where the path does not exist."""
    wanted = {path[:length] for path in paths for length in range(len(path) + 1)}
    found: dict[tuple[str | int, ...], int] = {(): 1}
    try:
        walk = _walk(_events(text), ())
        # of a key that is there twice the last one counts, as it does for the values
        found |= {path: line for path, line in walk if path and path in wanted}
    except (yaml.YAMLError, RecursionError):
        return [1 for _ in paths]
    return [_nearest(found, path) for path in paths]


def _nearest(found: dict[tuple[str | int, ...], int], path: tuple[str | int, ...]) -> int:
    return next(found[path[:n]] for n in range(len(path), -1, -1) if path[:n] in found)


def _typed_scalar(value: Plain) -> Any:
    if value in _BOOLEANS:
        return _BOOLEANS[value]
    if _INTEGER.fullmatch(value):
        return int(value)
    return float(value) if _FLOAT.fullmatch(value) else str(value)


def _kind(value: object) -> str:
    if value is None:
        return "empty"
    return "a list" if isinstance(value, list) else "a single value"


def _syntax_fault(error: yaml.YAMLError, text: str, source: str) -> Fault:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    if mark is None:
        odd = yaml.reader.Reader.NON_PRINTABLE.search(text)
        return Fault(source, f"is not valid YAML: {problem}", text.count("\n", 0, odd.start()) + 1 if odd else None)
    return Fault(source, f"is not valid YAML: {problem}{_hint(error, text)}", mark.line + 1)


def _hint(error: Any, text: str) -> str:
    """Return what is most often meant, for the two mistakes whose message does not say it."""
    mark, began = error.problem_mark, error.context_mark
    if "cannot start any token" in error.problem:
        tab = text.split("\n")[mark.line][mark.column : mark.column + 1] == "\t"
        return "; indent with spaces, not with a tab" if tab else "; put the text in quotes"
    inside = began is not None and began.line < mark.line and ("flow" in error.context or "quoted" in error.context)
    return f"; what is not closed begins on line {began.line + 1}" if inside else ""


class _Reader:
    """Builds plain Python values from YAML events, and collects every fault of form on the way.

    No fault quotes a tag or an alias: it may be a password that was written without quotes.
    """

    def __init__(self, source: str) -> None:
        self.faults: list[Fault] = []
        self._source = source
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._aliased = 0
        self._nodes = 0

    def read(self, events: Iterator[Any]) -> Any:
        document = None
        count = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                count += 1
                if count > 1:
                    self._fault(event, "has a second document (`---`); a file holds one")
                    break
            elif isinstance(event, yaml.NodeEvent):
                document = self._node(event, events, 0)
        return document

    def _fault(self, event: Any, message: str) -> None:
        self.faults.append(Fault(self._source, message, event.start_mark.line + 1))

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Any:
        if type(event) is yaml.AliasEvent:
            return self._alias(event)
        before = self._nodes
        self._nodes += 1
        if event.tag not in (None, "!"):
            self._fault(event, "uses a tag; tags are not supported, and a text that begins with ! goes in quotes")
        value = self._value(event, events, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._nodes - before)
        return value

    def _value(self, event: Any, events: Iterator[Any], depth: int) -> Any:
        if type(event) is yaml.ScalarEvent:
            return event.value if event.style else None if event.value in _NULLS else Plain(event.value)
        if depth >= MAX_DEPTH:
            raise InvalidInput.one(self._source, "is nested too deeply", event.start_mark.line + 1)
        if type(event) is yaml.MappingStartEvent:
            return self._mapping(events, depth)
        return self._sequence(events, depth)

    def _sequence(self, events: Iterator[Any], depth: int) -> list[Any]:
        items = []
        for event in events:
            if type(event) is yaml.SequenceEndEvent:
                break
            items.append(self._node(event, events, depth + 1))
        return items

    def _mapping(self, events: Iterator[Any], depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for event in events:
            if type(event) is yaml.MappingEndEvent:
                break
            key = self._key(event, events, depth, mapping)
            event = next(events)
            if type(event) is yaml.ScalarEvent and event.anchor is None and event.tag is None:  # as nearly all are
                self._nodes += 1
                text = event.value
                mapping[key] = text if event.style else None if text in _NULLS else Plain(text)
            else:
                mapping[key] = self._node(event, events, depth + 1)
        return mapping

    def _key(self, event: Any, events: Iterator[Any], depth: int, mapping: dict[str, Any]) -> str:
        if type(event) is not yaml.ScalarEvent:
            self._fault(event, "uses a list, a mapping or an alias as a key; keys are plain text")
            self._node(event, events, depth + 1)
            return ""
        key = event.value
        if key == "<<":
            self._fault(event, "uses the merge key `<<`, which YAML 1.2 does not have; write the keys out")
        elif key in mapping:
            self._fault(event, f"has the key {key!r} twice")
        return sys.intern(key)  # a list has the same few names in every item

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            self._fault(event, "uses an alias that is not defined before it; a text that begins with * goes in quotes")
            return None
        value, size = self._anchors[event.anchor]
        self._aliased += size
        self._nodes += size
        if self._aliased > MAX_ALIASED_NODES:
            message = f"expands to more than {MAX_ALIASED_NODES} values through aliases"
            raise InvalidInput.one(self._source, message, event.start_mark.line + 1)
        return value


def _walk(events: Iterator[Any], path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], int]]:
    for event in events:
        if isinstance(event, yaml.NodeEvent):
            yield from _walk_node(event, events, path, event)


def _walk_node(
    event: Any, events: Iterator[Any], path: tuple[str | int, ...], key: Any
) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """Yield (path, line) for a node and all below; its own line is that of its `key`."""
    yield path, key.start_mark.line + 1
    if isinstance(event, yaml.SequenceStartEvent):
        index = 0
        while not isinstance(item := next(events), yaml.SequenceEndEvent):
            yield from _walk_node(item, events, (*path, index), item)
            index += 1
    elif isinstance(event, yaml.MappingStartEvent):
        while not isinstance(key := next(events), yaml.MappingEndEvent):
            name = key.value if isinstance(key, yaml.ScalarEvent) else ""
            if not isinstance(key, yaml.ScalarEvent):  # refused elsewhere; it has to be walked over all the same
                yield from _walk_node(key, events, (*path, name), key)
            yield from _walk_node(next(events), events, (*path, name), key)
