"""The command line: one parser, and one function per command, imported only when it runs."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence

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
LAST_PORT = 65_535
SCHEMAS = ("plan", "config", "service")

Command: TypeAlias = Callable[[argparse.Namespace], int]
Add: TypeAlias = Callable[[argparse.ArgumentParser], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an interrupt before a run has begun, imports included, is 130."""
    try:
        given = sys.argv[1:] if arguments is None else arguments
        options = parser(given[0] if given else "").parse_args(given)
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "true")  # else every installed package is looked through
        from orchestrator.certificates import without_certificates

        with Resting(keep=True), without_certificates():
            from orchestrator.cli.failure import guarded

            module, _, name = options.command.partition(":")
            command: Command = getattr(importlib.import_module(f"orchestrator.cli.{module}"), name)
        return guarded(command, options)
    except KeyboardInterrupt:
        from contextlib import suppress

        with suppress(OSError, AttributeError):  # the exit code counts, also where nobody can be told
            sys.stderr.write("orchestrator: interrupted\n")
        return INTERRUPTED


def parser(only: str = "") -> argparse.ArgumentParser:
    """Return the parser of the command line: of the whole of it, unless `only` is a command."""
    top = argparse.ArgumentParser(
        prog="orchestrator",
        description="End sessions in bulk: a YAML plan goes in, one outcome per target comes out.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"orchestrator {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for name in [only] if only in COMMANDS else COMMANDS:
        add, target, about = COMMANDS[name]
        made = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        made.set_defaults(command=target)
        add(made)
    return top


def _named(text: str) -> str:
    if not text:  # of a variable that is not set, most often
        raise argparse.ArgumentTypeError("it is empty, and should be a name")
    return text


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) > LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; it should be a number from 0 to {LAST_PORT}")
    return int(text)


def _demo(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--keep", type=_named, metavar="DIR", help="folder for journal and reports (default: ./orchestrator-demo)"
    )
    _common(command, config=False)


def _run(command: argparse.ArgumentParser) -> None:
    _plan(command, optional=True)
    command.add_argument(
        "--sealed", type=_named, metavar="FILE", help="do what `preview --seal FILE` resolved, or refuse"
    )
    command.add_argument(
        "--tolerance", metavar="AMOUNT", help="of --sealed: so many targets, or N%%, may be new or gone (0)"
    )
    command.add_argument(
        "--dry-run", action="store_true", help="send nothing that changes anything: the same as preview"
    )
    command.add_argument(
        "--report-dir", type=_named, metavar="DIR", help="folder of the reports, instead of the config's"
    )
    command.add_argument("--yes", action="store_true", help="ask nothing, also when the last run did not finish")
    _running(command)


def _preview(command: argparse.ArgumentParser) -> None:
    _plan(command)
    command.add_argument(
        "--seal", type=_named, metavar="FILE", help="write down what was resolved, for `run --sealed FILE`"
    )
    command.add_argument("--expires", metavar="DURATION", help="how long a seal is good for (default: 24h)")
    command.add_argument(
        "--latency",
        metavar="DURATION",
        help="what a call takes, for the forecast (default: what earlier runs measured)",
    )
    _output(command)
    _common(command)


def _resume(command: argparse.ArgumentParser) -> None:
    command.add_argument("run", type=_named, metavar="RUN", help="its id, the beginning of it, or `latest`")
    command.add_argument("--yes", action="store_true", help="ask nothing, also when the run began long ago")
    _running(command)


def _validate(command: argparse.ArgumentParser) -> None:
    command.add_argument("plans", type=_named, metavar="PLAN", nargs="+")
    command.add_argument("--var", metavar="NAME=VALUE", action="append", default=[], help="set a variable of the plans")
    _common(command)


def _runs(command: argparse.ArgumentParser) -> None:
    _common(command)


def _show(command: argparse.ArgumentParser) -> None:
    command.add_argument("run", type=_named, metavar="RUN", help="its id, the beginning of it, or `latest`")
    _common(command)


def _report(command: argparse.ArgumentParser) -> None:
    command.add_argument("run", type=_named, metavar="RUN", help="its id, the beginning of it, or `latest`")
    command.add_argument("--format", choices=FORMATS, default="markdown")
    _common(command)


def _diff(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "run", type=_named, metavar="RUN", help="the earlier one: its id, the beginning of it, or `latest`"
    )
    command.add_argument(
        "other",
        type=_named,
        metavar="RUN",
        nargs="?",
        help="the later one; without it RUN is held against the one before it",
    )
    _output(command)
    _common(command)


def _doctor(command: argparse.ArgumentParser) -> None:
    command.add_argument("connections", metavar="CONNECTION", nargs="*", help="only these (default: all of the config)")
    command.add_argument(
        "--service",
        metavar="NAME",
        action="append",
        default=[],
        help="ask only this service, and let a missing permission fail",
    )
    command.add_argument("--timeout", metavar="DURATION", default="30s", help="for each connection (default: 30s)")
    _output(command)
    _common(command)


def _services(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", metavar="NAME", nargs="?")
    _common(command)


def _schema(command: argparse.ArgumentParser) -> None:
    command.add_argument("document", choices=SCHEMAS)


def _sandbox(command: argparse.ArgumentParser) -> None:
    command.add_argument("--port", type=_port, default=8321, help="0 takes a free one (default: 8321)")
    command.add_argument("--empty", action="store_true", help="begin with nothing instead of the demo's sessions")
    command.add_argument("--write-config", type=_named, metavar="FILE", help="write a config for it")


def _plan(command: argparse.ArgumentParser, *, optional: bool = False) -> None:
    command.add_argument("plan", type=_named, metavar="PLAN", nargs="?" if optional else None)
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
        command.add_argument(
            "--config", type=_named, metavar="FILE", help="default: ORCHESTRATOR_CONFIG, else ./config.yaml, ..."
        )
    command.add_argument("--log-level", choices=("debug", "info", "warning", "error"))
    command.add_argument("--log-format", choices=("console", "json"))


COMMANDS: Mapping[str, tuple[Add, str, str]] = {
    "demo": (_demo, "demo:demo", "run plans/demo.yaml against the sandbox, start to report"),
    "run": (_run, "running:run", "run a plan, or do exactly what was sealed"),
    "preview": (_preview, "looking:preview", "show what a run would do; changes nothing"),
    "resume": (_resume, "running:resume", "go on with a run that stopped"),
    "validate": (_validate, "looking:validate", "check plans, config and catalogue, offline"),
    "runs": (_runs, "looking:runs", "list the runs in the journal"),
    "show": (_show, "looking:show", "show one run in full"),
    "report": (_report, "looking:report", "write a run's report from the journal"),
    "diff": (_diff, "comparing:diff", "compare two runs: what got worse, what got better"),
    "doctor": (_doctor, "doctoring:doctor", "check every connection, and change nothing"),
    "services": (_services, "knowing:services", "show the catalogue, or one service of it"),
    "schema": (_schema, "knowing:schema", "print a JSON Schema, for editors"),
    "sandbox": (_sandbox, "sandboxing:sandbox", "serve the services and IAM on loopback"),
}


if __name__ == "__main__":
    sys.exit(main())
