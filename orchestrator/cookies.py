"""Whether a server took a cookie back: by an empty life, a past date, or an empty value (RFC 6265, 5.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie

from orchestrator.units import http_date

MAX_COOKIE = 8192


def is_cleared(name: str, set_cookies: Sequence[str]) -> bool:
    """Return whether the Set-Cookie lines of an answer take the cookie back; of each path the last word counts."""
    lines = [line for line in set_cookies if line.partition("=")[0].strip() == name]
    morsels = [jar[name] for line in lines if name in (jar := _cookie(line))]
    last = {one["path"]: one for one in morsels}
    return bool(last) and all(_is_over(one.value, one["max-age"], one["expires"]) for one in last.values())


def _cookie(line: str) -> SimpleCookie:
    try:
        return SimpleCookie(line if len(line) <= MAX_COOKIE else "")  # its parser takes long over long ones
    except CookieError:
        return SimpleCookie()


def _is_over(value: str, max_age: str, expires: str) -> bool:
    if max_age:
        return re.fullmatch(r"-\d+|0+", max_age.strip()) is not None
    moment = http_date(expires) if expires else None
    return value == "" or (moment is not None and moment <= 86400.0)
