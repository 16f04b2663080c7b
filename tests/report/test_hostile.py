from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import orjson
import pytest
from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.model import Outcome, Settled, Target
from orchestrator.report import FORMATS, Summary, text_summary
from orchestrator.report.csv_writer import cell
from orchestrator.report.wording import one_line, shown

from .page import Page
from .samples import FACTS, HOSTILE, START, lines_of, rendered, summary_of

TEXTS = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff\ufffe\uffff]"
)
ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)
TOKEN = "T0KEN"


def attacked(text: str) -> tuple[Summary, list[str]]:
    """Return a run in which every text that comes from outside is this one."""
    target = Target(text, text, text, {}, text)
    known = {"http_status": 400, "settled": START, "first_sent": START}
    bad = Settled(target, Outcome.FAILED, text, error_code=text, error_message=text + TOKEN, request_id=text, **known)  # type: ignore[arg-type]
    lines = lines_of([bad, replace(bad, outcome=Outcome.ENDED), replace(bad, outcome=Outcome.UNKNOWN)])
    facts = FACTS._replace(
        run=text, plan=text, plan_path=text, config_path=text, reason=text,
        variables={text: text}, inputs={text: text},
    )  # fmt: skip
    return summary_of(lines, facts, notes=[text], folder=text), lines


def check_json(text: str) -> None:
    summary, lines = attacked(text)
    document = orjson.loads(rendered("json", summary, lines))
    assert [record["error_message"] for record in document["outcomes"]] == [text + TOKEN] * 3
    assert document["variables"] == {text: text}


def check_csv(text: str) -> None:
    summary, lines = attacked(text)
    rows = list(csv.DictReader(io.StringIO(rendered("csv", summary, lines), newline="")))
    assert [row["outcome"] for row in rows] == ["failed", "ended", "unknown"]
    for row in rows:
        assert row["target"].removeprefix("'") == shown(text).removeprefix("'")
        for value in row.values():
            assert not value.lstrip().startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"))
            assert not value.startswith(("\t", "\r", "\n"))
            assert not OBEYED.search(value.replace("\r", ""))


def check_junit(text: str) -> None:
    summary, lines = attacked(text)
    root = fromstring(rendered("junit", summary, lines))
    cases = root.findall("testsuite/testcase")
    assert [[child.tag for child in case] for case in cases] == [["failure"], [], ["error"]]
    assert {case.get("name") for case in cases} == {one_line(text)}


def check_markdown(text: str) -> None:
    summary, lines = attacked(text)
    written = rendered("markdown", summary, lines)
    assert not OBEYED.search(written)
    table = written[written.index("| outcome |") :].splitlines()
    assert [row.split(" | ")[0] for row in table[2:]] == ["| failed", "| unknown"]
    for row in table[2:]:
        assert row.count("|") == 6
        assert all(re.fullmatch(r"`[^`]*`|", field) for field in row.removesuffix(" |").split(" | ")[1:])


def check_html(text: str) -> None:
    summary, lines = attacked(text)
    written = rendered("html", summary, lines)
    page = Page.of(written)
    plain_page = Page.of(rendered("html", *attacked("x")))
    assert not OBEYED.search(written)
    assert (page.tags, page.attributes, page.addresses) == (
        plain_page.tags, plain_page.attributes, plain_page.addresses,
    )  # fmt: skip
    assert len(page.rows) == 3
    assert page.rows[0][1].startswith(one_line(text))


def check_text(text: str) -> None:
    summary, lines = attacked(text)
    written = text_summary(summary, lines)
    assert not OBEYED.search(written)
    lines_of_x = len(text_summary(*attacked("x")).splitlines())
    assert len(written.splitlines()) == lines_of_x - (not text)  # without a reason there is no line for one


CHECKS = {
    "json": check_json,
    "csv": check_csv,
    "junit": check_junit,
    "markdown": check_markdown,
    "html": check_html,
    "text": check_text,
}


def test_every_format_is_attacked() -> None:
    assert CHECKS.keys() == {*FORMATS, "text"}


@TEXTS
@pytest.mark.parametrize("form", CHECKS)
def test_hostile_text_stays_text(form: str, text: str) -> None:
    CHECKS[form](text)


@pytest.mark.parametrize("form", CHECKS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=ANY_TEXT)
def test_any_text_stays_text(form: str, text: str) -> None:
    CHECKS[form](text)


@pytest.mark.parametrize(
    "text", ["desktop-0042", "\u684c\u9762 7", "a=b", "2026-11-22T19:30:00.123Z", "sha256:ab/x", ""]
)
def test_a_cell_that_is_harmless_stays_as_it_is(text: str) -> None:
    assert cell(text) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\x1b[31m", "a\\x1b[31m"),
        ("a\u202eb", "a\\u202eb"),
        ("a\U000e0041", "a\\U000e0041"),
        ("a\r\n\tb", "a b"),
        ("\u684c\u9762\u00a0\U0001f600", "\u684c\u9762\u00a0\U0001f600"),
    ],
)
def test_what_would_be_obeyed_is_shown(text: str, said: str) -> None:
    assert one_line(text) == said


def test_long_text_is_cut() -> None:
    assert one_line("x" * 30, 10) == "xxxxxxx..."
