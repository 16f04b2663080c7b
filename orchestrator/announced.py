"""What a service says about its limits: in Retry-After, in a message, in the headers that tell what is left.

Headers: `X-RateLimit-Limit`, `-Remaining` and `-Reset`, the same without `X-` and with a window (`100;w=60`), and the
`RateLimit` and `RateLimit-Policy` of the drafts. What is malformed is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from orchestrator.units import http_date

DAY = 86_400.0  # seconds
PACED = 60.0  # seconds; a limit over a longer time is no pace: it may be used up at once ...
REFUSED_FOR = 600.0  # ... but for one of up to so many seconds that a refusal names: it is used up, and will be again
LONGEST_BUSY = 600.0  # seconds; who asks to wait for so long does not say that a limit by the day is used up
FOREVER = 1e10  # seconds; a longer wait is told as this
EPOCH = 1e9  # a reset that is greater is a moment in seconds since the epoch ...
MILLISECONDS = 1e11  # ... or in milliseconds
TELLING = frozenset(
    f"{prefix}{word}"
    for prefix, words in {
        "x-ratelimit-": ("limit", "remaining", "reset"),
        "x-rate-limit-": ("limit", "remaining", "reset"),
        "ratelimit": ("", "-limit", "-remaining", "-reset", "-policy"),
    }.items()
    for word in words
)
_UNITS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": DAY}
_POLICY = r"(?i)over ratelimit,\s*limit:\s*(\d{1,9}),\s*time:\s*(\d{1,6})\s*(second|minute|hour|day)"
_THRESHOLD = r"(?i)Threshold:\s*(\d{1,9}) times per (\d{1,9}) seconds"
_NUMBER = r"\s*(\d{1,15})(?:\.\d{1,9})?\s*"
_PARAMETER = r"(?i)(?:^|[;,\s])(q|r|t|w|limit|remaining|reset)\s*=\s*\"?(\d{1,15})"
_LONGEST_HEADER = 512


class Announced(NamedTuple):
    """What an answer says about the service's limit.

    `wait` are the seconds until calls are let through again, `left` how many are let through before, `pace` the calls
    per second that it allows; `used_up` are words for a limit that is counted by the day, and reached.
    """

    wait: float | None = None
    pace: float | None = None
    left: int | None = None
    used_up: str = ""


NOTHING = Announced()


def announced(headers: Mapping[str, str], message: str | None, now: float) -> Announced:
    """Return what a refusal says; `now` are seconds since the epoch.

    A date is compared with the response's own Date where there is one, so that a wrong clock here does no harm.
    """
    limit = _limit(message or "")
    limits = [limit] if limit else policies(headers)
    wait, said = _retry_after(headers, now), remaining(headers, now)
    by_day = bool(limits) and min(seconds for _, seconds in limits) >= DAY
    some_left = limit is None and (bool(said.left) or (wait is not None and wait <= LONGEST_BUSY))
    if wait is None:
        wait = said.wait if said.wait is not None else min((seconds for _, seconds in limits), default=None)
    pace = _pace(limits, REFUSED_FOR if limit else PACED)
    return Announced(wait, pace, used_up=_in_words(*min(limits)) if by_day and not some_left else "")


def remaining(headers: Mapping[str, str], now: float) -> Announced:
    """Return what an answer that is no refusal says: how many calls are left, until when, and the pace."""
    if TELLING.isdisjoint(headers):
        return NOTHING
    left, wait = _told(headers, "remaining", "r"), _told(headers, "reset", "t")
    if wait is not None and wait > EPOCH:
        sent = http_date(headers.get("date", ""))
        wait = max(0.0, wait / (1000.0 if wait > MILLISECONDS else 1.0) - (now if sent is None else sent))
    return Announced(wait, _pace(policies(headers)), None if left is None or wait is None else int(left))


def policies(headers: Mapping[str, str]) -> list[tuple[int, float]]:
    """Return the limits with their windows: (calls, seconds)."""
    found: list[tuple[int, float]] = []
    for name in ("ratelimit-policy", "ratelimit-limit", "x-ratelimit-limit", "x-rate-limit-limit"):
        for item in headers.get(name, "")[:_LONGEST_HEADER].split(","):
            said = dict(_parameters(item))
            first = re.match(_NUMBER, item)
            calls = said.get("q", int(first[1]) if first else 0)
            if calls and said.get("w"):
                found.append((int(calls), float(said["w"])))
    return found


def _told(headers: Mapping[str, str], word: str, letter: str) -> float | None:
    """Return a number that a header of its own tells, or a parameter of RateLimit; of several the smallest."""
    for prefix in ("ratelimit-", "x-ratelimit-", "x-rate-limit-"):
        if match := re.fullmatch(_NUMBER, headers.get(prefix + word, "")[:_LONGEST_HEADER]):
            return float(match[1])
    said = _binding(headers.get("ratelimit", "")[:_LONGEST_HEADER])
    found = said.get(word, said.get(letter))
    return None if found is None else float(found)


def _binding(text: str) -> Mapping[str, int]:
    """Return the parameters of RateLimit; of several limits in it those of the one that lets least through, longest."""
    limits = [dict(_parameters(item)) for item in text.split(",")]
    whole = [limit for limit in limits if {"r", "t"} <= limit.keys() or {"remaining", "reset"} <= limit.keys()]
    return min(whole, key=_room) if whole else dict(_parameters(text))


def _room(limit: Mapping[str, int]) -> tuple[int, int]:
    return limit.get("r", limit.get("remaining", 0)), -limit.get("t", limit.get("reset", 0))


def _parameters(text: str) -> Iterator[tuple[str, int]]:
    for name, value in re.findall(_PARAMETER, text[:_LONGEST_HEADER]):
        yield name.lower(), int(value)


def _pace(limits: list[tuple[int, float]], most: float = PACED) -> float | None:
    """Return the calls per second that the slowest of the limits over a short time, at `most`, allows."""
    rates = [calls / seconds for calls, seconds in limits if calls and seconds <= most]
    return min(rates, default=None)


def _in_words(calls: int, seconds: float) -> str:
    """Say that a limit over a day or more is reached."""
    time = "a day" if seconds == DAY else f"in {seconds / DAY:g} days"
    return f"its limit of {calls} calls {time} is used up"


def _limit(message: str) -> tuple[int, float] | None:
    """Return (calls, seconds) of `limit:200,time:5 minute` or `Threshold: 5 times per 60 seconds`."""
    if match := re.search(_POLICY, message):
        seconds = int(match[2]) * _UNITS[match[3].lower()]
        return (int(match[1]), seconds) if seconds else None
    if match := re.search(_THRESHOLD, message):
        return (int(match[1]), float(match[2])) if int(match[2]) else None
    return None


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,300}(?:\.\d{1,30})?", value):  # no matter how long: it is not to be called before
        return min(float(value), FOREVER)
    moment = http_date(value)
    if moment is None:
        return None
    sent = http_date(headers.get("date", ""))
    return max(0.0, moment - (now if sent is None else sent))
