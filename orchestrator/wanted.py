"""What a group of a plan wants discovered, held against what its service can list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.discovery import Discovery
from orchestrator.listing import Listing
from orchestrator.plan import Group
from orchestrator.service import Service
from orchestrator.targets import TargetBuilder
from orchestrator.units import written_duration
from orchestrator.validation import Place, choices

OF_DISCOVERY = ("where", "older_than", "partial")
NO_LISTING = Listing.model_construct(path="/", items="", fields={})


def wanted(stage: str, group: Group, service: Service, builder: TargetBuilder, common: Mapping[str, Any]) -> Discovery:
    """Return the source of a group that is discovered."""
    name, listing = _chosen(group, service)
    return Discovery(
        builder,
        common,
        listing,
        listing_name=name,
        filters=group.discover or {},
        where=group.where,
        older_than=group.older_than,
        partial=group.partial,
        name=f"what {service.service}@{group.connection} lists for stage {stage}",
    )


def unlistable(group: Group, service: Service) -> Iterator[tuple[Place, str]]:
    """Return (place below the group, what is wrong) where the service cannot list what is wanted."""
    if not service.discover:
        yield ("discover",), f"{service.service} cannot list its targets; bring them with items or from"
        return
    yield from _unfit_filters(group, service)
    _, listing = _chosen(group, service)
    lacking = listing.lacking(group.discover) if group.discover else []
    if lacking:
        yield ("discover",), f"needs {' and '.join(lacking)} as well: without that something else is listed"
    for told in group.where:
        if told not in listing.fields:
            hint = choices(told, listing.fields)
            yield ("where", told), f"the listing does not tell this{hint}"
    if group.older_than is not None and listing.began is None:
        yield ("older_than",), "the listing does not tell since when a session is there"
    yield from ((("older_than",), said) for said in out_of_reach(group.older_than, listing))


def out_of_reach(older_than: float | None, listing: Listing) -> Iterator[str]:
    """Yield what is wrong where nothing that old is ever listed."""
    if older_than is not None and listing.reaches is not None and older_than >= listing.reaches:
        yield f"the listing reaches back {written_duration(listing.reaches)}, so that nothing so old is in it"


def _chosen(group: Group, service: Service) -> tuple[str, Listing]:
    """Return the first listing that knows all filters of a group, else the first that there is."""
    fitting = (name for name in service.discover if set(group.discover or ()) <= service.listings[name].filters())
    name = next(fitting, next(iter(service.discover), ""))
    return name, service.listings.get(name, NO_LISTING)


def _unfit_filters(group: Group, service: Service) -> Iterator[tuple[Place, str]]:
    known = [service.listings[name].filters() for name in service.discover]
    asked, filters = set(group.discover or ()), sorted(set().union(*known))
    for name in group.discover or ():
        if name not in filters:
            hint = choices(name, filters)
            yield ("discover", name), f"{service.service} has no such filter{hint}"
    if not asked:
        yield ("discover",), f"would end everything; say what to look for, by {', '.join(filters)}"
    elif asked <= set(filters) and not any(asked <= one for one in known):
        yield ("discover",), "has filters that no single listing of the service knows together"
