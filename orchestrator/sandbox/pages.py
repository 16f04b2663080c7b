"""Trouble with the pages of a listing: throttled, shorter than they should be, with a total that is not true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from orchestrator.sandbox import limits
from orchestrator.sandbox.call import Call, Listing

_GATEWAY = 200  # calls a second: what the gateway allows where nothing else is said


def throttled(call: Call, retry_after: float) -> web.Response:
    """Refuse a call as if the service's limit were reached; no Retry-After for zero seconds."""
    limit = limits.Limit(_GATEWAY, retry_after="delta" if retry_after else None)
    return limits.refuse(call, limit, retry_after)


def shortened(call: Call, answer: web.StreamResponse, keep: int) -> web.StreamResponse:
    """Take the items of a page away but for the first `keep`; the total stays, as if more followed."""

    def shorten(body: dict[str, Any], listing: Listing) -> None:
        body[listing.items] = body[listing.items][:keep]

    return _rewritten(call, answer, shorten)


def with_total(call: Call, answer: web.StreamResponse, total: int) -> web.StreamResponse:
    """Say another total than there is; a listing that tells none stays as it is."""

    def lie(body: dict[str, Any], listing: Listing) -> None:
        if listing.total:
            body[listing.total] = total

    return _rewritten(call, answer, lie)


def _rewritten(
    call: Call, answer: web.StreamResponse, change: Callable[[dict[str, Any], Listing], None]
) -> web.StreamResponse:
    listing = call.operation.listing
    if listing is None or not isinstance(answer, web.Response) or not isinstance(answer.body, bytes):
        return answer
    if answer.status != 200:
        return answer
    body = orjson.loads(answer.body)
    change(body, listing)
    answer.body = orjson.dumps(body)
    return answer
