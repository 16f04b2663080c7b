"""The `{field}` holes of a description's templates: where they are, and what they name."""

from __future__ import annotations

import re
from typing import Any

HOLE = re.compile(r"\{(\*?)([a-z][a-z0-9_]*)\}")


def holes(template: Any) -> list[tuple[bool, str]]:
    """Return (is a whole batch's list, name) for every hole in a template, however deep."""
    if isinstance(template, str):
        return [(star == "*", name) for star, name in HOLE.findall(template)]
    if isinstance(template, dict):
        return [hole for item in template.values() for hole in holes(item)]
    return [hole for item in template for hole in holes(item)] if isinstance(template, list | tuple) else []


def inside_texts(template: Any) -> set[str]:
    """Return the names whose hole is only a part of a text, where an absent value could not be left out."""
    if isinstance(template, str):
        return set() if HOLE.fullmatch(template) else {name for _, name in holes(template)}
    parts = template.values() if isinstance(template, dict) else template if isinstance(template, list | tuple) else ()
    return set().union(*map(inside_texts, parts))
