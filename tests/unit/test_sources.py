"""Where targets come from, and everything that can be wrong with it."""

from __future__ import annotations

import hashlib
import io
import sys
from pathlib import Path

import pytest

from orchestrator import catalogue
from orchestrator.model import Secret
from orchestrator.references import literal
from orchestrator.rows import UnreadableError
from orchestrator.sources import MAX_FAULTS, MAX_LINE, Checked, Inline, Items, Rows, resolved
from orchestrator.targets import TargetBuilder

CATALOGUE = catalogue.load()
DESKTOPS = TargetBuilder(CATALOGUE.services["workspace.desktops"], "prod")
SESSIONS = TargetBuilder(CATALOGUE.services["dcs.webcli"], "prod")


def rows(path: Path | None, builder: TargetBuilder = DESKTOPS, **common: str) -> Rows:
    return Rows(path.name if path else "-", path, builder, common)


def written(folder: Path, name: str, data: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def ids(source: Rows) -> list[str]:
    return [target.id for target in source.targets()]


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        pytest.param("a.csv", "desktop_id\nd1\nd2\n", ["d1", "d2"], id="csv"),
        pytest.param("a.csv", "desktop_id\nd1\nd2", ["d1", "d2"], id="csv-without-a-last-line-end"),
        pytest.param("a.csv", b"\xef\xbb\xbfdesktop_id\r\nd1\r\n", ["d1"], id="csv-from-windows"),
        pytest.param("A.CSV", "desktop_id\nd1\n", ["d1"], id="csv-in-capitals"),
        pytest.param("a.csv", 'message,"desktop_id"\n"Bye, ""you""","d,1"\n', ["d,1"], id="csv-quotes"),
        pytest.param("a.csv", " desktop_id , message \n d1 , bye \n", ["d1"], id="csv-blanks"),
        pytest.param("a.csv", "\n\ndesktop_id,message\n\nd1,\n , \n,\nd2,x\n\n", ["d1", "d2"], id="csv-blank-lines"),
        pytest.param("a.csv", "desktop_id\n", [], id="csv-only-its-header"),
        pytest.param("a.ndjson", '{"desktop_id":"d1"}\n\n{"desktop_id":7}\n', ["d1", "7"], id="ndjson"),
        pytest.param("a.jsonl", '{"desktop_id":"d1","message":null}', ["d1"], id="jsonl"),
        pytest.param("a.txt", "d1\r\n# no\n\n  d2  \n", ["d1", "d2"], id="text"),
        pytest.param("a.txt", b"\xef\xbb\xbfd1\n", ["d1"], id="text-with-a-mark"),
        pytest.param("a.list", "desktop_id\nd1\n", ["d1"], id="guessed-csv"),
        pytest.param("a.list", "message,desktop_id\nx,d1\n", ["d1"], id="guessed-csv-of-two"),
        pytest.param("a.list", '\n {"desktop_id":"d1"}\n', ["d1"], id="guessed-ndjson"),
        pytest.param("a.list", "d1\nd2\n", ["d1", "d2"], id="guessed-text"),
        pytest.param("a.txt", "é你\n", ["é你"], id="unicode"),
    ],
)
def test_a_file_is_read(tmp_path: Path, name: str, data: str | bytes, expected: list[str]) -> None:
    source = rows(written(tmp_path, name, data))
    checked = source.check()
    assert (checked.total, checked.faults) == (len(expected), ())
    assert ids(source) == expected
    assert ids(source) == expected


@pytest.mark.parametrize(
    ("name", "data", "fault"),
    [
        pytest.param("a.csv", "desktop_id\nd1,x\n", "a.csv:2: has 2 values; the first line names 1 fields", id="more"),
        pytest.param(
            "a.csv",
            "desktop_id,message\nd1,a\nd2\n",
            "a.csv:3: has 1 values; the first line names 2 fields",
            id="fewer",
        ),
        pytest.param("a.csv", "desktop_id,desktop_id\nd,d\n", "a.csv:1: has two columns of the same name", id="twice"),
        pytest.param("a.csv", 'desktop_id\n"d1\nd2\n', "is not valid CSV: unexpected end of data", id="open-quote"),
        pytest.param("a.csv", 'desktop_id\n"d1"x\n', "a.csv:2: is not valid CSV", id="after-a-quote"),
        pytest.param(
            "a.csv",
            "desktop,message\nd1,\n",
            "a.csv:1: has a column 'desktop' that is no field; did you mean 'desktop_id'?",
            id="column",
        ),
        pytest.param(
            "a.csv", "desktop_id,message\n,bye\n", "a.csv:2: desktop_id: is empty, and is required", id="empty"
        ),
        pytest.param(
            "a.csv", 'desktop_id\n"d\n1"\n', "a.csv:2: desktop_id: has a control character in it", id="newline"
        ),
        pytest.param("a.csv", b"desktop_id\nd1\nd\xe9\n", "a.csv:3: is not UTF-8 text", id="latin-1"),
        pytest.param("a.txt", b"\xff\xfed\x001\x00", "a.txt:1: is not UTF-8 text", id="utf-16"),
        pytest.param(
            "a.txt", "d1\n" + "x" * (MAX_LINE + 1), f"a.txt:2: has a line of more than {MAX_LINE} bytes", id="line"
        ),
        pytest.param("a.txt", "d" * 256, "a.txt:1: desktop_id: is 256 characters long; 255 are allowed", id="long"),
        pytest.param("a.txt", "d1\rd2\r", "a.txt:1: desktop_id: has a control character in it", id="old-line-ends"),
        pytest.param("a.ndjson", '{"desktop_id":"d1"}\n[1]\n', "a.ndjson:2: should be one JSON object", id="list"),
        pytest.param("a.ndjson", "\n{'desktop_id': 'd1'}\n", "a.ndjson:2: should be one JSON object", id="no-json"),
        pytest.param("a.ndjson", '{"desktop_id":["d1"]}\n', "desktop_id: should be a single value", id="nested"),
        pytest.param("a.ndjson", "{}\n", "a.ndjson:1: desktop_id: is missing", id="nothing-in-it"),
        pytest.param("a.csv", "d-1\n", "a.csv:1: should begin with a line that names its fields", id="no-header"),
        pytest.param("a.list", "desktop_id,owner\nd1,bob\n", "a.list:1: has a column 'owner'", id="guessed-column"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(
    tmp_path: Path, name: str, data: str | bytes, fault: str
) -> None:
    found = [str(one) for one in rows(written(tmp_path, name, data)).check().faults]
    assert any(fault in one for one in found), found


@pytest.mark.parametrize(
    ("name", "fault"),
    [("none.csv", "none.csv: cannot be read: No such file or directory"), (".", "cannot be read: Is a")],
)
def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path, name: str, fault: str) -> None:
    (found,) = Rows(name, tmp_path / name, DESKTOPS, {}).check().faults
    assert fault in str(found)


def test_every_bad_row_counts_and_the_first_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "desktop_id,message\n" + "d,\n,x\n" * 50)
    checked = rows(path).check()
    assert checked.total == 50
    assert len(checked.faults) == MAX_FAULTS + 1
    assert [fault.line for fault in checked.faults[:3]] == [3, 5, 7]
    assert checked.faults[-1].message == f"has {50 - MAX_FAULTS} more rows that are not valid"


def test_the_line_of_a_row_after_one_with_a_line_end_in_quotes_is_right(tmp_path: Path) -> None:
    found = rows(written(tmp_path, "a.csv", 'desktop_id,message\nd1,"a\nb"\n,x\n')).check().faults
    assert [(fault.line, fault.path) for fault in found] == [(2, "message"), (4, "desktop_id")]


def test_common_fields_are_in_every_row_and_a_row_says_otherwise(tmp_path: Path) -> None:
    source = rows(
        written(tmp_path, "a.ndjson", '{"desktop_id":"d1"}\n{"desktop_id":"d2","message":"x"}\n'), message="bye"
    )
    assert [target.fields["message"] for target in source.targets()] == ["bye", "x"]


def test_a_secret_in_a_file_is_literal_and_a_secret_all_the_same(tmp_path: Path) -> None:
    source = rows(written(tmp_path, "a.csv", "instance_id,client_id\ni,env:X\n"), SESSIONS)
    (target,) = source.targets()
    assert target.fields["client_id"] == Secret("env:X")
    assert "env:X" not in repr(target)


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    one, same, other = (written(tmp_path, name, text) for name, text in [("a", "d1\n"), ("b", "d1\n"), ("c", "d2\n")])
    digests = [rows(path).check().digest for path in (one, same, other)]
    assert digests[0] == digests[1] != digests[2]
    assert len(digests[0]) == 64


@pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")  # what it keeps goes when the source goes
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"d1\nd2\n", ["d1", "d2"], id="text"),
        pytest.param(b"\xef\xbb\xbfdesktop_id\r\nd1\r\n", ["d1"], id="csv"),
        pytest.param(b'{"desktop_id":"d1"}\n', ["d1"], id="ndjson"),
        pytest.param(b"", [], id="nothing"),
    ],
)
def test_standard_input_is_read_once_and_can_be_read_again(
    monkeypatch: pytest.MonkeyPatch, data: bytes, expected: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    source = rows(None)
    assert source.check().total == len(expected)
    assert ids(source) == expected
    assert ids(source) == expected


def test_inline_items_are_given_as_they_are() -> None:
    targets = [DESKTOPS.build({"desktop_id": name}, literal) for name in ("d1", "d2")]
    source = Inline(targets)
    assert source.check() == Checked(2, "")
    assert list(source.targets()) == list(source.targets()) == targets


@pytest.mark.parametrize("data", [b"", b"desktop_id\nd1\nd2\n", b"desktop_id\nd1", b"\xff\n"])
def test_a_digest_is_the_same_without_a_look_at_the_rows(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    source = rows(path)
    assert source.digest() == hashlib.sha256(data).hexdigest()
    assert source.check().digest in (source.digest(), "")


@pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")  # what it keeps goes when the source goes
def test_the_digest_of_standard_input_does_not_use_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"d1\nd2\n")))
    source = rows(None)
    assert source.digest() == source.check().digest == source.digest()
    assert ids(source) == ["d1", "d2"]


def test_items_are_made_again_whenever_they_are_read() -> None:
    rows_of = [{"desktop_id": "d1"}, {"desktop_id": "d2", "message": "mine"}]
    source = Inline(Items(rows_of, DESKTOPS, {"message": "bye"}))
    assert source.check().total == 2
    assert [target.fields["message"] for target in source.targets()] == ["bye", "mine"]
    assert [target.id for target in source.targets()] == ["d1", "d2"]


def test_only_secret_fields_of_the_common_ones_are_resolved() -> None:
    found = resolved(
        {"client_id": "env:X", "message": "env:X"}, frozenset({"client_id"}), lambda text: Secret(text[4:])
    )
    assert found == {"client_id": Secret("X"), "message": "env:X"}


def test_an_empty_cell_does_not_take_away_what_the_group_has(tmp_path: Path) -> None:
    source = rows(written(tmp_path, "a.csv", "desktop_id,message\nd1,\n"), message="bye")
    assert [target.fields["message"] for target in source.targets()] == ["bye"]


def test_a_nested_value_is_no_secret(tmp_path: Path) -> None:
    source = rows(written(tmp_path, "a.ndjson", '{"instance_id":"i","client_id":["x"]}\n'), SESSIONS)
    assert [str(fault) for fault in source.check().faults] == ["a.ndjson:1: client_id: should be a single value"]


def test_a_file_that_shrinks_before_it_is_used_is_told_of(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", "d1\nd2\n")
    source = rows(path)
    assert source.check().total == 2
    path.write_text("d1\n")
    with pytest.raises(UnreadableError, match="is not what it was"):
        list(source.targets())
