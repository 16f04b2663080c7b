"""The lock of a plan: a kernel's, so that it goes with its process, however that goes."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.errors import JournalError, Locked
from orchestrator.journal.lock import held

HOLD = """
import sys
from pathlib import Path
from orchestrator.journal.lock import held
with held(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, str(folder), name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_lock_that_another_process_holds(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path, "plan") as process:
        with pytest.raises(Locked, match=f"process {process.pid}"), held(tmp_path, "plan"):
            pytest.fail("it was given away twice")
        with held(tmp_path, "another"):
            pass
        process.kill()
        process.wait()
        with held(tmp_path, "plan"):
            pass


def test_a_lock_is_given_back_at_the_end_and_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), held(tmp_path, "plan"):
        raise ZeroDivisionError
    with held(tmp_path, "plan"):
        assert (tmp_path / "plan.lock").read_text() == f"{os.getpid()}\n"
        with pytest.raises(Locked), held(tmp_path, "plan"):
            pytest.fail("it was given away twice")


def test_a_file_that_was_left_behind_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "plan.lock").write_text("999999999999\n")
    with held(tmp_path, "plan"):
        assert (tmp_path / "plan.lock").read_text() == f"{os.getpid()}\n"


def test_only_its_owner_sees_it(tmp_path: Path) -> None:
    with held(tmp_path / "state" / "locks", "plan"):
        found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").rglob("*")}
        assert found == {"locks": 0o700, "plan.lock": 0o600}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_a_place_that_cannot_hold_a_lock(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError), held(tmp_path / "file", "plan"):
        pytest.fail("there is no lock to hold")


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(JournalError, match=r"plan.lock cannot be written: No space left"), held(tmp_path, "plan"):
        pytest.fail("there is no lock to hold")


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    said = r"plan.lock cannot be taken: No locks available; put state_dir on a local disk"
    with pytest.raises(JournalError, match=said), held(tmp_path, "plan"):
        pytest.fail("there is no lock to hold")
