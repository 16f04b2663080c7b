"""Targets in, one finished HTTP request out: fills a description's templates, each value encoded for its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from orchestrator.calling import Operation
from orchestrator.model import FieldValue, Request, Secret, Target
from orchestrator.templates import HOLE, holes

Values = Mapping[str, FieldValue]
_ABSENT = object()
_UNRESERVED = "-_.~"
_AS_IT_IS = re.compile(r"[A-Za-z0-9_.~-]*")  # most ids: to look takes a tenth of what `quote` does


class Place(NamedTuple):
    """Where a connection's calls go, and what its paths may name."""

    base_url: str
    project_id: str = ""
    region: str = ""

    def names(self) -> dict[str, FieldValue]:
        """Return what templates can use of a connection."""
        return {"project_id": self.project_id, "region": self.region}


Render = Callable[[Sequence[Target]], Request]


def compile_operation(operation: Operation, place: Place) -> Render:
    """Return the function that makes the request for a batch of targets (which share their `group_by` fields)."""
    names = place.names()
    path = _text(operation.path, names, _quoted)
    body = _node(operation.body, names) if operation.body is not None else None
    query = {name: _node(value, names) for name, value in operation.query.items()}
    headers = {name: _text(value, names, str) for name, value in operation.headers.items()}
    fixed = {name: make({}) for name, make in headers.items() if not _wants(operation.headers[name], names)}
    varying = [(name, make) for name, make in headers.items() if name not in fixed]
    cookies = {name: _node(value, names) for name, value in operation.cookies.items()}

    def render(targets: Sequence[Target]) -> Request:
        first = targets[0].fields
        sent = {**fixed, **{name: make(first) for name, make in varying}} if varying else fixed
        if cookies and (line := _cookie_line(cookies, targets)):
            sent = {**sent, "Cookie": line}
        data = b"" if body is None else orjson.dumps(body(targets))
        asked = encode_query({name: make(targets) for name, make in query.items()}) if query else ""
        return Request(operation.method, place.base_url, path(first), asked, sent, data)

    return render


def encode_query(parameters: Mapping[str, Any]) -> str:
    """Return a query string in the one form that is both signed and sent.

    Names are sorted, and so are the values of a list as they are before they are encoded; each stands behind its name.
    Names and values keep only `A-Za-z0-9-_.~`; booleans are lower-case; absent values are left out.
    """
    pairs = []
    for name in sorted(parameters):
        value = parameters[name]
        values = sorted(map(_written, value)) if isinstance(value, list) else [_written(value)]
        pairs += [f"{_quoted(name)}={_quoted(item)}" for item in values if value is not _ABSENT]
    return "&".join(pairs)


def plain(value: FieldValue) -> str | int | bool:
    """Return a field's value for the wire; the one place where a target's secret is revealed."""
    return value.reveal() if isinstance(value, Secret) else value


def _written(value: FieldValue) -> str:
    """Return a value as text; booleans are written as JSON writes them."""
    if isinstance(value, str):
        return value
    bare = plain(value)
    return str(bare).lower() if isinstance(bare, bool) else str(bare)


def _quoted(text: str) -> str:
    return text if _AS_IT_IS.fullmatch(text) else quote(text, safe=_UNRESERVED)


def _cookie_line(cookies: Mapping[str, Callable[[Sequence[Target]], Any]], targets: Sequence[Target]) -> str:
    values = ((name, make(targets)) for name, make in cookies.items())
    return "; ".join(f"{name}={value}" for name, value in values if value is not _ABSENT)


def _text(template: str, names: Values, encode: Callable[[str], str]) -> Callable[[Values], str]:
    """Compile a text with holes; what the connection gives is filled in now, what the target gives at each call."""
    before = ""  # what is known, up to the next hole
    open_holes: list[tuple[str, str]] = []  # each with what stands before it
    for position, piece in enumerate(HOLE.split(template)):
        if position % 3 == 0:
            before += piece
        elif position % 3 == 2 and piece in names:
            before += encode(_written(names[piece]))
        elif position % 3 == 2:
            open_holes.append((before, piece))
            before = ""
    if not open_holes:
        return lambda fields: before

    def fill(fields: Values) -> str:
        return "".join([text + encode(_written(fields[name])) for text, name in open_holes]) + before

    return fill


def _wants(template: str, names: Values) -> bool:
    """Return whether a text has a hole that the target fills."""
    return any(name not in names for _, name in holes(template))


def _node(template: Any, names: Values) -> Callable[[Sequence[Target]], Any]:
    """Compile a JSON template; a hole alone keeps its type, and an optional field that is absent drops its key."""
    if isinstance(template, dict):
        return _object({name: _node(value, names) for name, value in template.items()})
    if isinstance(template, list):
        items = [_node(value, names) for value in template]
        return lambda targets: [value for make in items if (value := make(targets)) is not _ABSENT]
    if isinstance(template, str) and (hole := HOLE.fullmatch(template)):
        return _hole(hole[2], names, whole_batch=hole[1] == "*")
    if isinstance(template, str):
        text = _text(template, names, str)
        return lambda targets: text(targets[0].fields)
    return lambda targets: template


def _object(makers: Mapping[str, Callable[[Sequence[Target]], Any]]) -> Callable[[Sequence[Target]], Any]:
    def make(targets: Sequence[Target]) -> dict[str, Any]:
        return {name: value for name, maker in makers.items() if (value := maker(targets)) is not _ABSENT}

    return make


def _hole(name: str, names: Values, *, whole_batch: bool) -> Callable[[Sequence[Target]], Any]:
    if name in names:
        fixed = names[name]
        return lambda targets: fixed
    if whole_batch:
        return lambda targets: [plain(target.fields[name]) for target in targets if name in target.fields] or _ABSENT
    return lambda targets: plain(targets[0].fields[name]) if name in targets[0].fields else _ABSENT
