"""A small cloud on loopback: the services of the catalogue, with faults on request, for rehearsal, demo and tests."""

from __future__ import annotations

from orchestrator.sandbox.faults import Fault
from orchestrator.sandbox.limits import Limit
from orchestrator.sandbox.server import Sandbox, serve
from orchestrator.sandbox.state import World

__all__ = ["Fault", "Limit", "Sandbox", "World", "serve"]
