"""What may go on working for a person after a run: said by the descriptions, fixed when the run begins."""

from __future__ import annotations

from typing import Any

from orchestrator import probes
from orchestrator.blueprint import Blueprint


def declared(blueprint: Blueprint) -> dict[str, Any]:
    """Return what the plan's services leave, and the services of the config that the plan does not touch.

    `{"left": {service: [{what, until, remedy}]}, "untouched": {service: [connection]}}`; empty without a subject.
    """
    if not blueprint.plan_file.plan.subject:
        return {}
    services = {section.service.service: section.service for section in blueprint.sections}
    left = {name: [one.model_dump() for one in service.residual] for name, service in services.items()}
    return {"left": left, "untouched": _untouched(blueprint)}


def _untouched(blueprint: Blueprint) -> dict[str, list[str]]:
    touched = {section.service.service for section in blueprint.sections}
    found: dict[str, list[str]] = {}
    for name, connection in blueprint.config_file.config.connections.items():
        for service in probes.usable(connection, blueprint.catalogue.services.values()):
            if service not in touched:
                found.setdefault(service, []).append(name)
    return dict(sorted(found.items()))
