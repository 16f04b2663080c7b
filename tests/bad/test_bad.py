"""Every way to be wrong that has a file here: the message a person gets, exit code 2, and nothing sent."""

from __future__ import annotations

import os
import re
import select
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import cli

from .support import (
    CONFIG,
    HERE,
    ITEMS,
    KINDS,
    LAB,
    PLAN,
    SECRETS,
    beside,
    cases,
    check,
    expected,
    good_plan,
    options,
    said,
    written,
)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A port that must never be called; its backlog would show it."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening
        readable, _, _ = select.select([listening], [], [], 0)
        assert not readable, "something was sent"


@pytest.fixture
def config(tmp_path: Path, service: socket.socket) -> Iterator[Path]:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(folder=tmp_path, port=service.getsockname()[1]))
    yield path
    assert not (tmp_path / "state").exists(), "a journal was begun"
    assert not (tmp_path / "reports").exists(), "a report was begun"


@pytest.mark.parametrize("path", cases("plan"), ids=lambda path: path.stem)
def test_a_bad_plan(
    path: Path, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    check(path, ["run", path.name, "--config", str(config), *options(path)], capsys, HERE / "plan", HERE, config.parent)


OFFLINE = [path for path in cases("plan") if not options(path) and not path.stem.startswith("secret-")]


@pytest.mark.parametrize("path", OFFLINE, ids=lambda path: path.stem)
def test_what_run_refuses_validate_refuses_in_the_same_words(
    path: Path, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    for name in SECRETS:
        monkeypatch.delenv(name)
    arguments = ["validate", path.name, "--config", str(config)]
    check(path, arguments, capsys, HERE / "plan", HERE, config.parent)


@pytest.mark.parametrize("path", cases("config"), ids=lambda path: path.stem)
def test_a_bad_config(path: Path, tmp_path: Path, service: socket.socket, capsys: pytest.CaptureFixture[str]) -> None:
    copy = written(path, tmp_path, service.getsockname()[1])
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "thing.yaml").write_text(LAB)
    if said(path, "service"):
        copy.write_bytes(copy.read_bytes() + b"catalogue: [lab]\n")
    plan = good_plan(tmp_path, path)
    check(path, ["run", str(plan), "--config", str(copy)], capsys, tmp_path)
    assert {made.name for made in tmp_path.iterdir()} == {path.name, "good.yaml", "lab"}


@pytest.mark.parametrize("path", cases("environment"), ids=lambda path: path.stem)
def test_a_bad_environment(
    path: Path, tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            monkeypatch.setenv(*line.split("=", 1))
    chosen = [] if "ORCHESTRATOR_CONFIG=" in path.read_text(encoding="utf-8") else ["--config", str(config)]
    check(path, ["run", str(good_plan(tmp_path, path)), *chosen], capsys, tmp_path)


@pytest.mark.parametrize("path", cases("service"), ids=lambda path: path.stem)
def test_a_bad_description(path: Path, tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "catalogue"
    folder.mkdir()
    shutil.copy(path, folder / path.name)
    config.write_text(config.read_text() + "catalogue: [catalogue]\n")
    check(path, ["run", str(good_plan(tmp_path, path)), "--config", str(config)], capsys, folder, tmp_path)


@pytest.mark.parametrize("path", cases("sources"), ids=lambda path: path.stem)
def test_a_bad_source(path: Path, tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = good_plan(tmp_path, path, f"from: {path}")
    check(path, ["run", str(plan), "--config", str(config)], capsys, HERE / "sources", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "no-such-plan.yaml"], "no-such-plan.yaml: cannot be read: No such file or directory"),
        (["run", "."], "cannot be read: Is a directory"),
        (["run", "plan.yaml", "--config", "no-such-config.yaml"], "no-such-config.yaml: cannot be read"),
        (["run"], "run needs a PLAN, or --sealed FILE"),
        (["preview"], "the following arguments are required: PLAN"),
        (["rn"], "invalid choice: 'rn'"),
        (["show", "no-such-run"], "there is no run 'no-such-run'"),
        (["services", "dcs.webcly"], "'dcs.webcly' is not in the catalogue; did you mean 'dcs.webcli'?"),
        (["run", "plan.yaml", "--output", "xml"], "argument --output: invalid choice: 'xml'"),
        (["run", "plan.yaml", "--deadline", "-5m"], "argument --deadline: expected one argument"),
        (["run", "plan.yaml", "--dedline", "5m"], "unrecognized arguments: --dedline"),
        (["validate", "no-such-plan.yaml"], "no-such-plan.yaml: cannot be read: No such file or directory"),
        (["doctor"], "has no connections"),
        (["diff", "a", "b"], "there is no run 'a'"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_bad_usage_in_a_process_of_its_own(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


ON_THEIR_OWN = [
    "many-faults-at-once.yaml",
    "literal-secret.yaml",
    "exploding-anchors.yaml",
    "not-utf-8.yaml",
    "empty.yaml",
]


@pytest.mark.parametrize("name", ON_THEIR_OWN)
def test_a_bad_plan_in_a_process_of_its_own(name: str, config: Path) -> None:
    command = [sys.executable, "-m", "orchestrator", "run", name, "--config", str(config)]
    done = subprocess.run(command, cwd=HERE / "plan", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == expected(HERE / "plan" / name)


@pytest.mark.parametrize("service_name", ITEMS)
def test_what_stands_around_a_bad_file_is_good(
    service_name: str, tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "thing.yaml").write_text(LAB)
    config.write_text(config.read_text() + "catalogue: [lab]\n")
    plan = tmp_path / "good.yaml"
    plan.write_text(PLAN.format(service=service_name, connection="cloud", source=ITEMS[service_name]))
    assert cli.main(["validate", str(plan), "--config", str(config)]) == 0
    assert capsys.readouterr() == (f"{plan}: valid, 1 target\n", "")


def test_the_port_that_counts_notices_a_call() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert not select.select([listening], [], [], 0)[0]
        with socket.create_connection(listening.getsockname()):
            assert select.select([listening], [], [], 1)[0]


def test_a_secret_whose_file_only_exists_later_is_no_fault_offline(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "good.yaml"
    source = 'items: [{ticket: "file:no such folder/ticket"}]'
    plan.write_text(PLAN.format(service="mrs.cas", connection="manager", source=source))
    assert cli.main(["validate", str(plan), "--config", str(config)]) == 0
    assert capsys.readouterr().err == ""


def test_a_pipe_is_refused_instead_of_waited_for(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    plan = good_plan(tmp_path, HERE / "plan" / "no-name.yaml", "from: pipe")
    assert cli.main(["run", str(plan), "--config", str(config)]) == 2
    assert "a source is read twice; for a pipe write -" in capsys.readouterr().err


def test_no_secret_of_a_bad_file_is_ever_shown() -> None:
    holding = [path for kind in KINDS for path in cases(kind) if b"hunter2" in path.read_bytes().lower()]
    assert len(holding) > 20
    assert not [line for path in holding for line in expected(path) if "hunter2" in line.lower()]


EVERY = [path for kind in KINDS for path in cases(kind)]


def test_every_file_is_a_case_and_says_what_is_expected() -> None:
    assert len(EVERY) > 300
    assert [path.name for path in EVERY if not expected(path)] == []
    used = {*EVERY, *(beside(path) for path in EVERY if beside(path).exists())}
    there = {path for kind in KINDS for path in (HERE / kind).rglob("*")}
    assert there - used == set()
    assert {path.name for path in HERE.iterdir() if path.is_dir()} - {"__pycache__", "lists"} == set(KINDS)


@pytest.mark.parametrize("path", EVERY, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_a_person_reads_is_complete_in_order_and_in_plain_words(path: Path) -> None:
    *faults, last = expected(path)
    assert last == f"orchestrator: {len(faults)} fault{'s' if len(faults) > 1 else ''}; nothing was sent"
    here = [re.match(rf"{re.escape(path.name)}:(\d+): ", fault) for fault in faults]
    lines = [int(found[1]) for found in here if found]
    assert lines == sorted(lines)
    for fault in faults:
        assert not re.search(r"\bInput\b|pydantic|valid (dictionary|string|integer|boolean)|instance of|None", fault)
