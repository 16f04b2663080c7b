"""Rows in, targets out: conversion, bounds, identity, secrets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model import Secret
from orchestrator.references import literal
from orchestrator.service import Service
from orchestrator.targets import RowError, TargetBuilder
from orchestrator.yamltext import Plain

SERVICE = Service.model_validate(
    {
        "service": "shop.tills",
        "title": "Tills",
        "endpoint": {"own": "https://x"},
        "auth": ["none"],
        "key": ["shop", "till", "code"],
        "fields": {
            "shop": {"max": 8},
            "till": {"min": 2, "pattern": "[a-z0-9/%.]+"},
            "code": {"secret": True, "optional": True, "max": 6},
            "floor": {"type": "integer", "min": -2, "max": 9, "default": 0},
            "loud": {"type": "boolean", "optional": True},
            "mark": {"optional": True},
        },
        "end": {
            "method": "POST",
            "path": "/{shop}",
            "headers": {"X-Mark": "{mark}"},
            "json": ["{till}", "{code}"],
            "idempotent": True,
        },
        "success": {"status": 204, "then": "ended"},
    }
)
BUILDER = TargetBuilder(SERVICE, "prod", stage="one", expect="")
ROW = {"shop": "s", "till": "t1"}


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        pytest.param("shop", Plain("no"), "no", id="text-stays"),
        pytest.param("shop", Plain("0123"), "0123", id="zeros-stay"),
        pytest.param("shop", 42, "42", id="number-as-text"),
        pytest.param("shop", True, "true", id="switch-as-text"),
        pytest.param("floor", "7", 7, id="integer"),
        pytest.param("floor", Plain("-2"), -2, id="lower-bound"),
        pytest.param("floor", 9, 9, id="upper-bound"),
        pytest.param("loud", "Yes", True, id="yes"),
        pytest.param("loud", "off", False, id="off"),
        pytest.param("loud", False, False, id="false"),
        pytest.param("loud", 1, True, id="one"),
    ],
)
def test_a_value_is_converted_to_its_type(field: str, value: Any, stored: object) -> None:
    found = BUILDER.build({**ROW, field: value}, literal).fields[field]
    assert found == stored
    assert isinstance(found, type(stored))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        pytest.param("shop", "123456789", "is 9 characters long; 8 are allowed", id="too-long"),
        pytest.param("till", "t", "is 1 characters long; at least 2 are needed", id="too-short"),
        pytest.param("till", "UPPER", "has a character or a form that is not allowed", id="pattern"),
        pytest.param("till", "t1\n", "has a control character in it", id="newline"),
        pytest.param("shop", "a\x00", "has a control character in it", id="zero-byte"),
        pytest.param("shop", "..", "cannot be . or .. in a path", id="dots"),
        pytest.param("mark", "é", "can only have printable ASCII characters in a header", id="header"),
        pytest.param("shop", ["s"], "should be a single value", id="list"),
        pytest.param("shop", {"a": 1}, "should be a single value", id="mapping"),
        pytest.param("floor", "10", "should be between -2 and 9", id="above"),
        pytest.param("floor", "-3", "should be between -2 and 9", id="below"),
        pytest.param("floor", "1.5", "should be a whole number", id="fraction"),
        pytest.param("floor", True, "should be a whole number", id="switch"),
        pytest.param("floor", "9" * 400, "should be a whole number", id="huge"),
        pytest.param("loud", "maybe", "should be true or false", id="maybe"),
        pytest.param("code", "1234567", "is 7 characters long; 6 are allowed", id="secret-too-long"),
        pytest.param("shopp", "x", "shop.tills has no such field; did you mean 'shop'?", id="unknown-field"),
        pytest.param("user_name", "x", "shop.tills has no such field; known: shop, till, ", id="strange-field"),
    ],
)
def test_what_is_wrong_with_a_value(field: str, value: Any, message: str) -> None:
    with pytest.raises(RowError) as caught:
        BUILDER.build({**ROW, field: value}, literal)
    ((name, said),) = caught.value.problems
    assert name == field
    assert message in said


@pytest.mark.parametrize("where", ["path", "headers"])
def test_what_goes_into_a_question_alone_is_looked_at_too(where: str) -> None:
    ask: dict[str, Any] = {"method": "GET", "path": "/tills", "idempotent": True}
    ask |= {"path": "/badges/{badge}"} if where == "path" else {"headers": {"X-Badge": "{badge}"}}
    described: dict[str, Any] = {
        "service": "shop.badges", "title": "t", "endpoint": {"own": "https://x"}, "key": ["till"],
        "fields": {"till": {}, "badge": {}}, "auth": ["none"], "success": {"status": 204, "then": "ended"},
        "end": {"method": "POST", "path": "/tills/{till}", "idempotent": True},
        "verify": {"question": {"ask": ask, "success": {"status": 404, "then": "ended"}}},
    }  # fmt: skip
    builder = TargetBuilder(Service.model_validate(described), "prod")
    with pytest.raises(RowError, match="cannot be" if where == "path" else "printable ASCII"):
        builder.build({"till": "t1", "badge": ".." if where == "path" else "é"}, literal)
    assert builder.build({"till": "t1", "badge": "b-1"}, literal).fields["badge"] == "b-1"


@pytest.mark.parametrize("value", [None, ""], ids=repr)
def test_an_empty_value_is_one_that_is_not_there(value: str | None) -> None:
    with pytest.raises(RowError, match="shop: is empty, and is required"):
        BUILDER.build({"shop": value, "till": "t1"}, literal)
    assert BUILDER.build({**ROW, "mark": value, "floor": value}, literal).fields == {**ROW, "floor": 0}


def test_everything_wrong_with_a_row_is_said_at_once() -> None:
    with pytest.raises(RowError) as caught:
        BUILDER.build({"shop": "123456789", "floor": "x", "zzz": 1}, literal)
    assert [name for name, _ in caught.value.problems] == ["shop", "floor", "zzz", "till"]


def test_what_is_wrong_with_a_secret_never_quotes_it() -> None:
    with pytest.raises(RowError) as caught:
        BUILDER.build({**ROW, "code": "hunter2!"}, literal)
    assert "hunter2" not in str(caught.value)


def test_a_secret_is_kept_as_one_and_stands_in_the_identity_as_its_fingerprint() -> None:
    target = BUILDER.build({**ROW, "code": "pin"}, literal)
    secret = target.fields["code"]
    assert isinstance(secret, Secret)
    assert secret.reveal() == "pin"
    assert target.id == f"s/t1/{secret.fingerprint}"
    assert "pin" not in repr(target)


def test_a_secret_field_asks_for_what_its_reference_means() -> None:
    target = BUILDER.build({**ROW, "code": "env:X"}, lambda reference: Secret(reference.upper()))
    assert target.fields["code"] == Secret("ENV:X")


def test_a_reference_that_cannot_be_resolved_is_a_problem_of_the_row() -> None:
    def resolve(reference: str) -> Secret:
        raise ValueError("refers to nothing")

    with pytest.raises(RowError, match="code: refers to nothing"):
        BUILDER.build({**ROW, "code": "env:X"}, resolve)


def test_the_identity_is_the_key_and_nothing_else() -> None:
    one, other = ({**ROW, "floor": 1}, {**ROW, "floor": 2, "loud": "no"})
    assert BUILDER.build(one, literal).id == BUILDER.build(other, literal).id == "s/t1"


keys = st.tuples(st.text("a/%", min_size=1, max_size=5), st.text("a/%", min_size=2, max_size=5))


@given(keys, keys)
def test_different_keys_are_different_targets(one: tuple[str, str], other: tuple[str, str]) -> None:
    ids = [BUILDER.build({"shop": shop, "till": till}, literal).id for shop, till in (one, other)]
    assert (ids[0] == ids[1]) == (one == other)


GAPS = TargetBuilder(
    Service.model_validate(
        {
            "service": "shop.gaps",
            "title": "Gaps",
            "endpoint": {"own": "https://x"},
            "auth": ["none"],
            "key": ["left", "middle", "right", "end"],
            "fields": {
                "left": {"optional": True},
                "middle": {},
                "right": {"optional": True},
                "end": {"optional": True},
            },
            "end": {
                "method": "POST",
                "path": "/",
                "json": ["{left}", "{middle}", "{right}", "{end}"],
                "idempotent": True,
            },
            "success": {"status": 204, "then": "ended"},
        }
    ),
    "prod",
)


@pytest.mark.parametrize(
    ("row", "identity"),
    [
        ({"left": "a", "middle": "b", "right": "c", "end": "d"}, "a/b/c/d"),
        ({"left": "a", "middle": "b", "right": "c"}, "a/b/c"),
        ({"left": "a", "middle": "b"}, "a/b"),
        ({"middle": "a", "right": "b"}, "/a/b"),
        ({"left": "a", "middle": "b", "end": "c"}, "a/b//c"),
        ({"middle": "/"}, "/%2F"),
    ],
)
def test_a_part_of_the_key_that_is_absent_keeps_its_place(row: dict[str, str], identity: str) -> None:
    assert GAPS.build(row, literal).id == identity


value = st.text("a/%", min_size=1, max_size=2)
gaps = st.fixed_dictionaries({"middle": value}, optional={"left": value, "right": value, "end": value})


@given(gaps, gaps)
def test_different_keys_with_gaps_are_different_targets(one: dict[str, str], other: dict[str, str]) -> None:
    ids = [GAPS.build(row, literal).id for row in (one, other)]
    assert (ids[0] == ids[1]) == (one == other)


def test_a_target_knows_where_it_belongs() -> None:
    target = BUILDER.build(ROW, literal)
    assert (target.service, target.connection, target.stage, target.expect) == ("shop.tills", "prod", "one", "")
