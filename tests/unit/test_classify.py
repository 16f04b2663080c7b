"""The parts of reading an answer: forms, errors, conditions, and the order of rules."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.classify import compile_reading, lost_ruling
from orchestrator.facts import find_error, read_facts
from orchestrator.model import Lost, Response, Ruling, Verdict
from orchestrator.reading import Reading, Rule


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [
        pytest.param({"error_code": "A.1", "error_msg": "m"}, "A.1", "m", id="1"),
        pytest.param({"error_code": "A.1", "error_description": "m"}, "A.1", "m", id="2"),
        pytest.param({"error_code": 400, "description": "m"}, "400", "m", id="3"),
        pytest.param({"errorCode": "A.1", "errorMsg": "m"}, "A.1", "m", id="4"),
        pytest.param({"errorCodeStr": "A.1", "errorMsg": "m", "errorCode": 7}, "A.1", "m", id="4-newer"),
        pytest.param({"error": {"code": 401, "message": "m", "title": "t"}}, "401", "m", id="5"),
        pytest.param({"code": "A.1", "message": "m"}, "A.1", "m", id="6"),
        pytest.param({"message": "m", "status": 400}, None, "m", id="6-without-a-code"),
        pytest.param({"error_code": "A.1"}, "A.1", None, id="only-a-code"),
        pytest.param({"error_code": 0}, "0", None, id="zero-is-a-code"),
        pytest.param({"error_code": "", "code": "A.1"}, "A.1", None, id="an-empty-one-does-not-count"),
        pytest.param({"error_code": None, "error_msg": None}, None, None, id="nothing-said"),
        pytest.param({"error_code": ["A.1"], "message": {"a": 1}}, None, None, id="no-single-value"),
        pytest.param({"a": {"b": 1}, "c": {"code": "A.1"}}, "A.1", None, id="the-first-inner-one-that-says-something"),
        pytest.param({"a": {"b": {"code": "A.1"}}}, None, None, id="only-one-level-down"),
        pytest.param({"errors": [{"code": "A.1"}]}, None, None, id="not-in-a-list"),
        pytest.param({}, None, None, id="empty-object"),
        pytest.param([], None, None, id="list"),
        pytest.param("A.1", None, None, id="text"),
        pytest.param(None, None, None, id="null"),
    ],
)
def test_find_error(value: Any, code: str | None, message: str | None) -> None:
    assert find_error(value) == (code, message)


def test_what_is_kept_of_an_error_is_bounded() -> None:
    code, message = find_error({"error_code": "c" * 10_000, "error_msg": "m" * 10_000})
    assert (len(code or ""), len(message or "")) == (512, 512)
    assert len(read_facts(Response(502, {}, b"<p>" + b"x " * 10_000)).message or "") == 512


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        pytest.param(b"", "empty", id="nothing"),
        pytest.param(b" \r\n\t", "empty", id="blanks"),
        pytest.param(b"null", "null", id="null"),
        pytest.param(b'""', "blank", id="blank"),
        pytest.param(b'" "', "text", id="text"),
        pytest.param(b"{}", "bare", id="bare"),
        pytest.param(b'{"a": null, "b": ""}', "bare", id="bare-with-names"),
        pytest.param(b'{"message": "Please log in"}', "object", id="object"),
        pytest.param(b"[]", "list", id="list"),
        pytest.param(b"<html>", "other", id="page"),
        pytest.param(b"{", "other", id="half-a-document"),
        pytest.param(b"{}{}", "other", id="two-documents"),
        pytest.param(b"NaN", "other", id="no-number"),
        pytest.param(b'{"a": "\xff"}', "other", id="not-utf-8"),
        pytest.param(b"[" * 100_000, "other", id="bottomless"),
    ],
)
def test_the_form_of_a_body(body: bytes, shape: str) -> None:
    assert read_facts(Response(200, {}, body)).shape == shape


@given(st.binary(max_size=200), st.integers(100, 599))
def test_no_body_is_an_error(body: bytes, status: int) -> None:
    assert read_facts(Response(status, {}, body)).response.status == status


@pytest.mark.parametrize(
    ("headers", "body", "request_id"),
    [
        pytest.param({"x-request-id": "a", "x-iam-trace-id": "b"}, {"request_id": "c"}, "a", id="header"),
        pytest.param({"x-iam-trace-id": "b"}, {"request_id": "c"}, "b", id="trace"),
        pytest.param({}, {"request_id": "c"}, "c", id="body"),
        pytest.param({"x-request-id": ""}, {}, None, id="none"),
        pytest.param({}, [1], None, id="no-object"),
        pytest.param({"x-request-id": "a" * 500}, {}, "a" * 128, id="bounded"),
    ],
)
def test_the_id_of_a_request(headers: dict[str, str], body: Any, request_id: str | None) -> None:
    found = ruling({"success": {"status": 200, "then": "ended"}}, Response(200, headers, orjson.dumps(body)))
    assert found.request_id == request_id


def ruling(reading: dict[str, Any], response: Response, batch: int = 1) -> Ruling:
    described = Reading.model_validate(reading)
    rules = [entry for entry in described.otherwise if isinstance(entry, Rule)]
    return compile_reading(described, rules, "x.y")(response, batch, 0.0)


def holds(condition: dict[str, Any], body: Any, headers: dict[str, str] | None = None, status: int = 200) -> bool:
    reading = {"otherwise": [{**condition, "then": "absent"}]}
    return ruling(reading, Response(status, headers or {}, orjson.dumps(body))).verdict is Verdict.ABSENT


@pytest.mark.parametrize(
    ("wanted", "value", "expected"),
    [
        pytest.param(True, True, True, id="true"),
        pytest.param(True, 1, False, id="true-is-not-1"),
        pytest.param(1, True, False, id="1-is-not-true"),
        pytest.param(0, False, False, id="0-is-not-false"),
        pytest.param(1, 1, True, id="1"),
        pytest.param(1, 1.0, False, id="1-is-not-1.0"),
        pytest.param(1, "1", False, id="1-is-not-a-text"),
        pytest.param("1", 1, False, id="a-text-is-not-1"),
        pytest.param("done", "done", True, id="text"),
        pytest.param(None, None, True, id="null"),
        pytest.param([1], [1], True, id="list"),
    ],
)
def test_equality_is_by_type_too(wanted: Any, value: Any, expected: bool) -> None:
    assert holds({"body": {"ok": {"equals": wanted}}}, {"ok": value}) is expected


@pytest.mark.parametrize(
    ("check", "body", "expected"),
    [
        pytest.param({"absent": True}, {}, True, id="absent"),
        pytest.param({"absent": True}, {"a": {"b": None}}, True, id="null-is-absent"),
        pytest.param({"absent": True}, {"a": {"b": ""}}, True, id="empty-is-absent"),
        pytest.param({"absent": True}, {"a": {"b": 0}}, False, id="zero-is-there"),
        pytest.param({"absent": True}, {"a": {"b": []}}, False, id="an-empty-list-is-there"),
        pytest.param({"absent": False}, {"a": {"b": "x"}}, True, id="there"),
        pytest.param({"absent": False}, {"a": "x"}, False, id="not-there"),
        pytest.param({"absent": True}, [1], True, id="absent-in-a-list"),
        pytest.param({"matches": "^x"}, {"a": {"b": "xy"}}, True, id="matches"),
        pytest.param({"matches": "^x"}, {"a": {"b": 5}}, False, id="only-a-text-matches"),
        pytest.param({"matches": "y$"}, {}, False, id="nothing-matches-nothing"),
    ],
)
def test_a_check_on_a_value_deep_in_the_body(check: dict[str, Any], body: Any, expected: bool) -> None:
    assert holds({"body": {"a.b": check}}, body) is expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        pytest.param({"status": 404}, True, id="status"),
        pytest.param({"status": "4xx"}, True, id="class"),
        pytest.param({"status": [400, "5xx"]}, False, id="other-statuses"),
        pytest.param({"code": "A\\.1"}, True, id="code"),
        pytest.param({"code": "A"}, False, id="the-whole-code"),
        pytest.param({"message": "NOT found"}, True, id="message-in-any-case"),
        pytest.param({"header": {"X-Kind": {"equals": "gone"}}}, True, id="header-in-any-case"),
        pytest.param({"header": {"X-Other": {"absent": True}}}, True, id="absent-header"),
        pytest.param({"status": 404, "code": "B"}, False, id="all-have-to-hold"),
        pytest.param({"shape": "object", "status": 404, "code": "A\\.1", "message": "it"}, True, id="all-hold"),
    ],
)
def test_conditions(condition: dict[str, Any], expected: bool) -> None:
    body = {"error_code": "A.1", "error_msg": "It was not found."}
    assert holds(condition, body, {"x-kind": "gone"}, 404) is expected


@pytest.mark.parametrize(("batch", "verdict"), [(1, Verdict.FAIL), (2, Verdict.SPLIT), (100, Verdict.SPLIT)], ids=str)
def test_a_rule_for_batches_is_only_for_several_targets(batch: int, verdict: Verdict) -> None:
    reading = {"otherwise": [{"status": 400, "batch": True, "then": "split"}]}
    assert ruling(reading, Response(400, {}), batch).verdict is verdict


@pytest.mark.parametrize(("batch", "verdict"), [(1, Verdict.ABSENT), (2, Verdict.SPLIT), (100, Verdict.SPLIT)], ids=str)
@pytest.mark.parametrize("status", [200, 404])
def test_that_one_is_absent_says_nothing_of_the_others_of_a_batch(status: int, batch: int, verdict: Verdict) -> None:
    reading = {"otherwise": [{"code": "A.0404", "then": "absent"}]}
    assert ruling(reading, Response(status, {}, b'{"error_code": "A.0404"}'), batch).verdict is verdict


def test_a_rule_may_say_that_all_of_a_batch_are_absent() -> None:
    reading = {"otherwise": [{"code": "A.0404", "batch": True, "then": "absent"}]}
    assert ruling(reading, Response(404, {}, b'{"error_code": "A.0404"}'), 100).verdict is Verdict.ABSENT


@pytest.mark.parametrize(
    ("reading", "status", "described"),
    [
        ({"success": {"status": 200, "then": "ended"}}, 200, True),
        ({"otherwise": [{"status": 404, "then": "fail"}]}, 404, True),
        ({"success": {"status": 204, "then": "ended"}}, 200, False),
        ({}, 404, False),
        ({}, 429, False),
    ],
)
def test_an_answer_is_described_where_a_rule_or_the_success_is_about_it(
    reading: dict[str, Any], status: int, described: bool
) -> None:
    assert ruling(reading, Response(status, {})).described is described


@pytest.mark.parametrize(
    ("status", "verdict"), [(204, Verdict.ABSENT), (200, Verdict.ENDED), (503, Verdict.RETRY), (206, Verdict.FAIL)]
)
def test_rules_come_first_then_success_then_the_usual_meanings_then_failure(status: int, verdict: Verdict) -> None:
    rules = [{"status": 204, "then": "absent", "note": "n"}, {"status": 204, "then": "fail"}]
    reading = {"success": {"status": [200, 204], "then": "ended"}, "otherwise": rules}
    assert ruling(reading, Response(status, {})).verdict is verdict


def test_success_replaces_the_default_of_2xx() -> None:
    reading = {"success": {"status": 204, "then": "ended"}}
    assert ruling(reading, Response(200, {})).verdict is Verdict.FAIL


@pytest.mark.parametrize("body", [b'{"rows": ["' + b"x" * 1000, b"\x1f\x8b\x08compressed", b"<html>"])
def test_what_is_absent_is_not_known_of_a_body_that_cannot_be_read(body: bytes) -> None:
    reading = {"success": {"status": 200, "body": {"error_code": {"absent": True}}, "then": "ended"}}
    assert ruling(reading, Response(200, {}, body)).verdict is Verdict.FAIL
    assert ruling(reading, Response(200, {}, b'{"rows": []}')).verdict is Verdict.ENDED
    assert ruling(reading, Response(200, {}, b"")).verdict is Verdict.ENDED


def test_a_link_is_handed_over_only_as_a_secret() -> None:
    reading = {"success": {"status": 200, "then": "issued", "handover": "link.url"}}
    found = ruling(reading, Response(200, {}, b'{"link":{"url":"https://x?secret"}}'))
    assert found.handover is not None
    assert found.handover.reveal() == "https://x?secret"
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"link": {}}', b'{"link": {"url": ""}}', b'{"link": {"url": 1}}', b"<html>"]
)
def test_an_answer_without_the_link_is_not_issued(body: bytes) -> None:
    reading = {"success": {"status": 200, "then": "issued", "handover": "link.url"}}
    assert ruling(reading, Response(200, {}, body)).verdict is Verdict.FAIL


@pytest.mark.parametrize("sent", [True, False])
def test_a_lost_answer_is_tried_again_and_remembers_whether_it_was_sent(sent: bool) -> None:
    assert lost_ruling(Lost("connection reset", sent)) == Ruling(Verdict.RETRY, "connection reset", lost=sent)


LOGIN_FORM = {"success": {"status": 200, "text": ['name="lt"', 'name="_eventId"'], "then": "ended"}}


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        pytest.param('<input name="lt"/> <input NAME="_eventid"/>', Verdict.ENDED, id="both"),
        pytest.param('<input name="_eventId"/>\n<input name="lt"/>', Verdict.ENDED, id="in-any-order"),
        pytest.param('<input name="lt"/>', Verdict.FAIL, id="only-the-first"),
        pytest.param('<input name="_eventId"/>', Verdict.FAIL, id="only-the-second"),
        pytest.param("", Verdict.FAIL, id="nothing"),
    ],
)
def test_every_text_of_a_list_has_to_be_there(text: str, verdict: Verdict) -> None:
    classify = compile_reading(Reading.model_validate(LOGIN_FORM), [], "x")
    assert classify(Response(200, {}, text.encode(), ()), 1, 0.0).verdict is verdict


def test_a_body_that_is_too_long_is_not_searched() -> None:
    classify = compile_reading(Reading.model_validate(LOGIN_FORM), [], "x")
    form = b'name="lt" name="_eventId"'
    for length, verdict in ((256 * 1024, Verdict.ENDED), (256 * 1024 + 1, Verdict.FAIL)):
        assert classify(Response(200, {}, form.ljust(length), ()), 1, 0.0).verdict is verdict
