"""One call: render, authenticate, send, classify. What comes back is always a ruling, never an exception."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Protocol

from orchestrator.auth.credential import Credential, CredentialRefused, CredentialUnavailable, scrub
from orchestrator.auth.refusal import clock_skew, refusal_text
from orchestrator.auth.standing import Admission, Closes
from orchestrator.classify import Classify, lost_ruling
from orchestrator.model import Batch, Lost, Request, Response, Ruling, Secret, Target, Verdict
from orchestrator.render import Render

_SAYS_NOTHING = frozenset({408, 425, 429})
_HALT, _REAUTH = Verdict.HALT, Verdict.REAUTH


class Sender(Protocol):
    """Whoever puts a request on the wire."""

    async def send(self, request: Request, timeout: float) -> Response | Lost:  # noqa: ASYNC109
        """Return the answer, or what is known about there being none."""


class HttpConnector:
    """The calls of one lane.

    `operations` compile the request for the project that the credential is for: the one to begin with, and the one to
    go on with when its method is not allowed (405). They raise LookupError when they need a project and there is none.
    `readings` has a classifier for every answer that a group can expect ('' where there is only one).
    """

    def __init__(
        self,
        operations: Sequence[Callable[[str], Render]],
        readings: Mapping[str, Classify],
        credential: Credential,
        admission: Admission,
        sender: Sender,
        *,
        idempotent: bool,
        seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.idempotent = idempotent
        self._operations = operations
        self._chosen = 0
        self._renders: dict[int, Render] = {}
        self._readings = readings
        self._credential = credential
        self._admission = admission
        self._sender = sender
        self._seconds = seconds
        self._clock = clock

    @property
    def refused(self) -> str | None:
        """Return why the credential is refused for good, if it is."""
        return self._admission.refused

    def close_when_refused(self, one: Closes) -> None:
        """Close something when the credential is refused for good."""
        self._admission.close_when_refused(one)

    @property
    def ready(self) -> bool:
        """Return whether there is a credential to call with."""
        return self._credential.ready and self._chosen in self._renders

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Return the context around a call in which an unproven credential is tried by few calls."""
        return self._admission.turn()

    async def obtain(self) -> Ruling | None:
        """Get a credential to call with; return what it means for the call when there is none now."""
        try:
            await self._credential.obtain()
            self._render(self._chosen)
        except LookupError as error:
            return Ruling(Verdict.HALT, str(error))
        except CredentialRefused as error:
            self._admission.refuse(error.message)
            return Ruling(Verdict.HALT, error.message, code=error.code)
        except CredentialUnavailable as error:
            return Ruling(Verdict.RETRY, error.message)
        return None

    async def call(self, batch: Batch) -> Ruling:
        """Make one attempt at a batch's call, on the connection that was freed last."""
        chosen = self._chosen
        request = self._render(chosen)(batch.targets)
        try:
            extra = self._credential.headers(request)
        except CredentialUnavailable as error:
            return Ruling(Verdict.REAUTH, error.message)
        generation = self._credential.generation
        if extra:
            request = replace(request, headers={**request.headers, **extra})
        answer = await self._sender.send(request, self._seconds)
        if isinstance(answer, Lost):
            return lost_ruling(answer)
        ruling = self._readings[batch.targets[0].expect](answer, len(batch.targets), self._clock())
        ruling = self._scrubbed(ruling, batch.targets)
        if answer.status == 405 and chosen + 1 < len(self._operations):
            self._chosen = chosen + 1
            return replace(ruling, verdict=Verdict.RETRY, reason="the method is not allowed; goes on with the other")
        if ruling.verdict is _REAUTH:
            return await self._rejected(ruling, answer, generation)
        known = ruling.described and answer.status < 500 and answer.status not in _SAYS_NOTHING
        if known and ruling.verdict is not _HALT:
            self._admission.worked(generation)
        return ruling

    def _render(self, chosen: int) -> Render:
        if chosen not in self._renders:
            self._renders[chosen] = self._operations[chosen](self._credential.project_id)
        return self._renders[chosen]

    async def _rejected(self, ruling: Ruling, answer: Response, generation: int) -> Ruling:
        if generation == 0:
            return replace(ruling, verdict=Verdict.FAIL, reason=ruling.reason or "the service asks who is calling")
        skew = clock_skew(answer.headers.get("date"), self._clock())
        said = ": ".join(filter(None, (ruling.reason, ruling.message)))
        text = refusal_text(ruling.status, ruling.code, said, skew)
        if await self._admission.rejected(generation, text):
            return replace(ruling, reason=text)
        return replace(ruling, verdict=Verdict.HALT, reason=self._admission.refused or text)

    def _scrubbed(self, ruling: Ruling, targets: Sequence[Target]) -> Ruling:
        """Take every secret in use out of what the service said."""
        said = (ruling.code, ruling.message, ruling.request_id)
        if not any(said):
            return ruling
        held = [value for target in targets for value in target.fields.values() if isinstance(value, Secret)]
        held += [ruling.handover] if ruling.handover else []
        secrets = [*self._credential.secrets(), *(secret.reveal() for secret in held)]
        if not secrets:
            return ruling
        clean = tuple(scrub(text, secrets) if text else None for text in said)
        if clean == said:
            return ruling
        code, message, request_id = clean
        return replace(ruling, code=code, message=message, request_id=request_id)
