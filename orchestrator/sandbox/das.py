"""DAS: the built-in account of a database instance; errors from the published error table."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from orchestrator.sandbox.answers import Refusal, document, error
from orchestrator.sandbox.call import Call, Listing, Operation

if TYPE_CHECKING:
    from orchestrator.sandbox.state import World


@dataclass(slots=True)
class Das:
    """The database instances by id, and who is logged in where, under which db_user_id."""

    instances: dict[str, str] = field(default_factory=dict)
    logins: dict[tuple[str, str], str] = field(default_factory=dict)

    def log_in(self, instance_id: str, user: str) -> str:
        """Log a user in to an instance's built-in account; a second login keeps the first one's id."""
        seed = uuid.uuid5(uuid.NAMESPACE_OID, f"{instance_id}/{user}")
        return self.logins.setdefault((instance_id, user), str(seed))

    def alive(self) -> list[str]:
        """Return every login as `instance_id/user`."""
        return [f"{instance_id}/{user}" for instance_id, user in self.logins]


def sign_in(world: World, id: str, _moment: float) -> None:
    """Let the user of `instance_id/user` log in again; a logoff that is still to come is void."""
    world.endings.void("das", id)
    instance_id, _, user = id.partition("/")
    if instance_id not in world.das.instances or not user:
        raise KeyError(id)
    world.das.log_in(instance_id, user)


def _invalid(code: str, field_name: str) -> Refusal:
    return Refusal(error(400, code, f"The parameter {field_name} is invalid."))


def _checked_instance(call: Call) -> str:
    instance_id = call.part("instance_id")
    if instance_id not in call.world.das.instances:
        raise _invalid("DAS.200114", "instance_id")
    return instance_id


def _checked_login(call: Call) -> tuple[str, str]:
    """Return the login that a request is about: the caller's own on the instance (assumed)."""
    instance_id = _checked_instance(call)
    if call.field("datastore_type") != "MySQL":
        raise _invalid("DAS.200107", "datastore_type")
    return instance_id, call.caller.user.name


def log_in(call: Call) -> web.Response:
    """Log the caller in to the built-in account; a logoff that is still to come is void."""
    instance_id, user = _checked_login(call)
    call.world.endings.void("das", f"{instance_id}/{user}")
    return document({"db_user_id": call.world.das.log_in(instance_id, user)})


def log_off(call: Call) -> web.Response:
    """Log the caller off; DAS.200112 for one who is not logged in is the sandbox's own assumption."""
    login, logins = _checked_login(call), call.world.das.logins
    if login not in logins:
        raise _invalid("DAS.200112", "db_user_id")
    call.world.end("das", "/".join(login), lambda _moment: logins.pop(login, None))
    return document("")


def _logoff_targets(call: Call) -> Iterable[str]:
    return (call.part("instance_id"),)


def list_db_users(call: Call) -> web.Response:
    """List who is logged in to an instance (assumed to be what db-users shows), paged."""
    instance_id = _checked_instance(call)
    window = call.window(lambda name: error(400, "DAS.200100", f"The parameter {name} is invalid."))
    wanted_id, wanted_name = (call.request.query.get(name) for name in ("db_user_id", "db_username"))
    found = [
        {"db_user_id": db_user_id, "db_username": user}
        for (instance, user), db_user_id in call.world.das.logins.items()
        if instance == instance_id and wanted_id in (None, db_user_id) and wanted_name in (None, user)
    ]
    return document({"total": len(found), "db_users": found[window]})


_INSTANCE = "/v3/{project_id}/instances/{instance_id}"
OPERATIONS = (
    Operation("das", "logoff", "POST", f"{_INSTANCE}/logoff-built-in-account", log_off, targets=_logoff_targets),
    Operation("das", "login", "POST", f"{_INSTANCE}/login-built-in-account", log_in),
    Operation(
        "das",
        "list_db_users",
        "GET",
        f"{_INSTANCE}/db-users",
        list_db_users,
        listing=Listing("db_users", "total", default=10, low=1, high=100),
    ),
)
