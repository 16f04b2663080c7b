"""What one answer means. Rules are compiled at load; the first whose conditions all hold decides.

Order: the description's rules, its `success`, the usual meaning of the status, else the answer is a failure: what is
not in the description is never taken as good news.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from orchestrator.announced import announced, remaining
from orchestrator.backoff import LONGEST_WAIT
from orchestrator.conditions import Holds, body_value, compile_condition, hold, is_read, may_hold, status_in
from orchestrator.facts import WEB_PAGE, Facts, is_web_page, read_facts, request_id
from orchestrator.model import Lost, Response, Ruling, Secret, Verdict
from orchestrator.reading import Reading, Rule, Success

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
    compiled = [(rule, compile_condition(rule)) for rule in rules]
    success = reading.success
    hands_over = success is not None and success.handover is not None
    succeeds = compile_condition(success) if success else []
    if success and success.body and not unread:
        succeeds.append(is_read)
    if success and hands_over:  # what is to be handed over has to be there
        succeeds.append(lambda facts: _handover(success, facts) is not None)
    by_body = not hands_over and not any(
        one.header or one.cookie_cleared for one in (*(rule for rule, _ in compiled), *([success] if success else []))
    )

    @functools.cache  # there are few statuses, and of a long list only one or two rules are about each
    def candidates(status: int, coded: bool, worded: bool) -> list[tuple[Rule, list[Holds]]]:
        return [(rule, holding) for rule, holding in compiled if may_hold(rule, status, coded, worded)]

    def decide(response: Response, several: bool) -> Decision:
        status, facts = response.status, read_facts(response)
        if hands_over and facts.shape == "other" and status < 400:  # a page's beginning may hold what is its owner's
            facts = replace(facts, message=None)
        for rule, holding in candidates(status, facts.code is not None, facts.message is not None):
            if (rule.batch is None or rule.batch == several) and hold(holding, facts):
                return Decision(facts, _of_each(rule) if several else rule.then, rule.note)
        if success and hold(succeeds, facts):
            return Decision(facts, success.then, handover=_handover(success, facts))
        note = "" if status in USUAL else _unmatched(facts, name, success)
        return Decision(facts, USUAL.get(status, Verdict.FAIL), note, described=False)

    @functools.lru_cache(maxsize=KEPT)  # nearly all answers of a service are the same few words
    def decided(status: int, body: bytes, several: bool) -> Decision:
        return decide(Response(status, {}, body), several)

    def classify(response: Response, batch: int, now: float) -> Ruling:
        if by_body and len(response.body) <= SHORT:
            return _ruling(response.headers, decided(response.status, response.body, batch > 1), now)
        return _ruling(response.headers, decide(response, batch > 1), now)

    return classify


def _of_each(rule: Rule) -> Verdict:
    """Return what a rule means for a call with several targets: that one of them is absent says nothing of the rest."""
    return Verdict.SPLIT if rule.then is Verdict.ABSENT and rule.batch is None else rule.then


def lost_ruling(lost: Lost) -> Ruling:
    """Return what it means that there was no answer: try again, if the call may be repeated."""
    return Ruling(Verdict.RETRY, lost.reason, lost=lost.sent)


def _handover(success: Success, facts: Facts) -> Secret | None:
    if success.handover is None:
        return None
    value = body_value(success.handover)(facts)
    return Secret(value) if isinstance(value, str) and value else None


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
