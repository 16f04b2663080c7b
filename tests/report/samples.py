from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from orchestrator.journal.record import encode
from orchestrator.model import Outcome, RunRecord, Settled, Tallied, Target
from orchestrator.report import FORMATS, Summary, summarize

RUN = "20261122T193000Z-nightly-1a2b"
START = 1795375800.123  # 2026-11-22T19:30:00.123Z
FACTS = RunRecord(
    run=RUN,
    plan="nightly",
    plan_path="plans/nightly.yaml",
    config_path="config.yaml",
    digest="sha256:0011",
    require="accepted",
    started=START,
    variables={"message": "Nightly sign-out"},
    inputs={"lists/desktops.csv": "sha256:2233"},
    ended=START + 62.5,
    exit_code=3,
)

# Everything that a service, a file or a name could bring along to break out of a cell, a page or a terminal.
HOSTILE = {
    "script": "</td></table></style></title><script>alert(1)</script>",
    "attribute": "\" onmouseover='x' style=\"",
    "entity": "&lt;b&gt; &#x41; ]]> <![CDATA[ <!-- -->",
    "table": "a|b \\| c ` d `` e",
    "trailing-backslash": "a\\",
    "lines": "one\ntwo\r\nthree\rfour\u2028five\u0085six",
    "formula": "=cmd()|' /C calc'!A0",
    "formulas": "@SUM(1)",
    "plus": "+1",
    "minus": "-1+1",
    "tab": "\t=1",
    "carriage": "\r=1",
    "spaced": "  =1",
    "full-width": "\uff1d1+1",
    "quotes": 'say "hello", then; leave',
    "controls": "a\x00b\x08c\x1b[31mred\x7f\x9b2J",
    "not-xml": "a\ufffeb\uffffc\x0b",
    "direction": "abc\u202edcba\u2066x\u200f",
    "mark": "\ufeff=1",
    "markdown": "# **bold** [x](http://example.org) @everyone ![i](x) <b>",
    "beyond": "\U0001f600 \u684c\u9762 \U000e0041",
    "empty": "",
    "spaces": "   ",
}


def settled(number: int = 1, outcome: Outcome = Outcome.ENDED, **changes: Any) -> Settled:
    target = Target("workspace.desktops", "prod", f"desktop-{number:04}", {}, "applications")
    known: dict[str, Any] = {"attempts": 1, "batch": 7, "http_status": 200, "request_id": f"req-{number}"}
    return Settled(target, outcome, **{**known, "first_sent": START, "settled": START + 0.412, **changes})


def lines_of(many: Iterable[Settled]) -> list[str]:
    return [encode(RUN, one).decode() for one in many]


def mixed() -> list[Settled]:
    """Return two of every outcome: those that are not good have a reason, one `not_attempted` is protected."""
    found = []
    for number, outcome in enumerate(Outcome):
        reason = f"because {outcome}" if outcome in ("failed", "unknown", "still_active", "not_attempted") else ""
        found.append(settled(2 * number, outcome, reason=reason))
        found.append(settled(2 * number + 1, outcome, reason="protected" if outcome == "not_attempted" else reason))
    return found


def summary_of(lines: Iterable[str], facts: RunRecord = FACTS, **known: Any) -> Summary:
    tally = Counter(
        (one["service"], one["connection"], one["outcome"], one["verification"], one["reason"] == "protected")
        for one in map(orjson.loads, lines)
    )
    numbers = [Tallied(*lane, count) for lane, count in sorted(tally.items())]
    return summarize(facts, numbers, **{"folder": f"reports/{RUN}", **known})


def counted(facts: Mapping[str, Any] | None = None, **counts: int) -> Summary:
    """Return a summary of one lane from its numbers: `counted(ended=3, not_attempted=2, protected=1)`.

    `confirmed` of the ended ones are verified.
    """
    in_flight, protected, confirmed = (counts.pop(name, 0) for name in ("in_flight", "protected", "confirmed"))
    lane = ("dcs.webcli", "prod")
    tally = []
    for outcome, count in counts.items():
        plain = count - (protected if outcome == "not_attempted" else confirmed if outcome == "ended" else 0)
        tally.append(Tallied(*lane, outcome, "not_requested", False, plain))
    tally.append(Tallied(*lane, "not_attempted", "not_requested", True, protected))
    tally.append(Tallied(*lane, "ended", "confirmed", False, confirmed))
    known = FACTS._replace(**(facts or {}))
    return summarize(known, [one for one in tally if one.number], folder="reports/r", in_flight=in_flight)


def rendered(form: str, summary: Summary, lines: Iterable[str]) -> str:
    out = io.StringIO(newline="")
    FORMATS[form](out, summary, lines)
    return out.getvalue()


def endless(count: int, outcome: Outcome = Outcome.FAILED) -> Iterator[str]:
    (line,) = lines_of([settled(9999, outcome, reason="no", error_message="message " * 8)])
    before, after = line.split("desktop-9999")
    for number in range(count):
        yield f"{before}desktop-{number:05}{after}"
