"""The command line: one parser, and one function per command, imported only when it runs."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from orchestrator import __version__
from orchestrator.collector import Resting

TYPE_CHECKING = False  # as in `typing`, whose import would be a tenth of the time that --version takes
if TYPE_CHECKING:
    from typing import TypeAlias

EXIT_CODES = """\
exit codes (an unknown code is a failure):
  0  every target meets what the plan requires
  1  a bug in the program, or its journal or report cannot be written
  2  usage, or a plan, config or service description that is not valid; nothing was sent
  3  finished, some targets do not meet it (a source that could not be read counts)
  4  refused by a guard before anything was sent
  5  stopped midway: failure threshold or deadline
  6  nothing matched, and the plan does not say `allow_empty: true`
  75 another run of the same plan holds the lock; try again later
  130, 143  interrupted: no new calls, those in flight finished, the report written
"""
OUTPUTS = ("text", "json", "none")
PROGRESS = ("auto", "plain", "none")
FORMATS = ("html", "json", "csv", "junit", "markdown")
INTERRUPTED = 130
SCHEMAS = ("plan", "config", "service")

Command: TypeAlias = Callable[[argparse.Namespace], int]
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an interrupt before a run has begun, imports included, is 130."""
    try:
        options = parser().parse_args(arguments)
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "true")  # else every installed package is looked through
        with Resting():
            from orchestrator.cli.failure import guarded

            module, _, name = options.command.partition(":")
            command: Command = getattr(importlib.import_module(f"orchestrator.cli.{module}"), name)
        return guarded(command, options)
    except KeyboardInterrupt:
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="orchestrator",
        description="End sessions in bulk: a YAML plan goes in, one outcome per target comes out.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"orchestrator {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    _add_running(commands)
    _add_looking(commands)
    _add_knowing(commands)
    return top


def _add_running(commands: Subparsers) -> None:
    demo = _command(commands, "demo", "demo:demo", "run plans/demo.yaml against the sandbox, start to report")
    demo.add_argument("--keep", metavar="DIR", help="folder for journal and reports (default: ./orchestrator-demo)")
    _common(demo, config=False)
    run = _command(commands, "run", "running:run", "run a plan, or do exactly what was sealed")
    _plan(run, optional=True)
    run.add_argument("--sealed", metavar="FILE", help="do what `preview --seal FILE` resolved, or refuse")
    run.add_argument(
        "--tolerance", metavar="AMOUNT", help="of --sealed: so many targets, or N%%, may be new or gone (0)"
    )
    run.add_argument("--dry-run", action="store_true", help="send nothing that changes anything: the same as preview")
    run.add_argument("--report-dir", metavar="DIR", help="folder of the reports, instead of the config's")
    run.add_argument("--yes", action="store_true", help="ask nothing, also when the last run did not finish")
    _running(run)
    preview = _command(commands, "preview", "looking:preview", "show what a run would do; changes nothing")
    _plan(preview)
    preview.add_argument("--seal", metavar="FILE", help="write down what was resolved, for `run --sealed FILE`")
    preview.add_argument("--expires", metavar="DURATION", help="how long a seal is good for (default: 24h)")
    preview.add_argument("--latency", metavar="DURATION", help="what a call takes, for the forecast (default: 100ms)")
    _output(preview)
    _common(preview)
    resume = _command(commands, "resume", "running:resume", "go on with a run that stopped")
    resume.add_argument("run", metavar="RUN", help="its id, the beginning of it, or `latest`")
    resume.add_argument("--yes", action="store_true", help="ask nothing, also when the run began long ago")
    _running(resume)
    validate = _command(commands, "validate", "looking:validate", "check plans, config and catalogue, offline")
    validate.add_argument("plans", metavar="PLAN", nargs="+")
    validate.add_argument(
        "--var", metavar="NAME=VALUE", action="append", default=[], help="set a variable of the plans"
    )
    _common(validate)


def _add_looking(commands: Subparsers) -> None:
    _common(_command(commands, "runs", "looking:runs", "list the runs in the journal"))
    show = _command(commands, "show", "looking:show", "show one run in full")
    show.add_argument("run", metavar="RUN", help="its id, the beginning of it, or `latest`")
    _common(show)
    report = _command(commands, "report", "looking:report", "write a run's report from the journal")
    report.add_argument("run", metavar="RUN", help="its id, the beginning of it, or `latest`")
    report.add_argument("--format", choices=FORMATS, default="markdown")
    _common(report)
    diff = _command(commands, "diff", "comparing:diff", "compare two runs: what got worse, what got better")
    diff.add_argument("run", metavar="RUN", help="the earlier one: its id, the beginning of it, or `latest`")
    diff.add_argument(
        "other", metavar="RUN", nargs="?", help="the later one; without it RUN is held against the one before it"
    )
    _output(diff)
    _common(diff)
    doctor = _command(commands, "doctor", "doctoring:doctor", "check every connection, and change nothing")
    doctor.add_argument("connections", metavar="CONNECTION", nargs="*", help="only these (default: all of the config)")
    doctor.add_argument(
        "--service",
        metavar="NAME",
        action="append",
        default=[],
        help="ask only this service, and let a missing permission fail",
    )
    doctor.add_argument("--timeout", metavar="DURATION", default="30s", help="for each connection (default: 30s)")
    _output(doctor)
    _common(doctor)


def _add_knowing(commands: Subparsers) -> None:
    services = _command(commands, "services", "knowing:services", "show the catalogue, or one service of it")
    services.add_argument("name", metavar="NAME", nargs="?")
    _common(services)
    schema = _command(commands, "schema", "knowing:schema", "print a JSON Schema, for editors")
    schema.add_argument("document", choices=SCHEMAS)
    sandbox = _command(commands, "sandbox", "sandboxing:sandbox", "serve the services and IAM on loopback")
    sandbox.add_argument("--port", type=int, default=8321, help="0 takes a free one (default: 8321)")
    sandbox.add_argument("--empty", action="store_true", help="begin with nothing instead of the demo's sessions")
    sandbox.add_argument("--write-config", metavar="FILE", help="write a config for it")


def _command(commands: Subparsers, name: str, target: str, about: str) -> argparse.ArgumentParser:
    made = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
    made.set_defaults(command=target)
    return made


def _plan(command: argparse.ArgumentParser, *, optional: bool = False) -> None:
    command.add_argument("plan", metavar="PLAN", nargs="?" if optional else None)
    command.add_argument("--var", metavar="NAME=VALUE", action="append", default=[], help="set a variable of the plan")
    command.add_argument(
        "--only",
        metavar="SELECTOR",
        action="append",
        default=[],
        help="limit to NAME=GLOB[,NAME=GLOB], NAME being stage, service, connection or target; of several, any",
    )


def _running(command: argparse.ArgumentParser) -> None:
    command.add_argument("--deadline", metavar="DURATION", help="such as 45m, instead of the plan's")
    command.add_argument(
        "--progress",
        choices=PROGRESS,
        default="auto",
        help="on standard error: a live table on a terminal and plain lines elsewhere (auto), plain lines, or none",
    )
    _output(command)
    _common(command)


def _output(command: argparse.ArgumentParser) -> None:
    command.add_argument("--output", choices=OUTPUTS, default="text", help="what goes to standard output")


def _common(command: argparse.ArgumentParser, *, config: bool = True) -> None:
    if config:
        command.add_argument("--config", metavar="FILE", help="default: ORCHESTRATOR_CONFIG, else ./config.yaml, ...")
    command.add_argument("--log-level", choices=("debug", "info", "warning", "error"))
    command.add_argument("--log-format", choices=("console", "json"))


if __name__ == "__main__":
    sys.exit(main())
