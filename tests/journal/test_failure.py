"""A journal that cannot be written: an error for everybody who waits, and nothing counted that is not on disk."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.errors import JournalError
from orchestrator.journal import SqliteJournal
from orchestrator.journal import sqlite as backend

from .samples import RUN, a_run, batches, settled


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.sqlite"


@pytest.fixture
def full(path: Path, monkeypatch: pytest.MonkeyPatch) -> SqliteJournal:
    """Return a journal whose writer finds the disk full after some pages."""
    connect = backend._connect
    journal = SqliteJournal(path)

    def bounded(where: Path) -> sqlite3.Connection:
        connection = connect(where)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 30}")
        return connection

    monkeypatch.setattr(backend, "_connect", bounded)
    journal.start()
    return journal


async def fill(journal: SqliteJournal) -> None:
    for start in range(0, 20_000, 100):
        journal.settle(RUN, settled(range(start, start + 100)))
        await journal.flush()


async def test_a_full_disk_is_told_to_whoever_waits(full: SqliteJournal) -> None:
    with pytest.raises(JournalError, match="full"):
        await fill(full)
    full.close()


async def test_a_full_disk_counts_nothing_that_is_not_on_it(full: SqliteJournal, path: Path) -> None:
    with pytest.raises(JournalError):
        await fill(full)
    counted = sum(full.counts.values())
    full.close()
    with closing(sqlite3.connect(path)) as connection:
        (durable,) = connection.execute("SELECT COUNT(*) FROM targets WHERE outcome IS NOT NULL").fetchone()
    assert counted == durable > 0


async def test_after_a_failure_nothing_more_is_taken(full: SqliteJournal) -> None:
    with pytest.raises(JournalError):
        await fill(full)
    before = full.counts.copy()
    with pytest.raises(JournalError, match="cannot be written"):
        await full.sent(RUN, batches("a"))
    with pytest.raises(JournalError, match="cannot be written"):
        full.settle(RUN, settled("a"))
    with pytest.raises(JournalError, match="cannot be written"):
        await full.flush()
    full.close()
    assert full.counts == before


async def test_a_record_that_cannot_be_encoded_fails_the_journal_and_not_silently(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.start()
    journal.settle(RUN, settled(["\ud800"]))
    with pytest.raises(JournalError):
        await journal.flush()
    assert not journal.counts
    journal.close()


@pytest.mark.timeout(20)
async def test_nor_does_it_keep_the_journal_from_closing_with_others_behind_it(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.start()
    journal.settle(RUN, settled(["\ud800", "\ud801", "good"]))
    journal.close()
    assert not journal.counts


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(JournalError, match="cannot be opened"):
        SqliteJournal(tmp_path / "state" / "journal.sqlite")


def test_a_file_that_is_no_journal(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database, and long enough to be sure of it" * 20)
    with pytest.raises(JournalError, match="cannot be opened"):
        SqliteJournal(path)


async def test_only_its_owner_reads_it(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.start()
    journal.add(a_run())
    await journal.sent(RUN, batches("a"))
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    journal.close()
    assert files == {"journal.sqlite": 0o600, "journal.sqlite-wal": 0o600, "journal.sqlite-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_who_only_reads_makes_no_file(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "state" / "journal.sqlite", reading=True)
    assert journal.runs() == []
    journal.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left_beside", [False, True])
def test_who_only_reads_can_do_so_where_nothing_may_be_written(
    path: Path, left_beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = SqliteJournal(path)
    written.add(a_run())
    if not left_beside:
        written.close()
    monkeypatch.setattr(os, "access", lambda *_: False)
    before = sorted(path.parent.iterdir())
    journal = SqliteJournal(path, reading=True)
    assert [record.run for record in journal.runs()] == [RUN]
    with pytest.raises(JournalError, match="readonly"):
        journal.add(a_run()._replace(run="another"))
    journal.close()
    assert sorted(path.parent.iterdir()) == before
    written.close()
