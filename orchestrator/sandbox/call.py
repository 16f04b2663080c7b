"""One request on its way through the sandbox, and the table entry of the operation that it is for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson
from aiohttp import web
from multidict import MultiDict

from orchestrator.sandbox.answers import Refusal

if TYPE_CHECKING:
    from orchestrator.sandbox.iam import Token, User
    from orchestrator.sandbox.state import World


class _Mark:
    """A value that no JSON document can be."""


ABSENT: Final = _Mark()
MALFORMED: Final = _Mark()


@dataclass(frozen=True, slots=True)
class Listing:
    """How an operation lists: the keys of its items and of their total, and how large a page is and may be."""

    items: str
    total: str = ""
    default: int = 1000
    low: int = 0
    high: int = 1000


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of one service; `targets` names what a logout call is for, so that calls can be counted."""

    service: str
    name: str
    method: str
    path: str
    handler: Callable[[Call], web.Response]
    open: bool = False
    targets: Callable[[Call], Iterable[str]] | None = None
    listing: Listing | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who was let in, how, and for which project if the credential names one."""

    user: User
    access_key: str = ""
    token: Token | None = None
    project_id: str | None = None


@dataclass(slots=True)
class Call:
    """One request: `data` is its body read as JSON, or ABSENT, or MALFORMED.

    `pages_back` is by how many pages a listing lags behind what was asked for: trouble on request.
    """

    world: World
    request: web.Request
    operation: Operation
    id: str
    body: bytes = b""
    data: object = ABSENT
    admitted: Caller | None = None
    pages_back: int = 0

    @property
    def caller(self) -> Caller:
        """Return who calls; an operation that is open to everybody has no caller."""
        assert self.admitted is not None, "an open operation asked who calls"
        return self.admitted

    def take_body(self, body: bytes) -> None:
        """Keep the body as received, and read it as JSON."""
        self.body = body
        self.data = read_json(body)

    def part(self, name: str) -> str:
        """Return one decoded part of the path."""
        return self.request.match_info[name]

    def field(self, name: str) -> object:
        """Return one field of a JSON object in the body, None where there is no object or no field."""
        return self.data.get(name) if isinstance(self.data, dict) else None

    @property
    def query(self) -> MultiDict[str]:
        """Return the query without the filters that are ignored: trouble on request."""
        ignored = self.world.ignored_filters
        return MultiDict((name, value) for name, value in self.request.query.items() if name not in ignored)

    def window(self, refuse: Callable[[str], web.Response]) -> slice:
        """Return the page asked for with offset and limit, or refuse with the service's own error."""
        listing = self.operation.listing
        assert listing is not None, "an operation that lists nothing asked for its page"
        size = self._number("limit", listing.default, listing.low, listing.high, refuse)
        offset = self._number("offset", 0, 0, 1 << 31, refuse) - self.pages_back * size
        return slice(max(0, offset), max(0, offset) + size)

    def page(self) -> int:
        """Return which page of a listing is asked for, from 1 on; 0 where nothing is listed."""
        listing = self.operation.listing
        if listing is None:
            return 0
        offset, size = (self.request.query.get(name, "") for name in ("offset", "limit"))
        return _digits(offset, 0) // max(1, _digits(size, listing.default)) + 1

    def one_of(self, name: str, allowed: Callable[[str], bool], refuse: Callable[[str], web.Response]) -> str | None:
        """Return a parameter that may be given once, None where it is not given or empty."""
        values = [value for value in self.query.getall(name, []) if value]
        if len(values) > 1 or not all(map(allowed, values)):
            raise Refusal(refuse(name))
        return values[0] if values else None

    def _number(self, name: str, default: int, low: int, high: int, refuse: Callable[[str], web.Response]) -> int:
        text = self.request.query.get(name)
        if text is None:
            return default
        if not low <= _digits(text, -1) <= high:
            raise Refusal(refuse(name))
        return int(text)


def _digits(text: str, other: int) -> int:
    """Return a number written in plain digits, and another one for any other text."""
    return int(text) if text.isascii() and text.isdigit() else other


def read_json(body: bytes) -> object:
    """Read a body as JSON; ABSENT for an empty one, MALFORMED for one that is not JSON."""
    if not body:
        return ABSENT
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return MALFORMED
