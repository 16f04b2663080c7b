"""The kinds that need no server: what each adds to a request, what it refuses, what it asks to be scrubbed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.auth import KINDS, Credential
from orchestrator.auth import credential as scrubbing
from orchestrator.auth.aksk import AkSk
from orchestrator.auth.basic import basic
from orchestrator.auth.bearer import bearer
from orchestrator.auth.cookie import cookie
from orchestrator.auth.credential import scrub
from orchestrator.auth.none import none
from orchestrator.errors import InvalidInput
from orchestrator.model import Request, Secret

REQUEST = Request("POST", "https://h.example", "/x", headers={"Content-Type": "application/json"}, body=b"{}")
AK, SK = Secret("AK-1"), Secret("SK-1")


@pytest.mark.parametrize(
    ("credential", "headers", "secrets", "generation"),
    [
        pytest.param(bearer(Secret("abc.def")), {"Authorization": "Bearer abc.def"}, ["abc.def"], 1, id="bearer"),
        pytest.param(
            basic("Aladdin", Secret("open sesame")),
            {"Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
            ["open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="],
            1,
            id="basic",
        ),
        pytest.param(
            basic("test", Secret("123£")),
            {"Authorization": "Basic dGVzdDoxMjPCow=="},
            ["123£", "dGVzdDoxMjPCow=="],
            1,
            id="basic-in-utf-8",
        ),
        pytest.param(
            cookie({"CASTGC": Secret("TGT-1"), "casSessionId": Secret("s")}),
            {"Cookie": "CASTGC=TGT-1; casSessionId=s"},
            ["TGT-1", "s"],
            1,
            id="cookie",
        ),
        pytest.param(none(), {}, [], 0, id="none"),
    ],
)
async def test_what_a_fixed_kind_adds(
    credential: Credential, headers: dict[str, str], secrets: list[str], generation: int
) -> None:
    assert credential.ready
    await credential.obtain()
    assert credential.headers(REQUEST) == headers
    assert list(credential.secrets()) == secrets
    assert credential.generation == generation
    assert await credential.renew(generation) is False
    assert credential.identity is credential.identity
    await credential.close()


async def test_a_key_pair_signs_anew_as_time_goes_by() -> None:
    now = 1704164645.0
    credential = AkSk(AK, SK, Secret("ST-1"), "p1", clock=lambda: now)
    first = credential.headers(REQUEST)
    now += 1
    second = credential.headers(REQUEST)
    assert first["X-Sdk-Date"] == "20240102T030405Z"
    assert first["X-Security-Token"] == "ST-1"
    assert first["X-Project-Id"] == "p1"
    assert first["Authorization"] != second["Authorization"]
    assert credential.secrets() == ["AK-1", "SK-1", "ST-1"]
    await credential.close()


async def test_a_key_pair_cannot_be_renewed() -> None:
    credential = AkSk(AK, SK)
    assert credential.generation == 1
    assert await credential.renew(1) is False


def test_key_pairs_with_one_access_key_are_locked_together() -> None:
    assert AkSk(AK, SK, project_id="p1").identity == AkSk(AK, SK, project_id="p2").identity
    assert AkSk(AK, SK).identity != AkSk(Secret("AK-2"), SK).identity
    assert AkSk(AK, SK).identity != AkSk(AK, Secret("wrong")).identity
    assert "AK-1" not in repr(AkSk(AK, SK).identity)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        pytest.param(lambda: bearer(Secret("")), "the bearer token is empty", id="bearer-empty"),
        pytest.param(lambda: bearer(Secret("hunter2\n")), "the bearer token holds", id="bearer-line-break"),
        pytest.param(lambda: bearer(Secret("hunter2é")), "the bearer token holds", id="bearer-not-ascii"),
        pytest.param(lambda: basic("a:b", Secret("hunter2")), "a colon", id="basic-colon-in-the-user"),
        pytest.param(lambda: basic("a", Secret("hunter2\r\n")), "a line break", id="basic-line-break"),
        pytest.param(lambda: cookie({}), "no cookie", id="cookie-none"),
        pytest.param(lambda: cookie({"a b": Secret("hunter2")}), "'a b' is not the name", id="cookie-name"),
        pytest.param(lambda: cookie({"C": Secret("hunter2; x=1")}), "the cookie C", id="cookie-semicolon"),
        pytest.param(lambda: cookie({"C": Secret('"hunter2"')}), "the cookie C", id="cookie-quotes"),
        pytest.param(lambda: cookie({"C": Secret("hunter2,")}), "RFC 6265", id="cookie-comma"),
        pytest.param(lambda: cookie({"C": Secret("")}), "is empty", id="cookie-empty"),
        pytest.param(lambda: AkSk(Secret("a b"), SK), "the access key holds", id="access-key-space"),
        pytest.param(lambda: AkSk(AK, Secret("")), "the secret key is empty", id="secret-key-empty"),
        pytest.param(lambda: AkSk(AK, SK, Secret("hunter2\n")), "the security token", id="security-token"),
        pytest.param(lambda: AkSk(AK, SK, None, "p 1"), "the project id", id="project-id"),
    ],
)
def test_a_value_no_header_may_carry_is_refused_without_being_shown(
    build: Callable[[], Credential], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        build()
    assert "hunter2" not in str(caught.value)


def test_the_kinds_are_those_of_the_config() -> None:
    assert sorted(KINDS) == ["aksk", "basic", "bearer", "cookie", "iam-token", "none"]


@pytest.mark.parametrize(
    "credential",
    [
        pytest.param(bearer(Secret("hunter2")), id="bearer"),
        pytest.param(basic("u", Secret("hunter2")), id="basic"),
        pytest.param(AkSk(Secret("hunter2"), Secret("hunter2")), id="aksk"),
    ],
)
def test_no_kind_shows_its_secrets(credential: Credential) -> None:
    assert "hunter2" not in repr(credential)


@pytest.mark.parametrize(
    ("text", "secrets", "expected"),
    [
        pytest.param("wrong password hunter2!", ["hunter2"], "wrong password [secret]!", id="plain"),
        pytest.param('{"p":"a\\"b"}', ['a"b'], '{"p":"[secret]"}', id="json"),
        pytest.param(r'{"p":"\u00e9x"}', ["éx"], '{"p":"[secret]"}', id="json-ascii"),
        pytest.param("?p=a%2Fb%26", ["a/b&"], "?p=[secret]", id="url"),
        pytest.param("p=a+b%26", ["a b&"], "p=[secret]", id="form"),
        pytest.param("<b>a&amp;b</b>", ["a&b"], "<b>[secret]</b>", id="html"),
        pytest.param("ab abc", ["ab", "abc"], "[secret] [secret]", id="longest-first"),
        pytest.param("abc", [""], "abc", id="an-empty-secret-is-none"),
    ],
)
def test_scrub(text: str, secrets: list[str], expected: str) -> None:
    assert scrub(text, secrets) == expected


SECRETS = st.lists(st.text("abcdef0é/+&\"' \\", max_size=9), max_size=3)


@given(SECRETS, st.data())
def test_a_glance_at_a_text_spares_work_and_changes_nothing(secrets: list[str], data: st.DataObject) -> None:
    spellings = [spelling for secret in secrets for spelling in scrubbing._spellings(secret)]
    part = st.sampled_from([*spellings, *(text[:6] for text in spellings), "x", " "])
    text = "".join(data.draw(st.lists(part, max_size=4)))
    quickly = scrub(text, secrets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scrubbing, "_may_be_in", lambda text, secret: True)
        assert quickly == scrub(text, secrets)
