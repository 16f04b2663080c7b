"""What one answer says: its form, its error code and message, whatever any of it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from orchestrator.model import Response

MAX_TEXT = 512
WEB_PAGE = "a web page, of a login or a proxy perhaps"
_CODES = ("error_code", "errorCodeStr", "errorCode", "code")
_MESSAGES = ("error_msg", "error_description", "errorMsg", "description", "message")


@dataclass(slots=True)
class Facts:
    """A response, read: `value` is its JSON (None when it is not JSON)."""

    response: Response
    shape: str
    value: Any
    code: str | None
    message: str | None


def read_facts(response: Response) -> Facts:
    """Read a body of unknown quality: lenient about its form, bounded in what is kept."""
    shape, value = _decode(response.body)
    code, message = find_error(value)
    if shape == "other" and response.status >= 300:
        message = excerpt(response.body)
    return Facts(response, shape, value, code, message)


def find_error(value: Any) -> tuple[str | None, str | None]:
    """Return (error code, message) of any of the body shapes that the services use, looking one level down too."""
    if not isinstance(value, dict):
        return None, None
    code, message = _first(value, _CODES), _first(value, _MESSAGES)
    if code is None and message is None:
        inner = (item for item in value.values() if isinstance(item, dict))
        return next(
            (found for item in inner if any(found := (_first(item, _CODES), _first(item, _MESSAGES)))), (None,) * 2
        )
    return code, message


def _first(value: Mapping[str, Any], names: Sequence[str]) -> str | None:
    for name in names:
        found = value.get(name)
        if found is not None and found != "" and not isinstance(found, dict | list):
            return str(found)[:MAX_TEXT]
    return None


def _decode(body: bytes) -> tuple[str, Any]:
    if not body.strip():
        return "empty", None
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "other", None
    return _shape(value), value


def _shape(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "bare" if all(item in (None, "") for item in value.values()) else "object"
    if isinstance(value, list):
        return "list"
    return "text" if value != "" else "blank"


def excerpt(body: bytes) -> str:
    """Return the beginning of a body as text on one line."""
    text = body[: 4 * MAX_TEXT].decode("utf-8", "replace")
    return " ".join(text.split())[:MAX_TEXT]


def is_web_page(body: bytes) -> bool:
    """Return whether a body that is not JSON is what a login or a proxy shows to people."""
    return body.lstrip()[:1] == b"<"


def request_id(headers: Mapping[str, str], value: Any) -> str | None:
    """Return the id under which the service knows the call, for its support."""
    found = headers.get("x-request-id") or headers.get("x-iam-trace-id")
    if not found and isinstance(value, dict):
        found = value.get("request_id")
    return str(found)[:128] if found else None
