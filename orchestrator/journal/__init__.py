"""The memory of a run: durable before counted. One backend so far; one file and one line here to add one."""

from __future__ import annotations

from orchestrator.journal.sqlite import SqliteJournal

BACKENDS = {"sqlite": SqliteJournal}

__all__ = ["BACKENDS", "SqliteJournal"]
