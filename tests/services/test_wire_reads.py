"""What goes on the wire, byte for byte, for every listing and every question of the catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from orchestrator.calling import Operation
from orchestrator.lister import Lister, parameters
from orchestrator.listing import Listing
from orchestrator.model import Batch, Item, Page, Request, Ruling, Verdict
from orchestrator.paging import IncompleteError
from orchestrator.render import compile_operation
from orchestrator.service import Service

from .test_wire import CATALOGUE, CLIENT, INSTANCE, JSON, PLACE, PROJECT, Wire, targets

NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z


class Caller:
    """In the place of a lane: notes what would be sent, and answers page after page of so many items in all."""

    def __init__(self, service: Service, listing: Listing, total: int = 0) -> None:
        operation = Operation(method=listing.method, path=listing.path, query=parameters(listing), idempotent=True)
        self._render = compile_operation(operation, PLACE)
        self._key = service.key
        self._size, self._total = listing.page_size or total, total
        self.service, self.connection = service.service, "prod"
        self.sent: list[Request] = []

    async def ask(self, batch: Batch) -> Ruling:
        self.sent.append(self._render(batch.targets))
        offset = int(str(batch.targets[0].fields["offset"]))
        size = min(self._size, int(str(batch.targets[0].fields["limit"])) or self._size)
        numbers = range(offset, min(offset + size, self._total))
        items: list[Item] = [dict.fromkeys(self._key, (f"{n}",)) for n in numbers]
        return Ruling(Verdict.ENDED, page=Page(items, self._total))


async def asked(service: str, name: str, filters: Mapping[str, Sequence[str]], total: int = 0) -> list[str]:
    description = CATALOGUE.services[service]
    listing = description.listings[name]
    caller = Caller(description, listing, total)
    lister = Lister(caller, listing, description.key, lambda: NOW)  # type: ignore[arg-type]
    assert len(await lister.read(filters)) == total
    assert {(sent.method, sent.body, *sent.headers.items()) for sent in caller.sent} == {("GET", b"")}
    return list(dict.fromkeys(sent.url.removeprefix("https://api.test") for sent in caller.sent))


@dataclass(frozen=True)
class Read:
    """A listing, what is asked of it, and everything that is sent for that."""

    service: str
    listing: str
    urls: Sequence[str]
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    total: int = 0


SESSIONS = f"/v1/{PROJECT}/session/list-sessions"
WINDOW = "query_begin_time=2000-01-01T00%3A00%3A00Z&query_end_time=2023-11-15T22%3A13%3A20Z"
READS = {
    "dcs": Read("dcs.webcli", "instances", [f"/v2/{PROJECT}/instances?limit=1000&offset=0"]),
    "dcs-by-name-and-status": Read(
        "dcs.webcli",
        "instances",
        [f"/v2/{PROJECT}/instances?limit=1000&name=my%20cache&offset=0&status=RUNNING"],
        {"name": ["my cache"], "status": ["RUNNING"]},
    ),
    "dcs-one-status-at-a-time": Read(
        "dcs.webcli",
        "instances",
        [
            f"/v2/{PROJECT}/instances?limit=1000&offset=0&status=RUNNING",
            f"/v2/{PROJECT}/instances?limit=1000&offset=0&status=ERROR",
        ],
        {"status": ["RUNNING", "ERROR"]},
    ),
    "cbh": Read("cbh.console", "instances", [f"/v2/{PROJECT}/cbs/instance/list?limit=1000&offset=0"]),
    "cbh-by-what-is-only-looked-at": Read(
        "cbh.console",
        "instances",
        [f"/v2/{PROJECT}/cbs/instance/list?limit=1000&offset=0"],
        {"status": ["ACTIVE"]},
    ),
    "cbh-page-after-page": Read(
        "cbh.console",
        "instances",
        [f"/v2/{PROJECT}/cbs/instance/list?limit=1000&offset={offset}" for offset in (0, 999, 1998)],
        total=2500,
    ),
    "connections": Read("workspace.desktops", "connected", [f"/v2/{PROJECT}/connect-desktops?limit=1000&offset=0"]),
    "connections-of-several": Read(
        "workspace.desktops",
        "connected",
        [f"/v2/{PROJECT}/connect-desktops?limit=1000&offset=0&user_names=a%26b&user_names=z&user_names=%C3%A9"],
        {"user": ["z", "a&b", "é"], "connect_status": ["CONNECTED", "DISCONNECTED"]},
    ),
    "connections-page-after-page": Read(
        "workspace.desktops",
        "connected",
        [f"/v2/{PROJECT}/connect-desktops?limit=1000&offset={offset}" for offset in (0, 999)],
        total=1500,
    ),
    "desktops": Read("workspace.desktops", "desktops", [f"/v2/{PROJECT}/desktops?limit=1000&offset=0"]),
    "desktops-filtered": Read(
        "workspace.desktops",
        "desktops",
        [
            f"/v2/{PROJECT}/desktops?limit=1&offset=0&tag=team%3Da&user_name=alice",
            f"/v2/{PROJECT}/desktops?limit=1&offset=0&pool_id=p-1&user_name=alice",
            f"/v2/{PROJECT}/desktops?limit=1000&offset=0&pool_id=p-1&tag=team%3Da&user_name=alice",
        ],
        {"user": ["alice"], "pool_id": ["p-1"], "tag": ["team=a"]},
    ),
    "desktops-of-one-after-the-other": Read(
        "workspace.desktops",
        "desktops",
        [
            f"/v2/{PROJECT}/desktops?limit={limit}&offset=0{pool}&user_name={user}"
            for user in ("bob", "alice")
            for limit, pool in ((1, ""), (1000, "&pool_id=p-1"))
        ],
        {"pool_id": ["p-1"], "user": ["bob", "alice"]},
    ),
    "app-sessions": Read("workspaceapp.sessions", "sessions", [f"{SESSIONS}?limit=100&offset=0&{WINDOW}"]),
    "app-sessions-one-state-at-a-time": Read(
        "workspaceapp.sessions",
        "sessions",
        [
            f"{SESSIONS}?limit=100&offset=0&{WINDOW}&session_state={state}&user_name=alice"
            for state in ("Active", "Disconnected")
        ],
        {"session_state": ["Active", "Disconnected"], "user": ["alice"]},
    ),
    "app-sessions-page-after-page": Read(
        "workspaceapp.sessions",
        "sessions",
        [f"{SESSIONS}?limit=100&offset={offset}&{WINDOW}" for offset in (0, 99, 198)],
        total=201,
    ),
    "users": Read("iam.user", "users", ["/v3/users"]),
    "users-of-names": Read(
        "iam.user",
        "users",
        ["/v3/users?enabled=true&name=alice", "/v3/users?enabled=true&name=bob"],
        {"name": ["alice", "bob"], "enabled": ["true"]},
    ),
    "whose-keys": Read(
        "iam.access-key", "users", ["/v3/users?name=alice", "/v3/users?name=bob"], {"name": ["alice", "bob"]}
    ),
    "keys": Read(
        "iam.access-key",
        "keys",
        ["/v3.0/OS-CREDENTIAL/credentials?user_id=u-1", "/v3.0/OS-CREDENTIAL/credentials?user_id=u-2"],
        {"user_id": ["u-1", "u-2"], "status": ["active"]},
    ),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
async def test_a_listing_is_asked_for_as_documented(read: Read) -> None:
    """A page of one may be asked for beside it: how many there are, or whether there is nothing."""
    single = {re.sub(r"limit=\d+", "limit=1", url) for url in read.urls}
    sent = await asked(read.service, read.listing, read.filters, read.total)
    assert [url for url in sent if url in read.urls or url not in single] == list(read.urls)


def test_every_listing_and_every_filter_is_in_the_table() -> None:
    listings = {(name, title) for name, service in CATALOGUE.services.items() for title in service.listings}
    assert {(read.service, read.listing) for read in READS.values()} == listings
    for name, title in listings:
        shown = {
            one for read in READS.values() if (read.service, read.listing) == (name, title) for one in read.filters
        }
        assert CATALOGUE.services[name].listings[title].applied() <= shown, (name, title)


async def test_a_reading_that_fails_fails_all_and_keeps_what_the_others_gave() -> None:
    service = CATALOGUE.services["iam.user"]
    listing = service.listings["users"]

    class Failing(Caller):
        async def ask(self, batch: Batch) -> Ruling:
            if len(self.sent) == 1:
                return Ruling(Verdict.FAIL, "no")
            return await super().ask(batch)

    lister = Lister(Failing(service, listing, 3), listing, service.key, lambda: NOW)  # type: ignore[arg-type]
    with pytest.raises(IncompleteError) as caught:
        await lister.read({"name": ["alice", "bob"]})
    assert len(caught.value.items) == 3


QUESTIONS = {
    "dcs.webcli": Wire(
        "dcs.webcli",
        [{"instance_id": INSTANCE, "client_id": CLIENT}],
        f"/v2/{PROJECT}/instances/{INSTANCE}/webcli/command",
        f'{{"client_id":"{CLIENT}","command":"PING","database":0}}'.encode(),
    ),
    "mrs.cas": Wire(
        "mrs.cas",
        [{"ticket": "TGT-1-abc", "session_id": "S9"}],
        "/cas/login",
        method="GET",
        headers={"Accept": "text/html", "Cookie": "CASTGC=TGT-1-abc; casSessionId=S9"},
    ),
    "iam.token": Wire(
        "iam.token", [{"token": "MII+/="}], "/v3/auth/tokens", method="GET", headers={"X-Subject-Token": "MII+/="}
    ),
    "iam.user": Wire("iam.user", [{"user_id": "u/1"}], "/v3/users/u%2F1", method="GET", headers={}),
    "iam.access-key": Wire(
        "iam.access-key", [{"access_key": "AK"}], "/v3.0/OS-CREDENTIAL/credentials/AK", method="GET", headers={}
    ),
}


def question(service: str) -> Operation | None:
    verify = CATALOGUE.services[service].verify
    return verify.question.ask if verify is not None and verify.question is not None else None


@pytest.mark.parametrize("wire", QUESTIONS.values(), ids=QUESTIONS.keys())
def test_a_question_is_asked_as_documented(wire: Wire) -> None:
    operation = question(wire.service)
    assert operation is not None
    sent = compile_operation(operation, PLACE)(targets(wire.service, wire.rows))
    assert (sent.method, sent.path, sent.query, sent.body) == (wire.method, wire.path, "", wire.body)
    assert dict(sent.headers) == dict(wire.headers)
    assert operation.idempotent


def test_every_question_is_in_the_table() -> None:
    assert set(QUESTIONS) == {name for name in CATALOGUE.services if question(name) is not None}


def test_only_a_command_in_somebodys_session_has_to_be_asked_for() -> None:
    wants: dict[str, Any] = {n: service.verify.opt_in for n, service in CATALOGUE.services.items() if service.verify}
    assert {name for name, opt_in in wants.items() if opt_in} == {"dcs.webcli"}
    assert JSON.items() <= QUESTIONS["dcs.webcli"].headers.items()
