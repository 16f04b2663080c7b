"""How a call proves who is calling: one file per kind, one line here to add one. A kind is imported when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.auth.credential import Credential, CredentialRefused, CredentialUnavailable
from orchestrator.auth.standing import Admission, Standing

Make = Callable[..., Credential]


def _kind(module: str, name: str) -> Make:
    def make(*given: Any, **how: Any) -> Credential:
        kind: Make = getattr(importlib.import_module(f"orchestrator.auth.{module}"), name)
        return kind(*given, **how)

    return make


KINDS: Mapping[str, Make] = {
    "aksk": _kind("aksk", "AkSk"),
    "iam-token": _kind("iam_token", "IamToken"),
    "bearer": _kind("bearer", "bearer"),
    "basic": _kind("basic", "basic"),
    "cookie": _kind("cookie", "cookie"),
    "none": _kind("none", "none"),
}

__all__ = [
    "KINDS",
    "Admission",
    "Credential",
    "CredentialRefused",
    "CredentialUnavailable",
    "Make",
    "Standing",
]
