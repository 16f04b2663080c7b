from __future__ import annotations

import csv
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from defusedxml.ElementTree import parse  # type: ignore[import-untyped]

from orchestrator.private import write_secret
from orchestrator.report import Written, standing, text_summary, write_folder

from .samples import counted, endless, lines_of, mixed, summary_of

LINES = lines_of(mixed())
SUMMARY = summary_of(LINES)
NAMES = {"report.json", "outcomes.jsonl", "outcomes.csv", "report.html", "report.md", "junit.xml"}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "reports" / "run-1"


@pytest.fixture(autouse=True)
def generous_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_every_file_is_there_and_private(folder: Path) -> None:
    write_folder(folder, SUMMARY, lambda: LINES)
    assert {path.name for path in folder.iterdir()} == NAMES
    assert {mode(path) for path in folder.iterdir()} == {0o600}
    assert mode(folder) == 0o700


def test_every_file_reads_back(folder: Path) -> None:
    write_folder(folder, SUMMARY, lambda: LINES)
    assert orjson.loads((folder / "report.json").read_bytes()) == SUMMARY.to_json()
    assert (folder / "outcomes.jsonl").read_text() == "".join(f"{line}\n" for line in LINES)
    assert (folder / "outcomes.csv").read_bytes().count(b"\r\n") == len(LINES) + 1
    with (folder / "outcomes.csv").open(newline="") as rows:
        assert [row["target"] for row in csv.DictReader(rows)] == [orjson.loads(line)["target"] for line in LINES]
    assert len(parse(folder / "junit.xml").findall("testsuite/testcase")) == len(LINES)
    assert (folder / "report.html").read_text().endswith("</html>\n")
    assert (folder / "report.md").read_text().startswith("**`nightly`: not all good.**")


def test_the_lines_are_read_once(folder: Path) -> None:
    passes = []
    write_folder(folder, SUMMARY, lambda: passes.append(1) or LINES)  # type: ignore[func-returns-value]
    assert passes == [1]


def test_a_pass_leaves_what_the_text_summary_wants(folder: Path) -> None:
    summary = counted(failed=300)
    written = write_folder(folder, summary, lambda: endless(300))
    assert len(written.worst) == 20
    assert text_summary(summary, written.worst) == text_summary(summary, endless(300))


GOOD = counted({"exit_code": 0}, ended=3)


def test_a_report_that_stands_is_left_as_it_is(folder: Path) -> None:
    write_folder(folder, GOOD, lambda: endless(0))
    (folder.parent / "latest").unlink()
    assert standing(folder, GOOD) == Written((), ())
    assert (folder.parent / "latest" / "report.json").is_file()


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_report_that_lacks_a_file_does_not_stand(folder: Path, name: str) -> None:
    write_folder(folder, GOOD, lambda: endless(0))
    (folder / name).unlink()
    assert standing(folder, GOOD) is None


def test_a_report_that_says_something_else_does_not_stand(folder: Path) -> None:
    write_folder(folder, GOOD, lambda: endless(0))
    assert standing(folder, counted({"exit_code": 0}, ended=4)) is None
    assert standing(folder.parent / "other", GOOD) is None
    (folder / "report.json").write_bytes(b"\xff")
    assert standing(folder, GOOD) is None


def test_a_report_with_something_to_tell_is_written_again(folder: Path) -> None:
    write_folder(folder, SUMMARY, lambda: LINES)
    assert standing(folder, SUMMARY) is None


def test_a_folder_that_others_could_enter_is_closed(folder: Path) -> None:
    folder.mkdir(mode=0o777, parents=True)
    write_folder(folder, SUMMARY, lambda: LINES)
    assert mode(folder) == 0o700


def breaking() -> Iterator[str]:
    yield LINES[0]
    raise RuntimeError("the journal broke")


def test_a_writer_that_fails_halfway_leaves_the_old_report(folder: Path) -> None:
    write_folder(folder, SUMMARY, lambda: LINES)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(RuntimeError, match="the journal broke"):
        write_folder(folder, counted(ended=1), breaking)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_disk_that_fails_at_the_last_moment_leaves_the_old_report(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(folder, SUMMARY, lambda: LINES)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left")))
        with pytest.raises(OSError, match="No space left"):
            write_folder(folder, counted(ended=1), lambda: LINES)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_new_report_takes_the_place_of_the_old(folder: Path) -> None:
    write_folder(folder, SUMMARY, lambda: LINES)
    write_folder(folder, counted(ended=1), lambda: LINES[:1])
    assert orjson.loads((folder / "report.json").read_bytes())["total"] == 1
    assert {path.name for path in folder.iterdir()} == NAMES


def test_what_a_crash_left_behind_is_not_followed_nor_kept(folder: Path, tmp_path: Path) -> None:
    folder.mkdir(parents=True)
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (folder / ".report.json.tmp").symlink_to(precious)
    (folder / ".outcomes.csv.tmp").write_text("half a line")
    write_folder(folder, SUMMARY, lambda: LINES)
    assert precious.read_text() == "mine"
    assert {path.name for path in folder.iterdir()} == NAMES


def test_latest_points_at_the_latest_report(folder: Path) -> None:
    for name in ("run-1", "run-2"):
        assert write_folder(folder.parent / name, SUMMARY, lambda: LINES).notes == ()
        assert (folder.parent / "latest").readlink() == Path(name)
    assert (folder.parent / "latest" / "report.json").exists()
    assert {path.name for path in folder.parent.iterdir()} == {"run-1", "run-2", "latest"}


def test_latest_points_anew_when_it_dangles(folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    (folder.parent / "latest").symlink_to("gone")
    (folder.parent / ".latest.tmp").symlink_to("left-by-a-crash")
    assert write_folder(folder, SUMMARY, lambda: LINES).notes == ()
    assert (folder.parent / "latest").readlink() == Path("run-1")


def test_a_latest_that_is_no_link_is_left_alone(folder: Path) -> None:
    (folder.parent / "latest").mkdir(parents=True)
    (note,) = write_folder(folder, SUMMARY, lambda: LINES).notes
    assert "is no symbolic link" in note
    assert not (folder.parent / "latest").is_symlink()


def test_a_file_system_without_links_costs_a_note_and_no_report(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, target: str, target_is_directory: bool = False) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    (note,) = write_folder(folder, SUMMARY, lambda: LINES).notes
    assert note.endswith("could not be pointed at this report: Operation not permitted")
    assert (folder / "report.json").exists()


def test_a_secret_is_for_its_owner_alone(folder: Path) -> None:
    path = write_secret(folder, "login-link.txt", "https://host/login?token=abc")
    assert (path, path.read_text()) == (folder / "login-link.txt", "https://host/login?token=abc")
    assert (mode(path), mode(folder)) == (0o600, 0o700)


def test_a_secret_takes_the_place_of_the_old(folder: Path) -> None:
    write_secret(folder, "link", "old").chmod(0o644)
    path = write_secret(folder, "link", "new")
    assert (path.read_text(), mode(path)) == ("new", 0o600)
    assert [path.name for path in folder.iterdir()] == ["link"]


@pytest.mark.parametrize(
    "name", ["../../x", "a/b", "..", ".", "", "a\x00b", ".hidden", "x" * 400, "\u684c\u9762", "a\\b"]
)
def test_a_secret_stays_in_its_folder_whatever_its_name(folder: Path, name: str) -> None:
    path = write_secret(folder, name, "value")
    assert path.parent == folder
    assert [found.name for found in folder.iterdir()] == [path.name]
    assert path.name.isascii()


def test_names_that_look_alike_do_not_meet(folder: Path) -> None:
    assert write_secret(folder, "a/b", "1") != write_secret(folder, "a_b", "2") != write_secret(folder, "a:b", "3")
