"""IAM: the account with its users, keys, projects and tokens, and the calls that issue, check and revoke tokens."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from orchestrator.sandbox.answers import Refusal, document, error, keystone_error
from orchestrator.sandbox.call import Call, Operation

if TYPE_CHECKING:
    from orchestrator.sandbox.state import World


@dataclass(slots=True)
class User:
    """An IAM user; a disabled one has no tokens, gets none, and its keys are refused.

    Only an `administrator` sees and changes what is not its own.
    """

    id: str
    name: str
    password: str
    enabled: bool = True
    administrator: bool = False


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
    created: str = "2024-01-01T00:00:00.000000Z"
    failures: int = 0
    locked_until: float = 0.0


@dataclass(slots=True)
class Token:
    """An issued token; `id` is the fingerprint of its value, and `uses_left` None means any number."""

    id: str
    user: User
    project_id: str | None
    issued_at: float
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

    def disable(self, user: User) -> None:
        """Disable a user, and end all its tokens."""
        user.enabled = False
        for token in self.tokens.values():
            if token.user is user:
                self.revoke(token)

    def summary(self, now: float) -> dict[str, int]:
        """Count tokens; their values are never shown."""
        tokens = self.tokens.values()
        alive = sum(not t.revoked and t.uses_left != 0 and t.expires_at > now for t in tokens)
        return {"issued": len(tokens), "revoked": self.revoked, "alive": alive}

    def standing(self) -> dict[str, object]:
        """Say who may come in: the users, and their permanent keys."""
        permanent = [key for key in self.credentials.values() if not key.security_token]
        return {
            "users": {user.name: user.enabled for user in self.users.values()},
            "access_keys": {key.access_key: key.status for key in permanent},
        }


def iso_time(moment: float) -> str:
    """Return a moment as IAM writes it: UTC with microseconds and a Z."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def create_token(call: Call) -> web.Response:
    """Issue a token for a name and a password."""
    identity = dig(call.data, "auth", "identity")
    if not isinstance(identity, dict) or identity.get("methods") != ["password"]:
        raise Refusal(keystone_error(400, "Bad Request", "The request body is invalid."))
    user = _authenticated(call, dig(identity, "password", "user"))
    project = _scoped_project(call, dig(call.data, "auth", "scope"))
    world = call.world
    value = issue(world, user, project.id if project else None)
    token = world.iam.tokens[value]
    token.uses_left = world.expire_tokens_after.pop(0) if world.expire_tokens_after else None
    return document(_described(call, token), 201, {"X-Subject-Token": value})


def issue(world: World, user: User, project_id: str | None, value: str = "") -> str:
    """Issue a token, and return its value."""
    value = value or "MII" + secrets.token_urlsafe(48)
    value += "A" * (world.token_bytes - len(value))
    fingerprint = "sha256:" + hashlib.sha256(value.encode()).hexdigest()[:16]
    world.iam.tokens[value] = Token(fingerprint, user, project_id, world.now(), world.now() + world.token_life)
    return value


def _authenticated(call: Call, claimed: object) -> User:
    iam = call.world.iam
    if not isinstance(claimed, dict):
        raise Refusal(keystone_error(400, "Bad Request", "The request body is invalid."))
    if "id" in claimed:
        user = iam.users.get(str(claimed["id"]))
    else:
        user = iam.user_named(claimed.get("name")) if dig(claimed, "domain", "name") == iam.domain else None
    if user is None or not user.enabled or claimed.get("password") != user.password:
        call.world.ledger.auth_failures[str(claimed.get("name") or claimed.get("id"))] += 1
        raise Refusal(keystone_error(401, "Unauthorized", "The username or password is wrong."))
    return user


def _scoped_project(call: Call, scope: object) -> Project | None:
    """Return the project of the scope, None for a domain; a project goes before a domain, none means global."""
    wanted = dig(scope, "project")
    if not isinstance(wanted, dict):
        return None
    for project in call.world.iam.projects.values():
        if project.id == wanted.get("id") or project.name == wanted.get("name"):
            return project
    raise Refusal(keystone_error(401, "Unauthorized", "Could not find the project."))


def _described(call: Call, token: Token) -> dict[str, object]:
    """Describe a token as Keystone v3 does, without its value."""
    iam = call.world.iam
    domain = {"id": iam.domain_id, "name": iam.domain}
    token_body: dict[str, object] = {
        "expires_at": iso_time(token.expires_at),
        "issued_at": iso_time(token.issued_at),
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
    permit(call, token.user)
    return token


def permit(call: Call, user: User | None = None) -> None:
    """Let through an administrator, and whoever asks about himself."""
    if not (call.caller.user.administrator or call.caller.user is user):
        message = "You are not authorized to perform the requested action."
        raise Refusal(keystone_error(403, "Forbidden", message))


def check_token(call: Call) -> web.Response:
    """Describe the token in X-Subject-Token."""
    return document(_described(call, _subject(call)))


def revoke_token(call: Call) -> web.Response:
    """Revoke the token in X-Subject-Token; some sites do not publish this operation at all."""
    if not call.world.revocation:
        return not_published(call)
    token = _subject(call)
    call.world.end("iam", token.id, partial(_revoke, call.world.iam, token))
    return web.Response(status=204)


def _revoke(iam: Iam, token: Token, _moment: float) -> None:
    iam.revoke(token)


def not_published(call: Call) -> web.Response:
    """Answer as the gateway does for a path that it does not know."""
    message = "The API does not exist or has not been published in the environment."
    return error(404, "APIGW.0101", message, request_id=call.id)


def dig(data: object, *keys: str) -> object:
    """Return what is under keys within keys, None where there is no such thing."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


OPERATIONS = (
    Operation("iam", "create_token", "POST", "/v3/auth/tokens", create_token, open=True),
    Operation("iam", "check_token", "GET", "/v3/auth/tokens", check_token),
    Operation("iam", "check_token", "HEAD", "/v3/auth/tokens", check_token),
    Operation("iam", "revoke_token", "DELETE", "/v3/auth/tokens", revoke_token),
)
