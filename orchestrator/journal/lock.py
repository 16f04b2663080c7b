"""One run of a plan at a time: a kernel lock, which goes with the process, however it goes."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import JournalError, Locked

PATIENCE = 20  # looks, a hundredth of a second apart


@contextmanager
def held(folder: Path, name: str) -> Iterator[None]:
    """Hold the lock of a plan; raise Locked when another process holds it, JournalError when nobody can."""
    path = folder / f"{name}.lock"
    try:
        for place in (folder.parent, folder):  # `mode` is not for what `parents` makes
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalError(f"the lock {path} cannot be made: {error.strerror}; it lies in state_dir") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(f"another run of this plan is under way (process {_owner(descriptor)})") from None
        except OSError as error:
            said = f"the lock {path} cannot be taken: {error.strerror}"
            raise JournalError(f"{said}; put state_dir on a local disk") from None
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            raise JournalError(f"the lock {path} cannot be written: {error.strerror}") from None
        yield
    finally:
        os.close(descriptor)


def _owner(descriptor: int) -> str:
    """Return the process that holds a lock; one that took it just now has yet to write who it is."""
    for _ in range(PATIENCE):
        if owner := os.pread(descriptor, 32, 0).decode("ascii", "replace").strip():
            return owner
        time.sleep(0.01)
    return "unknown"
