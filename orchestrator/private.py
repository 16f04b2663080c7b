"""Files for their owner alone: mode 0600 in folders of mode 0700, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TextIO

LONGEST_NAME = 150
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]|^\.")


def write_secret(folder: Path, name: str, value: str) -> Path:
    """Write a secret for its owner alone, and return where it is; raises OSError.

    A name that is no plain file name is made one, with a fingerprint so that two names never meet.
    """
    safe = _UNSAFE.sub("_", name)[:LONGEST_NAME]
    if safe != name or not safe:
        safe += "-" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    with Replacing(private_folder(folder)) as new:
        new.open(safe).write(value)
    return folder / safe


class Replacing:
    """New files for a folder: they take the places of the old when all of them are on disk, or else vanish."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[tuple[TextIO, Path, Path]] = []

    def __enter__(self) -> Replacing:
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
        sync(self._folder)


def private_folder(folder: Path) -> Path:
    """Make a folder that only its owner can open, and those above it; raises OSError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_mode & 0o777 != 0o700:
        folder.chmod(0o700)
    return folder


def sync(folder: Path) -> None:
    """Put on disk what a folder's names stand for."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
