"""Workspace APP: application sessions, their listing and their batch logoff."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from orchestrator.sandbox.answers import Refusal, document, error
from orchestrator.sandbox.call import Call, Listing, Operation
from orchestrator.sandbox.fleet import Endable, Fleet, read_time, told

if TYPE_CHECKING:
    from orchestrator.sandbox.state import World

ACTIVE, DISCONNECTED, SIGNED_OUT = "Active", "Disconnected", "SignedOut"
STATES = frozenset({ACTIVE, DISCONNECTED, SIGNED_OUT, "AppcInit", "InitFail"})
_MAX_LENGTHS = {"message": 255, "title": 255, "transaction_id": 31}
_RANGES = {"message_type": range(5), "delay_time": range(1_000_000)}


@dataclass(slots=True)
class AppSession(Endable):
    """A session of an application on a server, and when it began and ended."""

    user: str = ""
    machine: str = "app-server-1"
    since: float = 0.0
    ended: float | None = None


def new_fleet() -> Fleet[AppSession]:
    """Return an empty set of sessions."""
    return Fleet(SIGNED_OUT, (ACTIVE, DISCONNECTED))


def add(world: World, session: AppSession) -> None:
    """Add a session, or put it in the place of the one of that id; it began now where nothing else is said."""
    world.endings.void("workspaceapp", session.id)
    session.since = session.since or world.now()
    world.app_sessions.add(session)


def sign_in(world: World, id: str, moment: float) -> None:
    """Let a session begin anew; a logoff that is still to come is void."""
    world.endings.void("workspaceapp", id)
    session = world.app_sessions.members[id]
    session.since, session.ended = moment, None
    world.app_sessions.move(session, ACTIVE)


def _end(world: World, session: AppSession, moment: float) -> None:
    world.app_sessions.end(session)
    session.ended = moment


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
    """Sign out sessions after delay_time and the lag; an unknown one refuses all (assumed)."""
    ids, world = _checked_ids(call), call.world
    _check_options(call)
    delay = call.field("delay_time")
    after = delay if isinstance(delay, int) else 0
    sessions = [world.app_sessions.members.get(id) for id in ids]
    if None in sessions:
        return error(404, "WKS.00010109", "The session does not exist.")
    for session in filter(None, sessions):
        if world.app_sessions.is_living(session):
            world.end("workspaceapp", session.id, partial(_end, world, session), after)
    return document({})


def _logoff_targets(call: Call) -> Iterable[str]:
    ids = call.field("session_ids")
    return map(str, ids) if isinstance(ids, list) else ()


def list_sessions(call: Call) -> web.Response:
    """List the sessions that began in a window of time; both its ends must be given."""
    low, high = _moment(call, "query_begin_time"), _moment(call, "query_end_time")
    window = call.window(_invalid)
    state = call.one_of("session_state", STATES.__contains__, _invalid)
    user, machine = (call.one_of(name, bool, _invalid) for name in ("user_name", "machine_name"))
    found = [
        session
        for session in call.world.app_sessions.listed([state] if state else [])
        if low <= session.since <= high and user in (None, session.user) and machine in (None, session.machine)
    ]
    return document({"count": len(found), "items": [_described(session) for session in found[window]]})


def _moment(call: Call, name: str) -> float:
    moment = read_time(call.request.query.get(name, ""))
    if moment is None:
        raise Refusal(_invalid(name))
    return moment


def _described(session: AppSession) -> dict[str, object]:
    return {
        "id": session.id,
        "session_stamp": session.id,
        "os_session_id": "1",
        "login_user": session.user,
        "session_state": session.status,
        "machine_name": session.machine,
        "start_time": told(session.since),
        **({} if session.ended is None else {"end_time": told(session.ended)}),
    }


OPERATIONS = (
    Operation("workspaceapp", "logoff", "POST", "/v1/{project_id}/session/logoff", log_off, targets=_logoff_targets),
    Operation(
        "workspaceapp",
        "list_sessions",
        "GET",
        "/v1/{project_id}/session/list-sessions",
        list_sessions,
        listing=Listing("items", "count", default=10, low=1, high=100),
    ),
)
