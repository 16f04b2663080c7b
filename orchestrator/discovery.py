"""Targets that are asked of the service itself: listed, filtered, and kept, so that a resume means the same ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from orchestrator.lister import Filters, Lister
from orchestrator.listing import Listing
from orchestrator.model import Item, Target
from orchestrator.pages import SINCE_EVER
from orchestrator.paging import IncompleteError
from orchestrator.references import literal
from orchestrator.sources import Checked, Takes, everything
from orchestrator.targets import RowError, TargetBuilder, item_name, name_of
from orchestrator.units import joined

BEGAN = "began at"  # in a row: since when the session is there; no field has such a name
NAMES = "listed as"  # in a row: what else was told of it
LATE = "it was not read to its end in time"
_DATE = r"\d{4}-\d\d-\d\d"
_EPOCH = r"\d{10}|\d{13}"


class Discovery:
    """A group whose targets the service lists; it has none until `look`, or `restore`, was called.

    `listed` is how many the service listed, `things` has the hash of the key of each; `failure` is why the list is not
    whole, if so, and `unasked` why it could not be asked once more since when the sessions are there, if so.
    """

    interactive = False

    def __init__(
        self,
        builder: TargetBuilder,
        common: Mapping[str, Any],
        listing: Listing,
        *,
        listing_name: str,
        filters: Filters,
        where: Filters,
        older_than: float | None,
        partial: bool,
        name: str,
    ) -> None:
        self.name = name
        self.listing = listing
        self.listing_name = listing_name
        self.partial = partial
        self.rows: list[dict[str, Any]] = []
        self.listed = 0
        self.things: frozenset[int] | None = None
        self.failure = ""
        self._builder = builder
        self._common = common
        self._filters = filters
        self._where = where
        self._older_than = older_than
        self.unasked = ""

    @property
    def asked(self) -> str:
        """Return what the service is asked: two groups that ask alike get the same list."""
        return repr((self.listing_name, sorted((name, sorted(values)) for name, values in self._filters.items())))

    @property
    def asks_age(self) -> bool:
        """Return whether there is something to ask, and the service tells it."""
        return bool(self.rows) and self.listing.began is not None

    @property
    def tells_age(self) -> bool:
        """Return whether it is known of everything that was listed since when it is there."""
        return self.listing.began is not None and not self.unasked and all(BEGAN in row for row in self.rows)

    async def look(self, lister: Lister, now: float) -> None:
        """Ask the service; a list that is not whole gives no target, unless a part of it is wanted.

        `now` is when the run began. It may be cancelled, and then the list is not whole. What was restored of a list
        that was not whole stays: some of it may have been called.
        """
        self.failure = LATE
        try:
            items = await lister.read(self._filters)
            self.failure = ""
        except IncompleteError as error:
            self.failure = str(error)
            items = list(error.items) if self.partial else []
        self.listed = len(items)
        self.things = frozenset(hash(item_name(item, self._builder.key)) for item in items)
        rows = [self._row(item) for item in items if self._wanted(item, now)]
        self.rows = list({name_of(row, self._builder.key): row for row in (*self.rows, *rows)}.values())
        self._refuse_strangers()

    async def look_again(self, lister: Lister, _now: float) -> None:
        """Ask since when the sessions of the rows are there now; what is not listed any more stays as it was.

        Who came back may be in another state than the one that was asked for, so that all are listed. Until that is
        answered, nothing is known of it: they may be other sessions by now.
        """
        self.unasked = LATE
        asked = {name: values for name, values in self._filters.items() if name in self.listing.indispensable()}
        try:
            known = moments(self.listing, await lister.read(asked), self._builder.key)
        except IncompleteError as error:
            self.unasked = str(error)
            return
        self.unasked = ""
        for row in self.rows:
            before = row.pop(BEGAN, None)
            moment = known.get(name_of(row, self._builder.key), before)
            if moment is not None:
                row[BEGAN] = moment

    def restore(self, rows: Sequence[dict[str, Any]], listed: int) -> None:
        """Take what was listed when the run began."""
        self.rows, self.listed, self.things, self.failure = list(rows), listed, None, ""

    def check(self, takes: Takes = everything) -> Checked:
        """Count what is taken."""
        return Checked(sum(map(takes, self.targets())), "")

    def digest(self) -> str:
        """Return nothing: what was listed is in the journal."""
        return ""

    def targets(self) -> Iterator[Target]:
        """Return what was listed and is wanted."""
        return map(self._target, self.rows)

    def _target(self, row: Mapping[str, Any]) -> Target:
        fields = {name: value for name, value in row.items() if name not in (BEGAN, NAMES)}
        target = self._builder.build({**self._common, **fields}, literal)
        return replace(target, began=row.get(BEGAN), names=row.get(NAMES, ()))

    def _row(self, item: Item) -> dict[str, Any]:
        row: dict[str, Any] = {name: values[0] for name, values in item.items() if name in self._builder.fields}
        if names := [value for name, values in item.items() if name != self.listing.began for value in values]:
            row[NAMES] = [name for name in dict.fromkeys(names) if name not in row.values()]
        moment = began(self.listing, item)
        return row if moment is None else {**row, BEGAN: moment}

    def _wanted(self, item: Item, now: float) -> bool:
        asked = all(set(item.get(name, ())) & set(values) for name, values in self._filters.items() if self._told(name))
        fits = all(_matches(item.get(name, ()), globs) for name, globs in self._where.items())
        return asked and fits and self._old_enough(item, now)

    def _told(self, name: str) -> bool:
        return name in self.listing.fields

    def _old_enough(self, item: Item, now: float) -> bool:
        """Return whether the session began early enough; one that does not say when is not taken for old."""
        if self._older_than is None:
            return True
        moment = began(self.listing, item)
        return moment is not None and moment <= now - self._older_than

    def _refuse_strangers(self) -> None:
        """Drop what is no target; a list with such a thing in it is a failed one."""
        fit, said = [], ""
        for row in self.rows:
            try:
                self._target(row)
                fit.append(row)
            except RowError as error:
                said = "; ".join(f"{name} {text}" for name, text in error.problems)
        if said:
            self.failure = joined(self.failure, f"it lists something that is no target: {said}")
            self.rows = fit if self.partial else []


def moments(listing: Listing, items: Iterable[Item], key: Sequence[str]) -> dict[tuple[str, ...], float | None]:
    """Return by key since when each of the listed sessions is there; None where the listing does not tell."""
    return {item_name(item, key): began(listing, item) for item in items}


def began(listing: Listing, item: Item) -> float | None:
    """Return since when a listed session is there, in seconds since the epoch, where the listing tells.

    Of several moments the last counts: the one that is there now began then.
    """
    moments = [moment for text in item.get(listing.began or "", ()) if (moment := _moment(text)) is not None]
    return max(moments, default=None)


def _moment(text: str) -> float | None:
    """Read a date and time, or the seconds or milliseconds since 1970; a moment that cannot be is none."""
    if re.fullmatch(_EPOCH, text):
        moment = int(text) / 10 ** (len(text) - 10)
    elif re.match(_DATE, text):
        try:
            date = datetime.fromisoformat(text)
        except ValueError:
            return None
        moment = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    else:
        return None
    return moment if moment >= SINCE_EVER else None


def _matches(values: Sequence[str], globs: Sequence[str]) -> bool:
    return any(fnmatchcase(value, glob) for value in values for glob in globs)
