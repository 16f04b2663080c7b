"""The kind `iam-token`: a token for a password, got once, shared, replaced in time and taken back at the end."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Protocol

from orchestrator.auth.credential import CredentialRefused, CredentialUnavailable, scrub
from orchestrator.auth.iam_answer import Refusal, Token, Trouble, message_of, read_login
from orchestrator.auth.iam_request import Account
from orchestrator.auth.refusal import refusal_text
from orchestrator.facts import read_facts
from orchestrator.logs import Log
from orchestrator.model import Lost, Request, Response, Secret

ATTEMPTS = 4
FIRST_DELAY = 0.5  # seconds; doubles with every attempt
LONGEST_DELAY = 8.0
LONGEST_WAIT = 60.0  # a longer one that IAM asks for is not waited for here
PAUSE = 5.0  # seconds after all attempts failed in which the same answer is given without asking again ...
LONGEST_PAUSE = 300.0  # ... or as many as IAM asks for, up to this
_NOT_REVOCABLE = (401, 404, 405)  # dead already, or the cloud has no revocation
_LAST_SECOND = 1.0  # not sent any more: it would expire on its way

_log = Log()


class Sender(Protocol):
    """Whoever carries a request to IAM; it has its own timeouts and raises nothing for what a server does."""

    async def send(self, request: Request) -> Response | Lost:
        """Send the request once and return the answer, or how it was lost."""


class Login:
    """What all tokens of one user share: one login at a time, and the refusal that ends them all."""

    __slots__ = ("lock", "refusal")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.refusal: CredentialRefused | None = None


class IamToken:
    """A token of one account; `identity` is equal for two that are better one.

    `logins` is one dictionary for all tokens of a run: a wrong password is then tried once, not once a project.
    """

    locks = False  # a wrong password does, and that is the login's affair

    def __init__(
        self,
        account: Account,
        sender: Sender,
        *,
        revoke: bool = True,
        logins: dict[Hashable, Login] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.identity: Hashable = account
        self._account, self._sender, self._revoke = account, sender, revoke
        self._clock, self._sleep, self._chance = clock, sleep, chance
        self._login = ({} if logins is None else logins).setdefault(account.principal, Login())
        self._token: Token | None = None
        self._headers: dict[str, str] = {}
        self._issued: list[Token] = []
        self._revoked = 0
        self._refusal: CredentialRefused | None = None
        self._trouble = ""
        self._paused_until = 0.0

    @property
    def generation(self) -> int:
        """Return the number of the token that the next call carries, counting one that is still to be got."""
        return len(self._issued) if self._alive() else len(self._issued) + 1

    @property
    def project_id(self) -> str:
        """Return the id of the project that the latest token is for."""
        return self._issued[-1].project_id if self._issued else ""

    @property
    def ready(self) -> bool:
        """Tell whether there is a token that is not to be replaced yet."""
        return not self._due()

    async def obtain(self) -> None:
        """Get a token unless another call just did; while the old one serves, nobody waits for that or fails."""
        if self._serves() and (self._login.lock.locked() or self._clock() < self._paused_until):
            return
        async with self._login.lock:
            if not self._due():
                return
            try:
                await self._replace()
            except CredentialUnavailable as error:
                if not self._serves():
                    raise
                _log.warning("token_not_replaced", iam=self._account.iam_url, reason=error.message)

    def headers(self, request: Request) -> Mapping[str, str]:
        """Return the header with the token; raise CredentialUnavailable when it is gone since it was got."""
        if not self._alive():
            raise CredentialUnavailable("the token was dropped before the call could be made")
        return self._headers

    async def renew(self, generation: int) -> bool:
        """Drop the token numbered `generation`, so that the next call gets a new one; False after a refusal."""
        if self._token is not None and generation == len(self._issued):
            self._token = None
        return self._known_refusal() is None

    def own(self) -> dict[str, set[str]]:
        """Return the tokens that were issued, and the id and the name of their user."""
        tokens = {token.value.reveal() for token in self._issued}
        return {"token": tokens, "user": {user for token in self._issued for user in token.user}}

    def secrets(self) -> list[str]:
        """Return the password and every token that was issued."""
        return [self._account.password.reveal(), *(token.value.reveal() for token in self._issued)]

    async def close(self) -> None:
        """Revoke every token that was issued, where that is wanted and IAM supports it."""
        self._token = None
        while self._revoke and self._revoked < len(self._issued):
            token = self._issued[self._revoked]
            self._revoked += 1
            if self._clock() < token.expires_at:
                await self._revoke_one(token.value)

    def _due(self) -> bool:
        return self._token is None or self._clock() >= self._token.renew_at

    def _alive(self) -> bool:
        return self._token is not None and self._clock() < self._token.expires_at

    def _serves(self) -> bool:
        return self._token is not None and self._clock() < self._token.expires_at - _LAST_SECOND

    def _known_refusal(self) -> CredentialRefused | None:
        return self._refusal or self._login.refusal

    async def _replace(self) -> None:
        if refusal := self._known_refusal():
            raise CredentialRefused(refusal.message, refusal.code)
        if self._clock() < self._paused_until:
            raise CredentialUnavailable(self._trouble)
        reading = await self._ask()
        if isinstance(reading, Refusal):
            raise self._refused(reading)
        if isinstance(reading, Trouble):
            raise self._unavailable(reading)
        self._token = reading
        self._issued.append(reading)
        self._headers = {"X-Auth-Token": reading.value.reveal()}

    async def _ask(self) -> Token | Refusal | Trouble:
        """Log in, a few times where IAM is in trouble, and once where it says no."""
        request = self._account.login()
        for attempt in range(ATTEMPTS):
            asked_at = self._clock()
            reading = read_login(await self._sender.send(request), asked_at)
            if not isinstance(reading, Trouble) or attempt == ATTEMPTS - 1:
                break
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2**attempt) * self._chance()
            wait = max(delay, reading.wait or 0.0)
            if wait > LONGEST_WAIT:
                break
            await self._sleep(wait)
        return reading

    def _refused(self, reading: Refusal) -> CredentialRefused:
        code = self._scrubbed(reading.code) if reading.code else None
        message = self._scrubbed(reading.message)
        if reading.stranger:
            said = f"{self._name()} does not answer as IAM does; check the endpoint (HTTP {reading.status})"
            message = f"{said}: {message}" if message else said
        else:
            message = refusal_text(reading.status, code, message, who=self._name())
        self._refusal = CredentialRefused(self._scrubbed(message), code)
        if reading.status == 401:
            self._login.refusal = self._refusal
        return CredentialRefused(self._refusal.message, code)

    def _unavailable(self, reading: Trouble) -> CredentialUnavailable:
        self._trouble = self._scrubbed(f"{self._name()} is not available: {reading.message}")
        self._paused_until = self._clock() + min(max(PAUSE, reading.wait or 0.0), LONGEST_PAUSE)
        return CredentialUnavailable(self._trouble)

    def _name(self) -> str:
        return f"IAM at {self._account.iam_url}"

    def _scrubbed(self, text: str) -> str:
        return scrub(text, self.secrets())

    async def _revoke_one(self, token: Secret) -> None:
        answer = await self._sender.send(self._account.revocation(token))
        if isinstance(answer, Lost):
            _log.warning("token_not_revoked", iam=self._account.iam_url, reason=self._scrubbed(answer.reason))
        elif answer.status in _NOT_REVOCABLE:
            _log.debug("token_not_revocable", iam=self._account.iam_url, status=answer.status)
        elif answer.status != 204:
            reason = self._scrubbed(message_of(read_facts(answer)))
            _log.warning("token_not_revoked", iam=self._account.iam_url, status=answer.status, reason=reason)
