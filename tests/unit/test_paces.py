"""What lanes learned is there for the next run, for a while; a bad file is no more than a line in the log."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from orchestrator import paces
from orchestrator.paces import AHEAD, NAME, OLD, Learned

NOW = 1_700_000_000.0
LANE = "prod/workspace.desktops"


def keep(folder: Path, per_second: dict[str, float], now: float) -> None:
    paces.keep(folder, {name: Learned(one) for name, one in per_second.items()}, now)


def read(folder: Path, now: float) -> dict[str, float | None]:
    return {name: one.per_second for name, one in paces.read(folder, now).items()}


@pytest.mark.parametrize("learned", [Learned(187.25), Learned(answer=0.02), Learned(187.25, 0.02)])
def test_what_is_not_known_of_a_lane_is_not_written(tmp_path: Path, learned: Learned) -> None:
    paces.keep(tmp_path, {LANE: learned}, NOW)
    assert paces.read(tmp_path, NOW) == {LANE: learned._replace(at=NOW)}


def test_what_was_learned_is_there_next_time(tmp_path: Path) -> None:
    keep(tmp_path, {LANE: 187.25}, NOW)
    assert read(tmp_path, NOW + 60) == {LANE: 187.25}
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_each_lane_has_an_age_of_its_own(tmp_path: Path) -> None:
    keep(tmp_path, {"a/x": 1.0, "b/x": 2.0}, NOW)
    keep(tmp_path, {"b/x": 3.0}, NOW + OLD / 2)
    assert read(tmp_path, NOW + OLD / 2) == {"a/x": 1.0, "b/x": 3.0}
    assert read(tmp_path, NOW + OLD + 1) == {"b/x": 3.0}
    keep(tmp_path, {"c/x": 4.0}, NOW + OLD + 1)
    assert set(json.loads((tmp_path / NAME).read_text())["lanes"]) == {"b/x", "c/x"}


def test_what_is_from_the_future_is_not_believed(tmp_path: Path) -> None:
    keep(tmp_path, {LANE: 5.0}, NOW + AHEAD + 1)
    assert read(tmp_path, NOW) == {}


def test_without_anything_learned_nothing_is_written(tmp_path: Path) -> None:
    keep(tmp_path, {}, NOW)
    assert list(tmp_path.iterdir()) == []
    assert read(tmp_path, NOW) == {}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"[" * 100_000,
        b"1" * 10_000,
        b'{"version": 2, "lanes": {"prod/workspace.desktops": {"per_second": 1, "at": 1700000000}}}',
        b'{"version": 1, "lanes": []}',
        b'{"version": 1}',
        b" " * (paces.LONGEST + 1),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_bad_file_is_left_out_and_told(tmp_path: Path, text: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / NAME).write_bytes(text)
    assert read(tmp_path, NOW) == {}
    said = capsys.readouterr()
    assert "paces_ignored" in said.out + said.err
    keep(tmp_path, {LANE: 5.0}, NOW)
    assert read(tmp_path, NOW) == {LANE: 5.0}


@pytest.mark.parametrize(
    "said",
    [
        5,
        None,
        {},
        {"per_second": "5", "at": NOW},
        {"per_second": True, "at": NOW},
        {"per_second": 0, "at": NOW},
        {"per_second": -1, "at": NOW},
        {"per_second": float("nan"), "at": NOW},
        {"per_second": float("inf"), "at": NOW},
        {"per_second": 1e9, "at": NOW},
        {"per_second": 10**400, "at": NOW},
        {"per_second": 5, "at": float("nan")},
        {"per_second": 5, "at": None},
        {"per_second": 5},
        {"at": NOW},
        {"answer": -1, "at": NOW},
        {"answer": 1e6, "at": NOW},
        {"per_second": 5, "answer": "soon", "at": NOW},
    ],
    ids=repr,
)
def test_a_bad_entry_is_left_out_alone(tmp_path: Path, said: object) -> None:
    lanes = {"bad/x": said, LANE: {"per_second": 5, "at": NOW}}
    (tmp_path / NAME).write_text(json.dumps({"version": 1, "lanes": lanes}))
    assert read(tmp_path, NOW) == {LANE: 5.0}


def test_only_the_latest_lanes_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paces, "MOST", 2)
    for n in range(4):
        keep(tmp_path, {f"{n}/x": 1.0}, NOW + n)
    assert set(read(tmp_path, NOW + 4)) == {"2/x", "3/x"}


def test_a_place_that_cannot_be_read_or_written_costs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / NAME).mkdir()
    assert read(tmp_path, NOW) == {}
    keep(tmp_path, {LANE: 5.0}, NOW)
    said = capsys.readouterr()
    assert "paces_not_kept" in said.out + said.err
    keep(tmp_path / "nowhere", {LANE: 5.0}, NOW)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NAME)
    assert read(tmp_path, NOW) == {}
