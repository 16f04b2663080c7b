"""How a report says things: the names of outcomes, numbers and times for people, and hostile text made harmless."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from orchestrator.model import Outcome

Record = Mapping[str, Any]

# The worst first: what lives, what is not known to be over, what was never tried, what is over.
MEANINGS = {
    Outcome.STILL_ACTIVE: "the check afterwards found the session alive, or the access check got in",
    Outcome.FAILED: "the service refused, or the attempts ran out",
    Outcome.UNKNOWN: "sent, and no clear answer is on record",
    Outcome.NOT_ATTEMPTED: "never sent",
    Outcome.ACCEPTED: "the service took the order; it did not say that the session is over",
    Outcome.ENDED: "the service says that the session is over",
    Outcome.ALREADY_ENDED: "there was no session to end",
    Outcome.DENIED: "the access check was refused, as it should be",
    Outcome.ISSUED: "an access link was handed over",
}
IN_FLIGHT = "in flight"
_MEANINGS = {
    **{str(outcome): text for outcome, text in MEANINGS.items()},
    "protected": "left alone, as the plan says",
    IN_FLIGHT: "sent, and there is no outcome yet",
}
_RANK = {str(outcome): rank for rank, outcome in enumerate(MEANINGS)}

# What a terminal, a browser or a table would obey or hide rather than show: controls, line separators, marks
# that turn or hide text, noncharacters, surrogates.
_OBEYED = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufdd0-\ufdef\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f"
)
_HIDDEN = re.compile(f"[{_OBEYED}]")
_SPACES = re.compile(r"[\t\r\n]+")


def rank(outcome: str) -> int:
    """Return where an outcome stands in a report, the worst first; a word nobody knows comes before all."""
    return _RANK.get(outcome, -1)


def name(outcome: str) -> str:
    """Return an outcome as people write it: `still active`."""
    return outcome.replace("_", " ")


def meaning(outcome: str) -> str:
    """Return what an outcome means in a few words, the empty string for a word nobody knows."""
    return _MEANINGS.get(outcome, "")


def moment(seconds: float | None) -> str:
    """Return `2026-11-22 19:30:00 UTC`, or a dash."""
    return "-" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float | None) -> str:
    """Return `1 h 2 min`, `3 min 20 s`, `4.2 s`, or a dash."""
    if seconds is None or seconds < 0:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def shown(text: str) -> str:
    """Return text with everything that would not simply be shown written as an escape; lines and tabs stay."""
    return text if text.isprintable() else _HIDDEN.sub(_escape, text)


def one_line(text: str, limit: int = 0) -> str:
    """Return text harmless and on one line, cut to `limit` characters where that is not 0."""
    if not text.isprintable():
        text = shown(_SPACES.sub(" ", text))
    return text[: limit - 3] + "..." if 0 < limit < len(text) else text


def text_of(record: Record, key: str) -> str:
    """Return a field of a record as text, the empty string where there is nothing."""
    value = record.get(key)
    return "" if value is None else str(value)


def lane_of(record: Record) -> str:
    """Return `service@connection`."""
    return f"{text_of(record, 'service')}@{text_of(record, 'connection')}"


def why(record: Record) -> str:
    """Return why a target has its outcome: the reason, then what the service said if that is something else."""
    reason = text_of(record, "reason") or meaning(text_of(record, "outcome"))
    message = text_of(record, "error_message")
    return f"{reason}: {message}" if message and message not in reason else reason


def facts(record: Record, beside: str = "") -> str:
    """Return what to quote to the service's owner, `HTTP 409, WKS.0042, request 5f1c...`, but for what is `beside`."""
    status, code, request = (text_of(record, key) for key in ("http_status", "error_code", "request_id"))
    known = (status and f"HTTP {status}", code, request and f"request {request}")
    return ", ".join(fact for fact in known if fact and fact not in beside)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
