"""YAML as YAML 1.2 reads it, its faults, and the lines of paths."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import yamltext
from orchestrator.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "document"),
    [
        pytest.param("a: no\nb: on\nc: yes\nd: off", {"a": "no", "b": "on", "c": "yes", "d": "off"}, id="no-is-no"),
        pytest.param("a: 0123\nb: 1_000\nc: 1e3", {"a": "0123", "b": "1_000", "c": "1e3"}, id="digits-stay-text"),
        pytest.param("a: 12:30:45\nb: 2024-01-02", {"a": "12:30:45", "b": "2024-01-02"}, id="times-stay-text"),
        pytest.param("a: true\nb: 'true'", {"a": "true", "b": "true"}, id="switches-stay-text"),
        pytest.param("a:\nb: ~\nc: null\nd: 'null'\ne: ''", dict(zip("abcde", [None] * 3 + ["null", ""], strict=True))),
        pytest.param("a: [1, {b: 2}]", {"a": ["1", {"b": "2"}]}, id="nested"),
        pytest.param("no: 1\n1: 2", {"no": "1", "1": "2"}, id="keys-are-text"),
        pytest.param("a: &x {b: 1}\nc: *x", {"a": {"b": "1"}, "c": {"b": "1"}}, id="alias"),
        pytest.param("a: |\n  x\n  y\n", {"a": "x\ny\n"}, id="block"),
        pytest.param("--- {a: 1}\n...\n", {"a": "1"}, id="one-document"),
    ],
)
def test_load(text: str, document: dict[str, Any]) -> None:
    assert yamltext.load(text, "plan.yaml") == document


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        pytest.param("", 1, "should be a mapping of keys to values, not empty", id="empty"),
        pytest.param("# only a comment\n", 1, "not empty", id="only-a-comment"),
        pytest.param("- a", 1, "not a list", id="list"),
        pytest.param("hello", 1, "not a single value", id="text"),
        pytest.param("a: 1\nb: 2\na: 3", 3, "has the key 'a' twice", id="twice"),
        pytest.param("a:\n  b: 1\n  b: 1", 3, "has the key 'b' twice", id="twice-inside"),
        pytest.param("a: 1\n---\nb: 2", 2, "has a second document", id="two-documents"),
        pytest.param("a:\n  <<: {b: 1}", 2, "merge key", id="merge"),
        pytest.param("a: !!python/object:os.system x", 1, "tags are not supported", id="tag"),
        pytest.param("a: !x 1", 1, "uses a tag", id="own-tag"),
        pytest.param("b: *nowhere", 1, "uses an alias that is not defined before it", id="undefined-alias"),
        pytest.param("a: &x [*x]", 1, "uses an alias that is not defined before it", id="recursive-alias"),
        pytest.param("? [a]\n: 1", 1, "keys are plain text", id="list-as-key"),
        pytest.param("a: [1\nb: 2", 2, "is not valid YAML", id="open-list"),
        pytest.param("a:\n\tb: 1", 2, "is not valid YAML", id="tab"),
        pytest.param("a: \x07", 1, "is not valid YAML", id="control-character"),
        pytest.param("a: " + "[" * 60 + "]" * 60, 1, "is nested too deeply", id="deep"),
    ],
)
def test_what_is_wrong_with_the_form_is_said_with_its_line(text: str, line: int | None, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        yamltext.load(text, "plan.yaml")
    fault = caught.value.faults[0]
    assert (fault.source, fault.line) == ("plan.yaml", line)
    assert message in fault.message


def test_all_faults_of_form_are_reported_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        yamltext.load("a: 1\na: !x 2\nb: *z\n", "p")
    assert [fault.line for fault in caught.value.faults] == [2, 2, 3]


def test_aliases_that_explode_are_refused() -> None:
    levels = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(InvalidInput, match="through aliases"):
        yamltext.load("\n".join(levels), "p")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("no", "no"),
        ("on", "on"),
        ("12", 12),
        ("-7", -7),
        ("0123", 123),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("12:30", "12:30"),
        ("'12'", "12"),
        ("'true'", "true"),
        ("null", None),
        ("[1, x, {y: 2}]", [1, "x", {"y": 2}]),
    ],
    ids=str,
)
def test_a_field_of_any_type_has_the_types_of_yaml_1_2(text: str, value: object) -> None:
    found = yamltext.typed(yamltext.load(f"a: {text}", "p")["a"])
    assert found == value
    assert type(found) is type(value)


DOCUMENT = """\
# a plan
name: x
stages:
  - name: one
    targets:
      - {service: a,
         items: [1, 2]}
  - name: two
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        pytest.param((), 1, id="all"),
        pytest.param(("name",), 2, id="key"),
        pytest.param(("stages", 1), 8, id="item"),
        pytest.param(("stages", 0, "targets", 0, "items", 1), 7, id="deep"),
        pytest.param(("stages", 0, "nothing"), 4, id="missing-key-is-its-parent"),
        pytest.param(("stages", 9, "x"), 3, id="missing-item-is-its-parent"),
        pytest.param(("nothing", "at", "all"), 1, id="missing-altogether"),
    ],
)
def test_locate(path: tuple[str | int, ...], line: int) -> None:
    assert yamltext.locate(DOCUMENT, [path]) == [line]


def test_locating_in_a_broken_text_gives_its_first_line() -> None:
    assert yamltext.locate("a: [", [("a",), ("b",)]) == [1, 1]


@given(st.text(max_size=60))
def test_any_text_is_a_mapping_or_a_fault(text: str) -> None:
    try:
        document = yamltext.load(text, "p")
    except InvalidInput:
        return
    assert isinstance(document, dict)
