"""The program as a stranger gets it: a wheel in an environment of its own, in an empty folder."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AS_SCRIPTED = "Everything came out as scripted, so the demo exits 0."
WOULD_HAVE = "`orchestrator run` would have exited 3, for the one target that was made to fail."


def run(command: Sequence[object], folder: Path, seconds: float = 50) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ORCHESTRATOR", "PYTHON"))}
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=folder, env=clean, capture_output=True, text=True, timeout=seconds, check=False)


def play_demo(program: Sequence[object], folder: Path) -> None:
    began = time.monotonic()
    done = run([*program, "demo"], folder)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 30
    assert AS_SCRIPTED in done.stdout
    assert WOULD_HAVE in done.stdout
    assert "not as scripted" not in done.stderr
    assert (folder / "orchestrator-demo" / "reports" / "latest" / "report.html").stat().st_size > 1000


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the entry point in a fresh environment, which borrows only the dependencies from this one."""
    folder = tmp_path_factory.mktemp("installed")
    offline = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    built = run([*pip, "wheel", "--quiet", "--no-deps", *offline, "--wheel-dir", folder, ROOT], folder)
    assert built.returncode == 0, built.stderr
    home = folder / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    (wheel,) = folder.glob("*.whl")
    python = home / "bin" / "python"
    put = run([*pip, "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel], folder)
    assert put.returncode == 0, put.stderr
    (site_packages,) = (home / "lib").glob("python*/site-packages")
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin" / "orchestrator"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def test_the_wheel_is_what_runs(installed: Path, empty: Path) -> None:
    done = run([installed.with_name("python"), "-c", "import orchestrator; print(orchestrator.__file__)"], empty)
    assert Path(done.stdout.strip()).is_relative_to(installed.parents[1])


def test_the_installed_demo(installed: Path, empty: Path) -> None:
    play_demo([installed], empty)
    assert [path.name for path in empty.iterdir()] == ["orchestrator-demo"]


def test_the_installed_catalogue(installed: Path, empty: Path) -> None:
    listed = run([installed, "services"], empty)
    assert listed.returncode == 0, listed.stderr
    for name in ("dcs.webcli", "das.builtin-account", "workspace.desktops", "cbh.console", "mrs.cas"):
        assert name in listed.stdout
        assert run([installed, "services", name], empty).returncode == 0
    assert not list(empty.iterdir())


@pytest.mark.parametrize("document", ["plan", "config", "service"])
def test_the_installed_schemas(installed: Path, empty: Path, document: str) -> None:
    done = run([installed, "schema", document], empty)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["$schema"].startswith("https://json-schema.org/")


def test_the_demo(empty: Path) -> None:
    play_demo([sys.executable, "-m", "orchestrator"], empty)
