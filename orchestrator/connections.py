"""The connections that a plan uses: their secrets, their trust, their credentials, their HTTP clients.

All of it is made, and every fault of it told, before a run begins; it is opened and closed with `async with`.
Equal credentials are shared, and so is how they stand.
"""

from __future__ import annotations

import ssl
from collections.abc import Hashable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

import anyio

from orchestrator.auth import KINDS, Credential, Standing
from orchestrator.errors import Fault, InvalidInput
from orchestrator.model import Secret
from orchestrator.references import References
from orchestrator.settings import AkSk, Basic, Bearer, ConfigFile, Connection, Cookie, IamToken
from orchestrator.transport import HttpTransport, Trust, tls_context
from orchestrator.validation import Place

if TYPE_CHECKING:
    from orchestrator.auth.iam_request import Account
    from orchestrator.auth.iam_token import Login, Sender

CLOSE_SECONDS = 5.0


class Linked(NamedTuple):
    """One connection, ready for calls."""

    transport: HttpTransport
    credential: Credential
    standing: Standing


class Connections:
    """The connections of one run by name; closing them takes back every token that was issued."""

    def __init__(self, config_file: ConfigFile, used: Mapping[str, Connection]) -> None:
        self.linked: dict[str, Linked] = {}
        self._config_file = config_file
        self._references = References(config_file.folder)
        self._shared: dict[Hashable, Credential] = {}
        self._standings: dict[Hashable, Standing] = {}
        self._logins: dict[Hashable, Login] = {}
        self._stack = AsyncExitStack()
        faults: list[Fault] = []
        for name, connection in used.items():
            try:
                self.linked[name] = self._link(name, connection)
            except InvalidInput as error:
                faults += error.faults
        if faults:
            raise InvalidInput(faults)

    async def __aenter__(self) -> Connections:
        for linked in self.linked.values():
            await self._stack.enter_async_context(linked.transport)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with self._stack:
            with anyio.move_on_after(CLOSE_SECONDS):  # what cannot be revoked by then expires by itself
                for credential in {linked.credential for linked in self.linked.values()}:
                    await credential.close()

    def _link(self, name: str, connection: Connection) -> Linked:
        problems: list[tuple[Place, str]] = []
        trust = self._trust(connection, problems)
        secrets = self._secrets(connection, problems)
        if problems:
            raise InvalidInput(self._faults(name, problems))
        transport = HttpTransport(trust, connection.proxy)
        try:
            made = self._make(connection, secrets, transport)
        except InvalidInput as error:
            raise InvalidInput(self._faults(name, [(("auth",), fault.message) for fault in error.faults])) from None
        credential = self._shared.setdefault(made.identity, made) if connection.auth.type == "iam-token" else made
        return Linked(transport, credential, self._standings.setdefault(credential.identity, Standing(credential)))

    def _faults(self, name: str, problems: Sequence[tuple[Place, str]]) -> list[Fault]:
        return self._config_file.faults([(("connections", name, *place), said) for place, said in problems])

    def _secrets(self, connection: Connection, problems: list[tuple[Place, str]]) -> dict[str, Secret]:
        """Return the secrets of a connection by their references."""
        secrets: dict[str, Secret] = {}
        for path, reference in _references(connection):
            try:
                secrets[reference] = self._references.resolve(reference)
            except ValueError as error:
                problems.append((("auth", *path), str(error)))
        return secrets

    def _trust(self, connection: Connection, problems: list[tuple[Place, str]]) -> Trust:
        tls = connection.tls
        ca_file = str(self._config_file.folder / tls.ca_file) if tls.ca_file else None
        try:
            return tls_context(ca_file, tls.fingerprint, insecure=tls.insecure)
        except ssl.SSLError:
            problems.append((("tls", "ca_file"), f"{ca_file} holds no certificate that can be read (PEM)"))
        except OSError as error:
            problems.append((("tls", "ca_file"), f"{ca_file} cannot be used: {error.strerror}"))
        return True

    def _make(self, connection: Connection, secrets: Mapping[str, Secret], sender: Sender) -> Credential:
        auth, make = connection.auth, KINDS[connection.auth.type]
        if isinstance(auth, AkSk):
            token = secrets[auth.security_token] if auth.security_token else None
            return make(secrets[auth.access_key], secrets[auth.secret_key], token, connection.project_id or "")
        if isinstance(auth, IamToken):
            account = _account(connection, auth, secrets[auth.password])
            return make(account, sender, revoke=auth.revoke is not False, logins=self._logins)
        if isinstance(auth, Bearer):
            return make(secrets[auth.token])
        if isinstance(auth, Basic):
            return make(auth.user, secrets[auth.password])
        if isinstance(auth, Cookie):
            return make({cookie: secrets[reference] for cookie, reference in auth.cookies.items()})
        return make()


def _account(connection: Connection, auth: IamToken, password: Secret) -> Account:
    from orchestrator.auth.iam_request import Account

    by_project = auth.scope == "project"
    return Account(
        iam_url=connection.iam_url,
        password=password,
        user=auth.user or "",
        user_id=auth.user_id or "",
        domain=auth.domain or "",
        project_id=(connection.project_id or "") if by_project else "",
        project=(connection.project or connection.region or "") if by_project and not connection.project_id else "",
        scope_domain="" if by_project else auth.domain or "",
    )


def _references(connection: Connection) -> list[tuple[tuple[str, ...], str]]:
    """Return (path below auth, reference) of every secret that a connection refers to."""
    auth = connection.auth
    if isinstance(auth, Cookie):
        return [(("cookies", name), reference) for name, reference in auth.cookies.items()]
    names = ("access_key", "secret_key", "security_token", "password", "token")
    return [((name,), reference) for name in names if (reference := getattr(auth, name, None)) is not None]
