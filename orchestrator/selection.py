"""`--only`: which part of a plan a run is limited to."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from orchestrator.errors import InvalidInput
from orchestrator.model import Target
from orchestrator.validation import suggestion

NAMES = ("stage", "service", "connection", "target")


class Selector:
    """Terms such as `service=workspace.*,connection=prod`: all of a term must hold, of several terms any."""

    def __init__(self, terms: Sequence[str]) -> None:
        self.text = " or ".join(terms)
        self._terms = [_term(text) for text in terms]

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


def _term(text: str) -> list[tuple[str, str]]:
    pairs = []
    for part in text.split(","):
        name, equals, glob = part.strip().partition("=")
        if not equals or name not in NAMES or not glob:
            hint = suggestion(name, NAMES)
            raise InvalidInput.one(
                "--only", f"{part.strip()!r} should be NAME=GLOB, NAME one of {', '.join(NAMES)}{hint}"
            )
        pairs.append((name, glob))
    return pairs
