"""What goes on the wire, byte for byte, for every operation of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import catalogue
from orchestrator.batches import Packing, pack
from orchestrator.model import Request, Target
from orchestrator.references import literal
from orchestrator.render import Place, compile_operation
from orchestrator.targets import RowError, TargetBuilder

CATALOGUE = catalogue.load()
PROJECT = "0123456789abcdef0123456789abcdef"
PLACE = Place("https://api.test", PROJECT, "cn-north-4")
JSON = {"Content-Type": "application/json"}
INSTANCE = "5560df16-cebf-4473-95c4-d1b573c16e79"
CLIENT = "f" * 48


def targets(service: str, rows: Sequence[Mapping[str, Any]]) -> list[Target]:
    builder = TargetBuilder(CATALOGUE.services[service], "prod", everything=["client_id"])
    return [builder.build(row, literal) for row in rows]


def request(service: str, *rows: Mapping[str, Any]) -> Request:
    return compile_operation(CATALOGUE.services[service].end, PLACE)(targets(service, rows))


@dataclass(frozen=True)
class Wire:
    """The expected request; everything that is sent before authentication."""

    service: str
    rows: Sequence[Mapping[str, Any]]
    path: str
    body: bytes = b""
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)


WIRES = {
    "dcs": Wire(
        "dcs.webcli",
        [{"instance_id": INSTANCE, "client_id": CLIENT}],
        f"/v2/{PROJECT}/instances/{INSTANCE}/webcli/logout",
        f'{{"client_id":"{CLIENT}"}}'.encode(),
    ),
    "dcs-without-client-id-is-an-object": Wire(
        "dcs.webcli", [{"instance_id": INSTANCE}], f"/v2/{PROJECT}/instances/{INSTANCE}/webcli/logout", b"{}"
    ),
    "dcs-with-an-empty-client-id-is-an-object": Wire(
        "dcs.webcli",
        [{"instance_id": INSTANCE, "client_id": ""}],
        f"/v2/{PROJECT}/instances/{INSTANCE}/webcli/logout",
        b"{}",
    ),
    "das": Wire(
        "das.builtin-account",
        [{"instance_id": "da304cd5abcdef0123456789abcdef01in01"}],
        f"/v3/{PROJECT}/instances/da304cd5abcdef0123456789abcdef01in01/logoff-built-in-account",
        b'{"datastore_type":"MySQL"}',
        headers={**JSON, "X-Language": "en-us"},
    ),
    "workspace-one": Wire(
        "workspace.desktops",
        [{"desktop_id": "d1"}],
        f"/v2/{PROJECT}/desktops/logoff",
        b'{"desktop_ids":["d1"]}',
    ),
    "workspace-batch-with-a-message": Wire(
        "workspace.desktops",
        [{"desktop_id": "d2", "message": 'Bye "you" \u4f60'}, {"desktop_id": "d1", "message": 'Bye "you" \u4f60'}],
        f"/v2/{PROJECT}/desktops/logoff",
        '{"desktop_ids":["d2","d1"],"message":"Bye \\"you\\" \u4f60"}'.encode(),
    ),
    "workspaceapp-with-defaults": Wire(
        "workspaceapp.sessions",
        [{"session_id": "s1"}, {"session_id": "s2"}],
        f"/v1/{PROJECT}/session/logoff",
        b'{"session_ids":["s1","s2"],"message_type":0,"delay_time":0}',
    ),
    "workspaceapp-in-full": Wire(
        "workspaceapp.sessions",
        [{"session_id": "s1", "message_type": "2", "delay_time": "60", "message": "bye", "title": "Now"}],
        f"/v1/{PROJECT}/session/logoff",
        b'{"session_ids":["s1"],"message_type":2,"delay_time":60,"message":"bye","title":"Now"}',
    ),
    "cbh": Wire(
        "cbh.console",
        [{"server_id": INSTANCE}],
        f"/v2/{PROJECT}/cbs/instance/login",
        f'{{"server_id":"{INSTANCE}"}}'.encode(),
    ),
    "cas": Wire(
        "mrs.cas",
        [{"ticket": "TGT-1-abc"}],
        "/cas/logout",
        headers={**JSON, "Accept": "application/json", "Cookie": "CASTGC=TGT-1-abc"},
    ),
    "cas-with-its-session": Wire(
        "mrs.cas",
        [{"ticket": "TGT-1-abc", "session_id": "S9"}],
        "/cas/logout",
        headers={**JSON, "Accept": "application/json", "Cookie": "CASTGC=TGT-1-abc; casSessionId=S9"},
    ),
    "iam-token": Wire(
        "iam.token", [{"token": "MII+/="}], "/v3/auth/tokens", method="DELETE", headers={"X-Subject-Token": "MII+/="}
    ),
    "iam-user": Wire(
        "iam.user",
        [{"user_id": "0123456789abcdef0123456789abcdef"}],
        "/v3/users/0123456789abcdef0123456789abcdef",
        b'{"user":{"enabled":false}}',
        "PATCH",
    ),
    "iam-access-key": Wire(
        "iam.access-key",
        [{"access_key": "ABCDEFGHIJ0123456789"}],
        "/v3.0/OS-CREDENTIAL/credentials/ABCDEFGHIJ0123456789",
        b'{"credential":{"status":"inactive"}}',
        "PUT",
    ),
}


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES.keys())
def test_the_request_is_as_documented(wire: Wire) -> None:
    sent = request(wire.service, *wire.rows)
    assert (sent.method, sent.base_url, sent.path, sent.query) == (wire.method, "https://api.test", wire.path, "")
    assert dict(sent.headers) == dict(wire.headers)
    assert sent.body == wire.body
    assert sent.url == f"https://api.test{wire.path}"


def test_every_service_of_the_catalogue_is_in_the_table() -> None:
    assert {wire.service for wire in WIRES.values()} == set(CATALOGUE.services)


def test_cas_goes_on_with_get_when_post_is_not_allowed() -> None:
    end = CATALOGUE.services["mrs.cas"].end
    assert end.on_405 == "GET"
    again = compile_operation(end.model_copy(update={"method": end.on_405}), PLACE)
    sent = again(targets("mrs.cas", [{"ticket": "TGT-1"}]))
    assert (sent.method, sent.path, sent.headers["Cookie"], sent.body) == ("GET", "/cas/logout", "CASTGC=TGT-1", b"")


@pytest.mark.parametrize(
    ("id", "encoded"),
    [
        pytest.param("a/b", "a%2Fb", id="slash"),
        pytest.param("a b", "a%20b", id="space"),
        pytest.param("a%2Fb", "a%252Fb", id="already-encoded"),
        pytest.param("é你", "%C3%A9%E4%BD%A0", id="unicode"),
        pytest.param("a?b#c&d=e", "a%3Fb%23c%26d%3De", id="delimiters"),
        pytest.param("../../x", "..%2F..%2Fx", id="climbing"),
        pytest.param("...", "...", id="three-dots"),
        pytest.param("{project_id}", "%7Bproject_id%7D", id="hole"),
        pytest.param("a+b~c_d-e.f", "a%2Bb~c_d-e.f", id="unreserved"),
        pytest.param("a\\b;c@d:e", "a%5Cb%3Bc%40d%3Ae", id="other-delimiters"),
    ],
)
@pytest.mark.parametrize("service", ["dcs.webcli", "das.builtin-account"])
def test_a_hostile_id_stays_one_segment_of_the_path(service: str, id: str, encoded: str) -> None:
    assert request(service, {"instance_id": id}).path.split("/")[4] == encoded


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=64))
def test_any_id_is_read_back_as_it_was(id: str) -> None:
    if id in (".", ".."):
        return
    parts = request("dcs.webcli", {"instance_id": id}).path.split("/")
    assert len(parts) == 7
    assert unquote(parts[4]) == id


@pytest.mark.parametrize("id", [".", ".."])
@pytest.mark.parametrize("service", ["dcs.webcli", "das.builtin-account"])
def test_dots_are_refused_in_a_path(service: str, id: str) -> None:
    with pytest.raises(RowError, match=r"cannot be \. or \.\. in a path"):
        request(service, {"instance_id": id})


def test_dots_in_a_body_are_only_text() -> None:
    assert request("workspace.desktops", {"desktop_id": ".."}).body == b'{"desktop_ids":[".."]}'


@pytest.mark.parametrize(
    ("service", "name"), [("mrs.cas", "ticket"), ("mrs.cas", "session_id"), ("iam.token", "token")], ids=str
)
@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a b", "a\x00", "a\x7f", "é"], ids=ascii)
def test_a_secret_cannot_break_out_of_its_header(service: str, name: str, value: str) -> None:
    with pytest.raises(RowError) as caught:
        request(service, {"ticket": "t", name: value} if service == "mrs.cas" else {name: value})
    assert [field for field, _ in caught.value.problems] == [name]
    assert value not in str(caught.value)


@pytest.mark.parametrize("value", ["a;b", "a,b", 'a"b', "a\\b"], ids=ascii)
def test_a_ticket_cannot_add_a_cookie(value: str) -> None:
    with pytest.raises(RowError, match="ticket"):
        request("mrs.cas", {"ticket": value})


@pytest.mark.parametrize(
    ("service", "row"),
    [
        pytest.param("dcs.webcli", {"instance_id": "x" * 65}, id="dcs-instance"),
        pytest.param("das.builtin-account", {"instance_id": "x" * 65}, id="das-instance"),
        pytest.param("workspace.desktops", {"desktop_id": "x" * 256}, id="desktop"),
        pytest.param("workspace.desktops", {"desktop_id": "x", "message": "x" * 256}, id="message"),
        pytest.param("workspaceapp.sessions", {"session_id": "x" * 65}, id="session"),
        pytest.param("workspaceapp.sessions", {"session_id": "x", "message_type": 5}, id="message-type"),
        pytest.param("workspaceapp.sessions", {"session_id": "x", "delay_time": 1_000_000}, id="delay"),
        pytest.param("workspaceapp.sessions", {"session_id": "x", "title": "x" * 256}, id="title"),
        pytest.param("cbh.console", {"server_id": "x" * 37}, id="server"),
        pytest.param("iam.token", {"token": "x" * 64_001}, id="token"),
        pytest.param("iam.user", {"user_id": "x" * 65}, id="user"),
        pytest.param("iam.access-key", {"access_key": "x" * 65}, id="access-key"),
    ],
)
def test_a_value_beyond_the_documented_bound_is_refused(service: str, row: Mapping[str, Any]) -> None:
    with pytest.raises(RowError):
        targets(service, [row])


@pytest.mark.parametrize("service", sorted(CATALOGUE.services))
def test_a_target_without_its_key_is_refused(service: str) -> None:
    with pytest.raises(RowError, match="is missing, and is required"):
        targets(service, [{}])


@pytest.mark.parametrize(
    ("service", "size"),
    [
        ("dcs.webcli", None),
        ("das.builtin-account", None),
        ("workspace.desktops", 100),
        ("workspaceapp.sessions", 999),
        ("cbh.console", None),
        ("mrs.cas", None),
        ("iam.token", None),
        ("iam.user", None),
        ("iam.access-key", None),
    ],
    ids=str,
)
def test_the_documented_size_of_a_batch(service: str, size: int | None) -> None:
    batch = CATALOGUE.services[service].end.batch
    assert (batch.size if batch else None) == size


@pytest.mark.parametrize(("service", "idempotent"), [("cbh.console", False), ("mrs.cas", True), ("dcs.webcli", True)])
def test_only_the_call_that_issues_something_must_not_be_repeated(service: str, idempotent: bool) -> None:
    assert CATALOGUE.services[service].end.idempotent is idempotent


def test_one_call_has_one_message() -> None:
    batch = CATALOGUE.services["workspace.desktops"].end.batch
    assert batch is not None
    rows = [{"desktop_id": "d1", "message": "a"}, {"desktop_id": "d2"}, {"desktop_id": "d3", "message": "a"}]
    packed = pack(iter(targets("workspace.desktops", rows)), Packing(batch.size, batch.group_by), count(1))
    render = compile_operation(CATALOGUE.services["workspace.desktops"].end, PLACE)
    bodies = [render(one.targets).body for one in packed]
    assert bodies == [b'{"desktop_ids":["d1","d3"],"message":"a"}', b'{"desktop_ids":["d2"]}']


@given(st.integers(0, 350))
def test_the_list_of_a_batch_is_never_empty_nor_too_long(number: int) -> None:
    rows = [{"desktop_id": f"d{n}"} for n in range(number)]
    packed = list(pack(iter(targets("workspace.desktops", rows)), Packing(100, ("message",)), count(1)))
    render = compile_operation(CATALOGUE.services["workspace.desktops"].end, PLACE)
    sent = [render(one.targets).body.count(b'"d') - 1 for one in packed]
    assert sum(sent) == number
    assert all(1 <= ids <= 100 for ids in sent)
