"""The report on disk: every file whole or not at all, mode 0600, in a folder of mode 0700."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TextIO

from orchestrator.report.csv_writer import CsvWriter
from orchestrator.report.html_writer import HtmlWriter
from orchestrator.report.json_writer import JsonLinesWriter, document
from orchestrator.report.junit_writer import JUnitWriter
from orchestrator.report.markdown_writer import MarkdownWriter
from orchestrator.report.summary import Summary
from orchestrator.report.text import LISTED
from orchestrator.report.writer import Chosen, feed

LATEST = "latest"
LONGEST_NAME = 150
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]|^\.")


@dataclass(frozen=True, slots=True)
class Written:
    """What came of writing a report: notes for people, and the lines that `text_summary` wants."""

    notes: tuple[str, ...]
    worst: tuple[str, ...]


def write_folder(folder: Path, summary: Summary, lines_factory: Callable[[], Iterable[str]]) -> Written:
    """Write the whole report in one pass over the lines, then point `latest` at it; raises OSError.

    Until everything is on disk the files of an earlier report stay; report.json changes last.
    """
    chosen = Chosen(summary, LISTED)
    with _Replacing(private_folder(folder)) as new:
        writers = (
            JsonLinesWriter(new.open("outcomes.jsonl")),
            CsvWriter(new.open("outcomes.csv")),
            HtmlWriter(new.open("report.html"), summary),
            MarkdownWriter(new.open("report.md"), summary),
            JUnitWriter(new.open("junit.xml"), summary),
        )
        report = new.open("report.json")
        feed([*writers, chosen], lines_factory())
        report.write(document(summary))
    return Written(_point_latest(folder), tuple(chosen.worst_lines))


def write_secret(folder: Path, name: str, value: str) -> Path:
    """Write a secret for its owner alone, and return where it is; raises OSError.

    A name that is no plain file name is made one, with a fingerprint so that two names never meet.
    """
    safe = _UNSAFE.sub("_", name)[:LONGEST_NAME]
    if safe != name or not safe:
        safe += "-" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    with _Replacing(private_folder(folder)) as new:
        new.open(safe).write(value)
    return folder / safe


class _Replacing:
    """New files for a folder: they take the places of the old when all of them are on disk, or else vanish."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[tuple[TextIO, Path, Path]] = []

    def __enter__(self) -> _Replacing:
        return self

    def open(self, name: str) -> TextIO:
        """Open a new file under a name of its own; what a crash left behind there goes."""
        temporary = self._folder / f".{name}.tmp"
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(temporary, flags, 0o600)
        file = open(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="")  # noqa: PTH123, SIM115
        self._files.append((file, temporary, self._folder / name))
        return file

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            for file, temporary, _ in self._files:
                with suppress(OSError):  # a full disk fails at the last flush too; the first error is the one to tell
                    file.close()
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)

    def _finish(self) -> None:
        for file, _, _ in self._files:
            file.flush()
            os.fsync(file.fileno())
            file.close()
        for _, temporary, path in self._files:
            temporary.replace(path)
        _sync(self._folder)


def private_folder(folder: Path) -> Path:
    """Make a folder that only its owner can open, and those above it; raises OSError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_mode & 0o777 != 0o700:
        folder.chmod(0o700)
    return folder


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _point_latest(folder: Path) -> tuple[str, ...]:
    """Let `latest` beside the folder point at it; the report stands without, so trouble here is only told."""
    latest, temporary = folder.parent / LATEST, folder.parent / f".{LATEST}.tmp"
    try:
        if latest.exists() and not latest.is_symlink():
            return (f"{latest} is no symbolic link; it is left as it is, and does not point at this report",)
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(folder.name, target_is_directory=True)
        temporary.replace(latest)
        _sync(folder.parent)
    except OSError as error:
        return (f"{latest} could not be pointed at this report: {error.strerror or error}",)
    return ()
