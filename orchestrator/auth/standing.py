"""Whether a credential works, told once to every lane that shares it.

More than five wrong signatures lock a key, and many workers of several lanes call with one credential: so until
a generation has worked once, one call at a time carries it, and its first refusal stops them all.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

from orchestrator.auth.credential import Credential, CredentialRefused, scrub


class Standing:
    """What is known of one credential: whether the generation in use has worked, and why it was refused."""

    __slots__ = ("_credential", "_gate", "_worked", "refused")

    def __init__(self, credential: Credential) -> None:
        self._credential = credential
        self._gate = asyncio.Lock()
        self._worked = 0
        self.refused: str | None = None

    @property
    def proven(self) -> bool:
        """Return whether the generation that the next call carries has worked at least once."""
        return self._worked >= self._credential.generation

    def is_open(self) -> bool:
        """Return whether calls need not wait for each other: all is well, or nothing more will be sent."""
        return self.refused is not None or self.proven

    def turn(self) -> Turn:
        """Return the context that covers `headers` and the send; look at `refused` once inside it."""
        return Turn(self, self._gate)

    def worked(self, generation: int) -> None:
        """Note that the service let a call of this generation in, whatever else it answered."""
        self._worked = max(self._worked, generation)

    def refuse(self, message: str) -> None:
        """Note that the credential is refused for good; the first message stays."""
        if self.refused is None:
            self.refused = scrub(message, self._credential.secrets())

    async def rejected(self, generation: int, message: str) -> bool:
        """Decide what a 401 to a call of this generation means: True = call again, False = refused for good.

        Nothing is renewed twice: a call that began before the latest renewal is simply made again. A generation
        that is refused before it ever worked is refused for good.
        """
        if self.refused is None and generation >= self._credential.generation:
            never_worked = generation > self._worked
            if never_worked or not await self._credential.renew(generation):
                self.refuse(message)
        return self.refused is None


class Turn:
    """One call's place behind the gate; free of cost and of waiting once the credential is proven.

    Inside it, in this order: `refused`, `headers`, `generation`, the send, then `worked` or `rejected` with that same
    generation. Read after the send it may be the next one's, and an old token's 401 would condemn the new token.
    """

    __slots__ = ("_gate", "_held", "_standing")

    def __init__(self, standing: Standing, gate: asyncio.Lock) -> None:
        self._standing = standing
        self._gate = gate
        self._held = False

    async def __aenter__(self) -> None:
        if self._standing.is_open():
            return
        await self._gate.acquire()
        if self._standing.is_open():  # settled while this call waited: the others need not queue behind it
            self._gate.release()
        else:
            self._held = True

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, CredentialRefused):
            self._standing.refuse(error.message)
        if self._held:
            self._gate.release()
