"""Every description against its cases, and every rule of every description against there being a case for it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import catalogue
from orchestrator.classify import compile_reading
from orchestrator.conclusion import OUTCOMES
from orchestrator.conditions import compile_condition
from orchestrator.facts import read_facts
from orchestrator.model import Response, Verdict
from orchestrator.reading import Condition

from .cases import FOLDER, NOW, Case, Subject, cases_of, deciding_rule, read_cases, rule, subjects

CATALOGUE = catalogue.load()
SUBJECTS = subjects(CATALOGUE)
SHARED = {"_gateway", "_every"}
GOOD = frozenset(OUTCOMES) - {Verdict.ACTIVE}
LOGIN_PAGE = "<!DOCTYPE html><html><body><form><input name='lt'/></form></body></html>"


ALL = [
    pytest.param(subject, case, id=f"{subject.name}-{case.name}".replace(" ", "-"))
    for subject in SUBJECTS
    for case in cases_of(subject)
]


@pytest.mark.parametrize(("subject", "case"), ALL)
def test_an_answer_means_what_its_case_says(subject: Subject, case: Case) -> None:
    ruling = rule(subject, CATALOGUE, case)
    assert ruling.verdict is case.then
    assert ruling.status == case.status
    assert ruling.wait == (None if case.wait is None else pytest.approx(case.wait))
    assert ruling.pace == (None if case.pace is None else pytest.approx(case.pace, rel=1e-3))
    assert (ruling.handover.reveal() if ruling.handover else None) == case.handover
    assert not ruling.lost
    for name in ("code", "message", "request_id"):
        if name in case.model_fields_set:
            assert getattr(ruling, name) == getattr(case, name)
    assert (case.reason or "") in ruling.reason
    if ruling.page is not None or case.items is not None:
        assert ruling.page is not None
        assert (list(ruling.page.items), ruling.page.total) == (case.page, case.total)


ANSWERS = [case.response() for subject in SUBJECTS for case in cases_of(subject)]
STATUSES = sorted({*(answer.status for answer in ANSWERS), 202, 299, 418, 599})


@given(st.sampled_from(ANSWERS), st.sampled_from(STATUSES), st.sampled_from([1, 2]))
def test_the_first_rule_that_holds_decides_whatever_is_looked_up_beforehand(
    answer: Response, status: int, batch: int
) -> None:
    """Every answer of any case, under any status, against the rules of all services: all of them asked in turn."""
    response = replace(answer, status=status)
    for subject in SUBJECTS:
        facts = read_facts(response)
        hands_over = subject.reading.success is not None and subject.reading.success.handover is not None
        if hands_over and facts.shape == "other" and status < 400:
            facts = replace(facts, message=None)  # which then holds what only its owner may read
        rules = [
            rule.model_copy(update={"note": f"rule {n}"}) for n, rule in enumerate(CATALOGUE.rules(subject.reading))
        ]
        fits = (rule for rule in rules if rule.batch in (None, batch > 1))
        first = next((rule for rule in fits if all(holds(facts) for holds in compile_condition(rule))), None)
        classify = compile_reading(subject.reading, rules, subject.service)
        for _ in range(2):  # what was looked up for the first is there for the second
            ruling = classify(response, batch, NOW)
            if first is None:
                assert not ruling.reason.startswith("rule ")
            elif ruling.verdict is not Verdict.HALT:  # which a wait that is too long becomes, with a note of its own
                assert (ruling.verdict, ruling.reason) == (first.then, first.note)


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_every_rule_is_decided_by_a_case(subject: Subject) -> None:
    decided: dict[int | str, list[Case]] = {}
    for case in cases_of(subject):
        decided.setdefault(deciding_rule(subject, CATALOGUE, case), []).append(case)
    conditions: list[tuple[int | str, Condition]] = [*enumerate(CATALOGUE.rules(subject.reading))]
    if subject.reading.success:
        conditions.append(("success", subject.reading.success))
    missing = [
        f"{subject.name}: rule {name} ({condition.model_dump(exclude_defaults=True)}): no case for {facet}"
        for name, condition in conditions
        for facet in _missing(subject, condition, decided.get(name, []))
    ]
    assert not missing, "\n".join(["add cases to tests/services:", *missing])


def _missing(subject: Subject, condition: Condition, cases: list[Case]) -> Iterator[str]:
    """Yield every status, code, message and form that a rule names and no case of it shows."""
    if not cases:
        yield "it at all"
    statuses = {str(case.status) for case in cases}
    yield from (s for s in condition.status or () if not any(re.fullmatch(s.replace("x", r"\d"), x) for x in statuses))
    rulings = [rule(subject, CATALOGUE, case) for case in cases]
    codes = {ruling.code for ruling in rulings}
    yield from (f"code {code}" for code in _spellings(condition.code) if code not in codes)
    messages = " ".join(ruling.message or "" for ruling in rulings)
    yield from (m for m in (condition.message or "").split("|") if not re.search(m, messages, re.IGNORECASE))
    bodies = " ".join(case.response().body.decode() for case in cases)
    texts = [text for pattern in condition.text or () for text in pattern.split("|")]
    yield from (text for text in texts if not re.search(text, bodies, re.IGNORECASE))
    forms = {_form(case.response()) for case in cases}
    yield from (f"the form {shape}" for shape in condition.shape or () if shape not in forms)


def _form(response: Response) -> str:
    body = response.body.strip()
    first = {b"": "empty", b"null": "null", b'""': "blank", b"{}": "bare"}.get(body)
    return first or {b"{": "object", b"[": "list", b'"': "text"}.get(body[:1], "other")


def _spellings(pattern: str | None) -> list[str]:
    """Return every text that a pattern of literals, `[..]`, `?`, groups and `|` matches; none for an open one."""
    return [] if pattern is None or "+" in pattern else sorted(set(_expand(pattern)))


def _expand(pattern: str) -> Iterator[str]:
    alternatives = _split(pattern)
    if len(alternatives) > 1:
        yield from itertools.chain.from_iterable(map(_expand, alternatives))
        return
    atoms = re.findall(r"(\((?:[^()])*\)|\[[^\]]*\]|\\.|.)(\?)?", pattern)
    choices = [[*_atom(atom), *([""] if optional else [])] for atom, optional in atoms]
    yield from map("".join, itertools.product(*choices))


def _atom(atom: str) -> list[str]:
    if atom.startswith("("):
        return list(_expand(atom[1:-1]))
    if atom.startswith("["):
        ranges = re.findall(r"(.)-(.)|(.)", atom[1:-1])
        return [chr(n) for low, high, one in ranges for n in range(ord(low or one), ord(high or one) + 1)]
    return [atom[-1]]


def _split(pattern: str) -> list[str]:
    parts, depth = [""], 0
    for character in pattern:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


@pytest.mark.parametrize(
    ("pattern", "spellings"),
    [
        pytest.param(r"IAM\.006[67]", ["IAM.0066", "IAM.0067"], id="class"),
        pytest.param(r"APIGW?\.0308", ["APIG.0308", "APIGW.0308"], id="optional"),
        pytest.param(r"A(1|2[3-5])|B", ["A1", "A23", "A24", "A25", "B"], id="groups"),
        pytest.param(".+", [], id="open"),
    ],
)
def test_the_spellings_of_a_pattern(pattern: str, spellings: list[str]) -> None:
    assert _spellings(pattern) == spellings
    assert all(re.fullmatch(pattern, text) for text in spellings)


def test_every_description_has_a_cases_file_and_every_cases_file_a_description() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(CATALOGUE.services) | SHARED


def test_every_part_of_a_service_has_cases_and_every_case_a_part() -> None:
    for name in CATALOGUE.services:
        parts = {subject.part for subject in SUBJECTS if subject.service == name}
        assert {case.part for case in read_cases(name)} == parts, name


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_the_names_of_cases_are_unique(subject: Subject) -> None:
    names = [case.name for case in cases_of(subject)]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("batch", [1, 2, 100])
@pytest.mark.parametrize("status", [200, 201, 202, 204, 302, 400, 403, 404, 409, 500])
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_a_page_for_people_is_never_good_news(subject: Subject, status: int, batch: int) -> None:
    case = Case(name="page", status=status, batch=batch, text=LOGIN_PAGE, then=Verdict.FAIL)
    assert rule(subject, CATALOGUE, case).verdict not in GOOD


@pytest.mark.parametrize("status", [100, 199, 203, 206, 299, 300, 307, 402, 418, 451, 501, 505, 599])
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_a_status_that_no_rule_names_is_a_failure_and_says_so(subject: Subject, status: int) -> None:
    ruling = rule(subject, CATALOGUE, Case(name="odd", status=status, then=Verdict.FAIL))
    assert ruling.verdict is Verdict.FAIL
    assert ruling.reason == f"HTTP {status} is not in the description of {subject.service}"


HOSTILE = ['name="lt"', 'name="_eventId"', "log in ", "already ", "you have ", "a", "<", '"']


@pytest.mark.timeout(10)
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_no_answer_takes_long_to_read(subject: Subject) -> None:
    """A pattern that goes back to the beginning for each of many halves of what it looks for takes minutes."""
    classify = subject.compiled(CATALOGUE.rules(subject.reading))
    for text in HOSTILE:
        body = (text * 262_144)[:262_144].encode()
        classify(Response(200, {}, body, ()), 1, NOW)
        classify(Response(200, {}, orjson.dumps({"error_msg": body.decode()}), ()), 1, NOW)
