"""One call: render, authenticate, send, classify. What comes back is always a ruling, never an exception."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Protocol

from orchestrator.auth.credential import Credential, CredentialRefused, CredentialUnavailable, scrub
from orchestrator.auth.refusal import clock_skew, refusal_text
from orchestrator.auth.standing import Standing
from orchestrator.classify import Classify, lost_ruling
from orchestrator.model import Batch, Lost, Request, Response, Ruling, Secret, Target, Verdict
from orchestrator.render import Render

_SAYS_NOTHING = frozenset({408, 425, 429})


class Sender(Protocol):
    """Whoever puts a request on the wire."""

    async def send(self, request: Request, timeout: float) -> Response | Lost:  # noqa: ASYNC109
        """Return the answer, or what is known about there being none."""


class HttpConnector:
    """The calls of one lane.

    `readings` has a classifier for every answer that a group can expect ('' where there is only one); `fallback` is
    the same request with the method to go on with when the first is not allowed (405).
    """

    def __init__(
        self,
        render: Render,
        readings: Mapping[str, Classify],
        credential: Credential,
        standing: Standing,
        sender: Sender,
        *,
        idempotent: bool,
        seconds: float,
        fallback: Render | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.idempotent = idempotent
        self._render = render
        self._fallback = fallback
        self._readings = readings
        self._credential = credential
        self._standing = standing
        self._sender = sender
        self._seconds = seconds
        self._clock = clock

    @property
    def refused(self) -> str | None:
        """Return why the credential is refused for good, if it is."""
        return self._standing.refused

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Return the context around a call in which an unproven credential is tried by one call at a time."""
        return self._standing.turn()

    async def call(self, batch: Batch) -> Ruling:
        """Make one attempt at a batch's call."""
        render = self._render
        request = render(batch.targets)
        try:
            extra = await self._credential.headers(request)
        except CredentialRefused as error:
            self._standing.refuse(error.message)
            return Ruling(Verdict.HALT, error.message, code=error.code)
        except CredentialUnavailable as error:
            return Ruling(Verdict.RETRY, error.message)
        generation = self._credential.generation
        answer = await self._sender.send(replace(request, headers={**request.headers, **extra}), self._seconds)
        if isinstance(answer, Lost):
            return lost_ruling(answer)
        ruling = self._readings[batch.targets[0].expect](answer, len(batch.targets), self._clock())
        if answer.status == 405 and self._fallback is not None and render is not self._fallback:
            self._render = self._fallback
            return replace(ruling, verdict=Verdict.RETRY, reason="the method is not allowed; goes on with the other")
        return await self._judge(self._scrubbed(ruling, batch.targets), answer, generation)

    async def _judge(self, ruling: Ruling, answer: Response, generation: int) -> Ruling:
        if ruling.verdict is Verdict.REAUTH:
            return await self._rejected(ruling, answer, generation)
        if answer.status < 500 and answer.status not in _SAYS_NOTHING and ruling.verdict is not Verdict.HALT:
            self._standing.worked(generation)
        return ruling

    async def _rejected(self, ruling: Ruling, answer: Response, generation: int) -> Ruling:
        skew = clock_skew(answer.headers.get("date"), self._clock())
        text = refusal_text(ruling.status, ruling.code, ruling.message or ruling.reason, skew)
        if await self._standing.rejected(generation, text):
            return replace(ruling, verdict=Verdict.RETRY, wait=0.0)
        return replace(ruling, verdict=Verdict.HALT, reason=self._standing.refused or text)

    def _scrubbed(self, ruling: Ruling, targets: Sequence[Target]) -> Ruling:
        """Take every secret in use out of what the service said."""
        said = (ruling.code, ruling.message, ruling.request_id)
        if not any(said):
            return ruling
        secrets = [*self._credential.secrets(), *_secrets(targets)]
        code, message, request_id = (scrub(text, secrets) if text else None for text in said)
        return replace(ruling, code=code, message=message, request_id=request_id)


def _secrets(targets: Sequence[Target]) -> Iterable[str]:
    return (value.reveal() for target in targets for value in target.fields.values() if isinstance(value, Secret))
