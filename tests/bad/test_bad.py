"""Every way to be wrong that has a file here: the message a person gets, exit code 2, and nothing sent.

What is expected stands in the file itself, in comments at its end (`# expect:`, and `# args:` for options), or beside
it in a file that ends in `.expect` where a comment would change what is tested.
"""

from __future__ import annotations

import select
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import cli

HERE = Path(__file__).parent
SECRETS = {"BAD_AK": "an-access-key", "BAD_SK": "a-secret-key", "BAD_TICKET": "TGT-1-x", "BAD_COOKIE": "TGT;1"}
CONFIG = """
state_dir: {folder}/state
report_dir: {folder}/reports
connections:
  cloud:
    endpoint: http://127.0.0.1:{port}
    project_id: 0123456789abcdef0123456789abcdef
    auth: {{type: aksk, access_key: "env:BAD_AK", secret_key: "env:BAD_SK"}}
  no-project:
    endpoint: http://127.0.0.1:{port}
    auth: {{type: aksk, access_key: "env:BAD_AK", secret_key: "env:BAD_SK"}}
  otc:
    cloud: otc
    region: eu-de
    project_id: 0123456789abcdef0123456789abcdef
    auth: {{type: aksk, access_key: "env:BAD_AK", secret_key: "env:BAD_SK"}}
  manager: {{endpoint: "http://127.0.0.1:{port}", auth: {{type: none}}}}
  cluster: {{cloud: otc, region: eu-de, auth: {{type: none}}}}
"""
PLAN = """
name: good
targets:
  - service: workspace.desktops
    connection: cloud
    {source}
"""
ITEMS = "items: [{desktop_id: d-1}]"


def cases(kind: str) -> list[Path]:
    return sorted(path for path in (HERE / kind).iterdir() if path.suffix != ".expect")


def expected(path: Path) -> list[str]:
    beside = path.with_suffix(path.suffix + ".expect")
    lines = (beside if beside.exists() else path).read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("# expect: ") for line in lines if line.startswith("# expect: ")]


def options(path: Path) -> list[str]:
    lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    return next((line.removeprefix("# args: ").split() for line in lines if line.startswith("# args: ")), [])


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


def check(path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str], *folders: Path) -> None:
    code = cli.main(arguments)
    shown = capsys.readouterr()
    text = shown.err
    for folder in folders:
        text = text.replace(f"{folder}/", "")
    assert (code, shown.out) == (2, "")
    assert text.splitlines() == [*expected(path)], text


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
    copy = shutil.copy(path, tmp_path / path.name)
    plan = tmp_path / "good.yaml"
    plan.write_text(PLAN.format(source=ITEMS))
    check(path, ["run", str(plan), "--config", str(copy)], capsys, tmp_path)
    assert {made.name for made in tmp_path.iterdir()} == {path.name, "good.yaml"}


@pytest.mark.parametrize("path", cases("service"), ids=lambda path: path.stem)
def test_a_bad_description(path: Path, tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "catalogue"
    folder.mkdir()
    shutil.copy(path, folder / path.name)
    config.write_text(config.read_text() + "catalogue: [catalogue]\n")
    plan = tmp_path / "good.yaml"
    plan.write_text(PLAN.format(source=ITEMS))
    check(path, ["run", str(plan), "--config", str(config)], capsys, folder, tmp_path)


@pytest.mark.parametrize("path", cases("sources"), ids=lambda path: path.stem)
def test_a_bad_source(path: Path, tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "good.yaml"
    plan.write_text(PLAN.format(source=f"from: {path}"))
    check(path, ["run", str(plan), "--config", str(config)], capsys, HERE / "sources", tmp_path)


def test_a_bad_environment(config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_STATEDIR", "x")
    monkeypatch.setenv("ORCHESTRATOR_LOG__LEVEL", "loud")
    monkeypatch.chdir(HERE / "plan")
    assert cli.main(["run", "no-name.yaml", "--config", str(config)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "environment variable ORCHESTRATOR_STATEDIR: there is no such setting; did you mean 'state_dir'?",
        "environment variable ORCHESTRATOR_LOG__LEVEL: should be 'debug', 'info', 'warning' or 'error'",
        "orchestrator: 2 faults; nothing was sent",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "no-such-plan.yaml"], "no-such-plan.yaml: cannot be read: No such file or directory"),
        (["run", "."], "cannot be read: Is a directory"),
        (["run", "plan.yaml", "--config", "no-such-config.yaml"], "no-such-config.yaml: cannot be read"),
        (["run"], "the following arguments are required: PLAN"),
        (["rn"], "invalid choice: 'rn'"),
        (["show", "no-such-run"], "there is no run 'no-such-run'"),
        (["services", "dcs.webcly"], "'dcs.webcly' is not in the catalogue; did you mean 'dcs.webcli'?"),
        (["doctor"], "is not available in this version yet"),
        (["diff", "a", "b"], "is not available in this version yet"),
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


def test_no_secret_of_a_bad_file_is_ever_shown() -> None:
    shown = [line for kind in ("plan", "config") for path in cases(kind) for line in expected(path)]
    assert not [line for line in shown if "hunter2" in line.lower()]
    assert shown


def test_every_file_says_what_is_expected() -> None:
    every = [path for kind in ("plan", "config", "service", "sources") for path in cases(kind)]
    assert len(every) > 150
    assert [path.name for path in every if not expected(path)] == []
