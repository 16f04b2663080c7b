"""The kind `bearer`: a token in the Authorization header."""

from __future__ import annotations

from orchestrator.auth.credential import visible
from orchestrator.auth.fixed import Fixed
from orchestrator.model import Secret


def bearer(token: Secret) -> Fixed:
    """Build the credential that sends `Authorization: Bearer <token>`."""
    value = visible(token.reveal(), "bearer token")
    return Fixed({"Authorization": f"Bearer {value}"}, [value], own={"token": {value}})
