"""Where targets come from: inline items, CSV, NDJSON, text files, standard input. A stream, never a list of a million.

Every source is read twice: once to check it whole (every fault, before anything is sent), count it and take its
digest, and once for real. Standard input is kept in an unnamed temporary file for that, in memory while it is small.
"""

from __future__ import annotations

import hashlib
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from orchestrator.errors import Fault, InvalidInput
from orchestrator.model import Secret, Target
from orchestrator.references import literal
from orchestrator.rows import FORMATS, Lines, Parsed, Read, Row, UnreadableError, guessed
from orchestrator.targets import RowError, TargetBuilder

STANDARD_INPUT = "standard input"
MAX_FAULTS = 20
MAX_LINE = 1_000_000
SPOOL_IN_MEMORY = 8 * 1024 * 1024
BLOCK = 1 << 20
BROKEN = (OSError, UnreadableError, InvalidInput, ValueError)  # what reading a source that changed may raise


Takes = Callable[[Target], bool]


def everything(target: Target) -> bool:
    """Take every target."""
    return True


def nobody(target: Target) -> bool:
    """Take no target."""
    return False


class Checked(NamedTuple):
    """What a first reading found: how many targets, the SHA-256 of the content, everything that is wrong."""

    total: int
    digest: str
    faults: tuple[Fault, ...] = ()


class Source(Protocol):
    """A stream of targets that can be read more than once."""

    name: str
    interactive: bool  # whether somebody may have to type it

    def check(self, takes: Takes = everything) -> Checked:
        """Read it all once, and count what is taken."""

    def digest(self) -> str:
        """Return the SHA-256 of the content without looking at its rows; raises OSError or UnreadableError."""

    def targets(self) -> Iterator[Target]:
        """Read it for real; rows that are no targets were refused by `check`."""


class Items:
    """The targets of rows that were found good before; they are made again whenever they are read, and not kept."""

    def __init__(self, rows: Sequence[Row], builder: TargetBuilder, common: Row) -> None:
        self._rows = rows
        self._builder = builder
        self._common = common

    def __iter__(self) -> Iterator[Target]:
        common, build = self._common, self._builder.build
        return (build({**common, **row} if common else row, literal) for row in self._rows)


class Inline:
    """The `items:` of a plan; they were checked before, because their faults belong to the plan."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self.name = "items"
        self.interactive = False
        self._targets = targets

    def check(self, takes: Takes = everything) -> Checked:
        """Count what is taken; the plan's own digest covers the content."""
        return Checked(sum(map(takes, self._targets)), "")

    def digest(self) -> str:
        """Return nothing: the plan's own digest covers the content."""
        return ""

    def targets(self) -> Iterator[Target]:
        """Return the items."""
        return iter(self._targets)


class Rows:
    """A file of rows, or standard input (`-`); `common` are the fields that every row shares."""

    def __init__(self, name: str, path: Path | None, builder: TargetBuilder, common: Row) -> None:
        self.name = name
        self.interactive = path is None
        self._path = path
        self._builder = builder
        self._common = common
        self._spool: IO[bytes] | None = None
        self._digest = ""

    def check(self, takes: Takes = everything) -> Checked:
        """Read it all once, and count what is taken."""
        digest = hashlib.sha256()
        try:
            count, faults = self._count(digest.update, takes)
        except OSError as error:
            return Checked(0, "", (Fault(self.name, f"cannot be read: {error.strerror}"),))
        except UnreadableError as error:
            return Checked(0, "", tuple(Fault(self.name, message, error.line) for message in error.messages))
        self._digest = digest.hexdigest()
        return Checked(count, self._digest, tuple(faults))

    def digest(self) -> str:
        """Return the SHA-256 of the content without looking at its rows; raises OSError or UnreadableError."""
        digest = hashlib.sha256()
        with self._open() as file:
            while block := file.read(BLOCK):
                digest.update(block)
        return digest.hexdigest()

    def targets(self) -> Iterator[Target]:
        """Read it for real; a file that is not what was checked any more is told of at its end."""
        digest = hashlib.sha256()
        for line, row in self._rows(digest.update):
            if isinstance(row, str):
                raise UnreadableError(row, line)
            yield self._builder.build(self._filled(row), literal)
        if self._digest and digest.hexdigest() != self._digest:
            raise UnreadableError("is not what it was when the run began")

    def _count(self, tell: Callable[[bytes], object], takes: Takes) -> tuple[int, list[Fault]]:
        count, wrong = 0, 0
        faults: list[Fault] = []
        for line, row in self._rows(tell):
            found = self._target(row)
            if isinstance(found, Target):
                count += takes(found)
                continue
            wrong += 1
            if wrong <= MAX_FAULTS:
                faults += [Fault(self.name, message, line, name) for name, message in found]
        if wrong > MAX_FAULTS:
            faults.append(Fault(self.name, f"has {wrong - MAX_FAULTS} more rows that are not valid"))
        return count, faults

    def _target(self, row: Parsed) -> Target | list[tuple[str, str]]:
        """Return the target of a row, or (field, what is wrong) of everything that is."""
        if isinstance(row, str):
            return [("", row)]
        try:
            return self._builder.build(self._filled(row), literal)
        except RowError as error:
            return error.problems

    def _rows(self, tell: Callable[[bytes], object]) -> Iterator[tuple[int, Parsed]]:
        with self._open() as file:
            lines = _lines(file, tell)
            first = next(((n, text) for n, text in lines if text.strip()), None)
            if first is None and self._path is not None and self._path.suffix.lower() == ".csv":
                raise UnreadableError("is empty; a list begins with a line that names its fields")
            if first is not None:
                yield from self._reader(first[1])(_chain(first, lines), self._builder.fields, self._builder.key)

    def _open(self) -> AbstractContextManager[IO[bytes]]:
        if self._path is not None:
            return self._path.open("rb")
        if self._spool is None:
            if sys.stdin is None:
                raise UnreadableError("is closed")
            self._spool = _spooled(sys.stdin.buffer)
        self._spool.seek(0)
        return nullcontext(self._spool)

    def _reader(self, first: str) -> Read:
        suffix = self._path.suffix.lower() if self._path else ""
        return FORMATS.get(suffix) or guessed(first, self._builder.fields)

    def _filled(self, row: Row) -> Row:
        """Put the group's common fields under a row; an empty cell is one that is not there."""
        if not self._common:
            return row
        return {**self._common, **{name: value for name, value in row.items() if value not in (None, "")}}


def unfit(path: Path) -> str:
    """Return what is wrong with a file that should be a source, or nothing; its rows are another matter."""
    try:
        kind = path.stat().st_mode
        if stat.S_ISFIFO(kind):
            return f"{path} is a pipe, and a source is read twice; for a pipe write -"
        with path.open("rb"):
            return ""
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"


def _lines(file: IO[bytes], tell: Callable[[bytes], object]) -> Lines:
    for number, data in enumerate(iter(partial(file.readline, MAX_LINE + 1), b""), 1):
        if len(data) > MAX_LINE:
            raise UnreadableError(f"has a line of more than {MAX_LINE} bytes", number)
        tell(data)
        try:
            text = data.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise UnreadableError("is not UTF-8 text", number) from None
        yield number, text


def _chain(first: tuple[int, str], rest: Lines) -> Lines:
    yield first
    yield from rest


def _spooled(stream: IO[bytes]) -> IO[bytes]:
    spool = tempfile.SpooledTemporaryFile(SPOOL_IN_MEMORY)  # noqa: SIM115  kept for the second reading
    while block := stream.read(BLOCK):
        spool.write(block)
    return spool


def resolved(common: Row, secrets: frozenset[str], resolve: Callable[[str], Secret]) -> dict[str, Any]:
    """Return a group's common fields with its secret ones resolved, because rows hold theirs literally."""
    return {name: resolve(str(value)) if name in secrets else value for name, value in common.items()}
