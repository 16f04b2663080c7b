"""What the commands share: reading the config, the variables, and putting text on standard output."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from orchestrator import logs, settings
from orchestrator.errors import Fault, InvalidInput, ReportError
from orchestrator.settings import ConfigFile
from orchestrator.units import parse_duration


def read_config(options: argparse.Namespace) -> ConfigFile:
    """Read the config and set up logging as it and the options say; raise InvalidInput with every fault."""
    config_file = settings.load(settings.find(options.config, os.environ), os.environ)
    log = config_file.config.log
    logs.configure(options.log_level or log.level, options.log_format or log.format)
    return config_file


def variables(options: argparse.Namespace) -> dict[str, str]:
    """Return the `--var NAME=VALUE` options."""
    pairs = [text.partition("=") for text in options.var]
    wrong = [Fault("--var", f"{name!r} should be NAME=VALUE") for name, equals, _ in pairs if not equals or not name]
    if wrong:
        raise InvalidInput(wrong)
    return {name: value for name, _, value in pairs}


def duration(text: str | None, option: str = "--deadline") -> float | None:
    """Return the seconds that an option says; None where it is not given."""
    if text is None:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise InvalidInput.one(option, str(error)) from None
    if seconds <= 0:
        raise InvalidInput.one(option, "should be longer than zero")
    return seconds


def say(text: str) -> None:
    """Print to standard output, whatever its encoding can carry."""
    with standard_output() as out:
        encoding = out.encoding or "utf-8"
        out.write(text.encode(encoding, "backslashreplace").decode(encoding))
        if not text.endswith("\n"):
            out.write("\n")


@contextmanager
def standard_output() -> Iterator[TextIO]:
    """Write to standard output; when it takes no more, say so once, and let nothing fail at the exit again."""
    try:
        yield sys.stdout
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise ReportError(f"standard output cannot be written: {error.strerror}") from None


def tell(text: str) -> None:
    """Print one line to standard error, with nothing in it that a terminal would obey."""
    from orchestrator.report.wording import one_line

    print(one_line(text), file=sys.stderr)  # noqa: T201


def warn(text: str) -> None:
    """Print a warning to standard error."""
    tell(f"warning: {text}")
