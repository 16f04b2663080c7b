"""What the connector may ask of a credential, and the two ways in which a credential can fail it."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterable, Mapping, Set
from typing import Protocol
from urllib.parse import quote, quote_plus

from orchestrator.errors import InvalidInput
from orchestrator.model import Request

_VISIBLE = re.compile(r"[\x21-\x7e]+")
_ONE_WAY = re.compile(r"[A-Za-z0-9_.~-]*")  # what is spelled alike in JSON, in a URL and in HTML
_SCRUBBED = "[secret]"
_TELLING = 6  # so many first characters of a secret are worth hiding where the text was cut off in the middle of it


class Credential(Protocol):
    """One way of proving who is calling; shared by every lane that calls as the same user.

    Ask for `headers` when it is `ready`, and read `generation` right after: they belong together until the next await.
    """

    @property
    def identity(self) -> Hashable:
        """Tell credentials apart: those with an equal one share one `Standing`."""

    @property
    def generation(self) -> int:
        """Number the credential that the next call carries; 0 where there is nothing to prove."""

    @property
    def project_id(self) -> str:
        """Return the project that it turned out to be for, once obtained; empty where nobody says."""

    @property
    def ready(self) -> bool:
        """Tell whether a call can be made without `obtain`."""

    @property
    def locks(self) -> bool:
        """Tell whether a few wrong ones lock it, so that few calls must try it."""

    async def obtain(self) -> None:
        """Get what the next call carries, or replace it where that is due; it may be cancelled at any time.

        Raises CredentialRefused for good, CredentialUnavailable for now.
        """

    def headers(self, request: Request) -> Mapping[str, str]:
        """Return what this attempt at the finished request adds to its headers; called anew at every attempt.

        Raises CredentialUnavailable when what was obtained has been dropped since.
        """

    async def renew(self, generation: int) -> bool:
        """Replace the credential numbered `generation` unless that was done already; False if it cannot be."""

    def own(self) -> Mapping[str, Set[str]]:
        """Return what it is, by kind (`access_key`, `user`, `token`), so that a run does not end itself."""

    def secrets(self) -> Iterable[str]:
        """Return every value in use that must be scrubbed from what a server says."""

    async def close(self) -> None:
        """Take back what was issued, where the cloud supports that; never raises for what a server answers."""


class CredentialRefused(Exception):  # noqa: N818  the word users see
    """The credential was refused for good; the message is scrubbed and `code` is the server's own, if any."""

    def __init__(self, message: str, code: str | None = None) -> None:
        self.message = message
        self.code = code
        super().__init__(message)


class CredentialUnavailable(Exception):  # noqa: N818
    """The credential cannot be had at the moment: whoever issues it did not answer in time."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Replace every secret in a server's text, also where JSON, a URL or HTML has escaped it.

    Texts are cut to a bearable length before they get here, so the beginning of a secret at the very end goes too.
    """
    known = [secret for secret in secrets if secret]
    if not any(_may_be_in(text, secret) for secret in known):
        return text
    spellings = {spelling for secret in known for spelling in _spellings(secret)}
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, _SCRUBBED)
    cut_off = max((_overlap(text, spelling) for spelling in spellings), default=0)
    return text[:-cut_off] + _SCRUBBED if cut_off else text


def _may_be_in(text: str, secret: str) -> bool:
    """Return False when a secret is surely not in a text, at little cost: its head is not, and is spelled one way."""
    head = secret[:_TELLING]
    return head in text or not _ONE_WAY.fullmatch(head)


def _overlap(text: str, spelling: str) -> int:
    """Return how many characters at the end of the text are the beginning of a spelling; 0 if too few to tell."""
    longest = min(len(text), len(spelling) - 1)
    return next((n for n in range(longest, _TELLING - 1, -1) if text.endswith(spelling[:n])), 0)


def _spellings(secret: str) -> tuple[str, ...]:
    escaped = json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]
    from html import escape  # with all of its entities; most credentials have nothing to be looked for

    return (secret, *escaped, quote(secret, safe=""), quote_plus(secret), escape(secret))


def visible(value: str, what: str) -> str:
    """Return the value if it may stand in a header as it is; the error names what it is, never the value."""
    if _VISIBLE.fullmatch(value):
        return value
    fault = "is empty" if not value else "holds a space, a line break or another character no header may carry"
    raise InvalidInput.one("credentials", f"the {what} {fault}")
