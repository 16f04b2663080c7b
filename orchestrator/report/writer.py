"""What the formats have in common: writers that are fed a portion at a time, and the few records worth a list."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import orjson

from orchestrator.report.summary import Summary
from orchestrator.report.wording import Record, rank, text_of

TOGETHER = 500  # targets: a call of a writer for each of them would cost as much as what it writes


class Portion(NamedTuple):
    """Some targets: their JSON lines without the line ends, the same lines read, and whether each is good."""

    lines: Sequence[str]
    records: Sequence[Record]
    good: Sequence[bool]

    def each(self) -> Iterator[tuple[str, Record, bool]]:
        """Yield the targets one by one."""
        return zip(*self, strict=True)


class Writer(Protocol):
    """One format under way; it holds no more than a bounded number of records."""

    def begin(self) -> None:
        """Write what comes before the targets."""

    def add(self, portion: Portion) -> None:
        """Take the next targets."""

    def end(self) -> None:
        """Write what comes after the targets."""


def feed(summary: Summary, writers: Sequence[Writer], lines: Iterable[str]) -> None:
    """Feed every writer in one pass over the JSON lines."""
    for writer in writers:
        writer.begin()
    left = iter(lines)
    while some := [line.rstrip("\n") for line in itertools.islice(left, TOGETHER)]:
        records = [orjson.loads(line) for line in some]
        portion = Portion(some, records, list(map(summary.meets, records)))
        for writer in writers:
            writer.add(portion)
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

    def add(self, portion: Portion) -> None:
        """Keep the targets that are among the first of their outcome."""
        if all(portion.good) and len(self.good) >= self._good_limit:
            return
        for line, record, good in portion.each():
            if not good:
                self._add(line, record)
            elif len(self.good) < self._good_limit:
                self.good.append(record)

    def _add(self, line: str, record: Record) -> None:
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
