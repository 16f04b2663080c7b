"""`--only`: which part of a plan a run is limited to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from orchestrator.errors import Fault, InvalidInput
from orchestrator.model import Target
from orchestrator.validation import suggestion

NAMES = ("stage", "service", "connection", "target")
Part = tuple[str, str, str, frozenset[str]]  # a group, and what the ids of its targets all have to match


class Selector:
    """Terms such as `service=workspace.*,connection=prod`: all of a term must hold, of several terms any."""

    def __init__(self, terms: Sequence[str]) -> None:
        self.texts = tuple(terms)
        faults = [Fault("--only", said) for text in terms for part in text.split(",") if (said := _wrong(part.strip()))]
        if faults:
            raise InvalidInput(faults)
        self._terms = [[_pair(part.strip()) for part in text.split(",")] for text in terms]

    def parts(self, groups: Iterable[tuple[str, str, str]]) -> set[Part]:
        """Return what it takes of groups, each (stage, service, connection): all of one, or targets by their globs."""
        found: set[Part] = set()
        for group in groups:
            facts = dict(zip(NAMES, group, strict=False))
            for term in self._terms or [[]]:
                if all(fnmatchcase(facts[name], glob) for name, glob in term if name in facts):
                    found.add((*group, frozenset(glob for name, glob in term if name not in facts and glob.strip("*"))))
        return found

    def takes(self, target: Target) -> bool:
        """Return whether a target is within the selection; no term at all takes everything."""
        if not self._terms:
            return True
        facts = {
            "stage": target.stage,
            "service": target.service,
            "connection": target.connection,
            "target": target.id,
        }
        return any(all(fnmatchcase(facts[name], glob) for name, glob in term) for term in self._terms)


def covers(earlier: set[Part], later: set[Part]) -> bool:
    """Return whether one selection takes all that another does, however the two are written."""
    return bool(later) and all(any(_covers(one, part) for one in earlier) for part in later)


def _covers(earlier: Part, later: Part) -> bool:
    """Return whether all of one part is in another, as far as globs show it: a plain id is in what it matches."""
    plain = [glob for glob in later[3] if not set(glob) & set("*?[")]
    return earlier[:3] == later[:3] and all(
        glob in later[3] or any(fnmatchcase(one, glob) for one in plain) for glob in earlier[3]
    )


def _pair(part: str) -> tuple[str, str]:
    name, _, glob = part.partition("=")
    return name, glob


def _wrong(part: str) -> str:
    name, glob = _pair(part)
    if name in NAMES and glob:
        return ""
    hint = "" if name in NAMES else suggestion(name, NAMES)
    return f"{part!r} should be NAME=GLOB, NAME one of {', '.join(NAMES)}{hint}"
