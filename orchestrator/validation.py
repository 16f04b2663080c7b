"""Turns pydantic's findings into faults a person can act on: file, line, path, what was meant."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator import yamltext
from orchestrator.errors import Fault, InvalidInput

Place = tuple[str | int, ...]


class Strict(BaseModel):
    """The base of everything that is read from a file: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


_ENUM = re.compile(r"<\w+\.\w+: ('\w+')>")
_PLAIN = {
    "bool_parsing": "should be true or false",
    "bool_type": "should be true or false",
    "int_parsing": "should be a whole number",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "string_type": "should be text",
    "string_pattern_mismatch": "does not have the form {pattern}",
    "string_too_long": "should have at most {max_length} characters",
    "dict_type": "should be a mapping of keys to values",
    "model_type": "should be a mapping of keys to values",
    "model_attributes_type": "should be a mapping of keys to values",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "path_type": "should be a path",
    "too_short": "should not be empty",
    "greater_than_equal": "should be at least {ge}",
    "less_than_equal": "should be at most {le}",
}

Model = TypeVar("Model", bound=BaseModel)


def read(model: type[Model], text: str, source: str) -> Model:
    """Return `text` (YAML) as a `model`; raise InvalidInput with every fault and its line."""
    return build(model, yamltext.load(text, source), text, source)


def build(model: type[Model], document: Mapping[str, Any], text: str, source: str) -> Model:
    """Return an already loaded document as a `model`; `text` is what its lines are looked up in."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise InvalidInput(faults_of(error, model, document, text, source)) from None


def read_text(path: Path) -> str:
    """Return a text file's content; raise InvalidInput when it cannot be read or is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput.one(str(path), f"is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise InvalidInput.one(str(path), f"cannot be read: {error.strerror}") from None


def faults_of(
    error: ValidationError,
    model: type[BaseModel],
    document: Any,
    text: str,
    source: str,
    elsewhere: Callable[[Place], str | None] = lambda place: None,
) -> list[Fault]:
    """Return the faults of a pydantic error in the order of the file's lines.

    `elsewhere` names the source of a value that does not come from the file.
    """
    causes = _causes(error.errors(include_url=False, include_input=False))
    strangers = [
        Fault(name, _message(model, detail["type"], detail)) for detail in causes if (name := elsewhere(detail["loc"]))
    ]
    details = [detail for detail in causes if not elsewhere(detail["loc"])]
    paths = [_real_path(document, detail["loc"], absent=detail["type"] == "missing") for detail in details]
    messages = [_message(model, detail["type"], detail) for detail in details]
    return [*strangers, *at_lines(zip(paths, messages, strict=True), text, source)]


def at_lines(found: Iterable[tuple[Place, str]], text: str, source: str) -> list[Fault]:
    """Return faults for (path, message) pairs with the lines that the paths have in `text`."""
    pairs = list(dict.fromkeys(found))
    lines = yamltext.locate(text, [path for path, _ in pairs]) if text else [None] * len(pairs)
    faults = [Fault(source, message, line, dotted(path)) for (path, message), line in zip(pairs, lines, strict=True)]
    return sorted(faults, key=Fault.order)


def dotted(path: Sequence[str | int]) -> str:
    """Return a path as people write it: `stages[0].targets[1].service`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean x?` when a known word is close, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _causes(details: Sequence[Any]) -> list[Any]:
    """Leave out that a list is too short when that is only because its items are wrong."""
    places = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if detail["type"] != "too_short" or not any(_within(place, detail["loc"]) for place in places)
    ]


def _within(place: Place, parent: Place) -> bool:
    return len(place) > len(parent) and place[: len(parent)] == parent


def _message(model: type[BaseModel], kind: str, detail: Mapping[str, Any]) -> str:
    name = str(detail["loc"][-1]) if detail["loc"] else ""
    if kind == "extra_forbidden":
        known = _words(model)
        places = sorted(known.get(name, ()))
        hint = f"; it belongs in {' or '.join(places)}" if places else suggestion(name, known)
        return f"unknown key{hint}"
    if kind == "missing":
        return "is missing, and is required"
    if kind == "union_tag_not_found":
        return f"has no {detail['ctx']['discriminator']}, which is required"
    if kind == "union_tag_invalid":
        tag = str(detail["ctx"]["tag"])
        expected = [word.strip("' ") for word in detail["ctx"]["expected_tags"].split(",")]
        return f"unknown type (it can be {', '.join(expected)}){suggestion(tag, expected)}"
    if kind in _PLAIN:
        return _PLAIN[kind].format(**detail.get("ctx", {}))
    return _ENUM.sub(r"\1", str(detail["msg"]).removeprefix("Value error, ").removeprefix("Input "))


@functools.cache
def _words(model: type[BaseModel]) -> dict[str, frozenset[str]]:
    schema = model.model_json_schema(by_alias=True)
    words: dict[str, set[str]] = {}
    for title, part in [("the top level", schema), *schema.get("$defs", {}).items()]:
        for name in part.get("properties", ()):
            words.setdefault(name, set()).add(title if " " in title else f"`{title.lower()}`")
    return {name: frozenset(places) for name, places in words.items()}


def _real_path(document: Any, loc: Sequence[str | int], *, absent: bool) -> Place:
    """Drop what pydantic adds to a path (tags of unions, names of validators) and the document does not have.

    `absent` says that the last part is what is missing.
    """
    path: list[str | int] = []
    node = document
    for position, part in enumerate(loc):
        missing = absent and position == len(loc) - 1
        if isinstance(node, Mapping) and (part in node or missing):
            node = node.get(part)
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            node = node[part]
        else:
            continue
        path.append(part)
    return tuple(path)
