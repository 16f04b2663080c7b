"""Nothing is imported that a command does not need."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest

from orchestrator import cli
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
    assert gc.isenabled()
    assert gc.get_freeze_count()
    gc.unfreeze()


def test_the_collector_works_again_after_a_fault() -> None:
    with pytest.raises(ValueError, match="no"), Resting():
        raise ValueError("no")
    assert gc.isenabled()
    gc.unfreeze()
