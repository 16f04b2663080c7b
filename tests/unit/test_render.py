"""Templates and targets to requests."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.calling import Operation
from orchestrator.model import FieldValue, Request, Secret, Target
from orchestrator.render import Place, compile_operation, encode_query

PLACE = Place("https://api.test:8443", "p-1", "eu-de")


def render(operation: dict[str, Any], *fields: dict[str, FieldValue]) -> Request:
    described = Operation.model_validate({"method": "POST", "path": "/x", "idempotent": True, **operation})
    targets = [Target("s", "c", str(n), one) for n, one in enumerate(fields or ({},))]
    return compile_operation(described, PLACE)(targets)


@pytest.mark.parametrize(
    ("template", "fields", "body"),
    [
        pytest.param({"id": "{id}"}, [{"id": "a"}], {"id": "a"}, id="text"),
        pytest.param({"id": "{id}"}, [{"id": 7}], {"id": 7}, id="a-number-stays-one"),
        pytest.param({"id": "{id}"}, [{"id": True}], {"id": True}, id="a-switch-stays-one"),
        pytest.param({"id": "{id}"}, [{"id": Secret("s")}], {"id": "s"}, id="a-secret-is-sent"),
        pytest.param({"id": "no. {id}"}, [{"id": 7}], {"id": "no. 7"}, id="inside-a-text"),
        pytest.param({"ids": "{*id}"}, [{"id": "a"}, {"id": "b"}], {"ids": ["a", "b"]}, id="a-batch"),
        pytest.param({"id": "{id}", "m": "{m}"}, [{"id": "a"}], {"id": "a"}, id="left-out"),
        pytest.param({"a": {"m": "{m}"}}, [{}], {"a": {}}, id="left-out-inside"),
        pytest.param(["{m}", "{id}", "x"], [{"id": 1}], [1, "x"], id="left-out-of-a-list"),
        pytest.param({"id": "{m}"}, [{}], {}, id="never-without-a-body"),
        pytest.param({"p": "{project_id}/{region}", "q": "{project_id}"}, [{}], {"p": "p-1/eu-de", "q": "p-1"}),
        pytest.param({"a": 1, "b": True, "c": None}, [{}], {"a": 1, "b": True, "c": None}, id="constants"),
        pytest.param({"id": "{id}"}, [{"id": "{project_id} %s {0}"}], {"id": "{project_id} %s {0}"}, id="no-second-go"),
        pytest.param({"id": "{Id} {} {{id}}"}, [{"id": 1}], {"id": "{Id} {} {1}"}, id="what-is-no-hole"),
    ],
)
def test_a_json_body(template: Any, fields: list[dict[str, FieldValue]], body: Any) -> None:
    assert orjson.loads(render({"json": template}, *fields).body) == body


def test_without_a_template_there_is_no_body() -> None:
    assert render({}).body == b""


@pytest.mark.parametrize(
    ("template", "fields", "path"),
    [
        pytest.param("/v1/{project_id}/{id}", {"id": "a/b c"}, "/v1/p-1/a%2Fb%20c", id="encoded"),
        pytest.param("/{id}/{region}/{id}", {"id": "é"}, "/%C3%A9/eu-de/%C3%A9", id="twice"),
        pytest.param("/{id}", {"id": 7}, "/7", id="number"),
        pytest.param("/a%20b/x", {}, "/a%20b/x", id="the-templates-own-text-stays"),
    ],
)
def test_a_path(template: str, fields: dict[str, FieldValue], path: str) -> None:
    assert render({"path": template}, fields).path == path


def test_headers_and_cookies() -> None:
    operation = {"headers": {"X-Token": "{t}", "X-Fix": "1"}, "cookies": {"A": "{t}", "B": "{absent}", "C": "{t}"}}
    sent = render(operation, {"t": Secret("s")})
    assert sent.headers == {"X-Token": "s", "X-Fix": "1", "Cookie": "A=s; C=s"}


def test_without_any_cookie_there_is_no_cookie_header() -> None:
    assert render({"cookies": {"B": "{absent}"}}).headers == {}


def test_a_query_leaves_out_what_is_absent() -> None:
    sent = render({"query": {"b": "{id}", "a": "{absent}", "c": "{*id}"}}, {"id": "z"}, {"id": "y"})
    assert sent.query == "b=z&c=y&c=z"
    assert sent.url == "https://api.test:8443/x?b=z&c=y&c=z"


@pytest.mark.parametrize(
    ("parameters", "query"),
    [
        pytest.param({}, "", id="none"),
        pytest.param({"b": 1, "a": 2}, "a=2&b=1", id="sorted"),
        pytest.param({"flag": True, "off": False}, "flag=true&off=false", id="switches"),
        pytest.param(
            {"limit": 100, "user_names": ["b u", "a"], "flag": True},
            "flag=true&limit=100&user_names=a&user_names=b%20u",
            id="as-the-signed-example",
        ),
        pytest.param({"a b": "c&d=e/f?g", "t": "-_.~"}, "a%20b=c%26d%3De%2Ff%3Fg&t=-_.~", id="encoded"),
        pytest.param({"a": ""}, "a=", id="empty"),
        pytest.param({"a": []}, "", id="empty-list"),
        pytest.param({"n": ["b", "a", "c"]}, "n=a&n=b&n=c", id="a-list-is-sorted-and-repeated"),
        pytest.param({"n": [True, "a"]}, "n=a&n=true", id="switches-in-a-list"),
        pytest.param({"n": ["[", "Y"]}, "n=Y&n=%5B", id="a-list-is-sorted-before-it-is-encoded"),
        pytest.param({"q": "a b+c/d&e=f~g"}, "q=a%20b%2Bc%2Fd%26e%3Df~g", id="reserved-characters"),
        pytest.param({"q": "é%2F"}, "q=%C3%A9%252F", id="unicode-and-percent"),
    ],
)
def test_encode_query(parameters: dict[str, Any], query: str) -> None:
    assert encode_query(parameters) == query


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_a_query_reads_back_as_it_was_meant(parameters: dict[str, str]) -> None:
    query = encode_query(parameters)
    assert query.isascii()
    assert parse_qsl(query, keep_blank_values=True) == sorted(parameters.items())


@given(st.text(st.characters(codec="utf-8")))
def test_a_value_in_a_body_is_read_back_as_it_was(value: str) -> None:
    assert orjson.loads(render({"json": {"a": "{v}", "b": "-{v}-"}}, {"v": value}).body) == {
        "a": value,
        "b": f"-{value}-",
    }


def test_a_boolean_in_a_text_is_written_as_json_writes_it() -> None:
    request = render({"method": "GET", "path": "/x/{flag}", "idempotent": True}, {"flag": True})
    assert request.path == "/x/true"
