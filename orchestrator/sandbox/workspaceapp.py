"""Workspace APP: application sessions, their listing and their batch logoff."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from aiohttp import web

from orchestrator.sandbox.answers import Refusal, document, error
from orchestrator.sandbox.call import Call, Operation
from orchestrator.sandbox.fleet import Endable, Fleet

ACTIVE, DISCONNECTED, SIGNED_OUT = "Active", "Disconnected", "SignedOut"
_MAX_LENGTHS = {"message": 255, "title": 255, "transaction_id": 31}
_RANGES = {"message_type": range(5), "delay_time": range(1_000_000)}


@dataclass(slots=True)
class AppSession(Endable):
    """A session of an application on a server."""

    user: str = ""
    machine: str = "app-server-1"


def new_fleet() -> Fleet[AppSession]:
    """Return an empty set of sessions."""
    return Fleet(SIGNED_OUT, (ACTIVE, DISCONNECTED))


def _invalid(name: str) -> web.Response:
    """Refuse a parameter; no code for this is published, so this one is assumed."""
    return error(400, "WKS.00010003", f"The parameter {name} is invalid.")


def _checked_ids(call: Call) -> list[str]:
    ids = call.field("session_ids")
    if not isinstance(ids, list) or not 1 <= len(ids) <= 999:
        raise Refusal(_invalid("session_ids"))
    if not all(isinstance(id, str) and len(id) <= 64 for id in ids):
        raise Refusal(_invalid("session_ids"))
    return ids


def _check_options(call: Call) -> None:
    for name, allowed in _RANGES.items():
        value = call.field(name)
        if type(value) is not int or value not in allowed:
            raise Refusal(_invalid(name))
    for name, length in _MAX_LENGTHS.items():
        text = call.field(name)
        if text is not None and not (isinstance(text, str) and len(text) <= length):
            raise Refusal(_invalid(name))


def log_off(call: Call) -> web.Response:
    """Sign out sessions after the lag, without waiting for delay_time; an unknown one refuses all (assumed)."""
    ids, world = _checked_ids(call), call.world
    _check_options(call)
    sessions = [world.app_sessions.members.get(id) for id in ids]
    if None in sessions:
        return error(404, "WKS.00010109", "The session does not exist.")
    for session in filter(None, sessions):
        if not world.is_ignored():
            world.app_sessions.end(session, world.clock(), world.draw_lag())
    return document({})


def _logoff_targets(call: Call) -> Iterable[str]:
    ids = call.field("session_ids")
    return map(str, ids) if isinstance(ids, list) else ()


def list_sessions(call: Call) -> web.Response:
    """List sessions; both ends of the time window must be given, and are not looked at further."""
    query = call.request.query
    for name in ("query_begin_time", "query_end_time"):
        if not query.get(name):
            raise Refusal(_invalid(name))
    window = call.window(10, 1, 100, _invalid)
    fleet = call.world.app_sessions
    fleet.settle(call.world.clock())
    states, user = query.getall("session_state", []), query.get("user_name")
    total = fleet.count(*states)
    found: Iterable[AppSession] = fleet.listed(states)
    if user is not None:
        found = [session for session in found if session.user == user]
        total = len(found)
    items = [_described(session) for session in islice(found, window.start, window.stop)]
    return document({"count": total, "items": items})


def _described(session: AppSession) -> dict[str, object]:
    return {
        "id": session.id,
        "session_stamp": session.id,
        "os_session_id": 1,
        "login_user": session.user,
        "session_state": session.status,
        "machine_name": session.machine,
    }


OPERATIONS = (
    Operation("workspaceapp", "logoff", "POST", "/v1/{project_id}/session/logoff", log_off, targets=_logoff_targets),
    Operation("workspaceapp", "list_sessions", "GET", "/v1/{project_id}/session/list-sessions", list_sessions),
)
