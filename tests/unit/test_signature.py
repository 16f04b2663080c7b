"""The signature against known vectors, and the canonical forms that it is made of."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.auth.signature import Signer, canonical_path, host_of
from orchestrator.model import Request, Secret
from orchestrator.render import encode_query

NOW = 1704164645.9  # 2024-01-02T03:04:05Z and a bit
PROJECT = "0123456789abcdef0123456789abcdef"
JSON = {"Content-Type": "application/json"}
ALL_SIGNED = "content-type;host;x-project-id;x-sdk-content-sha256;x-sdk-date;x-security-token"
EMPTY_HASH = hashlib.sha256(b"").hexdigest()

V1 = Request(
    "POST",
    "https://dcs.cn-north-4.myhuaweicloud.com",
    f"/v2/{PROJECT}/instances/5560df16-cebf-4473-95c4-d1b573c16e79/webcli/logout",
    headers=JSON,
    body=b'{"client_id":"abc"}',
)
V2 = Request(
    "GET",
    "https://workspace.cn-north-4.myhuaweicloud.com",
    f"/v2/{PROJECT}/connect-desktops",
    query="flag=true&limit=100&user_names=a&user_names=b%20u",
)
V3 = Request("POST", "https://workspace.eu-west-101.myhuaweicloud.eu", "/v2/p/desktops/logoff", headers=JSON)


def signer(token: str | None = None, project_id: str = "") -> Signer:
    return Signer("EXAMPLE-AK", Secret("EXAMPLE-SK"), Secret(token) if token else None, project_id)


@pytest.mark.parametrize(
    ("signing", "request_", "names", "signature"),
    [
        pytest.param(
            signer(project_id=PROJECT),
            V1,
            "content-type;host;x-project-id;x-sdk-date",
            "dc53c1e4738e81e4f72ee70e326e3248757365c950c824d2acf2d3034b60cfe9",
            id="v1-json-body-and-project",
        ),
        pytest.param(
            signer("TOKEN", PROJECT),
            V2,
            "host;x-project-id;x-sdk-date;x-security-token",
            "08f52797b4130af7fc1c8092ae531fd41c15143e33ff32535505198afcf87f52",
            id="v2-query-list-and-security-token",
        ),
        pytest.param(
            signer(),
            V3,
            "content-type;host;x-sdk-date",
            "d0cb7617fba978d9ebf168a5ab9e41c9ec1189ed195413ab86e20e4f298689f9",
            id="v3-empty-body-no-project",
        ),
    ],
)
def test_the_signature_of_a_known_request(signing: Signer, request_: Request, names: str, signature: str) -> None:
    headers = signing.sign(request_, NOW)
    assert headers["X-Sdk-Date"] == "20240102T030405Z"
    assert headers["Authorization"] == (
        f"SDK-HMAC-SHA256 Access=EXAMPLE-AK, SignedHeaders={names}, Signature={signature}"
    )


def test_the_intermediates_of_the_first_vector() -> None:
    canonical = signer(project_id=PROJECT).canonical_request(V1, NOW)
    assert canonical.endswith("\n7931789f29b7e2b7a5373fead4c56f4776d94f94953f9a75b05136e7a8d4864f")
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    assert hashed == "63959ffbfbd503d7db6cc8e71c7fd234a68170084cc1e975a98cf408b0735fea"


def test_the_query_of_the_second_vector_is_what_is_sent() -> None:
    assert encode_query({"limit": 100, "user_names": ["b u", "a"], "flag": True}) == V2.query


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/v2/p/logoff", "/v2/p/logoff/", id="a-slash-closes-it"),
        pytest.param("/v2/p/", "/v2/p/", id="one-slash-only"),
        pytest.param("", "/", id="empty"),
        pytest.param("/a%20b", "/a%20b/", id="a-space-stays-encoded"),
        pytest.param("/a%2fb", "/a/b/", id="an-encoded-slash-is-a-slash"),
        pytest.param("/a%2Db~", "/a-b~/", id="needless-encoding-goes"),
        pytest.param("/caf%c3%a9'()*!", "/caf%C3%A9%27%28%29%2A%21/", id="everything-else-is-encoded"),
        pytest.param("/%25", "/%25/", id="a-percent-sign"),
    ],
)
def test_canonical_path(path: str, expected: str) -> None:
    assert canonical_path(path) == expected


@given(st.text(st.characters(codec="utf-8")))
def test_a_canonical_path_is_stable(text: str) -> None:
    once = canonical_path(text.replace("%", "%25"))
    assert canonical_path(once) == once
    assert unquote(once) in (text, text + "/")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        pytest.param("https://dcs.eu-de.otc.t-systems.com", "dcs.eu-de.otc.t-systems.com", id="plain"),
        pytest.param("https://h:443", "h", id="https-on-its-own-port"),
        pytest.param("http://h:80/x", "h", id="http-on-its-own-port"),
        pytest.param("http://h:443", "h:443", id="http-on-the-port-of-https"),
        pytest.param("https://H.example:8443/prefix", "h.example:8443", id="another-port-and-capitals"),
        pytest.param("https://[::1]:8443", "[::1]:8443", id="ipv6"),
        pytest.param("https://h:1443", "h:1443", id="a-port-that-ends-like-the-default"),
    ],
)
def test_host_of(url: str, host: str) -> None:
    assert host_of(url) == host
    assert signer().sign(replace(V1, base_url=url), NOW)["Host"] == host


@pytest.mark.parametrize(
    ("content_type", "body", "unsigned"),
    [
        pytest.param("application/json;charset=utf-8", b"{}", False, id="json-is-hashed"),
        pytest.param("application/bson", b"{}", False, id="bson-is-hashed"),
        pytest.param("", b"{}", False, id="no-type-is-hashed"),
        pytest.param("text/plain", b"x", True, id="text-is-not"),
        pytest.param("application/x-www-form-urlencoded", b"", True, id="an-empty-form-has-the-empty-hash"),
    ],
)
def test_which_bodies_are_signed(content_type: str, body: bytes, unsigned: bool) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    request = replace(V1, headers=headers, body=body)
    assert ("X-Sdk-Content-Sha256" in signer().sign(request, NOW)) is unsigned
    hashed = EMPTY_HASH if not body else hashlib.sha256(body).hexdigest()
    expected = "UNSIGNED-PAYLOAD" if unsigned and body else hashed
    assert signer().canonical_request(request, NOW).rpartition("\n")[2] == expected


def test_everything_there_is_to_sign_is_signed() -> None:
    request = replace(V1, headers={"content-type": " text/plain ", "X-Language": "en-us"})
    headers = signer("TOKEN", "p1").sign(request, NOW)
    assert f"SignedHeaders={ALL_SIGNED}," in headers["Authorization"]
    assert headers["X-Project-Id"] == "p1"
    assert headers["X-Security-Token"] == "TOKEN"
    assert "\ncontent-type:text/plain\n" in signer().canonical_request(request, NOW)


def test_the_path_of_the_base_url_is_signed_too() -> None:
    request = replace(V1, base_url="https://gateway.example/cloud/", path="/v2/x")
    assert signer().canonical_request(request, NOW).split("\n")[1] == "/cloud/v2/x/"


def test_the_date_moves_on_and_back_with_the_clock() -> None:
    signing = signer()
    dates = [signing.sign(V1, NOW + step)["X-Sdk-Date"][-7:] for step in (0, 0.05, 1, -1)]
    assert dates == ["030405Z", "030405Z", "030406Z", "030404Z"]


def test_one_signer_serves_several_hosts_and_types() -> None:
    shared = signer(project_id=PROJECT)
    for request in (V1, V2, V3, V1, replace(V1, headers={"Content-Type": "text/plain"}), V2):
        assert shared.sign(request, NOW) == signer(project_id=PROJECT).sign(request, NOW)


def test_the_method_is_signed_in_capitals() -> None:
    assert signer().sign(replace(V1, method="post"), NOW) == signer().sign(V1, NOW)


def test_a_signer_does_not_show_its_keys() -> None:
    shown = repr(signer("TOKEN"))
    assert "EXAMPLE" not in shown
    assert "TOKEN" not in shown
