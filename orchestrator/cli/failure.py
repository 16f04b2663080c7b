"""What a person sees when a command cannot do what it was asked: words and an exit code, never a traceback."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import Fault, InvalidInput, OrchestratorError
from orchestrator.units import is_utf8

BROKEN_PIPE = 141
STANDARD_ERROR = 2  # the number of the last stream


def guarded(command: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Run a command; turn what is a person's business into a message and an exit code."""
    _open_streams()
    try:
        if wrong := [*_nowhere(), *_no_text(options)]:
            raise InvalidInput(wrong)
        return command(options)
    except OrchestratorError as error:
        with suppress(OSError):  # the exit code counts, also where nobody can be told
            print(_words(error), file=sys.stderr)  # noqa: T201
        return error.exit_code
    except BrokenPipeError:
        return BROKEN_PIPE


def _open_streams() -> None:
    """Give a process that was started with closed streams some that go nowhere.

    A file or a connection would else get the number of a stream, which some libraries take for a mistake: libuv aborts.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        pass
    os.close(number)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123  until the end


def _nowhere() -> Iterator[Fault]:
    """Find a working directory that is gone; nearly every path begins there."""
    try:
        Path.cwd()
    except OSError as error:
        yield Fault("the working directory", f"cannot be used: {error.strerror}; go to another one")


def _no_text(options: argparse.Namespace) -> Iterator[Fault]:
    """Find the arguments whose bytes are no UTF-8: neither the journal nor a report could hold them."""
    for value in vars(options).values():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and not is_utf8(text):
                yield Fault("orchestrator", f"the argument {text!r} is not UTF-8 text")


def _words(error: OrchestratorError) -> str:
    if isinstance(error, InvalidInput):
        number = len(error.faults)
        return f"{error}\norchestrator: {number} fault{'s' if number != 1 else ''}; nothing was sent"
    return f"orchestrator: {error}"
