"""The kind `basic`: a user name and a password in the Authorization header (RFC 7617, in UTF-8).

A few wrong passwords lock the user in many a product, so it is tried as an access key is.
"""

from __future__ import annotations

from base64 import b64encode

from orchestrator.auth.fixed import Fixed
from orchestrator.errors import InvalidInput
from orchestrator.model import Secret


def basic(user: str, password: Secret) -> Fixed:
    """Build the credential that sends `Authorization: Basic <user:password in base64>`."""
    if ":" in user or not user.isprintable():
        raise InvalidInput.one("credentials", "the user name of basic auth holds a colon or a control character")
    if not password.reveal().isprintable():
        raise InvalidInput.one("credentials", "the password of basic auth holds a line break or a control character")
    encoded = b64encode(f"{user}:{password.reveal()}".encode()).decode("ascii")
    return Fixed({"Authorization": f"Basic {encoded}"}, [password.reveal(), encoded], locks=True, own={"user": {user}})
