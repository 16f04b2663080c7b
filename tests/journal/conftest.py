"""Every test here runs against every backend of the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.journal import BACKENDS, SqliteJournal

Open = Callable[[], SqliteJournal]


@pytest.fixture(params=BACKENDS)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Return what opens the same journal, each time over a connection of its own."""
    made: list[SqliteJournal] = []

    def open_one() -> SqliteJournal:
        made.append(BACKENDS[request.param](tmp_path / "state" / "journal.sqlite"))
        return made[-1]

    yield open_one
    for journal in made:
        journal.close()


@pytest.fixture
def journal(opened: Open) -> SqliteJournal:
    """Return a journal with its writer under way."""
    made = opened()
    made.start()
    return made
