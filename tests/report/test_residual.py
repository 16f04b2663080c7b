"""What may still work for a person after a run: the join, and how each format says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from orchestrator.model import RunRecord, Tallied
from orchestrator.report import Summary, statement, summarize, text_summary
from orchestrator.report.residual import Row, Statement

from .page import Page
from .samples import FACTS, HOSTILE, START, rendered

TOKENS = {"what": "tokens that the user holds", "until": "up to 30 minutes", "seconds": 1800, "remedy": "revoke them"}
CACHES = {"what": "caches", "until": "not documented"}
LAST = {"iam.user": START + 10.25, "workspace.desktops": START + 20}
POINT = "2026-11-22T20:00:11.000Z"  # 30 minutes after the last call, rounded up


def described(service: str, planned: int = 0, *entries: Mapping[str, Any]) -> dict[str, Any]:
    return {"service": service, "connections": ["prod"], "planned": planned, "residual": list(entries)}


USER, DESKTOPS = described("iam.user", 1, TOKENS), described("workspace.desktops", 3, CACHES)
NOT_TOUCHED = {"service": "das.builtin-account", "connections": ["eu", "prod"]}


def facts(*services: Mapping[str, Any], untouched: tuple[Any, ...] = (), **changes: Any) -> RunRecord:
    residual = {"services": services, "not_touched": untouched}
    return FACTS._replace(**{"subject": "alice", "residual": residual, "exit_code": 0, **changes})


def tallied(service: str, outcome: str, seen: str = "not_requested", number: int = 1, protected: bool = False) -> Any:
    return Tallied(service, "prod", outcome, seen, protected, number)


def stated(record: RunRecord, *tally: Tallied, in_flight: Mapping[str, int] | None = None) -> Statement:
    found = statement(record, tally, in_flight or {}, LAST)
    assert found is not None
    return found


def table(found: Statement) -> list[tuple[str, str, str]]:
    return [(row.kind, row.service, row.state) for row in found.rows]


GONE = tallied("iam.user", "ended", "confirmed")


def test_without_a_subject_there_is_none() -> None:
    record = facts(USER, subject="")
    assert statement(record, [GONE], {}, LAST) is None
    plain = summarize(record, [GONE], folder="r")
    assert plain.to_json()["residual"] is None
    for form in ("html", "markdown"):
        assert "may still" not in rendered(form, plain, [])


@pytest.mark.parametrize(
    ("tally", "state"),
    [
        pytest.param([GONE], "confirmed", id="seen-to-be-gone"),
        pytest.param([tallied("iam.user", "already_ended", "confirmed")], "confirmed", id="already-gone"),
        pytest.param([tallied("iam.user", "denied")], "confirmed", id="refused-as-it-should-be"),
        pytest.param([tallied("iam.user", "ended")], "ended", id="says-the-service"),
        pytest.param([tallied("iam.user", "ended", "unavailable"), GONE], "ended", id="nobody-could-look"),
        pytest.param([tallied("iam.user", "already_ended")], "ended", id="says-a-rule"),
        pytest.param([tallied("iam.user", "accepted"), tallied("iam.user", "ended")], "accepted", id="ordered"),
        pytest.param([tallied("iam.user", "still_active", "contradicted"), GONE], "open", id="alive"),
        pytest.param([tallied("iam.user", "failed"), GONE], "open", id="failed"),
        pytest.param([tallied("iam.user", "unknown"), GONE], "open", id="unknown"),
        pytest.param([tallied("iam.user", "not_attempted"), GONE], "open", id="not-attempted"),
        pytest.param([tallied("iam.user", "not_attempted", protected=True)], "open", id="protected"),
        pytest.param([tallied("iam.user", "issued")], "open", id="a-link-lets-in"),
        pytest.param([tallied("iam.user", "a_word_nobody_knows")], "open", id="a-word-nobody-knows"),
    ],
)
def test_a_service_is_as_well_off_as_the_worst_of_its_targets(tally: list[Tallied], state: str) -> None:
    rows = stated(facts(USER), *tally).rows
    assert {row.state for row in rows} == {state}
    assert [row.kind for row in rows] == ([] if state == "confirmed" else ["sessions"]) + ["declared"]
    assert (rows[-1].at is not None) == (state in ("confirmed", "ended"))


def test_what_has_no_outcome_is_open() -> None:
    flying = stated(facts(USER), in_flight={"iam.user": 1})
    assert (flying.rows[0].state, flying.rows[0].fared) == ("open", "1 in flight")
    untaken = stated(facts(DESKTOPS), tallied("workspace.desktops", "ended", "confirmed"))
    assert (untaken.rows[0].state, untaken.rows[0].fared) == ("open", "2 never taken up, 1 ended")
    nothing = stated(facts(described("iam.user")))
    assert [(row.state, row.fared) for row in nothing.rows] == [("no_target", "")]
    assert "not known" in nothing.sentence()


def test_what_may_live_comes_first_and_what_was_not_touched_last() -> None:
    record = facts(USER, described("mrs.cas", 1), DESKTOPS, untouched=(NOT_TOUCHED,), exit_code=3)
    desktops = tallied("workspace.desktops", "ended", "confirmed", 2), tallied("workspace.desktops", "still_active")
    found = stated(record, GONE, tallied("mrs.cas", "accepted"), *desktops)
    assert table(found) == [
        ("sessions", "workspace.desktops", "open"),
        ("declared", "workspace.desktops", "open"),
        ("sessions", "mrs.cas", "accepted"),
        ("declared", "iam.user", "confirmed"),
        ("untouched", "das.builtin-account", "untouched"),
    ]


def test_a_point_in_time_is_counted_from_the_last_call() -> None:
    (row,) = stated(facts(USER), GONE).rows
    assert row.to_json()["until_time"] == POINT
    assert row.when == "up to 30 minutes: 2026-11-22 20:00:11 UTC at the latest"
    nobody_called = statement(facts(USER), [GONE], {}, {})
    assert nobody_called is not None
    assert nobody_called.rows[0].at is None
    assert nobody_called.rows[0].when == "up to 30 minutes, counted from when the session is ended"


SENTENCES = [
    pytest.param(
        facts(USER),
        [GONE],
        "alice may still have tokens that the user holds (iam.user) until 2026-11-22 20:00:11 UTC; "
        "nothing known remains beyond 2026-11-22 20:00:11 UTC.",
        id="a-point-in-time",
    ),
    pytest.param(
        facts(described("iam.user", 1, TOKENS, CACHES)),
        [GONE],
        "alice may still have tokens that the user holds (iam.user) until 2026-11-22 20:00:11 UTC; "
        "caches (iam.user; not documented); nothing known remains beyond that.",
        id="and-something-without-one",
    ),
    pytest.param(
        facts(described("iam.user", 1)),
        [GONE],
        "alice has no access that is known; every target was seen to be gone, and the plan touched every service of "
        "the config.",
        id="nothing",
    ),
    pytest.param(
        facts(described("iam.user", 1), exit_code=3),
        [GONE],
        "alice may still have access; what remains is not known, because the run ended with exit code 3.",
        id="nothing-and-a-source-failed",
    ),
    pytest.param(
        facts(USER, untouched=(NOT_TOUCHED,)),
        [GONE],
        "alice may still have tokens that the user holds (iam.user) until 2026-11-22 20:00:11 UTC; whatever there is, "
        "for the plan did not touch it, in das.builtin-account (eu, prod); whether more than that remains is not "
        "known, because the plan did not touch every service of the config.",
        id="untouched",
    ),
    pytest.param(
        facts(USER, exit_code=130),
        [tallied("iam.user", "not_attempted")],
        "alice may still have live sessions or access, in iam.user (1 not attempted); tokens that the user holds "
        "(iam.user; up to 30 minutes, counted from when the session is ended); whether more than that remains is not "
        "known, because not every target was seen to be gone.",
        id="interrupted",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("record", "tally", "sentence"), SENTENCES)
def test_the_sentence(record: RunRecord, tally: list[Tallied], sentence: str) -> None:
    assert stated(record, *tally).sentence() == sentence


@pytest.mark.parametrize(
    ("record", "tally"),
    [
        pytest.param(facts(USER), [tallied("iam.user", "ended")], id="nobody-looked"),
        pytest.param(facts(USER), [tallied("iam.user", "accepted")], id="accepted"),
        pytest.param(facts(USER, exit_code=None), [GONE], id="not-over"),
        pytest.param(facts(USER, exit_code=3), [GONE], id="a-source-failed"),
        pytest.param(facts(USER, exit_code=5), [GONE], id="stopped"),
        pytest.param(facts(USER, selectors=["stage=a"]), [GONE], id="a-part-of-the-plan"),
        pytest.param(facts(USER, untouched=(NOT_TOUCHED,)), [GONE], id="untouched"),
        pytest.param(facts(USER, DESKTOPS), [GONE], id="never-taken-up"),
        pytest.param(facts(USER, described("mrs.cas")), [GONE], id="no-target"),
        pytest.param(facts(), [GONE], id="nothing-on-record"),
        pytest.param(facts(residual={"left": {"iam.user": []}}), [GONE], id="recorded-in-another-form"),
    ],
)
def test_it_is_never_said_that_nothing_remains_where_that_is_not_known(record: RunRecord, tally: list[Tallied]) -> None:
    found = stated(record, *tally)
    assert found.doubts
    assert found.latest is None
    assert "nothing known remains" not in found.sentence()
    assert "that is known" not in found.sentence()


MIXED = [GONE, tallied("workspace.desktops", "still_active"), tallied("workspace.desktops", "accepted", number=2)]


def summary(record: RunRecord, *tally: Tallied) -> Summary:
    return summarize(record, tally, folder="r", residual=stated(record, *tally))


def mixed() -> Summary:
    return summary(facts(USER, DESKTOPS, untouched=(NOT_TOUCHED,), exit_code=3), *MIXED)


def test_json_has_a_row_for_everything() -> None:
    document = mixed().to_json()["residual"]
    assert document["rows"][0] == {
        "kind": "sessions", "service": "workspace.desktops", "connections": ["prod"], "state": "open",
        "targets": {"still_active": 1, "accepted": 2}, "what": "live sessions or access",
        "until": "until they are ended", "until_time": None,
        "remedy": "go on with the run, or end them in the service itself",
    }  # fmt: skip
    assert document["rows"][2]["until_time"] == POINT
    assert [row["kind"] for row in document["rows"]] == ["sessions", "declared", "declared", "untouched"]
    assert document["sentence"].startswith("alice may still have live sessions or access, in workspace.desktops (1 st")
    assert (document["subject"], document["latest"], len(document["doubts"])) == ("alice", None, 2)


def test_markdown_has_the_sentence_and_the_table() -> None:
    text = rendered("markdown", mixed(), [])
    assert "\n`alice` may still have live sessions or access, in `workspace.desktops` (1 still active, 2 acc" in text
    assert (
        "| `tokens that the user holds` | `iam.user (prod)` | `up to 30 minutes: 2026-11-22 20:00:11 UTC at the latest`"
        " | `revoke them` | confirmed gone, or denied: 1 ended |\n" in text
    )


def test_the_page_has_the_sentence_and_the_table() -> None:
    written = rendered("html", mixed(), [])
    page = Page.of(written)
    assert page.text.index("What may still work for alice") < page.text.index("Lanes")
    assert mixed().to_json()["residual"]["sentence"] in page.text
    assert written.count("<tr><td><bdi>") == 4
    assert '<span class="badge bad">not all ended</span><small>1 still active, 2 accepted</small>' in written


def test_the_text_is_short() -> None:
    assert TEXT in text_summary(mixed(), [])
    many = [described(f"acme.s{n}", 1, CACHES) for n in range(30)]
    assert "  and 11 more, see report.html\n" in text_summary(summary(facts(*many)), [])


def test_the_text_of_somebody_who_is_out() -> None:
    text = text_summary(summary(facts(described("iam.user", 1)), GONE), [])
    assert "alice has no access that is known:\n  every target was seen to be gone, and the plan" in text


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    bad = {"what": text + "T0KEN", "until": text, "remedy": text, "seconds": 60}
    left = {"service": text, "connections": [text]}
    record = facts({**described("iam.user", 1, bad), "connections": [text]}, untouched=(left,), subject=f"{text}T0KEN")
    plain = facts(described("iam.user", 1, TOKENS), untouched=(NOT_TOUCHED,))
    attacked, harmless = summary(record, GONE), summary(plain, GONE)
    pages = [Page.of(rendered("html", one, [])) for one in (attacked, harmless)]
    assert (pages[0].tags, pages[0].attributes) == (pages[1].tags, pages[1].attributes)
    assert len(text_summary(attacked, []).splitlines()) == len(text_summary(harmless, []).splitlines())
    written = rendered("markdown", attacked, [])
    assert len(written.splitlines()) == len(rendered("markdown", harmless, []).splitlines())
    rows = [
        line for line in written.splitlines() if line.endswith(("confirmed gone, or denied: 1 ended |", "the plan |"))
    ]
    assert [row.count("|") for row in rows] == [6, 6]
    assert attacked.to_json()["residual"]["subject"] == f"{text}T0KEN"
    for said in (written, text_summary(attacked, []), attacked.to_json()["residual"]["sentence"]):
        assert not {"\x1b", "\x00", "\u202e", "\u2028", "\r"} & set(said)


def test_a_row_says_where() -> None:
    row = Row("declared", "acme.x", ["a"], "ended", {"ended": 1204}, "tickets", "soon")
    assert (row.fared, row.when) == ("1,204 ended", "soon")


TEXT = """\
alice may still have
  - live sessions or access, in workspace.desktops (1 still active, 2 accepted)
  - caches (workspace.desktops; not documented)
  - tokens that the user holds (iam.user) until 2026-11-22 20:00:11 UTC
  - whatever there is, for the plan did not touch it, in das.builtin-account (eu, prod)
  whether more than that remains is not known, because not every target was seen to be gone and the plan did not \
touch every service of the config.
"""
