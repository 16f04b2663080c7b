"""What may still work for a person after a run: never less than is known, never a promise that nobody saw kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.model import RunRecord, Tallied
from orchestrator.report import summarize
from orchestrator.report.residual import GONE, NONE, OPEN, ORDERED, SAID, statement

from .samples import FACTS, rendered

LEFT = {"what": "tokens", "until": "up to 30 minutes", "remedy": "revoke them"}


def about(subject: str = "alice", **residual: object) -> RunRecord:
    known = {"left": {"iam.user": [LEFT]}, "untouched": {}, **residual}
    return replace(FACTS, subject=subject, residual=known)


def told(outcome: str, verification: str = "not_requested", number: int = 1, service: str = "iam.user") -> Tallied:
    return Tallied(service, "prod", outcome, verification, False, number)


@pytest.mark.parametrize(
    ("tally", "state"),
    [
        ([told("ended", "confirmed")], GONE),
        ([told("ended", "confirmed"), told("denied")], GONE),
        ([told("ended")], SAID),
        ([told("ended", "confirmed"), told("ended", "unavailable")], SAID),
        ([told("accepted"), told("ended", "confirmed")], ORDERED),
        ([told("failed"), told("ended", "confirmed", 99)], OPEN),
        ([told("unknown")], OPEN),
        ([told("not_attempted")], OPEN),
        ([told("still_active", "contradicted")], OPEN),
        ([], NONE),
    ],
    ids=str,
)
def test_how_the_targets_of_a_service_fared(tally: list[Tallied], state: str) -> None:
    said = statement(about(), tally, 0)
    assert said is not None
    assert {one.state for one in said.left} == {state}
    assert ("the sessions themselves" in [one.what for one in said.left]) is (state not in (GONE, NONE))


def test_without_a_person_there_is_no_statement() -> None:
    assert statement(FACTS, [told("ended")], 0) is None


@pytest.mark.parametrize(
    ("left", "untouched", "tally", "in_flight", "sure"),
    [
        ([], {}, [told("ended", "confirmed")], 0, True),
        ([LEFT], {}, [told("ended", "confirmed")], 0, False),
        ([], {"mrs.cas": ["x"]}, [told("ended", "confirmed")], 0, False),
        ([], {}, [told("ended")], 0, False),
        ([], {}, [told("ended", "confirmed")], 1, False),
        ([], {}, [], 0, False),
    ],
)
def test_that_nothing_is_left_is_said_only_when_everything_was_seen_to_be_gone(
    left: list[object], untouched: dict[str, object], tally: list[Tallied], in_flight: int, sure: bool
) -> None:
    said = statement(about(left={"iam.user": left}, untouched=untouched), tally, in_flight)
    assert said is not None
    assert ("nothing else is known to remain" in said.sentence) is sure


def test_what_is_open_comes_first() -> None:
    facts = about(left={"good": [LEFT], "bad": [LEFT]})
    said = statement(facts, [told("ended", "confirmed", 1, "good"), told("failed", number=1, service="bad")], 0)
    assert said is not None
    assert [one.service for one in said.left] == ["bad", "bad", "good"]


@pytest.mark.parametrize(
    ("form", "escaped"), [("html", "&lt;script&gt;"), ("markdown", "`<script>"), ("json", "<script>")]
)
def test_hostile_words_stay_words(form: str, escaped: str) -> None:
    hostile = "<script>alert(1)</script>|`x`"
    facts = about(hostile, left={"iam.user": [{**LEFT, "what": hostile}]}, untouched={"mrs.cas": ["prod"]})
    page = rendered(form, summarize(facts, [told("ended")], folder="reports/r"), [])
    assert "up to 30 minutes" in page
    assert "mrs.cas" in page
    assert escaped in page
    assert form != "html" or "<script>" not in page
