from __future__ import annotations

import json
import subprocess
import sys

import pytest

from orchestrator import logs


def test_a_line_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning", "json")
    logs.Log().info("begins")
    logs.Log().debug("begins")
    assert capsys.readouterr().err == ""


def test_a_line_has_its_level_the_event_and_the_facts(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    logs.Log(service="s").bind(connection="c").info("begins", lanes=2)
    line = json.loads(capsys.readouterr().err)
    assert line.pop("timestamp")
    assert line == {"event": "begins", "level": "info", "service": "s", "connection": "c", "lanes": 2}


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_every_level_has_its_method(level: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "console")
    getattr(logs.Log(), level)("so_it_is", number=7)
    said = capsys.readouterr().err
    assert level in said
    assert "so_it_is" in said
    assert "number" in said


def test_structlog_is_imported_for_the_first_line_that_is_let_through() -> None:
    code = (
        "import sys; from orchestrator import logs; logs.configure('warning', 'console'); log = logs.Log()\n"
        "log.info('x'); assert 'structlog' not in sys.modules and 'rich' not in sys.modules\n"
        "log.warning('y'); assert 'structlog' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
