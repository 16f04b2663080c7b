"""`--only`: which part of a plan a run is limited to."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from orchestrator.errors import Fault, InvalidInput
from orchestrator.model import Target
from orchestrator.validation import suggestion

NAMES = ("stage", "service", "connection", "target")


class Selector:
    """Terms such as `service=workspace.*,connection=prod`: all of a term must hold, of several terms any."""

    def __init__(self, terms: Sequence[str]) -> None:
        self.texts = tuple(terms)
        faults = [Fault("--only", said) for text in terms for part in text.split(",") if (said := _wrong(part.strip()))]
        if faults:
            raise InvalidInput(faults)
        self._terms = [[_pair(part.strip()) for part in text.split(",")] for text in terms]

    def reaches(self, stage: str, service: str, connection: str) -> bool:
        """Return whether it may take a target of a group."""
        facts = {"stage": stage, "service": service, "connection": connection}
        return not self._terms or any(
            all(fnmatchcase(facts[name], glob) for name, glob in term if name in facts) for term in self._terms
        )

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


def _pair(part: str) -> tuple[str, str]:
    name, _, glob = part.partition("=")
    return name, glob


def _wrong(part: str) -> str:
    name, glob = _pair(part)
    if name in NAMES and glob:
        return ""
    hint = "" if name in NAMES else suggestion(name, NAMES)
    return f"{part!r} should be NAME=GLOB, NAME one of {', '.join(NAMES)}{hint}"
