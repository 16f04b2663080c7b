"""A listing as a description says it: what is asked, what is told of each item, and what cannot be taken on trust."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from orchestrator.calling import Limits, Method, UrlPath
from orchestrator.reading import Entry, Json
from orchestrator.templates import OF_THE_CONNECTION, holes
from orchestrator.units import Duration, listed, one_or_more
from orchestrator.validation import Strict

OF_A_PAGE = ("limit", "offset", "since", "until")
Paths = Annotated[tuple[str, ...], BeforeValidator(listed), one_or_more({"type": "string"})]


class Listing(Strict):
    """A listing of what could be a target: the request, with holes for filters and the page; its items; their fields.

    `{limit}` and `{offset}` are the page, `{since}` and `{until}` a window of time that ends now. Any other hole of the
    query is a filter that the service applies: `{name}` takes one value, so that the list is read once for each,
    `{*name}` several. What is told of the items is compared again: an ignored filter would end everybody's sessions.
    """

    method: Method = "GET"
    path: UrlPath
    query: dict[str, Json] = {}
    needs: tuple[str, ...] = Field((), description="filters without which something else is listed")
    items: str = Field(description="where in the body the list is, with dots")
    total: str | None = Field(None, description="where in the body the number of all items is")
    page_size: int | None = Field(None, ge=1, le=100_000, description="the largest that the service takes")
    window: Duration | None = Field(None, description="how far back {since} is")
    fields: dict[str, Paths] = Field(description="what is told of an item: where, the first that is there counts")
    began: str | None = Field(None, description="the field that says since when the session is there")
    limits: Limits = Limits()
    otherwise: tuple[Entry, ...] = ()

    def filters(self) -> set[str]:
        """Return what can be asked for: the filters that the service applies, and the fields of its items."""
        return self.applied() | set(self.fields)

    def applied(self) -> set[str]:
        """Return the filters that the service applies."""
        return {name for _, name in holes(self.query)} - {*OF_A_PAGE, *OF_THE_CONNECTION}
