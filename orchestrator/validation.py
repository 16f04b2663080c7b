"""Turns pydantic's findings into faults a person can act on: file, line, path, what was meant."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from orchestrator import yamltext
from orchestrator.errors import Fault, InvalidInput

Place = tuple[str | int, ...]
Elsewhere = Callable[[Place, bool], tuple[str, Place] | None]


class Strict(BaseModel):
    """The base of everything that is read from a file: unknown keys are errors, values do not change.

    A validator is built when something is read with it: most of these are only ever a part of another. So what the
    program itself makes of them, defaults above all, is made with `model_construct`, which needs none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


class Form:
    """What a text has to look like: as a pattern for the schema, and in words for people."""

    def __init__(self, pattern: str, words: str) -> None:
        self._pattern = pattern
        self._words = words

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": self._pattern}

    def _check(self, value: str) -> str:
        if not re.fullmatch(self._pattern, value):
            raise ValueError(self._words)
        return value


class MisfitError(ValueError):
    """Everything that does not fit together within one part of a document, each with its place below that part."""

    def __init__(self, found: Sequence[tuple[Place, str]]) -> None:
        self.found = tuple(found)
        super().__init__("; ".join(message for _, message in found))


def no_text(value: object) -> object:
    """Return what is no text; a union of mappings would say of a text that it lacks a key."""
    if isinstance(value, str):
        raise ValueError(_PLAIN["dict_type"])  # noqa: TRY004  it is the user's value that is wrong
    return value


def location(value: object) -> object:
    """Return a path as it was written; raise ValueError for one that no file can have."""
    if isinstance(value, str) and not (value and value.isprintable()):
        raise ValueError("should be a path")
    return value


_ENUM = r"<\w+\.\w+: ('\w+')>"
_REFERENCE = r"#/\$defs/(\w+)"
LARGEST = 64 << 20  # bytes of a plan, a config or a description
NEARLY = 0.7  # among all the words of a language there is always one that is a little alike
_PLAIN = {
    "bool_parsing": "should be true or false",
    "bool_type": "should be true or false",
    "int_parsing": "should be a whole number",
    "int_parsing_size": "should be a whole number that is not as long",
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
    faults: list[Fault] = []
    document = yamltext.load(text, source, faults)
    return build(model, document, text, source, faults)


def build(
    model: type[Model], document: Mapping[str, Any], text: str, source: str, known: Sequence[Fault] = ()
) -> Model:
    """Return an already loaded document as a `model`; `text` is what its lines are looked up in.

    `known` are the faults found before; they are told together with the new ones.
    """
    found: list[Fault] = []
    try:
        made = model.model_validate(document)
    except ValidationError as error:
        found = faults_of(error, model, document, text, source)
    if found or known:
        raise InvalidInput(together(known, found))
    return made


def together(first: Sequence[Fault], then: Iterable[Fault]) -> list[Fault]:
    """Return all faults in the order of the lines, without those that only follow from one of the same line and part.

    A fault in the form of a line has no path, and what is found in that line may all follow from it.
    """
    paths: dict[int | None, list[str]] = {}
    for fault in first:
        paths.setdefault(fault.line, []).append(fault.path)
    news = (fault for fault in then if not any(_is_part(fault.path, path) for path in paths.get(fault.line, ())))
    return sorted(dict.fromkeys([*first, *news]), key=Fault.order)


def _is_part(path: str, whole: str) -> bool:
    """Return whether a path, as people write it, is another one or lies below it; the empty one is all."""
    return not whole or path == whole or path.startswith((f"{whole}.", f"{whole}["))


class NoTextError(ValueError):
    """A file that is no text: too long, or not UTF-8 in a `line`."""

    def __init__(self, message: str, line: int | None = None) -> None:
        self.line = line
        super().__init__(message)


def text_of(path: Path) -> str:
    """Return a text file's content with plain line ends; raise OSError, or NoTextError."""
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise NoTextError(f"has more than {LARGEST >> 20} MB")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise NoTextError("is not UTF-8 text", data.count(b"\n", 0, error.start) + 1) from None


def read_text(path: Path) -> str:
    """Return the content of a plan, a config or a description; raise InvalidInput when it is no text."""
    try:
        return text_of(path)
    except OSError as error:
        raise InvalidInput.one(str(path), f"cannot be read: {error.strerror}") from None
    except NoTextError as error:
        hint = "; a long list belongs into a file" if error.line is None else ""
        raise InvalidInput.one(str(path), f"{error}{hint}", error.line) from None


def faults_of(
    error: ValidationError,
    model: type[BaseModel],
    document: Any,
    text: str,
    source: str,
    elsewhere: Elsewhere = lambda place, absent: None,
) -> list[Fault]:
    """Return the faults of a pydantic error in the order of the file's lines.

    `elsewhere` gives source and path of a value that does not come from the file.
    """
    strangers: list[Fault] = []
    found: list[tuple[Place, str]] = []
    for detail in _causes(error.errors(include_url=False, include_input=False)):
        absent = detail["type"] == "missing"
        for below, message in _messages(model, detail):
            place = (*detail["loc"], *below)
            if (other := elsewhere(place, absent)) is not None:
                strangers.append(Fault(other[0], message, path=dotted(other[1])))
            else:
                found.append((real_path(document, place, absent=absent), message))
    return [*strangers, *at_lines(found, text, source)]


def at_lines(found: Iterable[tuple[Place, str]], text: str, source: str) -> list[Fault]:
    """Return faults for (path, message) pairs with the lines that the paths have in `text`."""
    pairs = list(dict.fromkeys(found))
    paths = [path for path, _ in pairs]
    lines = yamltext.locate(text, paths) if text and paths else [None] * len(pairs)  # to locate is to parse again
    faults = [Fault(source, message, line, dotted(path)) for (path, message), line in zip(pairs, lines, strict=True)]
    return sorted(faults, key=Fault.order)


def dotted(path: Sequence[str | int]) -> str:
    """Return a path as people write it: `stages[0].targets[1].service`."""
    text = ""
    for part in path:
        name = f"[{part}]" if isinstance(part, int) else part or "''"
        text += f".{name}" if text and isinstance(part, str) else name
    return text


def suggestion(word: str, known: Iterable[str], closeness: float = 0.6) -> str:
    """Return `; did you mean x?` when a known word is close, else nothing."""
    import difflib  # only a mistake needs it

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=closeness)
    return f"; did you mean {close[0]!r}?" if close else ""


def choices(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean x?` when a known word is close, else all that are known."""
    names = list(known)
    return suggestion(word, names) or (f"; known: {', '.join(names)}" if names else "; there are none")


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


def _messages(model: type[BaseModel], detail: Mapping[str, Any]) -> Sequence[tuple[Place, str]]:
    """Return (place below the detail's own, message) for everything that one detail says."""
    problem = detail.get("ctx", {}).get("error")
    return problem.found if isinstance(problem, MisfitError) else [((), _message(model, detail["type"], detail))]


def _message(model: type[BaseModel], kind: str, detail: Mapping[str, Any]) -> str:
    name = str(detail["loc"][-1]) if detail["loc"] else ""
    if kind == "extra_forbidden":
        known = _words(model)
        places = sorted(known.get(name, ()))
        hint = f"; it belongs in {' or '.join(places)}" if places else suggestion(name, known, NEARLY)
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
    return re.sub(_ENUM, r"\1", str(detail["msg"]).removeprefix("Value error, ").removeprefix("Input "))


@functools.cache
def _words(model: type[BaseModel]) -> dict[str, frozenset[str]]:
    schema = model.model_json_schema(by_alias=True)
    words: dict[str, set[str]] = {}
    parts = {"": schema, **schema.get("$defs", {})}
    led = {
        reference: name
        for part in parts.values()
        for name, shape in part.get("properties", {}).items()
        for reference in re.findall(_REFERENCE, str(shape))
    }
    for title, part in parts.items():
        kinds = [shape["const"] for shape in part.get("properties", {}).values() if "const" in shape]
        place = f"`{kinds[0] if kinds else led.get(title, title.lower())}`" if title else "the top level"
        for name in part.get("properties", ()):
            words.setdefault(name, set()).add(place)
    return {name: frozenset(places) for name, places in words.items()}


def real_path(document: Any, loc: Sequence[str | int], *, absent: bool) -> Place:
    """Return a path without what pydantic adds to it (tags of unions, names of validators).

    What counts is what the document has; `absent` says that the last part is what it lacks.
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
