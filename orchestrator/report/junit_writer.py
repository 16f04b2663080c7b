"""JUnit XML: a test case per target, so that a CI server shows a run as it shows tests.

One suite, with the lane as class name: records come in the order of their first outcomes, and lanes alternate in it.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Iterable
from typing import TextIO

from orchestrator.report import wording
from orchestrator.report.summary import Summary
from orchestrator.report.wording import Record, lane_of, one_line, text_of
from orchestrator.report.writer import Portion, feed
from orchestrator.units import timestamp

ELEMENTS = {"unknown": "error", "not_attempted": "skipped"}  # everything else that is not good is a failure
_PLAIN = re.compile(r"[\w.:/ -]*", re.ASCII)  # an ASCII text of these has nothing in it that XML escapes


class JUnitWriter:
    """junit.xml; the numbers of its header come from the summary, so nothing has to be held back."""

    def __init__(self, out: TextIO, summary: Summary) -> None:
        self._out = out
        self._summary = summary

    def begin(self) -> None:
        """Write the header, and what is known of the run as properties."""
        facts = self._summary.facts
        counts = _attributes(**self._counts(), time=_seconds(self._summary.duration))
        started = (timestamp(facts.started) or "")[:19]
        self._out.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        self._out.write(f"<testsuites {_attributes(name=facts.plan)} {counts}>\n")
        self._out.write(f"<testsuite {_attributes(name=facts.plan, timestamp=started)} {counts}>\n<properties>\n")
        for name, value in self._properties():
            self._out.write(f"<property {_attributes(name=name, value=value)}/>\n")
        self._out.write("</properties>\n")
        if self._red_run:
            message = _attributes(message=self._summary.headline, type=self._summary.status)
            notes = "\n".join((self._summary.meaning, facts.reason, *self._summary.notes))
            case = _attributes(classname="run", name=facts.run)
            self._out.write(f"<testcase {case}><error {message}>{_escaped(notes)}</error></testcase>\n")

    def add(self, portion: Portion) -> None:
        """Write targets."""
        self._out.write("".join([_case(record, good) for _, record, good in portion.each()]))

    def end(self) -> None:
        """Close the document."""
        self._out.write("</testsuite>\n</testsuites>\n")

    @property
    def _red_run(self) -> bool:
        """Return whether the run failed although no target did: a skipped target alone looks green to CI."""
        counts = dict(self._summary.open_counts())
        return not self._summary.met and not any(key not in ("not_attempted", wording.IN_FLIGHT) for key in counts)

    def _counts(self) -> dict[str, str]:
        bad = dict(self._summary.open_counts())
        errors = bad.pop("unknown", 0) + self._red_run
        skipped = self._summary.counts.get("not_attempted", 0)
        failures = sum(count for key, count in bad.items() if key not in ("not_attempted", wording.IN_FLIGHT))
        numbers = {"tests": self._summary.settled + self._red_run, "failures": failures, "errors": errors}
        return {key: str(int(count)) for key, count in {**numbers, "skipped": skipped}.items()}

    def _properties(self) -> list[tuple[str, str]]:
        facts = self._summary.facts
        fixed = {"run": facts.run, "plan_digest": facts.digest, "require": facts.require}
        outcome = {"exit_code": str(facts.exit_code), "in_flight": str(self._summary.in_flight)}
        variables = ((f"variable.{key}", value) for key, value in facts.variables.items())
        return [*fixed.items(), *outcome.items(), *variables]


def _case(record: Record, good: bool) -> str:
    """Return one target as a test case."""
    target, outcome = text_of(record, "target"), text_of(record, "outcome")
    name = target if _PLAIN.fullmatch(target) else _attribute(target)
    time = _seconds((record.get("duration_ms") or 0) / 1000)
    lane = _lane(record.get("service"), record.get("connection"))
    case = f'classname="{lane}" name="{name}" time="{time}"'
    if good and outcome != "not_attempted":
        return f"<testcase {case}/>\n"
    element = ELEMENTS.get(outcome, "failure")
    message = _attributes(message=wording.why(record))
    kind = "" if element == "skipped" else " " + _attributes(type=text_of(record, "error_code") or outcome)
    detail = _escaped(wording.facts(record))
    return f"<testcase {case}><{element} {message}{kind}>{detail}</{element}></testcase>\n"


def _attributes(**values: str) -> str:
    return " ".join(f'{name}="{_attribute(value)}"' for name, value in values.items())


@functools.lru_cache(maxsize=256)  # a run has few lanes, and few different messages
def _attribute(value: str) -> str:
    return html.escape(one_line(value))


@functools.lru_cache(maxsize=256)
def _lane(service: object, connection: object) -> str:
    return _attribute(lane_of({"service": service, "connection": connection}))


def _escaped(text: str) -> str:
    return html.escape(wording.shown(text).replace("\r", " "))


def _seconds(value: float | None) -> str:
    return f"{max(0.0, value or 0.0):.3f}"


def write(out: TextIO, summary: Summary, lines: Iterable[str]) -> None:
    """Write one test case per target."""
    feed(summary, [JUnitWriter(out, summary)], lines)
