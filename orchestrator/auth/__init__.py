"""How a call proves who is calling: one file per kind, one line here to add one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.auth.aksk import AkSk
from orchestrator.auth.basic import basic
from orchestrator.auth.bearer import bearer
from orchestrator.auth.cookie import cookie
from orchestrator.auth.credential import Credential, CredentialRefused, CredentialUnavailable
from orchestrator.auth.none import none
from orchestrator.auth.standing import Admission, Standing

if TYPE_CHECKING:
    from orchestrator.auth.iam_token import IamToken


def _iam_token(*account: Any, **how: Any) -> IamToken:
    from orchestrator.auth.iam_token import IamToken  # the largest of the kinds, and not often the one

    return IamToken(*account, **how)


KINDS: Mapping[str, Callable[..., Credential]] = {
    "aksk": AkSk,
    "iam-token": _iam_token,
    "bearer": bearer,
    "basic": basic,
    "cookie": cookie,
    "none": none,
}

__all__ = [
    "KINDS",
    "Admission",
    "Credential",
    "CredentialRefused",
    "CredentialUnavailable",
    "Standing",
]
