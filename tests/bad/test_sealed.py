"""Sealed plans that are none: words and exit code 2, and nothing is begun."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli, sealfile
from orchestrator.errors import InvalidInput

GOOD: dict[str, Any] = {
    "program": "0",
    "created": "2026-11-22T00:00:00.000Z",
    "expires": "2999-11-22T00:00:00.000Z",
    "plan": {"name": "p", "path": "/p.yaml", "text": "0" * 64, "digest": "0" * 64, "variables": {}},
    "catalogue": "0" * 64,
    "config": "0" * 64,
    "inputs": {},
    "selector": [],
    "targets": 1,
    "calls": 1,
    "lanes": [{"stage": "s", "lane": "l", "targets": 1, "calls": 1}],
    "groups": [{"stage": "s", "service": "x", "connection": "c", "source": "items", "targets": ["a"]}],
}


def document(**changes: object) -> bytes:
    return json.dumps({**sealfile.made(GOOD).model_dump(mode="json"), **changes}).encode()


def nested(depth: int) -> bytes:
    return b'{"seal":1,"plan":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("connections: {}\n")
    return tmp_path / "plan.seal"


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert cli.main(["run", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    assert not Path(".orchestrator").exists()
    lines = shown.err.splitlines()
    assert lines[-1].endswith("nothing was sent")
    return lines[:-1]


NO_SEAL = "is no sealed plan (`orchestrator preview PLAN --seal FILE` makes one)"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"", "is not JSON, or was cut off", id="empty"),
        pytest.param(b"name: nightly\n", "is not JSON, or was cut off", id="a-plan"),
        pytest.param(document()[:-9], "is not JSON, or was cut off", id="truncated"),
        pytest.param(b"\xff\xfe\x00", "is not JSON, or was cut off", id="bytes"),
        pytest.param(b"[" * 100_000, "is not JSON, or was cut off", id="deep-lists"),
        pytest.param(nested(100_000), "is not JSON, or was cut off", id="deep"),
        pytest.param(nested(900), "plan.name: is missing, and is required", id="less-deep"),
        pytest.param(b"[]", NO_SEAL, id="a-list"),
        pytest.param(b"null", NO_SEAL, id="null"),
        pytest.param(b"{}", NO_SEAL, id="nothing-in-it"),
        pytest.param(b'{"seal": true}', NO_SEAL, id="true-is-not-1"),
        pytest.param(b'{"seal": 2}', "of version 2; this program reads version 1", id="another-version"),
        pytest.param(b'{"seal": 1}', "groups: is missing, and is required", id="empty-seal"),
        pytest.param(document(groups={}), "groups: should be a list", id="groups"),
        pytest.param(document(groups=[7]), "groups[0]: should be a mapping", id="a-group"),
        pytest.param(document(targets=-1), "targets: should be at least 0", id="negative"),
        pytest.param(document(targets=10**30), "targets:", id="very-large"),
        pytest.param(document(expires="tomorrow"), "expires: should be a time such as", id="no-time"),
        pytest.param(document(expires="2026-11-22"), "expires: should be a time such as", id="no-zone"),
        pytest.param(document(expires=99), "expires: should be text", id="a-number-for-a-time"),
        pytest.param(document(sha256="x"), "sha256: does not have the form", id="no-digest"),
        pytest.param(document(inputs={"a": []}), "inputs: should have nothing but texts in it", id="inputs"),
        pytest.param(
            document(groups=[{**GOOD["groups"][0], "rows": [{"a": {"b": 1}}]}]),
            "groups[0].rows[0]: should have nothing but texts and numbers in it",
            id="rows",
        ),
        pytest.param(
            document(groups=[{**GOOD["groups"][0], "targets": [{}] * 100_000}]),
            "groups[0].targets[0]: should be text",
            id="very-many",
        ),
    ],
)
def test_what_is_no_seal(data: bytes, words: str, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_bytes(data)
    lines = said(capsys, "--sealed", "plan.seal")
    assert all(line.startswith("plan.seal: ") for line in lines)
    assert any(words in line for line in lines), lines
    assert len(lines) <= sealfile.MAX_FAULTS


def pipe(path: Path) -> None:
    os.mkfifo(path)


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(sealfile.LARGEST + 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda path: None, "plan.seal: cannot be read: No such file or directory", id="missing"),
        pytest.param(Path.mkdir, "plan.seal: is no file", id="folder"),
        pytest.param(pipe, "plan.seal: is no file", id="pipe"),
        pytest.param(huge, "plan.seal: has more than 128 MiB, which no sealed plan has", id="huge"),
    ],
)
def test_what_is_no_file(
    make: Callable[[Path], None], words: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(path)
    assert said(capsys, "--sealed", "plan.seal") == [words]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "orchestrator: run needs a PLAN, or --sealed FILE"),
        (["p.yaml", "--tolerance", "1"], "--tolerance: goes with --sealed"),
        (["--sealed", "x", "--tolerance", "many"], "--tolerance: should be a count such as 500 or a share such as 10%"),
        (["--sealed", "x", "--tolerance", "101%"], "--tolerance: should be a count such as 500 or a share such as 10%"),
    ],
)
def test_options_that_do_not_fit(
    arguments: list[str], words: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, *arguments) == [words]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--expires", "1h"], "--expires: goes with --seal"),
        (["--seal", "x", "--expires", "0s"], "--expires: should be longer than zero"),
        (["--seal", "x", "--expires", "soon"], "--expires: should be a duration such as 30s, 45m or 1h30m"),
        (["--latency", "fast"], "--latency: should be a duration such as 30s, 45m or 1h30m"),
    ],
)
def test_options_of_a_preview_that_do_not_fit(
    arguments: list[str], words: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["preview", "p.yaml", *arguments]) == 2
    assert capsys.readouterr().err.splitlines()[0] == words


def test_a_seal_is_whole_or_not_there(path: Path) -> None:
    sealfile.write(path, sealfile.made(GOOD))
    assert sealfile.read(path) == sealfile.made(GOOD)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in path.parent.iterdir() if found.name.startswith(".")] == []
    with pytest.raises(InvalidInput, match="No such file or directory"):
        sealfile.write(path.parent / "no-folder" / "x", sealfile.made(GOOD))
    with pytest.raises(InvalidInput, match="is there, and is no file"):
        sealfile.write(path.parent, sealfile.made(GOOD))


def test_any_change_of_any_value_shows(path: Path) -> None:
    whole = json.loads(document())
    for name in GOOD:
        changed = {**whole, name: {"plan": {**GOOD["plan"], "name": "q"}}.get(name, _other(whole[name]))}
        path.write_text(json.dumps(changed))
        with pytest.raises(Exception, match="changed since it was sealed"):
            sealfile.read(path)


def _other(value: Any) -> Any:
    if isinstance(value, list):
        return [*value, *value] or ["x"]
    if isinstance(value, dict):
        return {**value, "more": "x"}
    if isinstance(value, int):
        return value + 1
    return "1" * 64 if len(value) == 64 else value.replace("2", "3", 1).replace("0", "1", 1)
