"""The kind `aksk`: every request is signed with an access key, permanent or temporary."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping

from orchestrator.auth.credential import visible
from orchestrator.auth.signature import Signer
from orchestrator.errors import InvalidInput
from orchestrator.model import Request, Secret


class AkSk:
    """A key pair; it cannot be renewed, so the first refusal is the last word.

    Credentials with an equal `identity` share one `Standing`. Both keys are in it: a wrong secret beside a right one
    must not be taken for proven, because a few wrong signatures lock the access key for everybody.
    """

    generation = 1
    ready = True
    locks = True  # more than five wrong signatures in a row: for five minutes
    project_id = ""

    def __init__(
        self,
        access_key: Secret,
        secret_key: Secret,
        security_token: Secret | None = None,
        project_id: str = "",
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        key = visible(access_key.reveal(), "access key")
        if not secret_key.reveal():
            raise InvalidInput.one("credentials", "the secret key is empty")
        if security_token is not None:
            visible(security_token.reveal(), "security token")
        if project_id:
            visible(project_id, "project id")
        self.identity: Hashable = ("aksk", access_key, secret_key)
        self._secrets = [held.reveal() for held in (access_key, secret_key, security_token) if held is not None]
        self._signer = Signer(key, secret_key, security_token, project_id)
        self._clock = clock

    async def obtain(self) -> None:
        """Do nothing: the key is at hand."""

    def headers(self, request: Request) -> Mapping[str, str]:
        """Sign the request as it stands, as of now."""
        return self._signer.sign(request, self._clock())

    async def renew(self, generation: int) -> bool:
        """Return False: another signature with the same key would only lock it."""
        return False

    def own(self) -> dict[str, set[str]]:
        """Return the access key; whose it is the cloud has to tell."""
        return {"access_key": {self._secrets[0]}}

    def secrets(self) -> list[str]:
        """Return the two keys and the security token."""
        return self._secrets

    async def close(self) -> None:
        """Do nothing: nothing was issued."""
