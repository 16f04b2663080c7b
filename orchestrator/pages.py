"""One page of a listing: what is filled in to ask for it, and what its answer means, which may be no page at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson

from orchestrator.classify import Classify, compile_reading
from orchestrator.facts import WEB_PAGE, is_web_page
from orchestrator.listing import Listing
from orchestrator.model import Item, Page, Response, Ruling, Verdict
from orchestrator.reading import Check, Reading, Rule, Success

MAX_VALUE = 1024
DEEPEST = 16  # lists in lists: JSON that is read here may be deeper than Python can go
SINCE_EVER = 946_684_800.0  # 2000-01-01: no session is older, and what says that it is was never set
_DAY = 86400.0


def page_fields(listing: Listing, limit: int, offset: int, now: float) -> dict[str, Any]:
    """Return what the query of a page is filled in with, the filters aside."""
    since = SINCE_EVER if listing.window is None else max(SINCE_EVER, now - listing.window)
    return {"limit": limit, "offset": offset, "since": _instant(since), "until": _instant(now + _DAY)}


def _instant(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def compile_listing(listing: Listing, rules: Iterable[Rule], name: str) -> Classify:
    """Return classify(response, 1, seconds since the epoch) -> Ruling, whose `page` is there when it is `ended`."""
    no_error = {"error_code": Check(absent=True)}
    lacking = "it tells an error code, and what is listed beside that is not all"
    reading = Reading(success=Success(status=("200",), body=no_error, lacking=lacking, then=Verdict.ENDED))
    answered = compile_reading(reading, rules, name, unread=True)
    items = listing.items.split(".")
    total = listing.total.split(".") if listing.total else None
    more = listing.next.split(".") if listing.next else None
    fields = {field: [path.split(".") for path in paths] for field, paths in listing.fields.items()}

    def classify(response: Response, batch: int, now: float) -> Ruling:
        ruling = answered(response, batch, now)
        if ruling.verdict is not Verdict.ENDED:
            return ruling
        found = _page(response.body, items, total, more, fields)
        if isinstance(found, str):
            return replace(ruling, verdict=Verdict.FAIL, reason=found, described=False)
        return replace(ruling, page=found)

    return classify


def _page(
    body: bytes,
    items: Sequence[str],
    total: Sequence[str] | None,
    more: Sequence[str] | None,
    fields: Mapping[str, Sequence[Sequence[str]]],
) -> Page | str:
    """Return the page, or what is wrong with an answer that should be one."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return f"the listing's answer is {WEB_PAGE if is_web_page(body) else 'not JSON'}"
    listed = _at(value, items)
    if not isinstance(listed, list):
        return f"the listing's answer has no list {'.'.join(items)!r}"
    if not all(isinstance(item, dict) for item in listed):
        return f"the listing's {'.'.join(items)!r} has something else than objects in it"
    number = _at(value, total) if total else None
    if total and (not isinstance(number, int) or isinstance(number, bool)):
        return f"the listing's answer does not say how many there are ({'.'.join(total)!r})"
    return Page([_item(item, fields) for item in listed], number, bool(more and _at(value, more)))


def _item(item: Mapping[str, Any], fields: Mapping[str, Sequence[Sequence[str]]]) -> Item:
    return {name: values for name, paths in fields.items() if (values := _told(item, paths))}


def _told(item: Mapping[str, Any], paths: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return what is told in any of these places: where two do not agree, nobody knows which of them is true."""
    return tuple(dict.fromkeys(value for path in paths for value in _values(item, path)))


def _values(value: Any, path: Sequence[str], depth: int = 0) -> Iterator[str]:
    """Yield every value at a path; a list on the way stands for all that is in it, unless it is absurdly deep."""
    if isinstance(value, list):
        for one in value if depth < DEEPEST else ():
            yield from _values(one, path, depth + 1)
    elif path:
        if isinstance(value, dict) and path[0] in value:
            yield from _values(value[path[0]], path[1:], depth)
    elif isinstance(value, str | int) and value != "":
        yield (str(value).lower() if isinstance(value, bool) else str(value))[:MAX_VALUE]


def _at(value: Any, path: Sequence[str]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
