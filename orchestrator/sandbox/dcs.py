"""DCS: Web CLI sessions on cache instances; errors in the numeric spelling of the published error table."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from aiohttp import web

from orchestrator.sandbox.answers import Refusal, document
from orchestrator.sandbox.call import ABSENT, Call, Listing, Operation

RUNNING = "RUNNING"


@dataclass(slots=True)
class Instance:
    """A cache instance; an empty password is not asked for."""

    instance_id: str
    name: str = ""
    status: str = RUNNING
    password: str = ""


@dataclass(slots=True)
class Session:
    """A Web CLI session: a bearer handle on one instance."""

    client_id: str
    instance_id: str
    user: str


@dataclass(slots=True)
class Dcs:
    """All instances, all living sessions, and which sessions a user has on an instance."""

    instances: dict[str, Instance] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    owned: defaultdict[tuple[str, str], dict[str, None]] = field(default_factory=lambda: defaultdict(dict))

    def open(self, session: Session) -> None:
        """Let a session live, in the place of one of the same client_id."""
        if (former := self.sessions.get(session.client_id)) is not None:
            self.end(former)
        self.sessions[session.client_id] = session
        self.owned[session.instance_id, session.user][session.client_id] = None

    def end(self, session: Session) -> None:
        """End a session, if it is still there."""
        if self.sessions.get(session.client_id) is not session:
            return
        del self.sessions[session.client_id]
        del self.owned[session.instance_id, session.user][session.client_id]

    def alive(self) -> list[str]:
        """Return every living session as `instance_id/client_id`."""
        return [named(session) for session in self.sessions.values()]


def named(session: Session) -> str:
    """Return what tells one session from another."""
    return f"{session.instance_id}/{session.client_id}"


def failure(status: int, code: str, message: str) -> web.Response:
    """Answer in the shape of DCS, whose third key is always there and always null."""
    return document({"error_msg": message, "error_code": code, "error_ext_msg": None}, status)


def _invalid_parameter(_name: str = "") -> web.Response:
    return failure(400, "111400063", "Invalid {0} parameter in the request.")  # the braces are literal


def _instance(call: Call) -> Instance:
    instance = call.world.dcs.instances.get(call.part("instance_id"))
    if instance is None:
        raise Refusal(failure(404, "111404022", "This DCS instance does not exist."))
    if instance.status != RUNNING:
        raise Refusal(failure(400, "DCS.4049", "The DCS instance is not running."))
    if call.data is ABSENT:
        raise Refusal(failure(400, "111400004", "Empty request body."))
    if not isinstance(call.data, dict):
        raise Refusal(failure(400, "111400005", "The request body is not in JSON format."))
    return instance


def _session(call: Call, instance: Instance) -> Session:
    """Return the session of the body; unknown, gone and another instance's look the same (assumed)."""
    client_id = call.field("client_id")
    session = call.world.dcs.sessions.get(client_id) if isinstance(client_id, str) else None
    if session is None or session.instance_id != instance.instance_id:
        raise Refusal(_invalid_parameter())
    return session


def webcli_auth(call: Call) -> web.Response:
    """Open a Web CLI session."""
    instance = _instance(call)
    if instance.password and call.field("password") != instance.password:
        return failure(400, "111400080", "Failed to verify the instance password.")
    session = Session(secrets.token_hex(24), instance.instance_id, call.caller.user.name)
    call.world.dcs.open(session)
    return document({"client_id": session.client_id, "databases": 256})


def webcli_command(call: Call) -> web.Response:
    """Run a command in a living session."""
    _session(call, _instance(call))
    return document({"response": "OK"})


def webcli_logout(call: Call) -> web.Response:
    """End one session; without a client_id all of the caller's on that instance (assumed)."""
    instance, dcs = _instance(call), call.world.dcs
    if call.field("client_id") is not None:
        _end(call, _session(call, instance))
    else:
        for client_id in list(dcs.owned[instance.instance_id, call.caller.user.name]):
            _end(call, dcs.sessions[client_id])
    return web.Response(status=204)


def _end(call: Call, session: Session) -> None:
    call.world.end("dcs", named(session), partial(_finish, call.world.dcs, session))


def _finish(dcs: Dcs, session: Session, _moment: float) -> None:
    dcs.end(session)


def _logout_targets(call: Call) -> Iterable[str]:
    client_id = call.field("client_id")
    instance_id = call.part("instance_id")
    return (instance_id if client_id is None else f"{instance_id}/{client_id}",)


def list_instances(call: Call) -> web.Response:
    """List the instances, paged; name is matched as a part, status exactly."""
    window = call.window(_invalid_parameter)
    name, status = (call.one_of(what, bool, _invalid_parameter) for what in ("name", "status"))
    instances = call.world.dcs.instances.values()
    found = [i for i in instances if (name or "") in i.name and status in (None, i.status)]
    shown = [
        {"instance_id": i.instance_id, "name": i.name, "status": i.status, "engine": "Redis"}
        for i in islice(found, window.start, window.stop)
    ]
    return document({"instance_num": len(found), "instances": shown})


_INSTANCE = "/v2/{project_id}/instances/{instance_id}"
OPERATIONS = (
    Operation("dcs", "webcli_logout", "POST", f"{_INSTANCE}/webcli/logout", webcli_logout, targets=_logout_targets),
    Operation("dcs", "webcli_auth", "POST", f"{_INSTANCE}/webcli/auth", webcli_auth),
    Operation("dcs", "webcli_command", "POST", f"{_INSTANCE}/webcli/command", webcli_command),
    Operation(
        "dcs",
        "list_instances",
        "GET",
        "/v2/{project_id}/instances",
        list_instances,
        listing=Listing("instances", "instance_num", default=10, low=1),
    ),
)
