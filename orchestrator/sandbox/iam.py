"""IAM: users, keys, projects and tokens, and the calls that issue, check, revoke and disable them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import web

from orchestrator.sandbox.answers import Refusal, document, error, keystone_error
from orchestrator.sandbox.call import Call, Operation


@dataclass(slots=True)
class User:
    """An IAM user; a disabled one has no tokens, gets none, and its keys are refused."""

    id: str
    name: str
    password: str
    enabled: bool = True


@dataclass(slots=True)
class Project:
    """A project; a region's default project has the region's name."""

    id: str
    name: str


@dataclass(slots=True)
class Credential:
    """An access key; with a security token it is a temporary one."""

    access_key: str
    secret_key: str
    user_id: str
    security_token: str = ""
    status: str = "active"
    failures: int = 0
    locked_until: float = 0.0


@dataclass(slots=True)
class Token:
    """An issued token; `uses_left` None means any number."""

    user: User
    project_id: str | None
    expires_at: float
    uses_left: int | None = None
    revoked: bool = False

    def use(self) -> bool:
        """Count one use; False when the token is revoked or used up."""
        if self.revoked or self.uses_left == 0:
            return False
        if self.uses_left is not None:
            self.uses_left -= 1
        return True


@dataclass(slots=True)
class Iam:
    """The account: its domain, and everything in it by id, key or token value."""

    domain: str = "sandbox"
    domain_id: str = "d0000000000000000000000000000001"
    users: dict[str, User] = field(default_factory=dict)
    projects: dict[str, Project] = field(default_factory=dict)
    credentials: dict[str, Credential] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    revoked: int = 0

    def user_named(self, name: object) -> User | None:
        """Return the user of that name."""
        return next((user for user in self.users.values() if user.name == name), None)

    def usable_credential(self, access_key: str) -> Credential | None:
        """Return an active key of an enabled user."""
        credential = self.credentials.get(access_key)
        if credential is None or credential.status != "active":
            return None
        return credential if self.users[credential.user_id].enabled else None

    def revoke(self, token: Token) -> None:
        """End one token."""
        self.revoked += not token.revoked
        token.revoked = True

    def summary(self, now: float) -> dict[str, int]:
        """Count tokens; their values are never shown."""
        tokens = self.tokens.values()
        alive = sum(not t.revoked and t.uses_left != 0 and t.expires_at > now for t in tokens)
        return {"issued": len(tokens), "revoked": self.revoked, "alive": alive}


def iso_time(moment: float) -> str:
    """Return a moment as IAM writes it: UTC with microseconds and a Z."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def create_token(call: Call) -> web.Response:
    """Issue a token for a name and a password."""
    identity = _dig(call.data, "auth", "identity")
    if not isinstance(identity, dict) or identity.get("methods") != ["password"]:
        raise Refusal(keystone_error(400, "Bad Request", "The request body is invalid."))
    user = _authenticated(call, _dig(identity, "password", "user"))
    project = _scoped_project(call, _dig(call.data, "auth", "scope"))
    world, now = call.world, call.world.now()
    uses = world.expire_tokens_after.pop(0) if world.expire_tokens_after else None
    token = Token(user, project.id if project else None, now + world.token_life, uses)
    value = "MII" + secrets.token_urlsafe(48)
    value += "A" * (world.token_bytes - len(value))
    world.iam.tokens[value] = token
    body = _described(call, token, now)
    return document(body, 201, {"X-Subject-Token": value})


def _authenticated(call: Call, claimed: object) -> User:
    iam = call.world.iam
    if not isinstance(claimed, dict):
        raise Refusal(keystone_error(400, "Bad Request", "The request body is invalid."))
    if "id" in claimed:
        user = iam.users.get(str(claimed["id"]))
    else:
        user = iam.user_named(claimed.get("name")) if _dig(claimed, "domain", "name") == iam.domain else None
    if user is None or not user.enabled or claimed.get("password") != user.password:
        call.world.ledger.auth_failures[str(claimed.get("name") or claimed.get("id"))] += 1
        raise Refusal(keystone_error(401, "Unauthorized", "The username or password is wrong."))
    return user


def _scoped_project(call: Call, scope: object) -> Project | None:
    """Return the project of the scope, None for a domain; a project goes before a domain, none means global."""
    wanted = _dig(scope, "project")
    if not isinstance(wanted, dict):
        return None
    for project in call.world.iam.projects.values():
        if project.id == wanted.get("id") or project.name == wanted.get("name"):
            return project
    raise Refusal(keystone_error(401, "Unauthorized", "Could not find the project."))


def _described(call: Call, token: Token, issued_at: float | None = None) -> dict[str, object]:
    """Describe a token as Keystone v3 does, without its value."""
    iam = call.world.iam
    domain = {"id": iam.domain_id, "name": iam.domain}
    token_body: dict[str, object] = {
        "expires_at": iso_time(token.expires_at),
        "issued_at": iso_time(issued_at or token.expires_at - call.world.token_life),
        "methods": ["password"],
        "user": {"id": token.user.id, "name": token.user.name, "domain": domain},
    }
    if token.project_id is None:
        token_body["domain"] = domain
    else:
        project = iam.projects[token.project_id]
        token_body["project"] = {"id": project.id, "name": project.name, "domain": domain}
    if call.request.query.get("nocatalog") != "true":
        token_body["catalog"] = [{"type": "iam", "name": "iam", "endpoints": []}]
    return {"token": token_body}


def _subject(call: Call) -> Token:
    token = call.world.iam.tokens.get(call.request.headers.get("X-Subject-Token", ""))
    if token is None or token.revoked or token.expires_at <= call.world.now():
        raise Refusal(keystone_error(404, "Not Found", "X-Subject-Token is invalid in the request"))
    return token


def check_token(call: Call) -> web.Response:
    """Describe the token in X-Subject-Token."""
    return document(_described(call, _subject(call)))


def revoke_token(call: Call) -> web.Response:
    """Revoke the token in X-Subject-Token; some sites do not publish this operation at all."""
    if not call.world.revocation:
        return not_published(call)
    token = _subject(call)
    if token.user is not call.caller.user:
        return keystone_error(403, "Forbidden", "You are not authorized to perform the requested action.")
    call.world.iam.revoke(token)
    return web.Response(status=204)


def not_published(call: Call) -> web.Response:
    """Answer as the gateway does for a path that it does not know."""
    message = "The API does not exist or has not been published in the environment."
    return error(404, "APIGW.0101", message, request_id=call.id)


def list_projects(call: Call) -> web.Response:
    """List the projects of the account, or the one of a name."""
    name = call.request.query.get("name")
    found = [
        {"id": project.id, "name": project.name, "enabled": True, "domain_id": call.world.iam.domain_id}
        for project in call.world.iam.projects.values()
        if name is None or project.name == name
    ]
    return document({"projects": found, "links": {"self": "", "previous": None, "next": None}})


def list_users(call: Call) -> web.Response:
    """List the users of the account, or the one of a name."""
    name = call.request.query.get("name")
    users = call.world.iam.users.values()
    return document({"users": [_user_body(user) for user in users if name is None or user.name == name]})


def update_user(call: Call) -> web.Response:
    """Enable or disable a user; disabling ends the user's tokens at once (the service: within 30 minutes)."""
    user = call.world.iam.users.get(call.part("user_id"))
    if user is None:
        return keystone_error(404, "Not Found", "Could not find the user.")
    enabled = _dig(call.data, "user", "enabled")
    if not isinstance(enabled, bool):
        return keystone_error(400, "Bad Request", "The request body is invalid.")
    user.enabled = enabled
    if not enabled:
        for token in call.world.iam.tokens.values():
            if token.user is user:
                call.world.iam.revoke(token)
    return document({"user": _user_body(user)})


def list_credentials(call: Call) -> web.Response:
    """List the permanent access keys of a user."""
    user_id = call.request.query.get("user_id")
    found = [_credential_body(c) for c in _permanent(call) if user_id is None or c.user_id == user_id]
    return document({"credentials": found})


def update_credential(call: Call) -> web.Response:
    """Activate or deactivate an access key."""
    wanted = call.part("access_key")
    credential = next((c for c in _permanent(call) if c.access_key == wanted), None)
    if credential is None:
        return keystone_error(404, "Not Found", "Could not find the credential.")
    status = _dig(call.data, "credential", "status")
    if status not in ("active", "inactive"):
        return keystone_error(400, "Bad Request", "The request body is invalid.")
    credential.status = str(status)
    return document({"credential": _credential_body(credential)})


def _permanent(call: Call) -> Iterator[Credential]:
    return (c for c in call.world.iam.credentials.values() if not c.security_token)


def _user_body(user: User) -> dict[str, object]:
    return {"id": user.id, "name": user.name, "enabled": user.enabled, "access_mode": "default"}


def _credential_body(credential: Credential) -> dict[str, object]:
    return {
        "access": credential.access_key,
        "status": credential.status,
        "user_id": credential.user_id,
        "create_time": "2024-01-01T00:00:00.000000Z",
    }


def _dig(data: object, *keys: str) -> object:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


OPERATIONS = (
    Operation("iam", "create_token", "POST", "/v3/auth/tokens", create_token, open=True),
    Operation("iam", "check_token", "GET", "/v3/auth/tokens", check_token),
    Operation("iam", "check_token", "HEAD", "/v3/auth/tokens", check_token),
    Operation("iam", "revoke_token", "DELETE", "/v3/auth/tokens", revoke_token),
    Operation("iam", "list_projects", "GET", "/v3/projects", list_projects),
    Operation("iam", "list_users", "GET", "/v3/users", list_users),
    Operation("iam", "update_user", "PATCH", "/v3/users/{user_id}", update_user),
    Operation("iam", "list_credentials", "GET", "/v3.0/OS-CREDENTIAL/credentials", list_credentials),
    Operation("iam", "update_credential", "PUT", "/v3.0/OS-CREDENTIAL/credentials/{access_key}", update_credential),
)
