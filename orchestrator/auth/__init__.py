"""How a call proves who is calling: one file per kind, one line here to add one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.auth.aksk import AkSk
from orchestrator.auth.basic import basic
from orchestrator.auth.bearer import bearer
from orchestrator.auth.cookie import cookie
from orchestrator.auth.credential import Credential, CredentialRefused, CredentialUnavailable
from orchestrator.auth.iam_request import Account
from orchestrator.auth.iam_token import IamToken, Login
from orchestrator.auth.none import none
from orchestrator.auth.standing import Admission, Standing

KINDS: Mapping[str, Callable[..., Credential]] = {
    "aksk": AkSk,
    "iam-token": IamToken,
    "bearer": bearer,
    "basic": basic,
    "cookie": cookie,
    "none": none,
}

__all__ = [
    "KINDS",
    "Account",
    "Admission",
    "Credential",
    "CredentialRefused",
    "CredentialUnavailable",
    "Login",
    "Standing",
]
