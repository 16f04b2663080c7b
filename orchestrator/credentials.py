"""Makes the credentials that a config's connections name; equal ones are shared, and so is how they stand."""

from __future__ import annotations

from collections.abc import Hashable

from orchestrator.auth import KINDS, Account, Credential, Login, Standing
from orchestrator.auth.iam_token import Sender
from orchestrator.errors import Fault, InvalidInput
from orchestrator.model import Secret
from orchestrator.references import References
from orchestrator.service import CLOUDS
from orchestrator.settings import AkSk, Basic, Bearer, ConfigFile, Connection, Cookie, IamToken

Secrets = dict[tuple[str, str], Secret]


def resolve(config_file: ConfigFile, connections: dict[str, Connection]) -> Secrets:
    """Return the secrets of connections by (connection, reference); raise InvalidInput with every one missing."""
    references = References(config_file.folder)
    secrets: Secrets = {}
    faults: list[Fault] = []
    for name, connection in connections.items():
        for path, reference in _references(connection):
            try:
                secrets[name, reference] = references.resolve(reference)
            except ValueError as error:
                faults += config_file.faults([(("connections", name, "auth", *path), str(error))])
    if faults:
        raise InvalidInput(faults)
    return secrets


class Credentials:
    """The credentials of one run."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._shared: dict[Hashable, Credential] = {}
        self._standings: dict[Hashable, Standing] = {}
        self._logins: dict[Hashable, Login] = {}

    def make(self, name: str, connection: Connection, sender: Sender) -> tuple[Credential, Standing]:
        """Return a connection's credential and its standing; raise InvalidInput when a value cannot be sent."""
        try:
            made = self._make(name, connection, sender)
        except InvalidInput as error:
            said = [Fault(f"connection {name}", fault.message) for fault in error.faults]
            raise InvalidInput(said) from None
        credential = self._shared.setdefault(made.identity, made) if connection.auth.type == "iam-token" else made
        self._shared.setdefault((name, made.identity), credential)
        return credential, self._standings.setdefault(credential.identity, Standing(credential))

    async def close(self) -> None:
        """Take back every token that was issued."""
        for credential in set(self._shared.values()):
            await credential.close()

    def _make(self, name: str, connection: Connection, sender: Sender) -> Credential:
        auth, make = connection.auth, KINDS[connection.auth.type]

        def secret(reference: str) -> Secret:
            return self._secrets[name, reference]

        if isinstance(auth, AkSk):
            token = secret(auth.security_token) if auth.security_token else None
            return make(secret(auth.access_key), secret(auth.secret_key), token, connection.project_id or "")
        if isinstance(auth, IamToken):
            account = _account(connection, auth, secret(auth.password))
            return make(account, sender, revoke=auth.revoke is not False, logins=self._logins)
        if isinstance(auth, Bearer):
            return make(secret(auth.token))
        if isinstance(auth, Basic):
            return make(auth.user, secret(auth.password))
        if isinstance(auth, Cookie):
            return make({cookie: secret(reference) for cookie, reference in auth.cookies.items()})
        return make()


def iam_url(connection: Connection) -> str:
    """Return where a connection's tokens come from."""
    given = connection.endpoints.get("iam") or connection.endpoint
    if given is not None or connection.cloud is None:
        return given or ""
    return f"https://iam.{connection.region}.{CLOUDS[connection.cloud]}"


def _account(connection: Connection, auth: IamToken, password: Secret) -> Account:
    by_project = auth.scope == "project"
    return Account(
        iam_url=iam_url(connection),
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
