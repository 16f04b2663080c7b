"""The sandboxes of the end-to-end tests run in a process of their own, one fresh world for each test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .support import ENVIRONMENT, Site

NewWorld = Callable[[], str]


@pytest.fixture(scope="session")
def new_world() -> Iterator[NewWorld]:
    """Return what gives the URL of a fresh, empty sandbox."""
    command = [sys.executable, str(Path(__file__).with_name("worlds.py"))]
    pipes = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipes, stdout=pipes, text=True, bufsize=1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def new() -> str:
            stdin.write("new\n")
            return stdout.readline().strip()

        try:
            yield new
        finally:
            process.kill()


@pytest.fixture
def site(new_world: NewWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return Site(tmp_path, new_world())
