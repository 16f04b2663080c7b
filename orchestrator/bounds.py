"""How fast a lane may go, and how patiently it looks: what the config says, over what the catalogue does."""

from __future__ import annotations

from orchestrator import settings
from orchestrator.calling import Limits
from orchestrator.service import ReadBack, Service
from orchestrator.verify import Timing

DEFAULTS = Limits.model_construct(concurrency=2, timeout=30.0, attempts=5, backoff=0.5, backoff_cap=60.0)


def limits_of(config: settings.Config, service: Service, connection: str) -> Limits:
    """Return a lane's limits: the config's for the lane, then for the service, the catalogue's, the defaults."""
    nothing = Limits.model_construct()
    for_lane = config.limits.get(lane_key(service.service, connection), nothing)
    for_service = config.limits.get(service.service, nothing)
    return for_lane.over(for_service.over(service.limits.over(DEFAULTS)))


def reads_of(config: settings.Config, service: Service, described: Limits) -> Limits:
    """Return how hard a listing or a read-back may be asked: the config's limits, the catalogue's, the defaults."""
    said = config.services.get(service.service, settings.ServiceSettings.model_construct())
    return said.reads.over(described.over(DEFAULTS))


def timing_of(config: settings.Config, service: Service, read_back: ReadBack) -> Timing:
    """Return when it is looked whether sessions are gone, as the config says or else the catalogue."""
    said = config.services.get(service.service, settings.ServiceSettings.model_construct()).verify
    lag = read_back.lag if said.lag is None else said.lag
    deadline = read_back.deadline if said.deadline is None else said.deadline
    return Timing(lag or 0.0, deadline, read_back.lag_field)


def lane_key(service: str, connection: str) -> str:
    """Return the name of a lane as the config has it."""
    return f"{connection}/{service}"
