from __future__ import annotations

from typing import Any

import orjson
import pytest

from orchestrator.model import DONE, GOOD, Outcome, Tallied, meets
from orchestrator.report import summarize, summary, text_summary, wording

from .samples import FACTS, RUN, counted, lines_of, mixed, summary_of

RESUME = f"orchestrator resume {RUN} --config config.yaml"


def test_the_numbers_of_a_mixed_run() -> None:
    found = summary_of(lines_of(mixed()))
    assert found.counts == {str(outcome): 2 for outcome in Outcome}
    assert found.lanes == {"workspace.desktops@prod": found.counts}
    assert (found.total, found.good, found.not_good, found.protected) == (18, 11, 7, 1)
    assert found.headline == (
        "nightly: not all good. 7 of 18 targets not good: 2 still active, 2 failed, 2 unknown, 1 not attempted."
    )


def test_the_document_has_stable_keys_and_plain_values() -> None:
    document = summary_of(lines_of(mixed()), notes=["lane x halted"]).to_json()
    assert orjson.loads(orjson.dumps(document)) == document
    assert list(document)[:8] == [
        "version", "run", "plan", "headline", "exit_code", "meaning", "reason", "require",
    ]  # fmt: skip
    assert (document["started"], document["ended"]) == ("2026-11-22T19:30:00.123Z", "2026-11-22T19:31:02.623Z")
    assert (document["duration_ms"], document["notes"]) == (62500, ["lane x halted"])
    assert (document["plan_digest"], document["inputs"]) == (FACTS.digest, FACTS.inputs)
    assert (document["variables"], document["resume"]) == (
        FACTS.variables,
        RESUME,
    )


def test_done_is_what_the_journal_takes_for_done() -> None:
    assert GOOD["accepted"] == DONE


@pytest.mark.parametrize(
    ("require", "counts", "good"),
    [
        pytest.param(
            "accepted", {"ended": 1, "already_ended": 1, "accepted": 1, "denied": 1, "issued": 1}, 5, id="all"
        ),
        pytest.param("ended", {"ended": 1, "already_ended": 1, "accepted": 1, "denied": 1, "issued": 1}, 4, id="ended"),
        pytest.param("accepted", {"still_active": 1, "failed": 1, "unknown": 1, "not_attempted": 1}, 0, id="none"),
        pytest.param("accepted", {"not_attempted": 3, "protected": 2}, 2, id="protected"),
        pytest.param("accepted", {"ended": 1, "in_flight": 2}, 1, id="in-flight"),
        pytest.param("verified", {"ended": 3, "confirmed": 2}, 2, id="verified-is-what-was-looked-at"),
        pytest.param("verified", {"accepted": 1, "already_ended": 1, "denied": 1, "issued": 1}, 2, id="checks"),
        pytest.param("accepted", {"melted": 1}, 0, id="a-word-nobody-knows"),
    ],
)
def test_what_is_good(require: str, counts: dict[str, int], good: int) -> None:
    found = counted({"require": require}, **counts)
    assert (found.good, found.good + found.not_good) == (good, found.total)


@pytest.mark.parametrize(
    ("code", "counts", "headline"),
    [
        (0, {"ended": 1}, "nightly: all good. 1 of 1 target good: 1 ended."),
        (0, {"ended": 1200, "accepted": 3, "not_attempted": 1, "protected": 1},
         "nightly: all good. 1,204 of 1,204 targets good: 3 accepted, 1,200 ended, 1 protected."),
        (0, {}, "nightly: all good. There was no target."),
        (0, {"failed": 1}, "nightly: not all good. 1 of 1 target not good: 1 failed."),
        (5, {"failed": 1, "not_attempted": 9},
         "nightly: stopped midway. 10 of 10 targets not good: 1 failed, 9 not attempted."),
        (None, {"ended": 1, "in_flight": 2}, "nightly: not over. 2 of 3 targets not good: 2 in flight."),
        (99, {}, "nightly: failed. There was no target."),
    ],
)  # fmt: skip
def test_the_headline(code: int | None, counts: dict[str, int], headline: str) -> None:
    found = counted({"exit_code": code}, **counts)
    assert found.headline == headline
    assert found.green == ("all good." in headline and "not all" not in headline)


@pytest.mark.parametrize("code", [None, 0, 1, 2, 3, 4, 5, 6, 75, 130, 143, 42])
def test_every_exit_code_has_a_meaning(code: int | None) -> None:
    found = counted({"exit_code": code}, failed=0 if code == 0 else 1)
    assert found.meaning.endswith(".")
    assert (code in (None, *summary.STATUS)) != ("not one that the program knows" in found.meaning)


def test_a_source_that_could_not_be_read_is_told_although_every_target_is_good() -> None:
    found = counted({"exit_code": 3}, ended=2)
    assert (found.status, found.meaning) == summary.SOURCE_FAILED
    assert found.headline == f"{found.facts.plan}: not all could be read. 2 of 2 targets good: 2 ended."
    assert not found.green


@pytest.mark.parametrize(
    ("code", "counts", "goes_on"),
    [
        (0, {"ended": 1, "accepted": 1}, False),
        (0, {"not_attempted": 1, "protected": 1}, False),
        (3, {"failed": 1}, True),
        (3, {"ended": 1}, True),
        (3, {"ended": 1, "unknown": 1}, True),
        (5, {"not_attempted": 1}, True),
        (143, {}, True),
        (None, {"in_flight": 1}, True),
        (4, {}, False),
        (6, {}, False),
    ],
)
def test_the_command_to_go_on_with_stands_where_something_is_left(
    code: int | None, counts: dict[str, int], goes_on: bool
) -> None:
    assert counted({"exit_code": code}, **counts).resume == (RESUME if goes_on else None)


def test_what_was_only_accepted_is_not_gone_on_with() -> None:
    found = counted({"require": "ended", "exit_code": 3}, accepted=2)
    assert (found.not_good, found.resume) == (2, None)
    assert found.remarks == ("2 accepted: the service took the order; it did not say that the session is over.",)


@pytest.mark.parametrize(
    ("require", "outcome", "verification", "goes_on"),
    [
        ("ended", "accepted", "unavailable", True),
        ("verified", "ended", "unavailable", True),
        ("ended", "ended", "unavailable", True),
        ("ended", "ended", "not_requested", False),
        ("accepted", "ended", "unavailable", False),
        ("verified", "ended", "not_requested", False),
        ("verified", "ended", "confirmed", False),
        ("accepted", "still_active", "contradicted", True),
    ],
)
def test_what_could_not_be_looked_at_is_gone_on_with_where_the_plan_requires_more(
    require: str, outcome: str, verification: str, goes_on: bool
) -> None:
    tally = [Tallied("mrs.cas", "prod", outcome, verification, False, 2), Tallied("a", "b", "denied", "", False, 1)]
    code = 0 if meets(require, outcome, verification) else 3
    found = summarize(FACTS._replace(require=require, exit_code=code), tally, folder="reports/r")
    assert found.resume == (RESUME if goes_on else None)


@pytest.mark.parametrize("outcome", ["accepted", "ended", "already_ended"])
def test_a_look_that_failed_is_never_green_also_where_the_plan_does_not_ask_for_it(outcome: str) -> None:
    tally = [Tallied("a", "b", outcome, "unavailable", False, 2), Tallied("a", "b", "ended", "confirmed", False, 7)]
    found = summarize(FACTS._replace(require="accepted", exit_code=0), tally, folder="reports/r")
    assert (found.met, found.green, found.status) == (True, False, "good, and not all could be checked")
    assert found.remarks[-1].startswith("2 could not be looked at afterwards")


def test_a_file_name_that_is_no_text_does_not_break_the_document() -> None:
    facts = summarize(FACTS, [], folder="reports/\udcff", notes=["list\udc80.csv changed"])
    assert "list\\udc80.csv" in orjson.dumps(facts.to_json()).decode().replace("\\\\", "\\")


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "-"), (-1.0, "-"), (0.04, "0.0 s"), (4.25, "4.2 s"), (62.5, "1 min 2 s"), (3725.0, "1 h 2 min")],
)
def test_durations(value: Any, said: str) -> None:
    assert wording.duration(value) == said


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"outcome": "failed", "reason": "refused", "error_message": "no such id"}, "refused: no such id"),
        ({"outcome": "failed", "reason": "refused: no such id", "error_message": "no such id"}, "refused: no such id"),
        ({"outcome": "accepted", "reason": ""}, wording.MEANINGS[Outcome.ACCEPTED]),
        ({"outcome": "melted"}, ""),
    ],
)
def test_why_a_target_has_its_outcome(record: dict[str, Any], said: str) -> None:
    assert wording.why(record) == said


def test_a_run_that_is_not_over_names_no_report_that_nobody_wrote() -> None:
    over = summarize(FACTS._replace(ended=FACTS.started + 1), [], folder="reports/r")
    assert "Report:      reports/r" in text_summary(over, ())
    killed = summarize(FACTS._replace(ended=None, exit_code=None), [], folder="reports/r")
    assert f"Report:      none was written; to have one: orchestrator report {FACTS.run}" in text_summary(killed, ())
