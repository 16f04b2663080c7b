"""IAM: the calls that list, show, disable and enable users, their access keys, and the projects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aiohttp import web

from orchestrator.sandbox.answers import Refusal, document, keystone_error
from orchestrator.sandbox.call import Call, Listing, Operation
from orchestrator.sandbox.iam import Credential, Project, User, dig, permit


def list_projects(call: Call) -> web.Response:
    """List the projects of the account, or the one of a name."""
    name = call.query.get("name")
    projects = call.world.iam.projects.values()
    found = [_project_body(call, project) for project in projects if name in (None, project.name)]
    return document({"projects": found, "links": {"self": "", "previous": None, "next": None}})


def _project_body(call: Call, project: Project) -> dict[str, object]:
    return {"id": project.id, "name": project.name, "enabled": True, "domain_id": call.world.iam.domain_id}


def list_users(call: Call) -> web.Response:
    """List the users by name, by whether they are enabled, and by account; without `enabled` all (assumed)."""
    permit(call)
    enabled = call.one_of("enabled", ("true", "false").__contains__, _invalid)
    name = call.one_of("name", bool, _invalid)
    of_account = call.request.query.get("domain_id") in (None, call.world.iam.domain_id)
    found = [
        _user_body(call, user)
        for user in call.world.iam.users.values()
        if of_account and name in (None, user.name) and enabled in (None, str(user.enabled).lower())
    ]
    return document({"users": found, "links": {"self": "", "previous": None, "next": None}})


def _invalid(_name: str = "") -> web.Response:
    return keystone_error(400, "Bad Request", "The request body is invalid.")


def _user(call: Call) -> User:
    user = call.world.iam.users.get(call.part("user_id"))
    if user is None:
        raise Refusal(keystone_error(404, "Not Found", "Could not find the user."))
    return user


def show_user(call: Call) -> web.Response:
    """Show one user, to an administrator or to that user."""
    user = _user(call)
    permit(call, user)
    return document({"user": _user_body(call, user)})


def update_user(call: Call) -> web.Response:
    """Enable or disable a user; its tokens end with it, at once but for the lag (the service: within 30 minutes)."""
    permit(call)
    user, world = _user(call), call.world
    enabled = dig(call.data, "user", "enabled")
    if not isinstance(enabled, bool):
        return _invalid()
    body = {**_user_body(call, user), "enabled": enabled}
    if enabled:
        world.endings.void("iam", user.id)
        user.enabled = True
    elif user.enabled:
        world.end("iam", user.id, lambda _moment: world.iam.disable(user))
    return document({"user": body})


def _user_targets(call: Call) -> Iterable[str]:
    return (call.part("user_id"),)


def list_credentials(call: Call) -> web.Response:
    """List the permanent access keys of a user; without `user_id` the caller's own (assumed)."""
    user_id = call.one_of("user_id", bool, _invalid) or call.caller.user.id
    permit(call, call.world.iam.users.get(user_id))
    return document({"credentials": [_credential_body(c) for c in _permanent(call) if c.user_id == user_id]})


def _credential(call: Call) -> Credential:
    """Return the key that the path names, to an administrator or to its user."""
    credential = next((c for c in _permanent(call) if c.access_key == call.part("access_key")), None)
    if credential is None:
        raise Refusal(keystone_error(404, "Not Found", "Could not find the credential."))
    permit(call, call.world.iam.users[credential.user_id])
    return credential


def show_credential(call: Call) -> web.Response:
    """Show one access key."""
    return document({"credential": _credential_body(_credential(call))})


def update_credential(call: Call) -> web.Response:
    """Activate or deactivate an access key."""
    credential, world, wanted = _credential(call), call.world, call.part("access_key")
    status = dig(call.data, "credential", "status")
    if status not in ("active", "inactive"):
        return _invalid()
    body = {**_credential_body(credential), "status": status}
    if status == "active":
        world.endings.void("iam", wanted)
        credential.status = "active"
    elif credential.status == "active":
        world.end("iam", wanted, lambda _moment: setattr(credential, "status", "inactive"))
    return document({"credential": body})


def _credential_targets(call: Call) -> Iterable[str]:
    return (call.part("access_key"),)


def _permanent(call: Call) -> Iterator[Credential]:
    return (c for c in call.world.iam.credentials.values() if not c.security_token)


def _user_body(call: Call, user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "name": user.name,
        "domain_id": call.world.iam.domain_id,
        "enabled": user.enabled,
        "access_mode": "default",
        "password_expires_at": None,
        "links": {"self": "", "previous": None, "next": None},
    }


def _credential_body(credential: Credential) -> dict[str, object]:
    return {
        "access": credential.access_key,
        "status": credential.status,
        "user_id": credential.user_id,
        "create_time": credential.created,
    }


_USER = "/v3/users/{user_id}"
_CREDENTIALS = "/v3.0/OS-CREDENTIAL/credentials"
_CREDENTIAL = f"{_CREDENTIALS}/{{access_key}}"
OPERATIONS = (
    Operation("iam", "list_projects", "GET", "/v3/projects", list_projects, listing=Listing("projects")),
    Operation("iam", "list_own_projects", "GET", "/v3/auth/projects", list_projects, listing=Listing("projects")),
    Operation("iam", "list_users", "GET", "/v3/users", list_users, listing=Listing("users")),
    Operation("iam", "show_user", "GET", _USER, show_user),
    Operation("iam", "update_user", "PATCH", _USER, update_user, targets=_user_targets),
    Operation("iam", "list_credentials", "GET", _CREDENTIALS, list_credentials, listing=Listing("credentials")),
    Operation("iam", "show_credential", "GET", _CREDENTIAL, show_credential),
    Operation("iam", "update_credential", "PUT", _CREDENTIAL, update_credential, targets=_credential_targets),
)
