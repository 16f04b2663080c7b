"""Targets that were brought, not discovered, of a service that tells all the same since when a session is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from orchestrator.discovery import LATE, moments
from orchestrator.lister import Lister
from orchestrator.listing import Listing
from orchestrator.model import Target
from orchestrator.paging import IncompleteError
from orchestrator.service import Service
from orchestrator.sources import BROKEN, Checked, Source, Takes, everything
from orchestrator.targets import name_of


class Dated:
    """A source whose targets are those of another; once `look_again` has asked, they say since when they are there.

    What is brought when a run begins began before it, and nobody asks then; it may be another session later on.
    `unasked` is why it could not be asked then, if so.
    """

    def __init__(self, source: Source, key: Sequence[str], listing: Listing, listing_name: str) -> None:
        self.name = source.name
        self.interactive = source.interactive
        self.listing_name = listing_name
        self.listing = listing
        self._source = source
        self._key = key
        self.unasked = ""
        self._moments: dict[tuple[str, ...], float | None] = {}

    @property
    def asks_age(self) -> bool:
        """Return whether there is something to ask."""
        return True

    @property
    def tells_age(self) -> bool:
        """Return whether it is known of everything that is listed by now since when it is there."""
        if self.unasked or None not in self._moments.values():
            return not self.unasked
        try:
            return not any(self._moments.get(self._name(one), 0.0) is None for one in self._source.targets())
        except BROKEN:  # who reads it for its targets tells of it
            return False

    async def look_again(self, lister: Lister, _now: float) -> None:
        """Ask since when the sessions are there now; until that is answered, nothing is known of it."""
        self.unasked = LATE
        try:
            self._moments = moments(self.listing, await lister.read({}), self._key)
            self.unasked = ""
        except IncompleteError as error:
            self.unasked = str(error)

    def check(self, takes: Takes = everything) -> Checked:
        """Read it all once, and count what is taken of it."""
        if not self._moments:
            return self._source.check(takes)
        return self._source.check(lambda target: takes(self._dated(target)))

    def digest(self) -> str:
        """Return the SHA-256 of the content without looking at its rows; raises OSError or UnreadableError."""
        return self._source.digest()

    def targets(self) -> Iterator[Target]:
        """Read it for real."""
        return map(self._dated, self._source.targets())  # also where nothing is known yet: it may be asked midway

    def _dated(self, target: Target) -> Target:
        moment = self._moments.get(self._name(target))
        return target if moment is None else replace(target, began=moment)

    def _name(self, target: Target) -> tuple[str, ...]:
        return name_of(target.fields, self._key)


def dated(source: Source, service: Service) -> Source:
    """Return a source that can ask since when its sessions are there, where the service lists that with the key."""
    for name in service.discover:
        listing = service.listings[name]
        if listing.began is not None and set(service.key) <= set(listing.fields) and not listing.lacking({}):
            return Dated(source, service.key, listing, name)
    return source
