"""Nothing is imported that a command does not need."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator import catalogue, cli, validation
from orchestrator.collector import Resting

LATER = (
    "structlog",  # for the first line of the log
    "rich",  # for a progress table
    "pydantic_settings",  # for settings in the environment
    "orchestrator.auth.iam_token",  # for its kind of auth
    "orchestrator.report",  # at the end
    "orchestrator.ending",
    "orchestrator.cli.looking",  # other commands
    "orchestrator.forecast",
    "orchestrator.sealing",
)


def imported(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", LATER)
def test_run_imports_late(module: str) -> None:
    assert module not in RUNNING


RUNNING = imported("import orchestrator.cli.running")


def test_the_command_line_itself_imports_nearly_nothing() -> None:
    ours = {name for name in imported("import orchestrator.cli") if name.startswith("orchestrator")}
    assert ours == {"orchestrator", "orchestrator.cli", "orchestrator.collector"}
    assert not {"asyncio", "typing", "pathlib", "re"} & (
        imported("import orchestrator.cli") - imported("import argparse")
    )


def test_no_plugin_of_pydantic_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYDANTIC_DISABLE_PLUGINS", raising=False)
    assert cli.main(["validate", "no-such-plan"]) == 2
    assert os.environ["PYDANTIC_DISABLE_PLUGINS"] == "true"


def test_the_collector_rests_and_leaves_alone_what_is_there() -> None:
    with Resting():
        assert not gc.isenabled()
        with Resting():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    with Resting(keep=True):
        pass
    assert gc.get_freeze_count()
    gc.unfreeze()


def test_the_collector_works_again_after_a_fault() -> None:
    with pytest.raises(ValueError, match="no"), Resting():
        raise ValueError("no")
    assert gc.isenabled()


def test_a_command_is_understood_without_the_parsers_of_the_others() -> None:
    for name in cli.COMMANDS:
        assert f"{{{name}}}" not in cli.parser(name).format_help()
    given = ["run", "plan.yaml", "--yes"]
    assert cli.parser("run").parse_args(given) == cli.parser().parse_args(given)


def test_a_description_of_the_package_is_read_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(validation, "read", _noting(validation.read, read))
    known = catalogue.load()
    assert read == ["catalogue _gateway.yaml"]
    assert known.services["dcs.webcli"] is known.services["dcs.webcli"]
    assert read[1:] == ["catalogue dcs.webcli.yaml"]
    assert "none" not in known.services


def _noting(read: Any, names: list[str]) -> Any:
    def noting(model: Any, text: str, source: str) -> Any:
        names.append(source)
        return read(model, text, source)

    return noting


@pytest.mark.parametrize("path", sorted(catalogue.OWN.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_description_of_the_package_is_sound_and_named_like_its_file(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.stem.startswith("_"):
        return
    (tmp_path / path.name).write_text(text.replace(f"service: {path.stem}\n", "service: another.name\n", 1))
    known = catalogue.load([tmp_path])
    assert known.services["another.name"].end == known.services[path.stem].end
