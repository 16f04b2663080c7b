"""Sealed plans: what a preview resolved, carried out as it was reviewed, or refused.

A seal holds the digests of all that a run depends on and the identity of every target. It proves that nothing changed
by mistake, not who sealed it: whoever can write the file can make another.
"""

from __future__ import annotations

import hashlib
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import __version__, sealfile
from orchestrator.blueprint import Blueprint
from orchestrator.bounds import bounds_of
from orchestrator.discovery import BEGAN, NAMES, Discovery
from orchestrator.errors import InvalidInput, Refused
from orchestrator.journal import SqliteJournal
from orchestrator.sealfile import Seal, SealedGroup, digest_of
from orchestrator.sections import Section
from orchestrator.selection import Selector
from orchestrator.settings import ServiceSettings
from orchestrator.targets import RowError, name_of
from orchestrator.units import Amount, is_utf8

LASTS = 24 * 3600.0
SHOWN = 10
PROTECTED = "what the plan protects"
NOTHING_SENT = "nothing was sent; look at a new preview, and seal that"


def seal(
    blueprint: Blueprint,
    selector: Selector,
    inputs: Mapping[str, str],
    counts: Mapping[str, Any],
    lasts: float = LASTS,
    now: float | None = None,
) -> Seal:
    """Return the seal of a plan whose groups were listed; `counts` are its targets, calls and lanes."""
    created = time.time() if now is None else now
    plan_file = blueprint.plan_file
    if not is_utf8(str(plan_file.path.resolve())):
        raise InvalidInput.one(
            "--seal", f"the path {str(plan_file.path)!r} is not UTF-8 text, and no seal could hold it"
        )
    facts = {
        "program": __version__,
        "created": sealfile.text_of(created),
        "expires": sealfile.text_of(created + lasts),
        "plan": {
            "name": plan_file.plan.name,
            "path": str(plan_file.path.resolve()),
            "text": _text(plan_file.path),
            "digest": plan_file.digest,
            "variables": plan_file.variables,
        },
        "catalogue": catalogue_digest(blueprint),
        "config": config_digest(blueprint),
        "inputs": {**inputs, **_protected(blueprint)},
        "selector": list(selector.texts),
        **counts,
        "groups": [_group(section, selector) for section in blueprint.sections],
    }
    return sealfile.made(facts)


def digests(blueprint: Blueprint) -> dict[str, str]:
    """Return the digests of all beside the plan and its lists that a sealed plan depends on."""
    of = {"the catalogue": catalogue_digest(blueprint), "the config": config_digest(blueprint)}
    return {**of, **_protected(blueprint)}


def catalogue_digest(blueprint: Blueprint) -> str:
    """Return the digest of the descriptions of the services that a plan uses, and of the rules that they share."""
    services = {section.service.service: section.service.model_dump(mode="json") for section in blueprint.sections}
    shared = {name: rules.model_dump(mode="json") for name, rules in blueprint.catalogue.shared.items()}
    return digest_of([services, shared])


def config_digest(blueprint: Blueprint) -> str:
    """Return the digest of what the config says of the connections, lanes and services that a plan uses."""
    config, nothing = blueprint.config_file.config, ServiceSettings()
    lanes = blueprint.lanes()
    connections = {name: found.model_dump(mode="json") for name, found in blueprint.connections().items()}
    limits = {"@".join(lane): str(bounds_of(config, one, lane[1])) for lane, one in lanes.items()}
    services = {name: config.services.get(name, nothing).model_dump(mode="json") for name, _ in lanes}
    return digest_of([connections, limits, services])


@dataclass(frozen=True, slots=True)
class Sealed:
    """A seal that is to be carried out, and by how much what is found now may differ from it."""

    path: Path
    seal: Seal
    tolerance: Amount

    def fresh(self, now: float | None = None) -> None:
        """Raise Refused when the seal has expired, or the plan's text is not what was sealed."""
        if (time.time() if now is None else now) >= sealfile.seconds(self.seal.expires):
            raise self._refused(f"expired at {self.seal.expires}")
        path = Path(self.seal.plan.path)
        try:
            changed = _text(path) != self.seal.plan.text
        except (OSError, ValueError):
            raise self._refused(f"is of the plan {path}, which cannot be read any more") from None
        if changed:
            raise self._refused(f"is of the plan {path}, which changed since")

    def unused(self, journal: SqliteJournal) -> None:
        """Raise Refused when a run has carried the seal out."""
        for record in journal.runs():
            if record.seal == self.seal.sha256:
                said = f"{self.path} was carried out by the run {record.run}"
                raise Refused(f"{said}; to go on with that: {record.resume_command}")

    def agree(self, blueprint: Blueprint, inputs: Mapping[str, str], selector: Selector) -> None:
        """Raise Refused when plan, catalogue, config, or what is read from lists is not what was sealed."""
        plan = str(blueprint.plan_file.path)
        now = {plan: blueprint.plan_file.digest, **inputs, **digests(blueprint)}
        then = {
            plan: self.seal.plan.digest,
            "the catalogue": self.seal.catalogue,
            "the config": self.seal.config,
            **self.seal.inputs,
        }
        changed = sorted(name for name in {*now, *then} if now.get(name) != then.get(name))
        if changed:
            raise self._refused(f"holds no longer: {', '.join(changed)} changed since")
        for section, group in self._groups(blueprint):
            if not isinstance(section.source, Discovery) and set(_ids(section, selector)) != set(group.targets):
                raise self._refused(f"has other targets than {section.source.name} of stage {section.stage}")

    def settle(self, blueprint: Blueprint, selector: Selector) -> list[str]:
        """Put what was sealed in the place of what was listed now; return notes of what is new, and left alone.

        Raises Refused when they differ by too much.
        """
        notes: list[str] = []
        new, gone, known = 0, 0, 0
        discovered = [(s.source, s, g) for s, g in self._groups(blueprint) if isinstance(s.source, Discovery)]
        for source, section, group in discovered:
            if source.failure:
                raise self._refused(f"cannot be held against what there is now: {source.name}: {source.failure}")
            now, then = set(_ids(section, selector)), set(group.targets)
            new, gone, known = new + len(now - then), gone + len(then - now), known + len(then)
            notes += _unsealed(source.name, sorted(now - then))
        if new + gone > self.tolerance.of(known):
            allowed = f"--tolerance allows {self.tolerance.of(known)}"
            raise self._refused(f"had {known} discovered targets; {new} are new and {gone} are gone, and {allowed}")
        for source, section, group in discovered:
            _restore(source, section, group)
            if not _names(section, selector, group):
                raise self._refused(f"has rows of {source.name} that are not the targets it names")
        return notes

    def _groups(self, blueprint: Blueprint) -> Iterator[tuple[Section, SealedGroup]]:
        """Pair the groups of the plan with those of the seal."""
        groups, sections = self.seal.groups, blueprint.sections
        pairs = zip(sections, groups, strict=False)
        if len(groups) != len(sections) or not all(_same(section, group) for section, group in pairs):
            raise self._refused("has other groups than the plan")
        yield from zip(sections, groups, strict=True)

    def _refused(self, said: str) -> Refused:
        return Refused(f"{self.path} {said}; {NOTHING_SENT}")


def _unsealed(name: str, ids: Sequence[str]) -> Iterator[str]:
    if ids:
        named = ", ".join(ids[:SHOWN]) + (", ..." if len(ids) > SHOWN else "")
        yield f"{name}: {len(ids)} are there by now that were not sealed, and are left alone ({named})"


def command(path: Path, config: str | None) -> str:
    """Return the command that carries a seal out."""
    return f"orchestrator run --sealed {shlex.quote(str(path))}" + (
        f" --config {shlex.quote(config)}" if config else ""
    )


def _text(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _protected(blueprint: Blueprint) -> dict[str, str]:
    keeps = [keep._asdict() for keep in blueprint.keeps]
    return {PROTECTED: digest_of(keeps)} if keeps else {}


def _group(section: Section, selector: Selector) -> dict[str, Any]:
    source = section.source
    facts = {
        "stage": section.stage,
        "service": section.service.service,
        "connection": section.connection,
        "source": source.name,
        "targets": list(_ids(section, selector)),
    }
    if not isinstance(source, Discovery):
        return facts
    return {**facts, "discovered": True, "listed": source.listed, "rows": source.rows}


def _ids(section: Section, selector: Selector) -> dict[str, None]:
    """Return the ids of a group's targets, each once, in their order."""
    return dict.fromkeys(target.id for target in section.source.targets() if selector.takes(target))


def _names(section: Section, selector: Selector, group: SealedGroup) -> bool:
    """Return whether a group that was restored has the targets that the seal names, and no row is anything else."""
    try:
        return set(_ids(section, selector)) == set(group.targets)
    except RowError:
        return False


def _same(section: Section, group: SealedGroup) -> bool:
    names = (section.stage, section.service.service, section.connection)
    discovered = isinstance(section.source, Discovery)
    return names == (group.stage, group.service, group.connection) and discovered == group.discovered


def _restore(source: Discovery, section: Section, group: SealedGroup) -> None:
    """Give a group the rows that were sealed, with what is told now: since when they are there, and whose they are."""
    key = section.service.key
    known = {name_of(row, key): {name: row[name] for name in (BEGAN, NAMES) if name in row} for row in source.rows}
    rows = []
    for sealed in group.rows:
        told = {name: value for name, value in sealed.items() if name not in (BEGAN, NAMES)}
        row = {**told, **known.get(name_of(sealed, key), sealed)}
        rows.append(row if isinstance(row.get(BEGAN, 0.0), int | float) else {**told, NAMES: row.get(NAMES, [])})
    source.rows = rows
