from __future__ import annotations

import hashlib

import pytest

from orchestrator.sandbox.signature import Authorization, Received, canonical_request, parse, sign, verify

PROJECT = "0123456789abcdef0123456789abcdef"
JSON = "application/json"
DATE = {"x-sdk-date": "20240102T030405Z"}
LOGOUT = Received(
    "POST",
    f"/v2/{PROJECT}/instances/5560df16-cebf-4473-95c4-d1b573c16e79/webcli/logout",
    "",
    {"host": "dcs.cn-north-4.myhuaweicloud.com", "content-type": JSON, "x-project-id": PROJECT, **DATE},
    b'{"client_id":"abc"}',
)
LISTING = Received(
    "GET",
    f"/v2/{PROJECT}/connect-desktops",
    "flag=true&limit=100&user_names=a&user_names=b%20u",
    {
        "host": "workspace.cn-north-4.myhuaweicloud.com",
        "x-project-id": PROJECT,
        "x-security-token": "TOKEN",
        **DATE,
    },
    b"",
)
EMPTY = Received(
    "POST",
    "/v2/p/desktops/logoff",
    "",
    {"host": "workspace.eu-west-101.myhuaweicloud.eu", "content-type": JSON, **DATE},
    b"",
)


@pytest.mark.parametrize(
    ("request_", "signature"),
    [
        pytest.param(LOGOUT, "dc53c1e4738e81e4f72ee70e326e3248757365c950c824d2acf2d3034b60cfe9", id="body"),
        pytest.param(LISTING, "08f52797b4130af7fc1c8092ae531fd41c15143e33ff32535505198afcf87f52", id="query"),
        pytest.param(EMPTY, "d0cb7617fba978d9ebf168a5ab9e41c9ec1189ed195413ab86e20e4f298689f9", id="empty body"),
    ],
)
def test_known_signatures(request_: Received, signature: str) -> None:
    assert sign("EXAMPLE-SK", request_, sorted(request_.headers)) == signature


def test_known_canonical_request() -> None:
    canonical = canonical_request(LOGOUT, sorted(LOGOUT.headers))
    expected = "63959ffbfbd503d7db6cc8e71c7fd234a68170084cc1e975a98cf408b0735fea"
    assert hashlib.sha256(canonical.encode()).hexdigest() == expected


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic dXNlcg==",
        "SDK-HMAC-SHA256 Access=A, SignedHeaders=host",
        "SDK-HMAC-SHA256 Access=A, SignedHeaders=host, Signature=zz",
        "SDK-HMAC-SHA256 Access=A, SignedHeaders=host, Signature=" + "a" * 64 + " ",
    ],
)
def test_a_malformed_header_is_no_authorization(header: str) -> None:
    assert parse(header) is None


def test_a_header_is_taken_apart() -> None:
    header = "SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;x-sdk-date, Signature=" + "a" * 64
    assert parse(header) == Authorization("AK", ("host", "x-sdk-date"), "a" * 64)


def test_unsorted_or_missing_signed_headers_do_not_verify() -> None:
    good = sign("EXAMPLE-SK", EMPTY, ["host", "x-sdk-date"])
    assert verify(Authorization("AK", ("host", "x-sdk-date"), good), "EXAMPLE-SK", EMPTY)
    assert not verify(Authorization("AK", ("x-sdk-date", "host"), good), "EXAMPLE-SK", EMPTY)
    assert not verify(Authorization("AK", ("host", "x-absent", "x-sdk-date"), good), "EXAMPLE-SK", EMPTY)


def test_an_unsigned_payload_is_only_for_bodies_that_are_not_json() -> None:
    names = ["content-type", "host", "x-sdk-content-sha256", "x-sdk-date"]
    headers = {"host": "h", "x-sdk-content-sha256": "UNSIGNED-PAYLOAD", **DATE}
    form = Received("POST", "/", "", {**headers, "content-type": "text/plain"}, b"a")
    json = Received("POST", "/", "", {**headers, "content-type": JSON}, b"a")
    assert canonical_request(form, names).endswith("UNSIGNED-PAYLOAD")
    assert canonical_request(json, names).endswith(hashlib.sha256(b"a").hexdigest())
