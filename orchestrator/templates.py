"""The `{field}` holes of a description's templates: where they are, what they name, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from orchestrator.validation import Place

HOLE = re.compile(r"\{(\*?)([a-z][a-z0-9_]*)\}")
OF_THE_CONNECTION = ("project_id", "region")


def holes(template: Any) -> list[tuple[bool, str]]:
    """Return (is a whole batch's list, name) for every hole in a template, however deep."""
    return [(star == "*", name) for _, text in texts(template) for star, name in HOLE.findall(text)]


def texts(template: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """Return every text in a template, however deep, with its place."""
    if isinstance(template, str):
        yield place, template
    elif isinstance(template, dict):
        for name, value in template.items():
            yield from texts(value, (*place, name))
    elif isinstance(template, list | tuple):
        for i, value in enumerate(template):
            yield from texts(value, (*place, i))


class Names(NamedTuple):
    """What templates may name: fields, those of them that may be missing, those that a whole batch shares."""

    fields: Collection[str]
    optional: Collection[str]
    shared: Collection[str]

    def problems(self, template: Any, place: Place) -> Iterator[tuple[Place, str]]:
        """Return (place, what is wrong) for a template, so that no call says less than it seems to."""
        for there, text in texts(template, place):
            if there[-1] == "path" and set("{}") & set(HOLE.sub("", text)):
                yield there, "has a brace that belongs to no {field}"
            for whole_batch, name in holes(text):
                yield from ((there, said) for said in self._wrong(there, text, name, whole_batch=whole_batch))

    def _wrong(self, place: Place, text: str, name: str, *, whole_batch: bool) -> Iterator[str]:
        if name not in (*self.fields, *OF_THE_CONNECTION):
            choice = ", ".join(sorted({*self.fields, *OF_THE_CONNECTION}))
            yield f"a template uses {{{name}}}, which is not a field; there are {choice}"
            return
        alone = HOLE.fullmatch(text) is not None
        if whole_batch and not (alone and {"json", "query"} & set(place)):
            yield f"{{*{name}}} is a list, and has to be a value of its own in json or query"
        elif not whole_batch and name not in (*self.shared, *OF_THE_CONNECTION):
            yield f"{{{name}}} would be that of a batch's first target: write {{*{name}}}, or name it in group_by"
        if not alone and name in self.optional:
            yield f"puts {{{name}}} into a text, and it may be missing: give it a default, or a value of its own"


def not_fields(
    names: Sequence[str], fields: Collection[str], place: Place, what: str, among: str = "fields"
) -> Iterator[tuple[Place, str]]:
    """Return (place, what is wrong) for a list that should name fields (or what is `among`), each of them once."""
    for i, name in enumerate(names):
        if name not in fields:
            yield (*place, i), f"{what} names {name!r}, which is not among the {among}"
        elif name in names[:i]:
            yield (*place, i), f"{what} names {name!r} twice"
