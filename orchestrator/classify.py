"""What one answer means. Rules are compiled at load; the first whose conditions all hold decides.

Order: the description's rules, its `success`, the usual meaning of the status, else the answer is a failure: what is
not in the description is never taken as good news.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from orchestrator.announced import announced, remaining
from orchestrator.backoff import LONGEST_WAIT
from orchestrator.conditions import (
    Holds,
    compile_condition,
    compile_success,
    handover,
    hold,
    may_hold,
    status_in,
)
from orchestrator.facts import WEB_PAGE, Facts, is_web_page, read_facts, request_id
from orchestrator.model import Lost, Response, Ruling, Secret, Verdict
from orchestrator.reading import Condition, Reading, Rule, Success

SHORT = 256  # bytes; what is decided of such an answer is kept ...
KEPT = 64  # ... of so many of them
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
_WAITING = frozenset({Verdict.RETRY, Verdict.THROTTLE})


class Decision(NamedTuple):
    """What a response means by its status and body, and by its headers where a rule asks for one."""

    facts: Facts
    verdict: Verdict
    note: str = ""
    handover: Secret | None = None
    described: bool = True


Classify = Callable[[Response, int, float], Ruling]


def compile_reading(reading: Reading, rules: Iterable[Rule], name: str, *, unread: bool = False) -> Classify:
    """Return classify(response, targets in the call, seconds since the epoch) -> Ruling for one description.

    `rules` are the reading's rules with what they include put in place; `name` is quoted when nothing matches. Of a
    body that cannot be read, or was cut off, nobody knows what is absent: it is no success where that asks for
    something of the body, unless it may be `unread` because whoever asked looks at it.
    """
    compiled = _Compiled(reading.success, list(rules), name, unread=unread)

    @functools.lru_cache(maxsize=KEPT)  # nearly all answers of a service are the same few words
    def decided(status: int, body: bytes, several: bool) -> Decision:
        return compiled.decide(Response(status, {}, body), several)

    def classify(response: Response, batch: int, now: float) -> Ruling:
        if compiled.by_body and len(response.body) <= SHORT:
            return _ruling(response.headers, decided(response.status, response.body, batch > 1), now)
        return _ruling(response.headers, compiled.decide(response, batch > 1), now)

    return classify


class _Compiled:
    """The rules and the success of a description; `by_body` says that status and body alone decide, and may be kept."""

    def __init__(self, success: Success | None, rules: Sequence[Rule], name: str, *, unread: bool) -> None:
        self._success = success
        self._succeeds = compile_success(success, unread=unread) if success else []
        self._hands_over = success is not None and success.handover is not None
        self._rules = [(rule, compile_condition(rule)) for rule in rules]
        self._name = name
        self._candidates = functools.cache(self._about)  # there are few statuses, and only one or two rules for each
        asked: list[Condition] = [*rules, *([success] if success else [])]
        self.by_body = not self._hands_over and not any(one.header or one.cookie_cleared for one in asked)

    def decide(self, response: Response, several: bool) -> Decision:
        """Return what a response means for a call with one target, or with several."""
        status, facts, success = response.status, read_facts(response), self._success
        if self._hands_over and facts.shape == "other" and status < 400:
            facts = replace(facts, message=None)  # a page's beginning may hold what is its owner's
        for rule, holding in self._candidates(status, facts.code is not None, facts.message is not None):
            if (rule.batch is None or rule.batch == several) and hold(holding, facts):
                return Decision(facts, _of_each(rule) if several else rule.then, rule.note)
        if success and hold(self._succeeds, facts):
            return Decision(facts, success.then, handover=handover(success, facts))
        note = "" if status in USUAL else _unmatched(facts, self._name, success)
        return Decision(facts, USUAL.get(status, Verdict.FAIL), note, described=False)

    def _about(self, status: int, coded: bool, worded: bool) -> list[tuple[Rule, list[Holds]]]:
        return [(rule, holding) for rule, holding in self._rules if may_hold(rule, status, coded, worded)]


def _of_each(rule: Rule) -> Verdict:
    """Return what a rule means for a call with several targets: that one of them is absent says nothing of the rest."""
    return Verdict.SPLIT if rule.then is Verdict.ABSENT and rule.batch is None else rule.then


def lost_ruling(lost: Lost) -> Ruling:
    """Return what it means that there was no answer: try again, if the call may be repeated, and if that may help."""
    if lost.final:
        return Ruling(Verdict.HALT, f"{lost.reason}; `orchestrator doctor` says what to do")
    return Ruling(Verdict.RETRY, lost.reason, lost=lost.sent)


def _unmatched(facts: Facts, name: str, success: Success | None) -> str:
    said = f"HTTP {facts.response.status}{_form(facts)} is not in the description of {name}"
    if facts.response.status == 404 and facts.code in (None, "404"):
        return f"{said}: wrong region, endpoint or path?"
    fits = success is not None and success.lacking and status_in(success.status)(facts)
    return f"{said}: {success.lacking}" if success is not None and fits else said


def _form(facts: Facts) -> str:
    """Say what the body is, where that is no wonder that nothing describes it."""
    if facts.shape in ("object", "bare", "empty"):
        return ""
    if facts.shape != "other":
        return f" with a body of the form {facts.shape!r}"
    return f" with {WEB_PAGE}," if is_web_page(facts.response.body) else " with a body that is not JSON"


def _ruling(headers: Mapping[str, str], decision: Decision, now: float) -> Ruling:
    facts, verdict, note, handover, described = decision
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
        described=described,
    )
