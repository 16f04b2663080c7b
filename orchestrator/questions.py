"""What the doctor asks with a credential: who calls, and one item of a listing. Each is asked once, and never again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext

import anyio

from orchestrator import probes
from orchestrator.app import rendering
from orchestrator.auth import Admission, CredentialUnavailable
from orchestrator.auth.credential import scrub
from orchestrator.calling import Operation
from orchestrator.catalogue import Catalogue
from orchestrator.classify import Classify
from orchestrator.connections import Linked
from orchestrator.connector import HttpConnector
from orchestrator.diagnosis import Found, judge
from orchestrator.listing import Listing
from orchestrator.model import Batch, Lost, Request, Response, Ruling, Secret, Target, Verdict
from orchestrator.pages import compile_listing
from orchestrator.service import Service
from orchestrator.settings import Connection
from orchestrator.transport import HttpTransport

MAX_WHO = 200
Answer = tuple[Found, Ruling]
_NOTHING = Request("GET", "", "/")


class _Noting:
    """Sends, and keeps the last answer."""

    def __init__(self, transport: HttpTransport) -> None:
        self.last: Response | Lost | None = None
        self._transport = transport

    async def send(self, request: Request, timeout: float) -> Response | Lost:  # noqa: ASYNC109  the connector's own
        """Return the answer, or what is known about there being none."""
        self.last = await self._transport.send(request, timeout)
        return self.last


class Proof:
    """Whether a credential was seen to be accepted; until then all connections that share it ask one at a time.

    That is more than a run asks for: what answers here may be no such service at all, and its 404 proves nothing.
    """

    __slots__ = ("accepted", "lock")

    def __init__(self) -> None:
        self.accepted = False
        self.lock = anyio.Lock()

    def turn(self) -> AbstractAsyncContextManager[object]:
        """Return the context around a call."""
        return nullcontext() if self.accepted else self.lock


class Questions:
    """The questions to one connection; `who` is what was told of the caller."""

    def __init__(
        self, name: str, connection: Connection, linked: Linked, known: Catalogue, proof: Proof, seconds: float
    ) -> None:
        self.who = ""
        self._name = name
        self._connection = connection
        self._linked = linked
        self._known = known
        self._proof = proof
        self._seconds = seconds
        self._sender = _Noting(linked.transport)

    async def key_holder(self, url: str) -> Answer:
        """Ask STS whose an access key is."""
        target = Target("STS", self._name, "caller", {})
        return await self._who(url, probes.CALLER, "principal_urn", lambda: target, probes.caller)

    async def log_in(self) -> Answer:
        """Get a token, and ask IAM whose it is; where IAM does not say, the token is there all the same."""
        url = self._connection.iam_url.rstrip("/").removesuffix("/v3")
        found, ruling = await self._who(url, probes.OWN_TOKEN, "token", self._own_token, probes.bearer_of)
        got_in = self._linked.credential.ready and self._linked.standing.refused is None
        return (Found.ACCEPTED, ruling) if got_in else (found, ruling)

    async def listing(self, service: Service, listing: Listing) -> Answer:
        """Ask a service for one item."""
        url = probes.url_of(service, self._connection)
        target = probes.first_item(service.service, self._name, listing, time.time())
        classify = compile_listing(listing, self._known.rules(listing), service.service)
        return await self._ask(url, probes.listing_call(listing), classify, lambda: target)

    def _own_token(self) -> Target:
        headers: Mapping[str, str] = self._linked.credential.headers(_NOTHING)
        return Target("IAM", self._name, "token", {"token": Secret(headers["X-Auth-Token"])})

    async def _who(
        self, url: str, operation: Operation, field: str, target: Callable[[], Target], read: Callable[[bytes], str]
    ) -> Answer:
        """Ask who calls, and keep what is said without the secrets that it may hold."""
        classify = probes.reading_of(self._known, field, operation.path)
        found, ruling = await self._ask(url, operation, classify, target)
        answer = self._sender.last
        if found is Found.ACCEPTED and isinstance(answer, Response):
            self.who = scrub(read(answer.body)[:MAX_WHO], self._linked.credential.secrets())
        return found, ruling

    async def _ask(self, url: str, operation: Operation, classify: Classify, target: Callable[[], Target]) -> Answer:
        """Make one call with the credential, in its turn; none with one that is refused already."""
        connector = HttpConnector(
            [rendering(operation, url, self._connection)],
            {"": classify},
            self._linked.credential,
            Admission(self._linked.credential, self._linked.standing),
            self._sender,
            idempotent=True,
            seconds=self._seconds,
        )
        async with self._proof.turn(), connector.turn():
            ruling = await self._once(connector, target)
            return self._judged(ruling, connector.refused), ruling

    def _judged(self, ruling: Ruling, refusal: str | None) -> Found:
        """Say what an answer shows; the first refusal of a credential that nobody accepted yet is the last try."""
        standing = self._linked.standing
        if refusal is not None and not self._proof.accepted:
            standing.refuse(refusal)
        found = judge(ruling, refused=standing.refused is not None)
        self._proof.accepted |= found is Found.ACCEPTED or (found is Found.FORBIDDEN and ruling.status == 403)
        return found

    async def _once(self, connector: HttpConnector, target: Callable[[], Target]) -> Ruling:
        if connector.refused is not None:
            said = f"not tried again, it was refused before: {connector.refused}"
            return Ruling(Verdict.HALT, said)
        if (ruling := await connector.obtain()) is not None:
            return ruling
        try:
            return await connector.call(Batch((target(),), 1))
        except CredentialUnavailable as error:
            return Ruling(Verdict.RETRY, error.message)
