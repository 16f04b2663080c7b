"""What a run notes down for the residual-access statement: what descriptions declare, what the plan does not touch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator import probes
from orchestrator.blueprint import Blueprint
from orchestrator.endpoints import base_url, in_project
from orchestrator.model import LaneName
from orchestrator.service import Service
from orchestrator.settings import Connection


def declared(blueprint: Blueprint, planned: Mapping[LaneName, int]) -> dict[str, Any]:
    """Return, as plain values, what remains by what is known when the run begins; nothing without a subject."""
    if blueprint.plan_file.plan.subject is None:
        return {}
    services = {section.service.service: section.service for section in blueprint.sections}
    return {
        "services": [_known(service, _used(blueprint, name), planned) for name, service in services.items()],
        "not_touched": list(_untouched(blueprint)),
    }


def _used(blueprint: Blueprint, name: str) -> list[str]:
    return sorted({section.connection for section in blueprint.sections if section.service.service == name})


def _known(service: Service, connections: list[str], planned: Mapping[LaneName, int]) -> dict[str, Any]:
    return {
        "service": service.service,
        "connections": connections,
        "planned": sum(planned.get((service.service, connection), 0) for connection in connections),
        "without_target": [one for one in connections if not planned.get((service.service, one))],
        "residual": [entry.model_dump(exclude_defaults=True) for entry in service.residual],
    }


def _untouched(blueprint: Blueprint) -> Iterator[dict[str, Any]]:
    """Yield every service that the config reaches at places to which the plan does not go."""
    connections = blueprint.config_file.config.connections
    for name, service in blueprint.catalogue.services.items():
        reached = {each: _place(service, known) for each, known in connections.items() if _reaches(service, known)}
        gone_to = {_place(service, connections[each]) for each in _used(blueprint, name)}
        if left := sorted(each for each, place in reached.items() if place not in gone_to):
            yield {"service": name, "connections": left}


def _reaches(service: Service, connection: Connection) -> bool:
    """Return whether a connection could call a service: its credential, where it is, its project."""
    return service.service in probes.usable(connection, [service])


def _place(service: Service, connection: Connection) -> tuple[str, str]:
    """Return where a connection meets a service: two of one place reach the same sessions."""
    project = connection.project_id or connection.project or connection.region or ""
    return base_url(service, connection), project if in_project(service) else ""
