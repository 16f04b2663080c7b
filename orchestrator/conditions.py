"""The conditions of a description, compiled: each holds for an answer or does not."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from orchestrator.cookies import is_cleared
from orchestrator.facts import Facts
from orchestrator.model import Secret, Verdict
from orchestrator.reading import Check, Condition, Rule, Success

MAX_SEARCHED = 256 * 1024  # bytes; a page of a listing may be longer, and has no text to look for

Holds = Callable[[Facts], bool]


def may_hold(rule: Rule, status: int, coded: bool, worded: bool) -> bool:
    """Return whether a rule may be about answers of this status, with or without an error code and a message."""
    silent = (rule.code is not None and not coded) or (rule.message is not None and not worded)
    return not silent and (not rule.status or status in _statuses(rule.status))


def hold(conditions: Sequence[Holds], facts: Facts) -> bool:
    """Return whether all of them hold."""
    for holds in conditions:  # noqa: SIM110  several times for every call: `all` over a generator takes twice as long
        if not holds(facts):
            return False
    return True


def compile_condition(condition: Condition) -> list[Holds]:
    """Return what has to hold for an answer, the cheapest first."""
    found: list[Holds] = []
    if isinstance(condition, Rule) and condition.then is Verdict.ABSENT:  # a page says nothing about a session
        found.append(is_read)
    if condition.status:
        found.append(status_in(condition.status))
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
    found += [_checked(check, body_value(path)) for path, check in condition.body.items()]
    found += [_checked(check, _header_value(name.lower())) for name, check in condition.header.items()]
    if condition.cookie_cleared:
        name = condition.cookie_cleared
        found.append(lambda facts: is_cleared(name, facts.response.cookies))
    return found


def compile_success(success: Success, *, unread: bool) -> list[Holds]:
    """Return what has to hold for the answer that a call is for; its body may be `unread` here."""
    found = compile_condition(success)
    if success.body and not unread:
        found.append(is_read)
    if success.handover is not None:  # what is to be handed over has to be there
        found.append(lambda facts: handover(success, facts) is not None)
    return found


def handover(success: Success, facts: Facts) -> Secret | None:
    """Return what an answer has that goes to a file, and nowhere else."""
    if success.handover is None:
        return None
    value = body_value(success.handover)(facts)
    return Secret(value) if isinstance(value, str) and value else None


def is_read(facts: Facts) -> bool:
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


def status_in(wanted: Sequence[str]) -> Holds:
    """Hold when the status is one of these, or in a class such as `5xx`."""
    statuses = _statuses(wanted)
    return lambda facts: facts.response.status in statuses


def _statuses(wanted: Sequence[str]) -> frozenset[int]:
    return frozenset(
        status
        for text in wanted
        for status in (range(int(text[0]) * 100, int(text[0]) * 100 + 100) if text.endswith("xx") else [int(text)])
    )


def body_value(path: str) -> Callable[[Facts], Any]:
    """Return what finds the value at a place of a JSON body, with dots; None where there is none."""
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
