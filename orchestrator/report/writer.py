"""What the formats have in common: writers that are fed one record at a time, and the few records worth a list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import orjson

from orchestrator.report.summary import Summary
from orchestrator.report.wording import Record, rank, text_of


class Writer(Protocol):
    """One format under way; it holds no more than a bounded number of records."""

    def begin(self) -> None:
        """Write what comes before the targets."""

    def add(self, line: str, record: Record, good: bool) -> None:
        """Take one target: its JSON line without the line end, the same line read, and whether it is good."""

    def end(self) -> None:
        """Write what comes after the targets."""


def feed(summary: Summary, writers: Sequence[Writer], lines: Iterable[str]) -> None:
    """Feed every writer in one pass over the JSON lines."""
    for writer in writers:
        writer.begin()
    adds = [writer.add for writer in writers]
    for line in lines:
        bare = line.rstrip("\n")
        record: dict[str, Any] = orjson.loads(bare)
        good = summary.meets(record)
        for add in adds:
            add(bare, record, good)
    for writer in writers:
        writer.end()


class Chosen:
    """The worst of the targets that are not good, and the first of those that are."""

    def __init__(self, limit: int, good_limit: int = 0) -> None:
        self.good: list[Record] = []
        self.not_good = 0
        self._limit = limit
        self._good_limit = good_limit
        self._kept: dict[str, list[tuple[str, Record]]] = {}

    def add(self, line: str, record: Record, good: bool) -> None:
        """Keep the target if it is among the first of its outcome."""
        if good:
            if len(self.good) < self._good_limit:
                self.good.append(record)
            return
        self.not_good += 1
        kept = self._kept.setdefault(text_of(record, "outcome"), [])
        if len(kept) < self._limit:
            kept.append((line, record))

    def begin(self) -> None:
        """Do nothing: this writer writes nothing."""

    def end(self) -> None:
        """Do nothing: this writer writes nothing."""

    @property
    def worst(self) -> list[Record]:
        """Return the targets that are not good, what lives first, up to the limit."""
        return [record for _, record in self._worst()]

    @property
    def worst_lines(self) -> list[str]:
        """Return the lines of the same targets."""
        return [line for line, _ in self._worst()]

    def _worst(self) -> list[tuple[str, Record]]:
        ordered = sorted(self._kept, key=rank)
        return [pair for outcome in ordered for pair in self._kept[outcome]][: self._limit]
