"""How fast a lane may go, and how patiently it looks: what the config says, over what the catalogue does."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from orchestrator import settings
from orchestrator.calling import Limits
from orchestrator.service import ReadBack, Service
from orchestrator.units import Rate
from orchestrator.verify import Timing

T = TypeVar("T")


class Bounds(NamedTuple):
    """How hard a service is called, with nothing left open; without `rates` nobody knows how fast it may be.

    `burst` calls may go at once beside the rate, `concurrency` are under way together; `timeout`, `backoff` and its cap
    are seconds.
    """

    rates: tuple[Rate, ...] = ()
    burst: int = 1
    concurrency: int = 2
    timeout: float = 30.0
    attempts: int = 5
    backoff: float = 0.5
    backoff_cap: float = 60.0


DEFAULTS = Bounds()


def bounds(said: Limits) -> Bounds:
    """Return what is said, with the defaults for the rest."""
    return Bounds(
        said.rate or DEFAULTS.rates,
        _or(said.burst, DEFAULTS.burst),
        _or(said.concurrency, DEFAULTS.concurrency),
        _or(said.timeout, DEFAULTS.timeout),
        _or(said.attempts, DEFAULTS.attempts),
        _or(said.backoff, DEFAULTS.backoff),
        _or(said.backoff_cap, DEFAULTS.backoff_cap),
    )


def _or(said: T | None, default: T) -> T:
    return default if said is None else said


def bounds_of(config: settings.Config, service: Service, connection: str) -> Bounds:
    """Return a lane's bounds: the config's for the lane, then for the service, the catalogue's, the defaults."""
    nothing = Limits.model_construct()
    for_lane = config.limits.get(lane_key(service.service, connection), nothing)
    for_service = config.limits.get(service.service, nothing)
    return bounds(for_lane.over(for_service.over(service.limits)))


def reads_of(config: settings.Config, service: Service, described: Limits) -> Bounds:
    """Return how hard a listing or a read-back may be asked: as the config says, the catalogue, the defaults."""
    said = config.services.get(service.service, settings.ServiceSettings.model_construct())
    return bounds(said.reads.over(described))


def timing_of(config: settings.Config, service: Service, read_back: ReadBack) -> Timing:
    """Return when it is looked whether sessions are gone, as the config says or else the catalogue."""
    said = config.services.get(service.service, settings.ServiceSettings.model_construct()).verify
    lag = read_back.lag if said.lag is None else said.lag
    deadline = read_back.deadline if said.deadline is None else said.deadline
    return Timing(lag or 0.0, deadline, read_back.lag_field)


def lane_key(service: str, connection: str) -> str:
    """Return the name of a lane as the config has it."""
    return f"{connection}/{service}"
