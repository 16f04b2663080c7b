"""What one answer means. Rules are compiled at load; the first whose conditions all hold decides.

Order: the description's rules, its `success`, the usual meaning of the status, else the answer is a failure: what is
not in the description is never taken as good news.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import orjson

from orchestrator.announced import announced, remaining
from orchestrator.backoff import LONGEST_WAIT
from orchestrator.cookies import is_cleared
from orchestrator.model import Lost, Response, Ruling, Secret, Verdict
from orchestrator.reading import Check, Condition, Reading, Rule, Success

MAX_TEXT = 512
SHORT = 256  # bytes; what is decided of such an answer is kept ...
KEPT = 64  # ... of so many of them
MAX_SEARCHED = 256 * 1024  # bytes; a page of a listing may be longer, and has no text to look for
USUAL = {
    401: Verdict.REAUTH,
    408: Verdict.RETRY,
    413: Verdict.SPLIT,
    425: Verdict.RETRY,
    429: Verdict.THROTTLE,
    500: Verdict.RETRY,
    502: Verdict.RETRY,
    503: Verdict.RETRY,
    504: Verdict.RETRY,
}
_CODES = ("error_code", "errorCodeStr", "errorCode", "code")
_MESSAGES = ("error_msg", "error_description", "errorMsg", "description", "message")
_WAITING = frozenset({Verdict.RETRY, Verdict.THROTTLE})


@dataclass(slots=True)
class Facts:
    """A response, read: `value` is its JSON (None when it is not JSON)."""

    response: Response
    shape: str
    value: Any
    code: str | None
    message: str | None


class Decision(NamedTuple):
    """What a response means by its status and body, and by its headers where a rule asks for one."""

    facts: Facts
    verdict: Verdict
    note: str = ""
    handover: Secret | None = None


Holds = Callable[[Facts], bool]
Classify = Callable[[Response, int, float], Ruling]
WEB_PAGE = "a web page, of a login or a proxy perhaps"


def compile_reading(reading: Reading, rules: Iterable[Rule], name: str, *, unread: bool = False) -> Classify:
    """Return classify(response, targets in the call, seconds since the epoch) -> Ruling for one description.

    `rules` are the reading's rules with what they include put in place; `name` is quoted when nothing matches. Of a
    body that cannot be read, or was cut off, nobody knows what is absent: it is no success where that asks for
    something of the body, unless it may be `unread` because whoever asked looks at it.
    """
    compiled = [(rule, conditions(rule)) for rule in rules]
    success = reading.success
    hands_over = success is not None and success.handover is not None
    succeeds = conditions(success) if success else []
    if success and success.body and not unread:
        succeeds.append(_is_read)
    by_body = not hands_over and not any(
        one.header or one.cookie_cleared for one in (*(rule for rule, _ in compiled), *([success] if success else []))
    )

    @functools.cache  # there are few statuses, and of a long list only one or two rules are about each
    def candidates(status: int, coded: bool, worded: bool) -> list[tuple[Rule, list[Holds]]]:
        return [(rule, holding) for rule, holding in compiled if _may_hold(rule, status, coded, worded)]

    def decide(response: Response, several: bool) -> Decision:
        status, facts = response.status, read_facts(response)
        if hands_over and facts.shape == "other" and status < 400:  # a page's beginning may hold what is its owner's
            facts = replace(facts, message=None)
        for rule, holding in candidates(status, facts.code is not None, facts.message is not None):
            if (rule.batch is None or rule.batch == several) and _hold(holding, facts):
                return Decision(facts, rule.then, rule.note)
        if success and _hold(succeeds, facts):
            return Decision(facts, success.then, handover=_handover(success, facts))
        note = "" if status in USUAL else _unmatched(facts, name, success)
        return Decision(facts, USUAL.get(status, Verdict.FAIL), note)

    @functools.lru_cache(maxsize=KEPT)  # nearly all answers of a service are the same few words
    def decided(status: int, body: bytes, several: bool) -> Decision:
        return decide(Response(status, {}, body), several)

    def classify(response: Response, batch: int, now: float) -> Ruling:
        if by_body and len(response.body) <= SHORT:
            return _ruling(response.headers, decided(response.status, response.body, batch > 1), now)
        return _ruling(response.headers, decide(response, batch > 1), now)

    return classify


def lost_ruling(lost: Lost) -> Ruling:
    """Return what it means that there was no answer: try again, if the call may be repeated."""
    return Ruling(Verdict.RETRY, lost.reason, lost=lost.sent)


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


def _may_hold(rule: Rule, status: int, coded: bool, worded: bool) -> bool:
    """Return whether a rule may be about answers of this status, with or without an error code and a message."""
    silent = (rule.code is not None and not coded) or (rule.message is not None and not worded)
    return not silent and (not rule.status or status in _statuses(rule.status))


def _hold(conditions: Sequence[Holds], facts: Facts) -> bool:
    for holds in conditions:  # noqa: SIM110  several times for every call: `all` over a generator takes twice as long
        if not holds(facts):
            return False
    return True


def conditions(condition: Condition) -> list[Holds]:
    """Compile the conditions of a rule, the cheapest first."""
    found: list[Holds] = []
    if isinstance(condition, Rule) and condition.then is Verdict.ABSENT:  # a page says nothing about a session
        found.append(_is_read)
    if condition.status:
        found.append(_status(condition.status))
    if condition.shape:
        shapes = frozenset({*condition.shape, *(["bare"] if "object" in condition.shape else [])})
        found.append(lambda facts: facts.shape in shapes)
    if condition.code is not None:
        code = re.compile(condition.code)
        found.append(lambda facts: facts.code is not None and code.fullmatch(facts.code) is not None)
    if condition.message is not None:
        message = re.compile(condition.message, re.IGNORECASE)
        found.append(lambda facts: facts.message is not None and message.search(facts.message) is not None)
    if condition.text is not None:
        found.append(_says([re.compile(text, re.IGNORECASE) for text in condition.text]))
    found += [_checked(check, _body_value(path)) for path, check in condition.body.items()]
    found += [_checked(check, _header_value(name.lower())) for name, check in condition.header.items()]
    if condition.cookie_cleared:
        name = condition.cookie_cleared
        found.append(lambda facts: is_cleared(name, facts.response.cookies))
    return found


def _is_read(facts: Facts) -> bool:
    """Hold when there is nothing in the body that is not JSON."""
    return facts.shape != "other"


def _says(patterns: Sequence[re.Pattern[str]]) -> Holds:
    """Hold when each pattern is found; of a body that is too long to be searched nothing is known."""

    def holds(facts: Facts) -> bool:
        body = facts.response.body
        if len(body) > MAX_SEARCHED:
            return False
        text = body.decode("utf-8", "replace")
        return all(pattern.search(text) for pattern in patterns)

    return holds


def _status(wanted: Sequence[str]) -> Holds:
    statuses = _statuses(wanted)
    return lambda facts: facts.response.status in statuses


def _statuses(wanted: Sequence[str]) -> frozenset[int]:
    return frozenset(
        status
        for text in wanted
        for status in (range(int(text[0]) * 100, int(text[0]) * 100 + 100) if text.endswith("xx") else [int(text)])
    )


def _body_value(path: str) -> Callable[[Facts], Any]:
    names = path.split(".")

    def value(facts: Facts) -> Any:
        node = facts.value
        for name in names:
            node = node.get(name) if isinstance(node, dict) else None
        return node

    return value


def _header_value(name: str) -> Callable[[Facts], Any]:
    return lambda facts: facts.response.headers.get(name)


def _checked(check: Check, value: Callable[[Facts], Any]) -> Holds:
    if check.absent is not None:
        absent = check.absent
        return lambda facts: (value(facts) in (None, "")) is absent
    if check.matches is not None:
        pattern = re.compile(check.matches)
        return lambda facts: isinstance(found := value(facts), str) and pattern.search(found) is not None
    wanted = check.equals
    return lambda facts: type(found := value(facts)) is type(wanted) and found == wanted


def _handover(success: Success, facts: Facts) -> Secret | None:
    if success.handover is None:
        return None
    value = _body_value(success.handover)(facts)
    return Secret(value) if isinstance(value, str) and value else None


def _unmatched(facts: Facts, name: str, success: Success | None) -> str:
    said = f"HTTP {facts.response.status}{_form(facts)} is not in the description of {name}"
    if facts.response.status == 404 and facts.code in (None, "404"):
        return f"{said}: wrong region, endpoint or path?"
    fits = success is not None and success.lacking and _status(success.status)(facts)
    return f"{said}: {success.lacking}" if success is not None and fits else said


def _form(facts: Facts) -> str:
    """Say what the body is, where that is no wonder that nothing describes it."""
    if facts.shape in ("object", "bare", "empty"):
        return ""
    if facts.shape != "other":
        return f" with a body of the form {facts.shape!r}"
    return f" with {WEB_PAGE}," if is_web_page(facts.response.body) else " with a body that is not JSON"


def is_web_page(body: bytes) -> bool:
    """Return whether a body that is not JSON is what a login or a proxy shows to people."""
    return body.lstrip()[:1] == b"<"


def request_id(headers: Mapping[str, str], value: Any) -> str | None:
    """Return the id under which the service knows the call, for its support."""
    found = headers.get("x-request-id") or headers.get("x-iam-trace-id")
    if not found and isinstance(value, dict):
        found = value.get("request_id")
    return str(found)[:128] if found else None


def _ruling(headers: Mapping[str, str], decision: Decision, now: float) -> Ruling:
    facts, verdict, note, handover = decision
    if verdict in _WAITING:
        said = announced(headers, facts.message, now)
        if said.used_up:
            verdict, note = Verdict.HALT, f"the service lets nothing through for hours: {said.used_up}"
        elif said.wait is not None and said.wait > LONGEST_WAIT:
            verdict, note = Verdict.HALT, f"the service asks to wait {said.wait:.0f} s, which is too long to wait for"
    else:
        said = remaining(headers, now)
    return Ruling(
        verdict,
        note,
        facts.response.status,
        facts.code,
        facts.message,
        request_id(headers, facts.value),
        said.wait,
        said.pace,
        said.left,
        handover=handover,
    )
