"""Puts the program together: the only place that builds its live objects."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from orchestrator import blueprint as blueprints
from orchestrator import catalogue, plan, settings
from orchestrator.auth import Admission
from orchestrator.backoff import Backoff
from orchestrator.batches import Packing
from orchestrator.blueprint import Blueprint, Section, base_url
from orchestrator.catalogue import Catalogue
from orchestrator.classify import Classify, compile_reading
from orchestrator.connections import Connections
from orchestrator.connector import HttpConnector
from orchestrator.errors import InvalidInput
from orchestrator.lane import Lane
from orchestrator.model import Verdict
from orchestrator.pacing import Pacer, Stop
from orchestrator.references import References, as_written
from orchestrator.render import Place, Render, compile_operation
from orchestrator.run import LaneWork, RunMemory, StageWork
from orchestrator.service import Condition, Limits, Operation, Reading, Rule, Service
from orchestrator.settings import ConfigFile, Connection
from orchestrator.units import Rate

DEFAULTS = Limits(rate=(Rate(1.0, 1.0),), concurrency=2, timeout=30.0, attempts=5, backoff=0.5, backoff_cap=60.0)
LaneName = tuple[str, str]


def prepare(plan_path: Path, variables: dict[str, str], config_file: ConfigFile, *, offline: bool = False) -> Blueprint:
    """Read a plan and hold it against config and catalogue; raise InvalidInput with every fault.

    Offline, references to secrets are taken as they are written instead of being read.
    """
    known = load_catalogue(config_file)
    resolve = as_written if offline else References(plan_path.resolve().parent).resolve
    try:
        plan_file = plan.read(plan_path, variables)
    except plan.Unsound as unsound:
        raise InvalidInput(blueprints.look_over(unsound, config_file, known, resolve)) from None
    return blueprints.draw(plan_file, config_file, known, resolve)


def load_catalogue(config_file: ConfigFile) -> Catalogue:
    """Return the package's catalogue with the folders that a config adds."""
    folders = [config_file.folder / folder for folder in config_file.config.catalogue]
    wrong = [(("catalogue", i), said) for i, folder in enumerate(folders) if (said := catalogue.unfit(folder))]
    return catalogue.load(folders, config_file.faults(wrong))


def limits_of(config: settings.Config, service: Service, connection: str) -> Limits:
    """Return a lane's limits: the config's for the lane, then for the service, the catalogue's, the defaults."""
    nothing = Limits()
    for_lane = config.limits.get(f"{connection}/{service.service}", nothing)
    for_service = config.limits.get(service.service, nothing)
    return for_lane.over(for_service.over(service.limits.over(DEFAULTS)))


class Workshop:
    """Builds the lanes of one run."""

    def __init__(
        self, blueprint: Blueprint, connections: Connections, memory: RunMemory, stop: Stop, numbers: Iterator[int]
    ) -> None:
        self.lanes: dict[LaneName, Lane] = {}
        self._blueprint = blueprint
        self._connections = connections
        self._memory = memory
        self._stop = stop
        self._numbers = numbers

    def build(self) -> list[StageWork]:
        """Return the stages with their lanes."""
        stages = []
        for stage, sections in itertools.groupby(self._blueprint.sections, key=lambda section: section.stage):
            stages.append(StageWork(stage, self._works(list(sections))))
        return stages

    def _works(self, sections: Sequence[Section]) -> list[LaneWork]:
        works: dict[LaneName, LaneWork] = {}
        for section in sections:
            name = (section.service.service, section.connection)
            if name not in self.lanes:
                self.lanes[name] = self._lane(section.service, section.connection)
            works.setdefault(name, LaneWork(self.lanes[name])).sources.append(section.source)
        return list(works.values())

    def _lane(self, service: Service, connection: str) -> Lane:
        config = self._blueprint.config_file.config
        limits = limits_of(config, service, connection)
        batch = service.end.batch
        return Lane(
            service.service,
            connection,
            self._connector(service, connection, limits),
            Pacer(limits.rate or (), self._stop),
            self._memory,
            self._stop,
            packing=Packing(batch.size, batch.group_by) if batch else Packing(),
            numbers=self._numbers,
            attempts=limits.attempts or 1,
            concurrency=limits.concurrency or 1,
            backoff=Backoff(limits.backoff or 0.0, limits.backoff_cap or 0.0),
        )

    def _connector(self, service: Service, name: str, limits: Limits) -> HttpConnector:
        connection = self._blueprint.config_file.config.connections[name]
        linked = self._connections.linked[name]
        methods = [service.end.method, *([service.end.on_405] if service.end.on_405 else [])]
        operations = [service.end.model_copy(update={"method": method}) for method in methods]
        return HttpConnector(
            [rendering(operation, base_url(service, connection), connection) for operation in operations],
            readings(service, self._blueprint.catalogue, self._blueprint.config_file.config),
            linked.credential,
            Admission(linked.credential, linked.standing),
            linked.transport,
            idempotent=service.end.idempotent,
            seconds=limits.timeout or 30.0,
        )


def rendering(operation: Operation, url: str, connection: Connection) -> Callable[[str], Render]:
    """Return what compiles an operation on a connection, given the project that its credential turns out to be for."""

    def compiled(project_id: str) -> Render:
        place = Place(url, connection.project_id or project_id, connection.region or "")
        if "{project_id}" in operation.path and not place.project_id:
            raise LookupError("the token names no project; give the connection its project_id")
        return compile_operation(operation, place)

    return compiled


def readings(service: Service, known: Catalogue, config: settings.Config) -> dict[str, Classify]:
    """Return a service's classifiers by what a group expects ('' where there is nothing to choose)."""
    said = config.services.get(service.service)
    first = [_declared(condition) for condition in said.already_ended] if said else []
    named: dict[str, Reading] = dict(service.expect) or {"": service}
    return {
        name: compile_reading(reading, [*first, *known.rules(reading)], service.service)
        for name, reading in named.items()
    }


def _declared(condition: Condition) -> Rule:
    said = condition.model_dump(exclude_unset=True)
    return Rule.model_validate({**said, "then": Verdict.ABSENT, "note": "already ended, says the config"})
