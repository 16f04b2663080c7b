"""Secrets by reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.model import Secret
from orchestrator.references import MAX_BYTES, References, literal


@pytest.fixture
def references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> References:
    monkeypatch.setenv("TEST_PIN", "hunter2")
    monkeypatch.setenv("TEST_EMPTY", "")
    monkeypatch.delenv("TEST_MISSING", raising=False)
    (tmp_path / "pin").write_bytes(b"hunter2\r\n")
    (tmp_path / "lines").write_bytes(b" a\n b \n\n")
    (tmp_path / "empty").write_bytes(b"\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "most").write_bytes(b"x" * MAX_BYTES)
    (tmp_path / "more").write_bytes(b"x" * (MAX_BYTES + 1))
    return References(tmp_path)


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        pytest.param("env:TEST_PIN", "hunter2", id="environment"),
        pytest.param("file:pin", "hunter2", id="file-without-its-line-end"),
        pytest.param("file:./lines", " a\n b ", id="only-the-last-line-ends-go"),
        pytest.param("file:most", "x" * MAX_BYTES, id="largest"),
    ],
)
def test_a_reference_is_resolved(references: References, reference: str, value: str) -> None:
    assert references.resolve(reference) == Secret(value)


def test_an_absolute_path_stays_one(references: References, tmp_path: Path) -> None:
    assert References(Path("/nowhere")).resolve(f"file:{tmp_path / 'pin'}") == Secret("hunter2")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        pytest.param("hunter2", "is a literal secret; write a reference instead", id="literal"),
        pytest.param("vault:hunter2", "is a literal secret", id="another-kind"),
        pytest.param("ENV:TEST_PIN", "is a literal secret", id="upper-case"),
        pytest.param("env:", "is a literal secret", id="no-name"),
        pytest.param("", "is a literal secret", id="empty"),
        pytest.param("env:TEST_MISSING", "environment variable TEST_MISSING, which is not set", id="not-set"),
        pytest.param("env:TEST_EMPTY", "which is not set", id="set-to-nothing"),
        pytest.param("file:nothing", "which cannot be read: No such file or directory", id="no-file"),
        pytest.param("file:.", "which cannot be read: Is a directory", id="folder"),
        pytest.param("file:empty", "which is empty", id="empty-file"),
        pytest.param("file:more", "which is too long", id="long-file"),
        pytest.param("file:binary", "which is not UTF-8 text", id="binary-file"),
    ],
)
def test_what_is_wrong_is_said_and_never_the_secret(references: References, reference: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"literal secret|refers to") as caught:
        references.resolve(reference)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_row_of_data_holds_its_secret_literally() -> None:
    assert literal("env:TEST_PIN").reveal() == "env:TEST_PIN"
