"""Credentials that add the same headers to every request and cannot be renewed."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence, Set

from orchestrator.model import Request


class Fixed:
    """Constant headers and the secrets in them; generation 0 says that there is nothing to prove."""

    ready = True
    project_id = ""

    def __init__(
        self,
        headers: Mapping[str, str],
        secrets: Sequence[str],
        generation: int = 1,
        *,
        locks: bool = False,
        own: Mapping[str, Set[str]] | None = None,
    ) -> None:
        self.generation = generation
        self.locks = locks
        self._headers = headers
        self._secrets = secrets
        self._own = own or {}

    @property
    def identity(self) -> Hashable:
        """Return the credential itself: the same password elsewhere is another credential."""
        return self

    async def obtain(self) -> None:
        """Do nothing: the headers are at hand."""

    def headers(self, request: Request) -> Mapping[str, str]:
        """Return the same headers for every request."""
        return self._headers

    async def renew(self, generation: int) -> bool:
        """Return False: there is no other value to try."""
        return False

    def own(self) -> Mapping[str, Set[str]]:
        """Return what its kind says of itself."""
        return self._own

    def secrets(self) -> Sequence[str]:
        """Return the values to scrub."""
        return self._secrets

    async def close(self) -> None:
        """Do nothing: nothing was issued."""
