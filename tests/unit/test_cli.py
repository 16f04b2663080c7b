"""The edges of the command line: odd arguments, outputs that take nothing, an interrupt before anything began."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator import cli


def called(arguments: Sequence[str | bytes], folder: Path, redirect: str = "") -> tuple[int, str, str]:
    """Run the program in a process of its own, as a shell would with a redirection."""
    command = ["sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, "-m", "orchestrator", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("option", ["--var", "--only", "--report-dir", "--config"])
def test_an_argument_whose_bytes_are_no_text_is_refused(option: str, tmp_path: Path) -> None:
    code, out, err = called(["run", "plan.yaml", option, b"x=\xff"], tmp_path)
    assert (code, out) == (2, "")
    assert err.splitlines()[0] == r"orchestrator: the argument 'x=\udcff' is not UTF-8 text"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", [["services"], ["schema", "plan"]], ids=" ".join)
def test_a_full_disk_behind_standard_output_is_said_once(command: list[str], tmp_path: Path) -> None:
    found = called(command, tmp_path, "> /dev/full")
    assert found == (1, "", "orchestrator: standard output cannot be written: No space left on device\n")


@pytest.mark.parametrize("redirect", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_output_is_no_reason_to_fail(redirect: str, tmp_path: Path) -> None:
    code, _, err = called(["services"], tmp_path, redirect)
    assert (code, err) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_the_exit_code_stands_where_nobody_can_be_told_why(tmp_path: Path) -> None:
    assert called(["services", "no-such-service"], tmp_path, "2> /dev/full")[0] == 2


def test_an_interrupt_while_a_command_is_imported_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(name: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(importlib, "import_module", interrupted)
    assert cli.main(["services"]) == 130
