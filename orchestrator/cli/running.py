"""`run` and `resume`: carry out a plan, show how it goes, say how it ended."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import orjson

from orchestrator import app, conduct, history
from orchestrator.blueprint import Blueprint
from orchestrator.cli import common, progress
from orchestrator.collector import Resting
from orchestrator.errors import Fault, InvalidInput
from orchestrator.model import RunRecord
from orchestrator.selection import Selector
from orchestrator.settings import ConfigFile
from orchestrator.trip import Options
from orchestrator.units import parse_amount

if TYPE_CHECKING:
    from orchestrator.ending import Finished
    from orchestrator.sealing import Sealed


def run(options: argparse.Namespace) -> int:
    """Run a plan, or what was sealed of one."""
    if wrong := list(_misused(options)):
        raise InvalidInput(wrong)
    if options.dry_run:
        from orchestrator.cli import looking

        return looking.preview(argparse.Namespace(**vars(options), seal=None, expires=None, latency=None))
    config_file = common.read_config(options)
    if options.sealed:
        sealed = _sealed(options)
        plan = _prepared(sealed.seal.plan.path, sealed.seal.plan.variables, config_file)
        chosen = _options(options, options.yes, sealed.seal.selector)._replace(sealed=sealed)
    else:
        plan = _prepared(options.plan, common.variables(options), config_file)
        chosen = _options(options, options.yes, options.only)
    finished = _carried_out(conduct.start, plan, chosen, progress.chosen(options.progress))
    return conclude(finished, options.output)


def _prepared(path: str, variables: Mapping[str, str], config_file: ConfigFile) -> Blueprint:
    with Resting(keep=True):
        return app.prepare(Path(path), dict(variables), config_file)


def _misused(options: argparse.Namespace) -> Iterator[Fault]:
    """Find options that do not go together."""
    if not options.sealed:
        if options.plan is None:
            yield Fault("orchestrator", "run needs a PLAN, or --sealed FILE")
        if options.tolerance is not None:
            yield Fault("--tolerance", "goes with --sealed")
        return
    for name, given in (("--var", options.var), ("--only", options.only), ("--dry-run", options.dry_run)):
        if given:
            yield Fault(name, "does not go with --sealed: what is done was sealed by the preview")


def _sealed(options: argparse.Namespace) -> Sealed:
    """Return what was sealed, if it still holds as far as can be told without the plan."""
    from orchestrator import sealfile
    from orchestrator.sealing import Sealed

    try:
        tolerance = parse_amount(options.tolerance or "0")
    except ValueError as error:
        raise InvalidInput.one("--tolerance", str(error)) from None
    sealed = Sealed(Path(options.sealed), sealfile.read(Path(options.sealed)), tolerance)
    if options.plan is not None and Path(options.plan).resolve() != Path(sealed.seal.plan.path):
        raise InvalidInput.one("PLAN", f"{options.plan} is not what was sealed, which is {sealed.seal.plan.path}")
    sealed.fresh()
    return sealed


def resume(options: argparse.Namespace) -> int:
    """Go on with a run that stopped."""
    config_file = common.read_config(options)
    record = _record(config_file, options.run)
    common.tell(f"goes on with the run {record.run} of {record.plan_path}")
    plan = _prepared(record.plan_path, record.variables, config_file)
    chosen = _options(options, options.yes, record.selectors)
    finished = _carried_out(conduct.resume, plan, record, chosen, progress.chosen(options.progress))
    return conclude(finished, options.output)


def _carried_out(work: Callable[..., Awaitable[Finished]], *arguments: object) -> Finished:
    """Carry a run out, on uvloop where it is installed: it takes less time, and does nothing else differently."""
    faster = importlib.util.find_spec("uvloop") is not None
    return anyio.run(work, *arguments, backend_options={"use_uvloop": faster})


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
        from orchestrator.report import text_summary

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
    journal = history.open_journal(config_file)
    try:
        return history.find(journal, name)
    finally:
        journal.close()
