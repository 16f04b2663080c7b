"""What IAM's answer to a login means: a token, a refusal for good, or trouble that may pass."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from orchestrator.model import Lost, Response, Secret
from orchestrator.units import http_date

_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_THRESHOLD = re.compile(r"Threshold: (\d{1,9}) times per (\d{1,9}) seconds")
_CODES = ("error_code", "errorCodeStr", "errorCode", "code")
_MESSAGES = ("error_msg", "error_description", "errorMsg", "description", "message")
_LONGEST_MESSAGE = 512
_ASSUMED_LIFE = 3600.0  # seconds; where IAM does not say, or by our clock it would be over
_EARLY = 2400.0  # a token is replaced this long before it expires ...
_EARLY_SHARE = 0.2  # ... or in the last fifth of its life, whichever is later


@dataclass(frozen=True, slots=True)
class Token:
    """A token, when to replace it and when it dies, in seconds since the epoch by this machine's clock.

    `project_id` is the project that it is for, empty where IAM does not say.
    """

    value: Secret
    renew_at: float
    expires_at: float
    project_id: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """IAM said no, and asking again would be wrong: a few wrong passwords lock the account.

    `stranger` says that what answered does not look like IAM at all.
    """

    status: int
    code: str | None
    message: str
    stranger: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """There is no answer, or one that may be different next time; `wait` is the pause asked for, in seconds."""

    message: str
    wait: float | None = None


def read_login(answer: Response | Lost, asked_at: float) -> Token | Refusal | Trouble:
    """Say what the answer to a login that was sent at `asked_at` means."""
    if isinstance(answer, Lost):
        return Trouble(f"no answer: {answer.reason}")
    value = answer.headers.get("x-subject-token", "")
    if answer.status == 201 and _sendable(value):
        return _token(value, answer.body, asked_at)
    code, message = code_and_message(answer.body)
    if answer.status == 201:
        message = "the answer holds no token (X-Subject-Token)"
    if answer.status in _PASSING:
        origin = f"HTTP {answer.status}" + (f", {code}" if code else "")
        return Trouble(f"{message or 'no message'} ({origin})", asked_wait(answer.headers, message, asked_at))
    known = answer.status == 401 or (400 <= answer.status < 500 and _says_why(answer.body))
    return Refusal(answer.status, code, message, stranger=not known)


def _sendable(value: str) -> bool:
    return value != "" and value.isascii() and value.isprintable() and " " not in value


def _token(value: str, body: bytes, asked_at: float) -> Token:
    """Count the life from when it was asked for: the two clocks need not agree, only run at the same speed."""
    facts = _mapping(_mapping(_decoded(body)).get("token"))
    issued, expires = _moment(facts.get("issued_at")), _moment(facts.get("expires_at"))
    life = _ASSUMED_LIFE if expires is None else expires - (asked_at if issued is None else issued)
    life = life if life > 0 else _ASSUMED_LIFE
    project = _mapping(facts.get("project")).get("id")
    renew_at = asked_at + life - min(_EARLY, life * _EARLY_SHARE)
    return Token(Secret(value), renew_at, asked_at + life, project if isinstance(project, str) else "")


def asked_wait(headers: Mapping[str, str], message: str, now: float) -> float | None:
    """Return the pause in seconds that a throttling answer asks for, by header or by IAM's own words."""
    after = headers.get("retry-after", "").strip()
    if after.isascii() and after.isdigit():
        return float(after[:9])
    if (moment := http_date(after)) is not None:
        return max(moment - now, 0.0)
    found = _THRESHOLD.search(message)
    return float(found[2]) if found else None


def _says_why(body: bytes) -> bool:
    return isinstance(_decoded(body), dict) and any(code_and_message(body))


def code_and_message(body: bytes) -> tuple[str | None, str]:
    """Find the error code and the message in any of the shapes that IAM and its gateways use."""
    decoded = _decoded(body)
    if not isinstance(decoded, dict):
        return None, _shortened(body.decode(errors="replace"))
    for part in (decoded, *(value for value in decoded.values() if isinstance(value, dict))):
        code, message = _first(part, _CODES), _first(part, _MESSAGES)
        if code is not None or message is not None:
            return code, _shortened(message or "")
    return None, ""


def _decoded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _first(part: dict[str, Any], names: tuple[str, ...]) -> str | None:
    return next((str(part[name]) for name in names if isinstance(part.get(name), str | int)), None)


def _shortened(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_MESSAGE]


def _moment(text: Any) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
