"""A listing as a description says it: what is asked, what is told of each item, and what cannot be taken on trust."""

from collections.abc import Collection, Iterator
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from orchestrator.calling import Limits, Method, UrlPath
from orchestrator.reading import Entry, Json
from orchestrator.templates import OF_THE_CONNECTION, Names, holes, not_fields, texts
from orchestrator.units import Duration, listed, one_or_more
from orchestrator.validation import Place, Strict

OF_A_PAGE = ("limit", "offset", "since", "until")
UNCHECKED = "name it in unchecked"
Paths = Annotated[tuple[str, ...], BeforeValidator(listed), WithJsonSchema(one_or_more({"type": "string"}))]


class By(Strict):
    """A filter that another listing of the service translates: who is asked for by name is listed by id.

    The other listing is read with its `filter`; the `field` of what it lists is what this one is asked for.
    """

    listing: str
    filter: str
    field: str


class Listing(Strict):
    """A listing of what could be a target: the request, with holes for filters and the page; its items; their fields.

    `{limit}` and `{offset}` are the page, `{since}` and `{until}` a window of time. Any other hole of the query is a
    filter that the service applies: `{name}` takes one value, so that the list is read once for each, `{*name}`
    several. What is told of the items is compared again: an ignored filter would end everybody's sessions. A filter of
    which nothing is told is `unchecked`, and believed only where the service lists more without it. A link at `next` is
    not followed: a list that has one is not whole.
    """

    method: Method = "GET"
    path: UrlPath
    query: dict[str, Json] = {}
    needs: tuple[str, ...] = Field((), description="filters without which something else is listed")
    by: dict[str, By] = Field({}, description="filters that another listing translates")
    unchecked: tuple[str, ...] = Field((), description="filters that no field of an item shows")
    items: str = Field(description="where in the body the list is, with dots")
    total: str | None = Field(None, description="where in the body the number of all items is")
    next: str | None = Field(None, description="where in the body a link to more is, in a list without pages")
    page_size: int | None = Field(None, ge=1, le=100_000, description="the largest that the service takes")
    window: Duration | None = Field(None, description="how far back {since} is, where the service sets a bound")
    fields: dict[str, Paths] = Field(description="what is told of an item: where, and all that is there counts")
    began: str | None = Field(None, description="the field that says since when the session is there")
    limits: Limits = Limits.model_construct()
    otherwise: tuple[Entry, ...] = ()

    def filters(self) -> set[str]:
        """Return what can be asked for: the filters that the service applies, and the fields of its items."""
        return self.applied() | set(self.fields) | set(self.by)

    def lacking(self, asked: Collection[str]) -> list[str]:
        """Return the filters without which something else is listed, and which are not asked for."""
        translated = {by.field for name, by in self.by.items() if name in asked}
        return [name for name in self.needs if name not in asked and name not in translated]

    def indispensable(self) -> set[str]:
        """Return the filters without which something else is listed, and those that are translated to one."""
        return set(self.needs) | {name for name, by in self.by.items() if by.field in self.needs}

    def applied(self) -> set[str]:
        """Return the filters that the service applies."""
        return {name for _, name in holes(self.query)} - {*OF_A_PAGE, *OF_THE_CONNECTION}

    @property
    def reaches(self) -> float | None:
        """Return how many seconds ago a session may have begun to be listed; None for any number."""
        return self.window if "since" in {name for _, name in holes(self.query)} else None

    def problems(self) -> Iterator[tuple[Place, str]]:
        """Return (place below the listing, what is wrong)."""
        known = self.filters() | {*OF_A_PAGE}
        yield from Names(known, known, known).problems(self.query, ("query",))
        yield from not_fields(self.needs, self.applied(), ("needs",), "needs", "query's filters")
        unshown = self.applied() - set(self.fields)
        yield from not_fields(self.unchecked, unshown, ("unchecked",), "unchecked", "filters that no field shows")
        for place, text in texts(self.query, ("query",)):
            yield from (
                (place, f"no field shows {name}, so that nobody would see if it was ignored: tell it, or {UNCHECKED}")
                for _, name in holes(text)
                if name in unshown and name not in self.unchecked
            )
        for i, name in enumerate(self.needs):
            if name in self.unchecked:
                yield ("needs", i), f"{name} is unchecked, and without it something else is listed: nothing shows it"
        for name, by in self.by.items():
            if by.field not in self.applied() & set(self.fields):
                said = f"is translated to {by.field}, which is not a filter of the query that a field shows"
                yield ("by", name), said
        if self.page_size is not None and self.total is None:
            yield ("page_size",), "needs total as well: without it a short page would pass for the last one"
        if self.page_size is not None and self.next is not None:
            yield ("next",), "does not go with page_size: the total shows whether there is more"
        if self.began is not None and self.began not in self.fields:
            yield ("began",), f"names {self.began!r}, which is not among the listing's fields"
