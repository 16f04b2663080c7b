"""`run` and `resume`: carry out a plan, show how it goes, say how it ended."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
import orjson

from orchestrator import app, conduct, history
from orchestrator.cli import common, looking, progress
from orchestrator.conduct import Finished, Options
from orchestrator.model import RunRecord
from orchestrator.report import text_summary
from orchestrator.selection import Selector
from orchestrator.settings import ConfigFile


def run(options: argparse.Namespace) -> int:
    """Run a plan."""
    if options.dry_run:
        return looking.preview(options)
    config_file = common.read_config(options)
    plan = app.prepare(Path(options.plan), common.variables(options), config_file)
    finished = anyio.run(
        conduct.start, plan, _options(options, options.yes, options.only), progress.chosen(options.progress)
    )
    return conclude(finished, options.output)


def resume(options: argparse.Namespace) -> int:
    """Go on with a run that stopped."""
    config_file = common.read_config(options)
    record = _record(config_file, options.run)
    common.tell(f"goes on with the run {record.run} of {record.plan_path}")
    plan = app.prepare(Path(record.plan_path), dict(record.variables), config_file)
    finished = anyio.run(
        conduct.resume,
        plan,
        record,
        _options(options, options.yes, record.selectors),
        progress.chosen(options.progress),
    )
    return conclude(finished, options.output)


def conclude(finished: Finished, output: str) -> int:
    """Print what belongs on standard output, and return the exit code.

    On a terminal that is the summary; elsewhere nothing when all is well.
    """
    summary = finished.summary
    for note in finished.written.notes:
        common.warn(note)
    if output == "json":
        common.say(orjson.dumps(summary.to_json(), option=orjson.OPT_INDENT_2).decode())
    elif output == "text" and (sys.stdout.isatty() or not summary.green):
        common.say(text_summary(summary, finished.written.worst))
    code = summary.facts.exit_code
    return 1 if code is None else code


def _options(options: argparse.Namespace, yes: bool, only: Sequence[str]) -> Options:
    return Options(
        report_dir=Path(found) if (found := getattr(options, "report_dir", None)) else None,
        deadline=common.duration(options.deadline),
        selector=Selector(only),
        yes=yes,
        ask=_ask if sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty() else None,
    )


def _ask(question: str) -> bool:
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _record(config_file: ConfigFile, name: str) -> RunRecord:
    journal = conduct.open_journal(config_file)
    try:
        return history.find(journal, name)
    finally:
        journal.close()
