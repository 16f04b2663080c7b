"""Runs a program to its end, or to its limit, and says what it cost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended. `started` is by the monotonic clock; `peak` is its resident memory at most, in MB."""

    code: int
    out: str
    err: str
    started: float
    wall: float
    cpu: float
    peak: float


def run(
    arguments: Sequence[str | Path],
    *,
    seconds: float = 120.0,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    memory: bool = False,
) -> Ran:
    """Run a program; it is killed with all it started after `seconds`. Code -9 says that it was."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.monotonic()
        process = subprocess.Popen(  # noqa: S603  our own arguments
            [str(argument) for argument in arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=cwd,
            env={**_environment(), **(env or {})},
            start_new_session=True,
        )
        timer = threading.Timer(seconds, _end, [process.pid])
        timer.start()
        watcher = _Watcher(process.pid) if memory else None
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            _end(process.pid)
            raise
        finally:
            timer.cancel()
        wall = time.monotonic() - started
        process.returncode = code = os.waitstatus_to_exitcode(status)
        cpu, peak = used.ru_utime + used.ru_stime, watcher.result() if watcher else 0.0
        return Ran(code, _text(out), _text(err), started, wall, cpu, peak)


def python(module: str, *arguments: str | float | Path, seconds: float = 120.0, memory: bool = False) -> Ran:
    """Run a module of the benchmarks; raise RuntimeError with what it said when it fails."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    ran = run(command, seconds=seconds, memory=memory)
    if ran.code:
        raise RuntimeError(f"{module} ended with {ran.code}: {ran.err[-500:]}")
    return ran


def beside(name: str) -> Path:
    """Return a program that stands beside the interpreter."""
    return Path(sys.executable).parent / name


def _environment() -> dict[str, str]:
    """Return the environment without the program's settings, and with bytecode kept, as wherever it is installed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**kept, "PYTHONPATH": str(ROOT)}


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


class _Watcher:
    """Reads a process's peak from /proc: what `wait4` says includes the memory of whoever forked it."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._peak = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def result(self) -> float:
        self._over.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            try:
                lines = self._status.read_text().splitlines()
            except OSError:
                return
            found = next((line for line in lines if line.startswith("VmHWM")), None)
            if found:
                self._peak = max(self._peak, int(found.split()[1]) / 1024)
