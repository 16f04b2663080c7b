"""What IAM's answer to a login means: a token, a refusal for good, or trouble that may pass."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from orchestrator.announced import announced
from orchestrator.facts import Facts, excerpt, read_facts
from orchestrator.model import Lost, Response, Secret

_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_ASSUMED_LIFE = 3600.0  # seconds; where IAM does not say, or by our clock it would be over
_EARLY = 2400.0  # a token is replaced this long before it expires ...
_EARLY_SHARE = 0.2  # ... or in the last fifth of its life, whichever is later


class Token(NamedTuple):
    """A token, when to replace it and when it dies, in seconds since the epoch by this machine's clock.

    `project_id` is the project that it is for, empty where IAM does not say; `user` is whose it is, by id and by name.
    """

    value: Secret
    renew_at: float
    expires_at: float
    project_id: str = ""
    user: tuple[str, ...] = ()


class Refusal(NamedTuple):
    """IAM said no, and asking again would be wrong: a few wrong passwords lock the account.

    `stranger` says that what answered does not look like IAM at all.
    """

    status: int
    code: str | None
    message: str
    stranger: bool = False


class Trouble(NamedTuple):
    """There is no answer, or one that may be different next time; `wait` is the pause asked for, in seconds."""

    message: str
    wait: float | None = None


def read_login(answer: Response | Lost, asked_at: float) -> Token | Refusal | Trouble:
    """Say what the answer to a login that was sent at `asked_at` means."""
    if isinstance(answer, Lost):
        return Trouble(f"no answer: {answer.reason}")
    facts, value = read_facts(answer), answer.headers.get("x-subject-token", "")
    if answer.status == 201 and _sendable(value):
        return _token(value, facts.value, asked_at)
    code, message = facts.code, message_of(facts)
    if answer.status == 201:
        message = "the answer holds no token (X-Subject-Token)"
    if answer.status in _PASSING:
        origin = f"HTTP {answer.status}" + (f", {code}" if code else "")
        return Trouble(f"{message or 'no message'} ({origin})", announced(answer.headers, message, asked_at).wait)
    says_why = isinstance(facts.value, dict) and bool(code or message)
    known = answer.status == 401 or (400 <= answer.status < 500 and says_why)
    return Refusal(answer.status, code, message, stranger=not known)


def _sendable(value: str) -> bool:
    return value != "" and value.isascii() and value.isprintable() and " " not in value


def _token(value: str, body: Any, asked_at: float) -> Token:
    """Count the life from when it was asked for: the two clocks need not agree, only run at the same speed."""
    facts = _mapping(_mapping(body).get("token"))
    issued, expires = _moment(facts.get("issued_at")), _moment(facts.get("expires_at"))
    life = _ASSUMED_LIFE if expires is None else expires - (asked_at if issued is None else issued)
    life = life if life > 0 else _ASSUMED_LIFE
    project = _mapping(facts.get("project")).get("id")
    renew_at = asked_at + life - min(_EARLY, life * _EARLY_SHARE)
    person = _mapping(facts.get("user"))
    user = tuple(name for key in ("id", "name") if isinstance(name := person.get(key), str) and name)
    return Token(Secret(value), renew_at, asked_at + life, project if isinstance(project, str) else "", user)


def message_of(facts: Facts) -> str:
    """Return the message of an answer; of one that is no JSON object its beginning."""
    return facts.message or ("" if isinstance(facts.value, dict) else excerpt(facts.response.body))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _moment(text: Any) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
