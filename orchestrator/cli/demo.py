"""`demo`: the sandbox, a plan, a report, and whether it all came out as scripted."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import anyio

from orchestrator import app, conduct, history, logs, settings, story
from orchestrator import demo as script
from orchestrator.cli import common, progress
from orchestrator.ending import Finished
from orchestrator.errors import Refused
from orchestrator.report import text_summary
from orchestrator.sandbox import Sandbox
from orchestrator.trip import Options


def demo(options: argparse.Namespace) -> int:
    """Run plans/demo.yaml against the sandbox; 0 when everything came out as scripted."""
    logs.configure(options.log_level or "warning", options.log_format or "console")
    os.environ.update(script.ENVIRONMENT)
    folder = Path(options.keep or "orchestrator-demo")
    finished, surprises = anyio.run(_play, folder)
    common.say(text_summary(finished.summary, finished.written.worst, go_on=False))  # its sandbox is gone
    for surprise in surprises:
        common.warn(f"not as scripted: {surprise}")
    if not surprises and finished.summary.facts.exit_code == 3:
        common.say(
            "Everything came out as scripted, so the demo exits 0. "
            "`orchestrator run` would have exited 3, for the one target that was made to fail."
        )
        return 0
    return finished.summary.facts.exit_code or 1


async def _play(folder: Path) -> tuple[Finished, list[str]]:
    async with Sandbox(script.world()) as sandbox:
        config_file = _config(folder, sandbox.url)
        common.say(f"The sandbox listens at {sandbox.url}; the plan is plans/demo.yaml.")
        blueprint = app.prepare(script.PLAN, {}, config_file)
        finished = await conduct.start(blueprint, Options(yes=True), progress.chosen("auto"))
        journal = history.open_journal(config_file)
        try:
            lines = list(story.lines(journal, finished.summary.facts.run))
        finally:
            journal.close()
        return finished, list(script.surprises(lines, sandbox.world))


def _config(folder: Path, url: str) -> settings.ConfigFile:
    path = folder / "config.yaml"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(script.config(url), encoding="utf-8")
    except OSError as error:
        raise Refused(f"the demo needs a folder of its own: {folder} cannot be written: {error.strerror}") from None
    return settings.load(path, {})
