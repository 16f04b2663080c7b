"""Secrets by reference: `env:NAME` and `file:PATH` become values here, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.model import Secret, Unread

MAX_BYTES = 65_536
LITERAL = "is a literal secret; write a reference instead: env:NAME or file:PATH"


class References:
    """Resolves references; a relative path is relative to `folder`, the place of the file that has the reference."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def resolve(self, reference: str) -> Secret:
        """Return the secret; raise ValueError with what is wrong, never with what the secret is."""
        as_written(reference)
        kind, _, name = reference.partition(":")
        return self._from_environment(name) if kind == "env" else self._from_file(self._folder / name)

    @staticmethod
    def _from_environment(name: str) -> Secret:
        value = os.environ.get(name, "")
        if not value:
            raise ValueError(f"refers to the environment variable {name}, which is not set")
        if not value.isprintable():
            raise ValueError(f"refers to the environment variable {name}, which is not printable text")
        return Secret(value)

    @staticmethod
    def _from_file(path: Path) -> Secret:
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            value = data.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise ValueError(f"refers to the file {path}, which is not UTF-8 text") from None
        except OSError as error:
            raise ValueError(f"refers to the file {path}, which cannot be read: {error.strerror}") from None
        if not value or len(data) > MAX_BYTES:
            raise ValueError(f"refers to the file {path}, which {'is too long' if value else 'is empty'}")
        return Secret(value)


def as_written(reference: str) -> Secret:
    """Return a reference as it stands, for checks that must do without the secret itself; raise like `resolve`."""
    kind, _, name = reference.partition(":")
    if kind not in ("env", "file") or not name.strip() or not name.isprintable():
        raise ValueError(LITERAL)
    return Unread(reference)


def literal(value: str) -> Secret:
    """Return the secret that a data source (CSV, NDJSON, text, standard input) holds literally."""
    return Secret(value)
