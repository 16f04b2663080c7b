"""The groups of a plan, each held against the config and the catalogue, and made ready to be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.catalogue import Catalogue
from orchestrator.dated import dated
from orchestrator.endpoints import base_url, lacks_project
from orchestrator.model import LaneName, Secret, Target
from orchestrator.plan import Group, Placed, Stage
from orchestrator.service import Service
from orchestrator.settings import ConfigFile, Connection
from orchestrator.sources import STANDARD_INPUT, Inline, Items, Rows, Source, resolved, unfit
from orchestrator.targets import RowError, TargetBuilder
from orchestrator.validation import Place, choices
from orchestrator.wanted import OF_DISCOVERY, unlistable, wanted

Resolve = Callable[[str], Secret]
Problems = list[tuple[Place, str]]


class Section(NamedTuple):
    """One group of a plan, ready to be read: its stage, its service, its connection, its source."""

    stage: str
    service: Service
    connection: str
    source: Source
    builder: TargetBuilder

    @property
    def lane(self) -> LaneName:
        """Return the lane on which its targets are called."""
        return self.service.service, self.connection


@dataclass(slots=True, eq=False)
class Sections:
    """Makes sections of groups, and notes every fault in `problems`; `resolve` turns secret references into values."""

    plan_path: Path
    config_file: ConfigFile
    catalogue: Catalogue
    resolve: Resolve
    problems: Problems

    def of(self, groups: Sequence[Placed]) -> list[Section]:
        """Return the sections of the groups that can have one."""
        self.problems.extend(_between(groups))
        return [section for placed in groups if (section := self._section(*placed)) is not None]

    def _section(self, place: Place, stage: Stage, group: Group) -> Section | None:
        self._note(place, _no_mappings(group))
        service, connection = self._found(place, group)
        if service is None:
            return None
        self._note(place, _expectation(group, service))
        self._note(place, _fit(group, service, connection) if connection else ())
        self._note(place, _looks(group, service))
        builder = TargetBuilder(
            service,
            group.connection,
            stage=stage.name,
            expect=group.expect or "",
            verify=_looked_at(group, service),
            everything=group.everything,
        )
        common = self._common(place, group, builder)
        if group.discover is not None:
            self._note(place, unlistable(group, service))
            source: Source = wanted(stage.name, group, service, builder, common)
        else:
            self._note(place, (((n,), "goes with discover") for n in OF_DISCOVERY if n in group.model_fields_set))
            source = dated(self._source(place, group, builder, common), service)
        return Section(stage.name, service, group.connection, source, builder) if connection else None

    def _note(self, place: Place, found: Iterable[tuple[Place, str]]) -> None:
        self.problems.extend(((*place, *below), said) for below, said in found)

    def _found(self, place: Place, group: Group) -> tuple[Service | None, Connection | None]:
        """Return the service and the connection of a group, where there are such."""
        services, connections = self.catalogue.services, self.config_file.config.connections
        if group.service not in services:
            hint = choices(group.service, services)
            self.problems.append(((*place, "service"), f"{group.service!r} is not in the catalogue{hint}"))
        if group.connection not in connections:
            hint = choices(group.connection, connections)
            said = f"{self.config_file.source} has no connection {group.connection!r}{hint}"
            self.problems.append(((*place, "connection"), said))
        return services.get(group.service), connections.get(group.connection)

    def _common(self, place: Place, group: Group, builder: TargetBuilder) -> dict[str, Any]:
        common: dict[str, Any] = {}
        for name, value in group.common.items():
            if name not in builder.fields:
                hint = choices(name, builder.fields)
                self.problems.append(((*place, "with", name), f"{group.service} has no such field{hint}"))
                continue
            try:
                if value not in (None, ""):
                    found = resolved({name: value}, builder.secret, self.resolve)[name]
                    common[name] = builder.field(name, found, self.resolve)
            except ValueError as error:
                self.problems.append(((*place, "with", name), str(error)))
        return common

    def _source(self, place: Place, group: Group, builder: TargetBuilder, common: dict[str, Any]) -> Source:
        if group.source is None:
            return self._inline(place, group, builder, common)
        path = None if group.source == "-" else self.plan_path.resolve().parent / group.source
        if path and (said := unfit(path)):
            self.problems.append(((*place, "from"), said))
        return Rows(STANDARD_INPUT if path is None else str(path), path, builder, common)

    def _inline(self, place: Place, group: Group, builder: TargetBuilder, common: dict[str, Any]) -> Inline:
        """Return the items of a group once every one of them was looked at; what was made of a secret is kept."""
        rows, targets = group.items or (), list[Target]()
        told = {name for name, value in group.common.items() if value not in (None, "")} - set(common)
        for i, row in enumerate(rows):
            if not isinstance(row, dict):
                continue
            try:
                whole = {**common, **row} if common else row
                if builder.secret:
                    targets.append(builder.build(whole, self.resolve))
                else:
                    builder.read(whole, self.resolve)
            except RowError as error:
                found = [(name, text) for name, text in error.problems if name not in told or name in row]
                self._note((*place, "items", i), ((((name,) if name else ()), text) for name, text in found))
        return Inline(targets if builder.secret else Items(rows, builder, common))


def _between(groups: Sequence[Placed]) -> Iterator[tuple[Place, str]]:
    """Yield what is wrong between groups."""
    reading = [place for place, _, group in groups if group.source == "-"]
    for place in reading[1:]:
        yield (*place, "from"), "standard input goes to one group, and one before has it"
    expected: dict[tuple[str, str], str | None] = {}
    for place, _, group in groups:
        before = expected.setdefault((group.service, group.connection), group.expect)
        if before != group.expect:
            said = f"{group.service} on {group.connection} is expected to be {before} before"
            yield (*place, "expect"), f"{said}; one run asks once, with one expectation"


def _no_mappings(group: Group) -> Iterator[tuple[Place, str]]:
    """Yield the items of a group that cannot be targets, of whatever service."""
    for i, row in enumerate(group.items or ()):
        if not isinstance(row, dict):
            yield ("items", i), "should be a mapping of keys to values"


def _looked_at(group: Group, service: Service) -> bool:
    """Return whether a group's targets are looked at afterwards."""
    if service.verify is None:
        return False
    return not service.verify.opt_in if group.verify is None else group.verify


def _looks(group: Group, service: Service) -> Iterator[tuple[Place, str]]:
    if group.verify and service.verify is None:
        yield ("verify",), f"{service.service} has no way of looking whether a session is gone"
    for i, name in enumerate(group.everything):
        if name not in service.fields or not service.fields[name].everything_without:
            yield ("everything", i), f"{name!r} is no such field of {service.service}"


def _expectation(group: Group, service: Service) -> Iterator[tuple[Place, str]]:
    choice = " or ".join(service.expect)
    if service.expect and group.expect is None:
        yield (), f"{service.service} needs `expect:`, which is {choice}"
    elif group.expect is not None and group.expect not in service.expect:
        yield ("expect",), f"can be {choice}" if service.expect else f"does not go with {service.service}"


def _fit(group: Group, service: Service, connection: Connection) -> Iterator[tuple[Place, str]]:
    """Yield what is wrong between a group, its service and its connection."""
    if connection.auth.type not in service.auth:
        takes = ", ".join(service.auth)
        yield ("connection",), f"{group.connection!r} has auth {connection.auth.type}; {service.service} takes {takes}"
    elif lacks_project(service, connection):
        yield ("connection",), f"{group.connection!r} has no project_id, which {service.service} needs"
    try:
        base_url(service, connection)
    except ValueError as error:
        yield ("connection",), f"{group.connection!r} {error}"
