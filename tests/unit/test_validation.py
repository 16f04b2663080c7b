"""From pydantic's findings to faults a person can act on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from orchestrator import validation, yamltext
from orchestrator.errors import Fault, InvalidInput
from orchestrator.units import Duration
from orchestrator.validation import Strict


class Cat(Strict):
    kind: Literal["cat"]
    lives: int = Field(9, ge=1)


class Dog(Strict):
    kind: Literal["dog"]
    tail: bool = True


class House(Strict):
    name: str
    rest: Duration | None = None
    pets: tuple[Annotated[Cat | Dog, Field(discriminator="kind")], ...] = Field((), min_length=0)
    rooms: dict[str, tuple[int, ...]] = {}


def faults(text: str) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        validation.read(House, text, "house.yaml")
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("rest: 1s", ["house.yaml:1: name: is missing, and is required"], id="missing"),
        pytest.param(
            "name: x\nrset: 1s", ["house.yaml:2: rset: unknown key; did you mean 'rest'?"], id="unknown-and-meant"
        ),
        pytest.param("name: x\nzzzzzz: 1", ["house.yaml:2: zzzzzz: unknown key"], id="unknown"),
        pytest.param("name: x\nlives: 3", ["house.yaml:2: lives: unknown key; it belongs in `cat`"], id="elsewhere"),
        pytest.param(
            "name: x\nrest: soon",
            ["house.yaml:2: rest: should be a duration such as 30s, 45m or 1h30m"],
            id="value",
        ),
        pytest.param(
            "name: x\npets:\n  - {kind: cow}",
            ["house.yaml:3: pets[0]: unknown type (it can be cat, dog)"],
            id="type",
        ),
        pytest.param(
            "name: x\npets:\n  - {kind: dgo}",
            ["house.yaml:3: pets[0]: unknown type (it can be cat, dog); did you mean 'dog'?"],
            id="type-and-meant",
        ),
        pytest.param("name: x\npets:\n- {}", ["house.yaml:3: pets[0]: has no 'kind', which is required"], id="no-type"),
        pytest.param(
            "name: x\npets: {}",
            ["house.yaml:2: pets: should be a list"],
            id="no-list",
        ),
        pytest.param(
            "name: x\nrooms: []", ["house.yaml:2: rooms: should be a mapping of keys to values"], id="no-mapping"
        ),
    ],
)
def test_a_fault_has_its_line_its_path_and_what_was_meant(text: str, expected: list[str]) -> None:
    assert faults(text) == expected


def test_every_fault_is_reported_at_once_in_the_order_of_the_lines() -> None:
    found = faults("rest: soon\npets:\n  - kind: cat\n    lives: 0\n  - kind: dog\n    tale: no\nrooms:\n  a: [1, b]\n")
    assert [line.split(":")[1] for line in found] == ["1", "1", "4", "6", "8"]
    assert [line.split(": ")[1] for line in found] == ["name", "rest", "pets[0].lives", "pets[1].tale", "rooms.a[1]"]


def test_a_switch_may_be_written_as_people_write_it_and_a_text_stays_text() -> None:
    house = validation.read(House, "name: no\npets:\n- {kind: dog, tail: false}\n- {kind: cat, lives: 3}", "p")
    assert house.name == "no"
    assert house.pets == (Dog(kind="dog", tail=False), Cat(kind="cat", lives=3))


def test_a_fault_never_quotes_the_value() -> None:
    assert not any("hunter2" in fault for fault in faults("name: [hunter2]\nrest: hunter2"))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("a",), "a"),
        (("stages", 0, "targets", 1, "service"), "stages[0].targets[1].service"),
        (("a", 0, 1), "a[0][1]"),
    ],
    ids=str,
)
def test_dotted(path: tuple[str | int, ...], text: str) -> None:
    assert validation.dotted(path) == text


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("conection", "; did you mean 'connection'?"),
        ("qqq", ""),
        ("", ""),
    ],
)
def test_suggestion(word: str, said: str) -> None:
    assert validation.suggestion(word, ["connection", "service"]) == said


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"a: \xff", ":1: is not UTF-8 text", id="not-utf-8"),
        pytest.param(None, ": cannot be read: No such file or directory", id="missing"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path, data: bytes | None, message: str) -> None:
    path = tmp_path / "x.yaml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InvalidInput) as caught:
        validation.read_text(path)
    assert str(caught.value) == f"{path}{message}"


def test_a_file_without_end_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "LARGEST", 1 << 20)
    with pytest.raises(InvalidInput, match="/dev/zero: has more than 1 MB"):
        validation.read_text(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("path", "follows"),
    [("with.a", True), ("with.a.b", True), ("with.a[0]", True), ("with.ab", False), ("with", False)],
)
def test_what_follows_from_a_fault_is_of_the_same_line_and_part(path: str, follows: bool) -> None:
    first, then = Fault("p.yaml", "x", 3, "with.a"), Fault("p.yaml", "y", 3, path)
    assert validation.together([first], [then]) == sorted([first] if follows else [first, then], key=Fault.order)
    assert validation.together([Fault("p.yaml", "x", 3)], [then]) == [Fault("p.yaml", "x", 3)]
    assert len(validation.together([first], [then._replace(line=4)])) == 2


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x\r\n")
    assert validation.read(House, validation.read_text(path), "p") == House(name="x")


def test_where_nothing_is_wrong_the_text_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamltext, "locate", None)
    assert validation.at_lines([], "kind: cat", "a.yaml") == []
