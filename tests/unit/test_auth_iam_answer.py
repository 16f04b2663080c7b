"""What IAM's answers mean, and what is asked of it, as tables."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.auth.iam_answer import Refusal, Token, Trouble, message_of, read_login
from orchestrator.auth.iam_request import Account
from orchestrator.errors import InvalidInput
from orchestrator.facts import read_facts
from orchestrator.model import Lost, Response, Secret

NOW = 1704164645.0  # 2024-01-02T03:04:05Z
HOUR = 3600.0
WORD = Secret("hunter2")


def issued(token: dict[str, Any] | None, value: str = "T1") -> Response:
    return Response(201, {"x-subject-token": value}, orjson.dumps({"token": token}))


@pytest.mark.parametrize(
    ("facts", "life", "early"),
    [
        pytest.param(
            {"issued_at": "2024-01-02T03:04:05.000000Z", "expires_at": "2024-01-03T03:04:05.701000Z"},
            24 * HOUR + 0.701,
            2400.0,
            id="a-day-is-replaced-40-minutes-early",
        ),
        pytest.param(
            {"issued_at": "2024-01-02T03:04:05Z", "expires_at": "2024-01-02T04:04:05Z"},
            HOUR,
            720.0,
            id="an-hour-is-replaced-a-fifth-early",
        ),
        pytest.param(
            {"issued_at": "2030-01-01T00:00:00Z", "expires_at": "2030-01-01T01:00:00Z"},
            HOUR,
            720.0,
            id="the-clocks-need-not-agree",
        ),
        pytest.param({"expires_at": "2024-01-02T04:04:05Z"}, HOUR, 720.0, id="without-the-time-of-issue"),
        pytest.param({"expires_at": "2024-01-02T04:04:05"}, HOUR, 720.0, id="without-a-zone"),
        pytest.param({"expires_at": "2020-01-01T00:00:00Z"}, HOUR, 720.0, id="over-by-our-clock"),
        pytest.param({"expires_at": "soon", "issued_at": 3}, HOUR, 720.0, id="not-a-time"),
        pytest.param(None, HOUR, 720.0, id="no-facts"),
    ],
)
def test_how_long_a_token_lives(facts: dict[str, Any] | None, life: float, early: float) -> None:
    token = read_login(issued(facts), NOW)
    assert isinstance(token, Token)
    assert token.value == Secret("T1")
    assert token.expires_at == pytest.approx(NOW + life)
    assert token.renew_at == pytest.approx(NOW + life - early)


KEYSTONE_401 = b'{"error":{"code":401,"message":"The request you have made requires authentication.","title":"x"}}'


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        pytest.param(
            Response(401, {}, KEYSTONE_401),
            Refusal(401, "401", "The request you have made requires authentication."),
            id="keystone-401",
        ),
        pytest.param(
            Response(401, {}, b'{"error_code":"IAM.0061","error_msg":"The account is locked."}'),
            Refusal(401, "IAM.0061", "The account is locked."),
            id="locked",
        ),
        pytest.param(
            Response(404, {}, b"<html>\n not here</html>"),
            Refusal(404, None, "<html> not here</html>", True),
            id="404",
        ),
        pytest.param(Response(302, {}), Refusal(302, None, "", True), id="redirect"),
        pytest.param(Response(200, {"x-subject-token": "T1"}), Refusal(200, None, "", True), id="200-is-not-201"),
        pytest.param(
            Response(201, {}),
            Refusal(201, None, "the answer holds no token (X-Subject-Token)", True),
            id="no-token",
        ),
        pytest.param(
            Response(201, {"x-subject-token": "a b"}),
            Refusal(201, None, "the answer holds no token (X-Subject-Token)", True),
            id="a-token-no-header-may-carry",
        ),
        pytest.param(Lost("timed out", sent=True), Trouble("no answer: timed out"), id="lost"),
        pytest.param(Response(503, {"retry-after": "7"}), Trouble("no message (HTTP 503)", 7.0), id="503-with-pause"),
        pytest.param(
            Response(429, {}, b'{"error_code":"IAM.0012","error_msg":"Threshold: 5 times per 60 seconds"}'),
            Trouble("Threshold: 5 times per 60 seconds (HTTP 429, IAM.0012)", 60.0),
            id="throttled",
        ),
        *(
            pytest.param(Response(status, {}), Trouble(f"no message (HTTP {status})"), id=str(status))
            for status in (408, 500, 502, 504)
        ),
    ],
)
def test_what_an_answer_without_a_token_means(answer: Response | Lost, meaning: Refusal | Trouble) -> None:
    assert read_login(answer, NOW) == meaning


@pytest.mark.parametrize(
    ("headers", "message", "wait"),
    [
        pytest.param({}, "", None, id="nothing-asked"),
        pytest.param({"retry-after": " 12 "}, "", 12.0, id="seconds"),
        pytest.param({"retry-after": "Tue, 02 Jan 2024 03:05:05 GMT"}, "", 60.0, id="date"),
        pytest.param({"retry-after": "Tue, 02 Jan 2024 03:00:00 GMT"}, "", 0.0, id="a-date-that-is-over"),
        pytest.param(
            {"retry-after": "Wed, 01 Jan 2020 00:01:00 GMT", "date": "Wed, 01 Jan 2020 00:00:00 GMT"},
            "",
            60.0,
            id="by-the-services-clock",
        ),
        pytest.param({"retry-after": "-3"}, "", None, id="negative"),
        pytest.param({"retry-after": "9" * 5000}, "", None, id="absurd"),
        pytest.param({"retry-after": "soon"}, "Threshold: 3 times per 30 seconds", 30.0, id="iam-words"),
        pytest.param({"retry-after": "1"}, "Threshold: 3 times per 30 seconds", 1.0, id="the-header-comes-first"),
    ],
)
def test_the_pause_that_is_asked_for(headers: dict[str, str], message: str, wait: float | None) -> None:
    answer = read_login(Response(429, headers, orjson.dumps({"message": message})), NOW)
    assert isinstance(answer, Trouble)
    assert answer.wait == wait


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        pytest.param(b'{"error_code":"A","error_msg":"m"}', "A", "m", id="error-code"),
        pytest.param(b'{"code":"A","message":"m"}', "A", "m", id="code"),
        pytest.param(b'{"error":{"code":401,"message":"m"}}', "401", "m", id="nested"),
        pytest.param(b'{"error_code":400,"description":"m"}', "400", "m", id="integer-code"),
        pytest.param(b'{"message":"m"}', None, "m", id="message-only"),
        pytest.param(b"{}", None, "", id="empty-object"),
        pytest.param(b"[1]", None, "[1]", id="list"),
        pytest.param(b"", None, "", id="empty"),
        pytest.param(b"\xff", None, "\ufffd", id="not-text"),
        pytest.param(b"x" * 600, None, "x" * 512, id="long"),
    ],
)
def test_code_and_message(body: bytes, code: str | None, message: str) -> None:
    facts = read_facts(Response(404, {}, body))
    assert (facts.code, message_of(facts)) == (code, message)


@given(
    st.integers(100, 599), st.dictionaries(st.sampled_from(["retry-after", "x-subject-token"]), st.text()), st.binary()
)
def test_no_answer_is_an_error_here(status: int, headers: dict[str, str], body: bytes) -> None:
    assert isinstance(read_login(Response(status, headers, body), NOW), Token | Refusal | Trouble)


BY_NAME = {"name": "cleaner", "domain": {"name": "ACME"}}


@pytest.mark.parametrize(
    ("facts", "user", "scope"),
    [
        pytest.param({"user": "cleaner", "domain": "ACME"}, BY_NAME, None, id="no-scope"),
        pytest.param(
            {"user": "cleaner", "domain_id": "d1"}, {"name": "cleaner", "domain": {"id": "d1"}}, None, id="domain-by-id"
        ),
        pytest.param({"user_id": "u1", "user": "cleaner"}, {"id": "u1"}, None, id="user-by-id"),
        pytest.param(
            {"user": "cleaner", "domain": "ACME", "project": "eu-de"},
            BY_NAME,
            {"project": {"name": "eu-de", "domain": {"name": "ACME"}}},
            id="project-by-name",
        ),
        pytest.param(
            {"user_id": "u1", "project": "eu-de"}, {"id": "u1"}, {"project": {"name": "eu-de"}}, id="project-alone"
        ),
        pytest.param(
            {"user": "cleaner", "domain": "ACME", "project": "eu-de", "project_id": "p1", "scope_domain": "ACME"},
            BY_NAME,
            {"project": {"id": "p1"}},
            id="project-id-wins",
        ),
        pytest.param(
            {"user": "cleaner", "domain": "ACME", "scope_domain": "ACME"},
            BY_NAME,
            {"domain": {"name": "ACME"}},
            id="domain",
        ),
        pytest.param(
            {"user_id": "u1", "scope_domain_id": "d1"}, {"id": "u1"}, {"domain": {"id": "d1"}}, id="domain-id"
        ),
    ],
)
def test_what_is_asked_of_iam(facts: dict[str, str], user: dict[str, Any], scope: dict[str, Any] | None) -> None:
    request = Account("https://iam.example/v3/", WORD, **facts).login()
    assert (request.method, request.url) == ("POST", "https://iam.example/v3/auth/tokens?nocatalog=true")
    auth = orjson.loads(request.body)["auth"]
    password = {"user": {**user, "password": "hunter2"}}
    assert auth["identity"] == {"methods": ["password"], "password": password}
    assert auth.get("scope") == scope


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        pytest.param({"password": WORD}, "a user id, or a user name with its domain", id="nobody"),
        pytest.param({"password": WORD, "user": "u"}, "with its domain", id="no-domain"),
        pytest.param({"password": Secret(""), "user_id": "u"}, "the IAM password is empty", id="no-password"),
    ],
)
def test_an_account_that_cannot_log_in_is_refused(facts: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Account("https://iam.example", **facts)


def test_an_account_does_not_show_its_password() -> None:
    assert "hunter2" not in repr(Account("https://iam.example", WORD, user_id="u"))
