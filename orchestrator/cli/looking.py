"""The commands that look: validate and preview a plan, list and show runs, write a report again."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

import anyio
import orjson

from orchestrator import app, blueprint, counting, forecast, history, sealfile, sealing, story
from orchestrator.blueprint import Blueprint
from orchestrator.cli import common
from orchestrator.errors import Fault, InvalidInput
from orchestrator.journal import SqliteJournal
from orchestrator.model import RunRecord
from orchestrator.report import FORMATS, text_summary
from orchestrator.selection import Selector
from orchestrator.units import plural


def validate(options: argparse.Namespace) -> int:
    """Check plans, config and catalogue together, offline; every fault of every plan at once."""
    config_file = common.read_config(options)
    variables = common.variables(options)
    faults: list[Fault] = []
    for name in options.plans:
        try:
            plan = app.prepare(Path(name), variables, config_file, offline=True)
            offline = [section for section in plan.sections if not section.source.interactive]
            targets = counting.count(offline, Selector(())).total
        except InvalidInput as error:
            faults += error.faults
            continue
        for warning in blueprint.warnings(plan):
            common.warn(warning)
        unread = "" if len(offline) == len(plan.sections) else ", beside those of standard input"
        common.say(f"{name}: valid, {plural(targets, 'target')}{unread}")
    if faults:
        raise InvalidInput(list(dict.fromkeys(faults)))
    return 0


def preview(options: argparse.Namespace) -> int:
    """Show what a run would do: it lists what there is, and changes nothing; with --seal, seal it."""
    config_file = common.read_config(options)
    selector, lasts = Selector(options.only), _lasts(options)
    latency = common.duration(options.latency, "--latency")
    deadline = common.duration(getattr(options, "deadline", None))
    plan: Blueprint = app.prepare(Path(options.plan), common.variables(options), config_file).within(selector)
    foreseen = anyio.run(forecast.foresee, plan, selector, latency, deadline)
    seal = None
    if lasts is not None and foreseen.exit_code == 0:
        seal = sealing.seal(plan, selector, foreseen.inputs, foreseen.counts(), lasts)
        sealfile.write(Path(options.seal), seal)
    if options.output == "json":
        facts = {**foreseen.to_json(), "seal": seal.sha256 if seal else None}
        common.say(orjson.dumps(facts, option=orjson.OPT_INDENT_2).decode())
    elif options.output == "text":
        common.say(foreseen.text())
    if seal is not None:
        common.tell(
            f"sealed until {seal.expires}; to do exactly this: {sealing.command(Path(options.seal), options.config)}"
        )
    elif lasts is not None:
        common.warn("not sealed: a run would be refused" if foreseen.refusal else "not sealed: a list is not whole")
    return foreseen.exit_code


def _lasts(options: argparse.Namespace) -> float | None:
    """Return how long a seal is good for, None where none is wanted."""
    lasts = common.duration(options.expires, "--expires")
    if options.seal is None and lasts is not None:
        raise InvalidInput.one("--expires", "goes with --seal")
    return None if options.seal is None else lasts or sealing.LASTS


def runs(options: argparse.Namespace) -> int:
    """List the runs in the journal, one a line under a line of headings, the latest last."""
    with open_journal(options) as journal:
        records = journal.runs()
        width = max((len(record.run) for record in records), default=0)
        if records:
            common.say(f"{'run':{width}}  exit    good      of  status")
        for record in records:
            summary = story.summary(journal, record)
            numbers = f"{_code(record):>4}  {summary.good:>6}  {summary.total:>6}"
            common.say(f"{record.run:{width}}  {numbers}  {summary.status}")
    if not records:
        common.tell("no runs yet")
    return 0


def show(options: argparse.Namespace) -> int:
    """Show one run in full: its summary and every target that is not good."""
    with open_journal(options) as journal:
        record = history.find(journal, options.run)
        summary = story.summary(journal, record)
        common.say(text_summary(summary, story.lines(journal, record.run), limit=summary.not_good))
    return 0


def report(options: argparse.Namespace) -> int:
    """Write one run's report to standard output; what a format has no place for goes to standard error."""
    with open_journal(options) as journal:
        record = history.find(journal, options.run)
        summary = story.summary(journal, record)
        with common.standard_output() as out:
            out.reconfigure(encoding="utf-8", newline="")  # type: ignore[attr-defined]
            FORMATS[options.format](out, summary, story.lines(journal, record.run))
        for note in summary.notes:
            common.warn(note)
    return 0


def open_journal(options: argparse.Namespace) -> closing[SqliteJournal]:
    """Open the journal that the config names, for as long as the block."""
    return closing(history.open_journal(common.read_config(options), reading=True))


def _code(record: RunRecord) -> str:
    return "-" if record.exit_code is None else str(record.exit_code)
