"""What is asked of IAM (Keystone v3): a token for a password, and its revocation."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import orjson

from orchestrator.errors import InvalidInput
from orchestrator.model import Request, Secret

_PATH = "/v3/auth/tokens"


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a token is for and what it is good for; equal accounts share one token.

    The user is known by id, or by name within a domain (by name or id). The scope is a project by id or by name, else
    a domain by id or by name, else none.
    """

    iam_url: str
    password: Secret
    user: str = ""
    domain: str = ""
    user_id: str = ""
    domain_id: str = ""
    project: str = ""
    project_id: str = ""
    scope_domain: str = ""
    scope_domain_id: str = ""

    def __post_init__(self) -> None:
        if not self.password.reveal():
            raise InvalidInput.one("credentials", "the IAM password is empty")
        if not self.user_id and not (self.user and (self.domain or self.domain_id)):
            raise InvalidInput.one("credentials", "IAM needs a user id, or a user name with its domain")

    @property
    def principal(self) -> Hashable:
        """Return who logs in, whatever the scope: that is what wrong passwords lock."""
        return (self.iam_url, self.user, self.domain, self.user_id, self.domain_id, self.password)

    def login(self) -> Request:
        """Build the request for a token; its body holds the password."""
        password = {"user": {**self._user(), "password": self.password.reveal()}}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": password}}
        if scope := self._scope():
            auth["scope"] = scope
        headers = {"Content-Type": "application/json;charset=utf8", "Accept": "application/json"}
        body = orjson.dumps({"auth": auth})
        return Request("POST", self._root(), _PATH, "nocatalog=true", headers, body)

    def revocation(self, token: Secret) -> Request:
        """Build the request by which a token revokes itself."""
        value = token.reveal()
        return Request("DELETE", self._root(), _PATH, headers={"X-Auth-Token": value, "X-Subject-Token": value})

    def _root(self) -> str:
        return self.iam_url.rstrip("/").removesuffix("/v3")

    def _user(self) -> dict[str, Any]:
        if self.user_id:
            return {"id": self.user_id}
        return {"name": self.user, "domain": _known(self.domain, self.domain_id)}

    def _scope(self) -> dict[str, Any]:
        if self.project_id:
            return {"project": {"id": self.project_id}}
        if self.project:
            domain = _known(self.domain, self.domain_id)  # Keystone needs it beside a name, the clouds take it
            return {"project": {"name": self.project, **({"domain": domain} if domain else {})}}
        domain = _known(self.scope_domain, self.scope_domain_id)
        return {"domain": domain} if domain else {}


def _known(name: str, id: str) -> dict[str, str]:
    if id:
        return {"id": id}
    return {"name": name} if name else {}
