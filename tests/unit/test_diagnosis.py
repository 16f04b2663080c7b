"""What the facts about a connection mean, in words that say what to do."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from orchestrator import diagnosis
from orchestrator.diagnosis import Check, Diagnosis, Found, Status
from orchestrator.model import Lost, Page, Response, Ruling, Verdict

URL = "https://dcs.example.com"
TLS = (
    "could not connect: the certificate was not accepted ([SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
)


@pytest.mark.parametrize(
    ("reason", "words", "do"),
    [
        (TLS + "self-signed certificate (_ssl.c:1006))", "is self-signed", "tls.ca_file"),
        (TLS + "self signed certificate in certificate chain", "is self-signed", "tls.ca_file"),
        (TLS + "unable to get local issuer certificate", "an authority that nothing here trusts", "tls.ca_file"),
        (TLS + "certificate has expired", "the certificate has expired", "renewed"),
        (TLS + "certificate is not yet valid", "not valid yet", "clock"),
        (TLS + "Hostname mismatch, certificate is not valid for 'x'", "for another name", "endpoint"),
        (TLS + "IP address mismatch", "for another name", "endpoint"),
        ("could not connect: the certificate's fingerprint is not the configured one", "fingerprint", "renewed"),
        ("could not connect: [SSL: WRONG_VERSION_NUMBER] wrong version number", "does not speak TLS", "http://"),
        ("could not connect: Name or service not known", "name is not known", "region"),
        ("could not connect: Connect call failed ('127.0.0.1', 1)", "Connect call failed", "port"),
        ("could not connect: Connection refused", "refused", "port"),
        ("could not connect in time", "in time", "firewall"),
        ("no answer within 10 s", "no answer", "says nothing"),
        ("the connection broke: ServerDisconnectedError", "broke", "between"),
    ],
)
def test_why_an_address_cannot_be_reached(reason: str, words: str, do: str) -> None:
    check = diagnosis.reachable(URL, Lost(reason, sent=False))
    assert (check.status, check.about) == (Status.FAILED, URL)
    assert words in check.said
    assert reason in check.said
    assert do in check.do


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, "ok"), (302, "ok"), (401, "ok"), (404, "ok"), (500, "ok"), (503, "warning"), (407, "failed")],
)
def test_any_answer_but_a_gateway_s_or_a_proxy_s_shows_that_it_is_there(status: int, expected: str) -> None:
    assert diagnosis.reachable(URL, Response(status, {})).status == expected


def test_an_address_may_be_dead_where_another_answers() -> None:
    dead, alive = Check("reachable", Status.FAILED, "x", do="do"), Check("reachable", Status.OK, "y")
    assert [check.status for check in diagnosis.soften([dead, alive])] == ["warning", "ok"]
    assert [check.status for check in diagnosis.soften([dead, dead])] == ["failed", "failed"]


@pytest.mark.parametrize(
    ("skew", "signs", "expected", "words"),
    [
        (0, True, "ok", "they agree"),
        (-30, True, "ok", "30 s behind"),
        (61, True, "warning", "61 s ahead"),
        (889, True, "warning", "889 s ahead"),
        (890, True, "failed", "15 minutes are refused"),
        (-1000, False, "warning", "1000 s behind"),
    ],
)
def test_the_clock(skew: int, signs: bool, expected: str, words: str) -> None:
    check = diagnosis.clock({URL: formatdate(1e9, usegmt=True), "x": None}, 1e9 + skew, signs=signs)
    assert check.status == expected
    assert words in check.said


@pytest.mark.parametrize("date", [None, "", "yesterday", "9" * 4000])
def test_nobody_says_the_time(date: str | None) -> None:
    assert diagnosis.clock({URL: date}, 1e9, signs=True).status is Status.SKIPPED


@pytest.mark.parametrize(
    ("ruling", "expected"),
    [
        (Ruling(Verdict.ENDED, status=200, page=Page([])), Found.ACCEPTED),
        (Ruling(Verdict.FAIL, status=403, code="DCS.3003"), Found.FORBIDDEN),
        (Ruling(Verdict.HALT, status=403, code="APIGW.0302"), Found.FORBIDDEN),
        (Ruling(Verdict.REAUTH, status=401, code="APIGW.0301"), Found.FORBIDDEN),
        (Ruling(Verdict.FAIL, status=403), Found.STRANGE),
        (Ruling(Verdict.FAIL, status=404), Found.STRANGE),
        (Ruling(Verdict.FAIL, "the listing's answer is not JSON", 200), Found.STRANGE),
        (Ruling(Verdict.HALT, status=404, code="APIGW.0101"), Found.ODD),
        (Ruling(Verdict.FAIL, status=401, code="111401004"), Found.ODD),
        (Ruling(Verdict.HALT, "the token names no project"), Found.ODD),
        (Ruling(Verdict.THROTTLE, status=429), Found.THROTTLED),
        (Ruling(Verdict.RETRY, status=503), Found.TROUBLE),
        (Ruling(Verdict.RETRY, "no answer within 10 s", lost=True), Found.TROUBLE),
    ],
)
def test_what_an_answer_shows(ruling: Ruling, expected: Found) -> None:
    assert diagnosis.judge(ruling, refused=False) is expected
    assert diagnosis.judge(ruling, refused=True) is Found.REFUSED


@pytest.mark.parametrize(
    ("found", "expected", "words"),
    [
        ([(Found.STRANGE, "a"), (Found.ACCEPTED, "")], "ok", "accepted: me"),
        ([(Found.ACCEPTED, ""), (Found.REFUSED, "no")], "failed", "no"),
        ([(Found.FORBIDDEN, "a"), (Found.TROUBLE, "")], "ok", "known"),
        ([(Found.STRANGE, "HTTP 404")], "failed", "cannot be told: HTTP 404"),
        ([(Found.TROUBLE, "HTTP 503")], "failed", "cannot be told: HTTP 503"),
        ([(Found.THROTTLED, "HTTP 429")], "warning", "cannot be told: HTTP 429"),
        ([], "warning", "with aksk"),
    ],
)
def test_whether_a_credential_is_accepted(found: list[tuple[Found, str]], expected: str, words: str) -> None:
    check = diagnosis.credentials("aksk", found, "me")
    assert check.status == expected
    assert words in check.said
    assert bool(check.do) is (expected != "ok")


@pytest.mark.parametrize(
    ("said", "do"),
    [
        ("Incorrect IAM authentication information: verify aksk signature fail", "secret_key"),
        ("Incorrect IAM authentication information: Get secretKey failed", "access_key"),
        ("AK access failed to reach the limit,forbidden", "five minutes"),
        ("signature expired, signature time: x", "clock"),
        ("The token must be updated. (HTTP 401, APIGW.0307)", "new token"),
        ("token expires, expires_at: x", "new token"),
        ("IAM at x refused the credential: The username or password is wrong.", "user, domain and password"),
        ("IAM at x does not answer as IAM does", "endpoints.iam"),
        ("Could not find the project.", "project"),
        ("whatever", "check the credential"),
    ],
)
def test_what_to_do_about_a_refusal(said: str, do: str) -> None:
    assert do in diagnosis.remedy(said)


def test_a_missing_permission_is_named_with_the_one_to_end() -> None:
    message = "Policy doesn't allow dcs:instance:list to be performed."
    ruling = Ruling(Verdict.FAIL, "HTTP 403 is not in the description of dcs.webcli", 403, "DCS.3003", message)
    check = diagnosis.permission("dcs.webcli", "instances", "dcs:instance:webcli", Found.FORBIDDEN, ruling, strict=True)
    assert check.said == f"may not list instances: {message} (HTTP 403, DCS.3003)"
    assert (check.status, check.do) == (Status.FAILED, "grant it, and dcs:instance:webcli to end")
    lenient = diagnosis.permission("dcs.webcli", "instances", "", Found.FORBIDDEN, ruling, strict=False)
    assert (lenient.status, lenient.do) == (Status.WARNING, "grant it")


def test_a_note_of_the_description_stands_before_the_message() -> None:
    ruling = Ruling(Verdict.FAIL, "the project_id is not the token's", 401, "111401004", "does not match")
    assert diagnosis.words(ruling) == "the project_id is not the token's: does not match (HTTP 401, 111401004)"
    assert diagnosis.words(Ruling(Verdict.HALT, "refused: no (HTTP 401)", 401, "X", "no")) == "refused: no (HTTP 401)"


def test_the_verdict_is_the_worst_check_and_says_what_to_do() -> None:
    found = Diagnosis("prod", "aksk", [Check("clock", Status.OK, ""), Check("permission", Status.SKIPPED, "")])
    assert (found.verdict, found.do) == (Status.OK, "")
    found.checks.append(Check("permission", Status.WARNING, "", do="second"))
    assert (found.verdict, found.do) == (Status.WARNING, "second")
    found.checks.append(Check("credentials", Status.FAILED, "", do="first"))
    found.sort()
    assert (found.verdict, found.do) == (Status.FAILED, "first")
    assert [check.name for check in found.checks] == ["clock", "credentials", "permission", "permission"]
