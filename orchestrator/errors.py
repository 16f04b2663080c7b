"""The exceptions of the program, and the exit code that each one means.

    OrchestratorError
    ├── InvalidInput        a plan, a config, a description or the usage: every fault found, at once
    ├── Refused             a guard said no before anything was sent
    ├── Stopped             the run was told to stop before anything was sent
    ├── NothingMatched      no target, and the plan does not allow that
    ├── Locked              another run of the same plan holds the lock
    ├── JournalError        the journal cannot be read or written
    └── ReportError         the report, or what goes to standard output, cannot be written

What a service answers is never an exception: it is a `model.Ruling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class OrchestratorError(Exception):
    """Something a person can act on; it is printed without a traceback."""

    exit_code = 1


class Fault(NamedTuple):
    """One thing wrong with one input: where it is, what is wrong, what to do."""

    source: str
    message: str
    line: int | None = None
    path: str = ""

    def order(self) -> tuple[str, int, str]:
        """Return what faults are sorted by: the file, then the line, then the path."""
        return self.source, self.line or 0, self.path

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        said = f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"
        return said if said.isprintable() else "".join(map(_shown, said))


def _shown(character: str) -> str:
    """Write out what would break a line or move a cursor: a fault quotes names that somebody else chose."""
    return character if character.isprintable() else character.encode("unicode_escape").decode()


class InvalidInput(OrchestratorError):  # noqa: N818  the word users see
    """Input that is not valid; carries every fault found, in the order of the lines."""

    exit_code = 2

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))

    @classmethod
    def one(cls, source: str, message: str, line: int | None = None, path: str = "") -> InvalidInput:
        """Build the exception for a single fault."""
        return cls([Fault(source, message, line, path)])


class Refused(OrchestratorError):  # noqa: N818
    """A guard refused before anything was sent."""

    exit_code = 4


class Stopped(OrchestratorError):  # noqa: N818
    """The program was told to stop before anything was sent; `exit_code` is that of the reason."""

    def __init__(self, reason: str, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(f"{reason}; nothing was sent")


class NothingMatched(OrchestratorError):  # noqa: N818
    """The plan's sources gave no target, and the plan does not say `allow_empty: true`."""

    exit_code = 6


class Locked(OrchestratorError):  # noqa: N818
    """Another run of the same plan is under way; try again later (sysexits EX_TEMPFAIL)."""

    exit_code = 75


class JournalError(OrchestratorError):
    """The journal cannot be opened, read or written."""


class ReportError(OrchestratorError):
    """The report, or what goes to standard output, cannot be written; a run that is over is in the journal."""
