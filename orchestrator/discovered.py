"""The groups of a plan whose targets a service lists, over the life of a run: asked, kept, restored, told of."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from functools import partial

import anyio

from orchestrator.app import Pacers, Workshop
from orchestrator.blueprint import Blueprint
from orchestrator.connections import Connections
from orchestrator.dated import Dated
from orchestrator.discovery import Discovery
from orchestrator.journal import SqliteJournal
from orchestrator.lister import Lister
from orchestrator.logs import Log
from orchestrator.model import LaneName
from orchestrator.paces import Learned
from orchestrator.paging import IncompleteError
from orchestrator.run import keep_deadline
from orchestrator.sections import Section
from orchestrator.sights import Notes
from orchestrator.sources import BROKEN, Source
from orchestrator.stop import Stop
from orchestrator.units import written_duration

_log = Log()
_Look = tuple[Section, Discovery | Dated, Callable[[Lister, float], Awaitable[None]]]


def discoveries(blueprint: Blueprint) -> Iterator[tuple[int, Section, Discovery]]:
    """Yield every group that is listed, with its number in the plan."""
    for number, section in enumerate(blueprint.sections):
        if isinstance(section.source, Discovery):
            yield number, section, section.source


def aged(sections: Iterable[Section]) -> Iterator[tuple[Section, Discovery | Dated]]:
    """Yield every group of which it can be asked since when its sessions are there."""
    for section in sections:
        source = section.source
        if isinstance(source, Discovery | Dated) and source.asks_age:
            yield section, source


async def ask(
    blueprint: Blueprint,
    connections: Connections,
    stop: Stop,
    only: Collection[int] | None = None,
    *,
    now: float,
    pacers: Pacers,
) -> dict[str, Learned]:
    """Ask the services for the targets of these groups, all where nothing is said; return by lane how long a page took.

    Of the other groups it is asked again since when their sessions are there, where the service tells. `now` is when
    the run began, also for a part of it that is resumed: `older_than` means the same sessions. The `pacers` are those
    of whoever reads the same listings afterwards.
    """
    looks: list[_Look] = []
    for number, section, source in discoveries(blueprint):
        if only is None or number in only:
            looks.append((section, source, source.look))
    if only is not None:
        known = [section for section in blueprint.sections if section not in (one for one, _, _ in looks)]
        looks += [(section, source, source.look_again) for section, source in aged(known)]
    workshop = Workshop(blueprint, connections, Notes(), stop, itertools.count(1), pacers=pacers)
    async with anyio.create_task_group() as watch:
        watch.start_soon(keep_deadline, stop)
        await _side_by_side(workshop, stop, looks, now)
        watch.cancel_scope.cancel()
    return workshop.heard()


async def lengths(
    blueprint: Blueprint, connections: Connections, stop: Stop, of: Collection[str], pacers: Pacers
) -> dict[tuple[str, str, str], int]:
    """Return how many things there are in the listings that are read whole on these connections, where that is told.

    These are those in which sessions are looked up; by (service, connection, listing).
    """
    workshop = Workshop(blueprint, connections, Notes(), stop, itertools.count(1), pacers=pacers)
    found: dict[tuple[str, str, str], int] = {}
    for section in blueprint.sections:
        read_back = section.service.verify
        name = read_back.listing if read_back is not None else None
        if name is None or section.connection not in of or section.service.listings[name].total is None:
            continue
        place = (section.service.service, section.connection, name)
        with contextlib.suppress(IncompleteError):  # the look itself will tell
            if place not in found:
                found[place] = (
                    await stop.unless_set(partial(workshop.lister(section.service, *place[1:]).count, {})) or 0
                )
    return found


async def refresh(
    blueprint: Blueprint, workshop: Workshop, stop: Stop, agreed: Collection[str], sources: Collection[Source]
) -> str | None:
    """Ask since when the sessions of these sources are there, whose turn comes long after the list.

    Return why that could not be asked, if so: then there may be other sessions by now, of people who are welcome. For
    the services that are `agreed` somebody has taken that on himself. None where there is nothing to ask.
    """
    asked = list(aged(section for section in blueprint.sections if section.source in sources))
    if not asked:
        return None
    await _side_by_side(workshop, stop, [(section, source, source.look_again) for section, source in asked], 0.0)
    unasked = (one.unasked for section, one in asked if one.unasked and section.service.service not in agreed)
    failure = next(unasked, "")
    return f"since when its sessions are there could not be asked: {failure}" if failure else ""


async def _side_by_side(workshop: Workshop, stop: Stop, looks: Iterable[_Look], now: float) -> None:
    async with anyio.create_task_group() as group:
        for section, source, look in looks:
            _log.info("lists", service=section.service.service, connection=section.connection)
            lister = workshop.lister(section.service, section.connection, source.listing_name)
            group.start_soon(stop.unless_set, partial(look, lister, now))


def keep(blueprint: Blueprint, journal: SqliteJournal, run: str) -> None:
    """Put what was listed into the journal, so that a resume means the same targets."""
    for number, _, source in discoveries(blueprint):
        journal.add_listing(run, number, source.listed, source.failure, source.rows)


def restore(blueprint: Blueprint, journal: SqliteJournal, run: str) -> set[int]:
    """Take what was listed when the run began; return the groups whose list was not whole."""
    kept = journal.listings(run)
    missing = set()
    for number, _, source in discoveries(blueprint):
        listed, failure, rows = kept.get(number, (0, "it was never listed", []))
        source.restore(rows, listed)
        if failure:
            missing.add(number)
    return missing


def listed(blueprint: Blueprint) -> dict[LaneName, int]:
    """Return by lane how many things its service listed for the plan: what is in two lists is one.

    Of a list that was restored nothing but its length is known; two groups that asked alike had the same.
    """
    things: dict[LaneName, set[int]] = {}
    lengths: dict[LaneName, dict[str, int]] = {}
    for _, section, source in discoveries(blueprint):
        lane = section.lane
        known = lengths.setdefault(lane, {})
        if source.things is None:
            known[source.asked] = max(source.listed, known.get(source.asked, 0))  # of two, one may have broken off
        things.setdefault(lane, set()).update(source.things or ())
    return {lane: len(found) + sum(lengths[lane].values()) for lane, found in things.items()}


def tells_age(section: Section) -> bool:
    """Return whether the service tells of each of a section's sessions since when it is there."""
    return isinstance(section.source, Discovery | Dated) and section.source.tells_age


def ageless(blueprint: Blueprint, done: Collection[LaneName] = ()) -> list[str]:
    """Return the services that do not tell, or are not asked, since when some session is there; not of what is done."""
    open_ones = (one for one in blueprint.sections if one.lane not in done)
    return sorted({section.service.service for section in open_ones if not tells_age(section)})


def broken(blueprint: Blueprint) -> set[str]:
    """Return the stages in which a list is not whole."""
    return {section.stage for _, section, source in discoveries(blueprint) if source.failure}


def empty(blueprint: Blueprint) -> list[str]:
    """Return a line for every group without a target: a filter may have a slip in it, an export may have failed."""
    found = []
    for section in blueprint.sections:
        source = section.source
        if not isinstance(source, Discovery):
            with contextlib.suppress(*BROKEN):  # who reads it for its targets tells of it
                if next(source.targets(), None) is None:
                    found.append(f"{source.name}: holds no target of {section.service.service}@{section.connection}")
        elif not (source.failure or source.rows):
            found.append(f"{source.name}: {source.listed} listed, and none of them wanted")
    return found


def bounded(blueprint: Blueprint) -> list[str]:
    """Return a line for every group whose service lists nothing that is older than so long."""
    return [
        f"{source.name}: what began more than {written_duration(source.listing.reaches)} ago is not listed, nor ended"
        for _, _, source in discoveries(blueprint)
        if source.listing.reaches is not None
    ]


def failures(blueprint: Blueprint) -> list[str]:
    """Return a line for every group whose list is not whole."""
    found = []
    for _, _, source in discoveries(blueprint):
        if source.failure:
            ended = "only what was listed is ended" if source.rows else "nothing of it is ended"
            found.append(f"{source.name}: {source.failure}; {ended}")
    return found
