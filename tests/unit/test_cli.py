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
from orchestrator import demo as script


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


@pytest.mark.parametrize("command", [["runs"], ["services"], ["run", "/plan.yaml"]], ids=" ".join)
def test_a_working_directory_that_is_gone_is_said(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    gone = ["sh", "-c", 'cd gone && rmdir ../gone && exec "$@"', "sh", sys.executable, "-P", "-m", "orchestrator"]
    done = subprocess.run([*gone, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "the working directory: cannot be used: No such file or directory; go to another one",
        "orchestrator: 1 fault; nothing was sent",
    ]


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


def test_an_interrupt_while_a_command_is_imported_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    importlib.import_module("orchestrator.cli.failure")  # before it; what it imports comes in that way too

    def interrupted(name: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(importlib, "import_module", interrupted)
    assert cli.main(["services"]) == 130
    assert capsys.readouterr() == ("", "orchestrator: interrupted\n")


CONFIG = """\
connections:
  nowhere: {endpoint: "http://127.0.0.1:9", auth: {type: none}}
limits: {mrs.cas: {attempts: 1}}
"""
PLAN = """\
name: one
targets:
  - {service: mrs.cas, connection: nowhere, items: [{ticket: "env:TICKET"}, {ticket: "env:TICKET"}]}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """A run of one target that was listed twice, and failed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TICKET", "TGT-1-x")
    Path("config.yaml").write_text(CONFIG)
    Path("one.yaml").write_text(PLAN)
    assert cli.main(["run", "one.yaml"]) == 3
    capsys.readouterr()
    (folder,) = Path("reports").glob("2*")
    return folder.name


def test_runs_stand_one_a_line_under_their_headings(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["runs"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["run", "exit", "good", "of", "status"]
    assert [line.split(maxsplit=4) for line in lines] == [[run, "3", "0", "1", "not all good"]]


def test_without_runs_there_are_no_headings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["runs"]) == 0
    assert capsys.readouterr() == ("", "no runs yet\n")


@pytest.mark.parametrize("form", ["csv", "junit", "json"])
def test_the_notes_of_a_run_are_told_beside_its_report(form: str, run: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", run, "--format", form]) == 0
    err = capsys.readouterr().err
    assert err == "warning: 1 row named a target that was listed before; it is called once\n"


def test_a_resume_says_which_run_of_which_plan_it_goes_on_with(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["resume", "latest", "--progress", "none"]) == 3
    assert capsys.readouterr().err == f"goes on with the run {run} of {Path.cwd() / 'one.yaml'}\n"


def test_the_demo_names_no_command_that_its_vanished_sandbox_would_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in script.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)  # the demo sets them too, and pytest takes them back
    assert cli.main(["demo"]) == 0
    shown = capsys.readouterr().out
    assert "1 of 160 targets not good" in shown
    assert "resume" not in shown


@pytest.mark.parametrize(
    "arguments", [["resume", ""], ["show", ""], ["run", ""], ["runs", "--config", ""], ["run", "p", "--report-dir", ""]]
)
def test_an_empty_argument_is_a_variable_that_is_not_set_and_no_wish(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(arguments)
    assert "it is empty, and should be a name" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["-1", "65536", "99999", "x", "1.5", "٣"])
def test_a_port_that_cannot_be_is_what_the_sandbox_complains_of(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["sandbox", "--port", port])
    assert "is no port" in capsys.readouterr().err


def test_a_config_that_the_sandbox_cannot_write_is_what_it_complains_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "no-such-folder" / "config.yaml"
    assert cli.main(["sandbox", "--port", "0", "--write-config", str(path)]) == 2
    said = f"--write-config: {path} cannot be written: No such file or directory"
    assert capsys.readouterr().err.splitlines()[0] == said


def test_a_folder_whose_name_is_no_text_is_refused_before_anything_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKET", "TGT-1-x")
    folder = tmp_path / os.fsdecode(b"\xff")
    folder.mkdir()
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "one.yaml").write_text(PLAN)
    code, out, err = called(["run", "one.yaml"], folder)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["plan", "config", "report_dir", "orchestrator"]
    assert lines[0].startswith(rf"plan: the path '{tmp_path}/\udcff/one.yaml' is not UTF-8 text")
    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "one.yaml"]
