"""Workspace: desktops, their connection state, and the batch logoff that only delivers a task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from aiohttp import web

from orchestrator.sandbox.answers import Refusal, document, error
from orchestrator.sandbox.call import Call, Listing, Operation
from orchestrator.sandbox.fleet import Endable, Fleet, read_time, told

if TYPE_CHECKING:
    from orchestrator.sandbox.state import World

REGISTERED, CONNECTED, DISCONNECTED, UNREGISTERED = "REGISTERED", "CONNECTED", "DISCONNECTED", "UNREGISTERED"
MAX_BATCH = 100
MAX_TEXT = 255


@dataclass(slots=True)
class Login:
    """One session on a desktop, and when it began and ended."""

    desktop_id: str
    user: str
    began: float
    ended: float | None = None


@dataclass(slots=True)
class Desktop(Endable):
    """A desktop: `status` is its connect_status, `power` its own; `message` the last one that a logoff brought.

    `user` is whom it is assigned to; nobody for an empty one.
    """

    user: str = ""
    pool_id: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    power: str = "ACTIVE"
    message: str = ""
    logins: list[Login] = field(default_factory=list)

    def log_in(self, moment: float) -> None:
        """Note that a session begins; one that is open goes on no longer."""
        self.log_out(moment)
        self.logins.append(Login(self.id, self.user, moment))

    def log_out(self, moment: float) -> None:
        """Note that the session, if there is one, is over."""
        if self.logins and self.logins[-1].ended is None:
            self.logins[-1].ended = moment


def new_fleet() -> Fleet[Desktop]:
    """Return an empty set of desktops; REGISTERED is ready with nobody on."""
    return Fleet(REGISTERED, (CONNECTED, DISCONNECTED))


def add(world: World, desktop: Desktop, since: float | None) -> None:
    """Add a desktop, or put it in the place of the one of that id; a session on it began at `since`."""
    world.endings.void("workspace", desktop.id)
    world.desktops.add(desktop)
    if world.desktops.is_living(desktop):
        desktop.log_in(world.now() if since is None else since)


def sign_in(world: World, id: str, moment: float) -> None:
    """Let the user of a desktop sign in again; a logoff that is still to come is void."""
    world.endings.void("workspace", id)
    world.desktops.move(world.desktops.members[id], CONNECTED)
    world.desktops.members[id].log_in(moment)


def _end(world: World, desktop: Desktop, moment: float) -> None:
    world.desktops.end(desktop)
    desktop.log_out(moment)


def _invalid(name: str) -> web.Response:
    """Refuse a parameter; no code for this is published, so this one is assumed."""
    return error(400, "WKS.00010003", f"The parameter {name} is invalid.")


def _wanted_ids(call: Call) -> list[str]:
    ids = call.field("desktop_ids")
    if ids is None or ids == []:  # the real effect is not documented: nothing, or everything
        call.world.ledger.empty_logoffs += 1
        raise Refusal(error(400, "WKS.0001", "The parameter desktop_ids cannot be empty."))
    if not isinstance(ids, list) or len(ids) > MAX_BATCH:
        raise Refusal(_invalid("desktop_ids"))
    if not all(isinstance(id, str) and len(id) <= MAX_TEXT for id in ids):
        raise Refusal(_invalid("desktop_ids"))
    return ids


def log_off(call: Call) -> web.Response:
    """Accept a logoff for a whole batch; one unknown id refuses all of it (assumed)."""
    ids, message = _wanted_ids(call), call.field("message")
    if message is not None and not (isinstance(message, str) and len(message) <= MAX_TEXT):
        raise Refusal(_invalid("message"))
    world = call.world
    desktops = [world.desktops.members.get(id) for id in ids]
    if None in desktops:
        return error(404, "WKS.00010109", "The desktop does not exist.")
    for desktop in filter(None, desktops):
        desktop.message = str(message or "")
        if world.desktops.is_living(desktop):
            world.end("workspace", desktop.id, partial(_end, world, desktop))
    return document(None)


def _logoff_targets(call: Call) -> Iterable[str]:
    ids = call.field("desktop_ids")
    return map(str, ids) if isinstance(ids, list) else ()


def _connection(desktop: Desktop, *, alternate: bool) -> dict[str, object]:
    """Describe a connection; the published example spells two of the fields in another way than its table."""
    status, users = ("login_status", "attach_infos") if alternate else ("connect_status", "attach_users")
    assigned = [{"id": desktop.user, "name": desktop.user, "user_group": "sudo", "type": "USER"}]
    return {
        "desktop_id": desktop.id,
        "desktop_name": desktop.id,
        status: desktop.status,
        users: assigned if desktop.user else [],
    }


def list_connections(call: Call) -> web.Response:
    """List desktops with their connection state; the definition takes one state and up to 100 users."""
    window = call.window(_invalid)
    statuses, users = (call.query.getall(name, []) for name in ("connect_status", "user_names"))
    if len(users) > MAX_BATCH:
        raise Refusal(_invalid("user_names"))
    if len(statuses) > 1 and not call.world.repeated_filters:
        raise Refusal(_invalid("connect_status"))
    fleet = call.world.desktops
    total = fleet.count(*statuses)
    found: Iterable[Desktop] = fleet.listed(statuses)
    if users:
        found = [desktop for desktop in found if desktop.user in users]
        total = len(found)
    shown = map(partial(_connection, alternate=call.world.alternate_fields), islice(found, window.start, window.stop))
    return document({"total_count": total, "desktops": list(shown)})


def list_desktops(call: Call) -> web.Response:
    """List desktops by id, user, computer name, pools with commas between, status or tag (`key=value`, assumed)."""
    window = call.window(_invalid)
    ids = call.request.query.getall("desktop_id", [])
    if len(ids) > MAX_BATCH:
        raise Refusal(_invalid("desktop_id"))
    members = call.world.desktops.members
    named = [members[id] for id in dict.fromkeys(ids) if id in members] if ids else members.values()
    found = [desktop for desktop in named if _matches(desktop, call.query)]
    return document({"total_count": len(found), "desktops": [_described(desktop) for desktop in found[window]]})


def _matches(desktop: Desktop, query: Mapping[str, str]) -> bool:
    wanted = {"user_name": desktop.user, "computer_name": desktop.id, "status": desktop.power}
    if any(query.get(name, value) != value for name, value in wanted.items()):
        return False
    if (pools := query.get("pool_id")) and desktop.pool_id not in pools.split(","):
        return False
    key, _, value = query.get("tag", "").partition("=")
    return not key or (key in desktop.tags and value in ("", desktop.tags[key]))


def _described(desktop: Desktop) -> dict[str, object]:
    return {
        "desktop_id": desktop.id,
        "computer_name": desktop.id,
        "user_name": desktop.user,
        "pool_id": desktop.pool_id,
        "connect_status": desktop.status,
        "status": desktop.power,
        "task_status": None,
        "in_maintenance_mode": False,
        "tags": [{"key": key, "value": value} for key, value in desktop.tags.items()],
    }


def login_state(call: Call) -> web.Response:
    """Count desktops by connection state."""
    fleet = call.world.desktops
    return document(
        {
            "in_use_num": fleet.count(CONNECTED),
            "ready_num": fleet.count(REGISTERED),
            "disconnected_num": fleet.count(DISCONNECTED),
            "unregistered_num": fleet.count(UNREGISTERED),
            "unable_to_connect_num": 0,
        }
    )


def list_logins(call: Call) -> web.Response:
    """List login records, the latest first (assumed); an open session has no end (assumed)."""
    window = call.window(_invalid)
    query = call.request.query
    bounds = [_moment(call, name) for name in ("start_time", "end_time")]
    if (bounds[0] is None) != (bounds[1] is None):
        raise Refusal(_invalid("end_time" if bounds[1] is None else "start_time"))
    low, high = bounds[0] or float("-inf"), bounds[1] or float("inf")
    user, computer = query.get("user_name", ""), query.get("computer_name", "")
    logins = (login for desktop in call.world.desktops.members.values() for login in desktop.logins)
    found = [
        login
        for login in logins
        if user in ("", login.user) and computer in ("", login.desktop_id) and low <= login.began <= high
    ]
    found.sort(key=lambda login: -login.began)
    return document({"total_count": len(found), "records": [_record(login) for login in found[window]]})


def _moment(call: Call, name: str) -> float | None:
    text = call.request.query.get(name, "")
    if text and read_time(text) is None:
        raise Refusal(_invalid(name))
    return read_time(text) if text else None


def _record(login: Login) -> dict[str, object]:
    """Describe a login; `desktop_id` is in one of the published sources, and not in the other."""
    ended = {} if login.ended is None else {"connection_end_time": told(login.ended)}
    return {
        "desktop_id": login.desktop_id,
        "computer_name": login.desktop_id,
        "user_name": login.user,
        "connection_start_time": told(login.began),
        "connection_setup_time": told(login.began),
        **ended,
    }


_DESKTOPS = "/v2/{project_id}/desktops"
OPERATIONS = (
    Operation("workspace", "logoff", "POST", f"{_DESKTOPS}/logoff", log_off, targets=_logoff_targets),
    Operation(
        "workspace",
        "connect_desktops",
        "GET",
        "/v2/{project_id}/connect-desktops",
        list_connections,
        listing=Listing("desktops", "total_count", 100),
    ),
    Operation(
        "workspace", "list_desktops", "GET", _DESKTOPS, list_desktops, listing=Listing("desktops", "total_count", 1000)
    ),
    Operation(
        "workspace",
        "list_logins",
        "GET",
        "/v2/{project_id}/connections/desktops",
        list_logins,
        listing=Listing("records", "total_count", 20),
    ),
    Operation("workspace", "login_state", "GET", f"{_DESKTOPS}/statistics/login-state", login_state),
)
