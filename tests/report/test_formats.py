from __future__ import annotations

import csv
import io
import tracemalloc
from typing import Any
from xml.etree.ElementTree import Element

import orjson
import pytest
from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]

from orchestrator.model import Outcome
from orchestrator.report import FORMATS, Summary, csv_writer, text_summary
from orchestrator.report.json_writer import JsonLinesWriter
from orchestrator.report.writer import feed

from .page import Page
from .samples import counted, endless, lines_of, mixed, rendered, settled, summary_of

LINES = lines_of(mixed())
SUMMARY = summary_of(LINES, notes=["lane dcs.webcli@prod halted: credentials refused"])
MANY = 50_000


def suite(summary: Summary, lines: list[str]) -> Element:
    root: Element = fromstring(rendered("junit", summary, lines))
    found = root.find("testsuite")
    assert found is not None
    assert {key: found.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": str(len(found.findall("testcase"))),
        "failures": str(len(found.findall("testcase/failure"))),
        "errors": str(len(found.findall("testcase/error"))),
        "skipped": str(len(found.findall("testcase/skipped"))),
    }
    return found


def cases(found: Element) -> dict[str, str]:
    return {case.get("name", ""): next((child.tag for child in case), "") for case in found.findall("testcase")}


def test_json_is_the_summary_with_every_outcome() -> None:
    document = orjson.loads(rendered("json", SUMMARY, LINES))
    assert document.pop("outcomes") == [orjson.loads(line) for line in LINES]
    assert document == SUMMARY.to_json()


def test_json_without_a_target_is_a_document_too() -> None:
    assert orjson.loads(rendered("json", counted(), []))["outcomes"] == []


def test_lines_are_written_as_they_stand() -> None:
    out = io.StringIO(newline="")
    feed(SUMMARY, [JsonLinesWriter(out)], (line + "\n" for line in LINES))
    assert out.getvalue() == "".join(f"{line}\n" for line in LINES)


def test_csv_has_the_columns_of_the_line() -> None:
    rows = list(csv.reader(io.StringIO(rendered("csv", SUMMARY, LINES), newline="")))
    records = [orjson.loads(line) for line in LINES]
    assert tuple(rows[0]) == csv_writer.COLUMNS == tuple(records[0])
    assert rows[1:] == [["" if value is None else str(value) for value in record.values()] for record in records]


def test_csv_leaves_numbers_alone() -> None:
    line = orjson.dumps({**orjson.loads(LINES[0]), "duration_ms": -5, "target": "-5"}).decode()
    row = next(csv.DictReader(io.StringIO(rendered("csv", SUMMARY, [line]))))
    assert (row["duration_ms"], row["target"]) == ("-5", "'-5")


@pytest.mark.parametrize("reason", ["", "plain", "one, two", ",", ",,,", "a b", 'q"q', "=1,2", "é", "x\ny"])
@pytest.mark.parametrize("lacking", [(), ("duration_ms",), ("duration_ms", "settled")])
def test_csv_is_what_the_csv_module_makes_of_the_same_cells(reason: str, lacking: tuple[str, ...]) -> None:
    record = orjson.loads(lines_of([settled(reason=reason)])[0])
    record = {name: value for name, value in record.items() if name not in lacking}  # of an earlier version, say
    wanted = io.StringIO()
    csv.writer(wanted, lineterminator="\r\n").writerow(csv_writer.cell(record.get(name)) for name in csv_writer.COLUMNS)
    written = rendered("csv", SUMMARY, [orjson.dumps(record).decode()])
    assert written.split("\r\n", 1)[1] == wanted.getvalue()


def test_junit_has_a_case_per_target() -> None:
    found = suite(SUMMARY, LINES)
    elements = list(cases(found).values())
    expected = {"ended": "", "still_active": "failure", "failed": "failure", "unknown": "error"}
    assert elements == [
        "skipped" if settled.outcome == "not_attempted" else expected.get(settled.outcome, "") for settled in mixed()
    ]
    assert {case.get("classname") for case in found.findall("testcase")} == {"workspace.desktops@prod"}
    assert found.findall("testcase")[0].get("time") == "0.412"
    failure = found.find("testcase/failure")
    assert failure is not None
    assert (failure.get("message"), failure.text) == ("because still_active", "HTTP 200, request req-10")


@pytest.mark.parametrize(
    ("facts", "counts"),
    [
        pytest.param({"exit_code": 3}, {"ended": 2}, id="a-source-failed"),
        pytest.param({"exit_code": 6}, {}, id="nothing-matched"),
        pytest.param({"exit_code": 5}, {"not_attempted": 2}, id="all-skipped"),
        pytest.param({"exit_code": None}, {"in_flight": 2}, id="in-flight"),
    ],
)
def test_junit_is_never_green_when_the_run_is_not(facts: dict[str, Any], counts: dict[str, int]) -> None:
    outcomes = [
        settled(number, Outcome(key)) for key, many in counts.items() if key != "in_flight" for number in range(many)
    ]
    found = suite(counted(facts, **counts), lines_of(outcomes))
    case = found.find("testcase")
    assert case is not None
    assert (case.get("classname"), case[0].tag) == ("run", "error")


def test_junit_of_a_green_run_has_its_targets_and_nothing_else() -> None:
    assert len(suite(counted({"exit_code": 0}, ended=1), lines_of([settled()])).findall("testcase")) == 1


def test_what_is_accepted_fails_where_the_plan_requires_more() -> None:
    lines = lines_of([settled(1, Outcome.ACCEPTED)])
    summary = counted({"require": "ended"}, accepted=1)
    assert list(cases(suite(summary, lines)).values()) == ["failure"]
    assert "1 accepted: the service took the order" in text_summary(summary, lines)


def test_markdown_says_what_happened_first() -> None:
    text = rendered("markdown", SUMMARY, LINES)
    assert text.startswith(
        "**`nightly`: not all good.** 7 of 18 targets not good: 2 still active, 2 failed, 2 unknown, 1 not attempted.\n"
    )
    assert "| `workspace.desktops@prod` | 2 | 2 | 2 | 2 | 2 | 2 | 2 | 2 | 2 |" in text
    assert (
        "| failed | `desktop-0012` | `workspace.desktops@prod` | `because failed` | `HTTP 200, request req-12` |"
        in text
    )
    assert "- `lane dcs.webcli@prod halted: credentials refused`\n" in text
    assert f"`{SUMMARY.resume}`" in text


def test_markdown_lists_a_hundred_and_tells_of_the_rest() -> None:
    text = rendered("markdown", counted(failed=250), endless(250))
    assert text.count("| failed | `desktop-") == 100
    assert text.endswith("\nand 150 more, see outcomes.csv\n")


def test_the_page_reads_back() -> None:
    page = Page.of(rendered("html", SUMMARY, LINES))
    bad = ["still active"] * 2 + ["failed"] * 2 + ["unknown"] * 2 + ["not attempted"]
    good = [one.outcome for one, line in zip(mixed(), LINES, strict=True) if SUMMARY.meets(orjson.loads(line))]
    assert [row[0] for row in page.rows] == bad + [outcome.replace("_", " ") for outcome in good]
    assert page.rows[2][1:4] == [
        "desktop-0012workspace.desktops@prod in applications", "because failed", "HTTP 200, request req-12",
    ]  # fmt: skip
    assert page.rows[2][4:] == ["1", "2026-11-22 19:30:00"]
    assert SUMMARY.sentence in page.text
    assert str(SUMMARY.resume) in page.text


def test_the_page_needs_nothing_but_itself() -> None:
    page = Page.of(rendered("html", SUMMARY, LINES))
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object", "form", "base"})
    assert page.addresses == {"outcomes.csv"}
    assert page.policy.startswith("default-src 'none'; style-src 'sha256-")
    assert page.style_hash in page.policy
    assert not page.attributes & {"style", "onclick", "src"}


def test_the_page_shows_the_one_that_lives_among_thousands_that_failed() -> None:
    lines = [*endless(1500), *lines_of([settled(9999, Outcome.STILL_ACTIVE)])]
    page = Page.of(rendered("html", summary_of(lines), lines))
    assert (len(page.rows), page.rows[0][0]) == (1000, "still active")
    assert "and 501 more, see outcomes.csv" in page.text


def test_the_page_of_a_run_without_targets() -> None:
    page = Page.of(rendered("html", counted({"exit_code": 6}), []))
    assert "Nothing matched" in page.text
    assert page.rows == []


def test_the_text_for_a_terminal() -> None:
    assert text_summary(SUMMARY, LINES) == TEXT
    ends = "".join(line for line in TEXT.splitlines(keepends=True) if not line.startswith("Go on with:"))
    assert text_summary(SUMMARY, LINES, go_on=False) == ends


def test_the_text_is_short_when_all_is_well() -> None:
    text = text_summary(counted({"exit_code": 0}, ended=3), [])
    assert text == (
        "nightly: ALL GOOD (exit code 0). 3 of 3 targets good: 3 ended.\n\n"
        "  dcs.webcli@prod  3 targets: 3 ended\n\n"
        "Started:     2026-11-22 19:30:00 UTC, took 1 min 2 s\nReport:      reports/r\n"
    )


def test_the_text_lists_twenty_and_tells_of_the_rest() -> None:
    text = text_summary(counted(failed=250), endless(30))
    assert text.count("  failed  ") == 20
    assert "  and 230 more, see outcomes.csv\n" in text


class Sink(io.TextIOBase):
    written = 0

    def write(self, text: str) -> int:
        self.written += len(text)
        return len(text)


@pytest.mark.parametrize(("form", "outcome"), [*((form, Outcome.FAILED) for form in FORMATS), ("html", Outcome.ENDED)])
def test_no_format_holds_on_to_what_went_by(form: str, outcome: Outcome) -> None:
    summary = counted(None, **{str(outcome): MANY})
    sink: Any = Sink()
    tracemalloc.start()
    FORMATS[form](sink, summary, endless(MANY, outcome))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6_000_000  # 50,000 lines are 25 MB, and more when read; a thousand of them are kept
    assert sink.written > 1000


TEXT = """\
nightly: NOT ALL GOOD (exit code 3). 7 of 18 targets not good: 2 still active, 2 failed, 2 unknown, 1 not attempted.
The run finished, and some targets do not meet what the plan requires.
2 accepted: the service took the order; it did not say that the session is over.
1 protected: left alone, as the plan says.

  workspace.desktops@prod  18 targets: 2 still active, 2 failed, 2 unknown, 2 not attempted, 2 accepted, 2 ended, \
2 already ended, 2 denied, 2 issued

Not good:
  still active   workspace.desktops@prod desktop-0010: because still_active (HTTP 200, request req-10)
  still active   workspace.desktops@prod desktop-0011: because still_active (HTTP 200, request req-11)
  failed         workspace.desktops@prod desktop-0012: because failed (HTTP 200, request req-12)
  failed         workspace.desktops@prod desktop-0013: because failed (HTTP 200, request req-13)
  unknown        workspace.desktops@prod desktop-0014: because unknown (HTTP 200, request req-14)
  unknown        workspace.desktops@prod desktop-0015: because unknown (HTTP 200, request req-15)
  not attempted  workspace.desktops@prod desktop-0016: because not_attempted (HTTP 200, request req-16)

Notes:
  lane dcs.webcli@prod halted: credentials refused

Started:     2026-11-22 19:30:00 UTC, took 1 min 2 s
Go on with:  orchestrator resume 20261122T193000Z-nightly-1a2b --config config.yaml
Report:      reports/20261122T193000Z-nightly-1a2b
"""
