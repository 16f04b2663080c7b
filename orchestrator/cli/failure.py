"""What a person sees when a command cannot do what it was asked: words and an exit code, never a traceback."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from orchestrator.errors import InvalidInput, OrchestratorError

BROKEN_PIPE = 141


def guarded(command: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Run a command; turn what is a person's business into a message and an exit code."""
    try:
        return command(options)
    except OrchestratorError as error:
        print(_words(error), file=sys.stderr)  # noqa: T201
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return 130


def _words(error: OrchestratorError) -> str:
    if isinstance(error, InvalidInput):
        number = len(error.faults)
        return f"{error}\norchestrator: {number} fault{'s' if number != 1 else ''}; nothing was sent"
    return f"orchestrator: {error}"
