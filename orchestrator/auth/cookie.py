"""The kind `cookie`: a Cookie header made of names and secret values."""

from __future__ import annotations

import re
from collections.abc import Mapping

from orchestrator.auth.fixed import Fixed
from orchestrator.errors import InvalidInput
from orchestrator.model import Secret

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")  # token, RFC 9110 section 5.6.2
_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")  # cookie-octets, RFC 6265 section 4.1.1


def cookie(cookies: Mapping[str, Secret]) -> Fixed:
    """Build the credential that sends `Cookie: name=value; name=value`, in the order given."""
    if not cookies:
        raise InvalidInput.one("credentials", "cookie auth names no cookie")
    for name, value in cookies.items():
        if not _NAME.fullmatch(name):
            raise InvalidInput.one("credentials", f"{name!r} is not the name of a cookie")
        if not _VALUE.fullmatch(value.reveal()):
            message = f"the cookie {name} is empty or holds a character no cookie may carry (RFC 6265)"
            raise InvalidInput.one("credentials", message)
    header = "; ".join(f"{name}={value.reveal()}" for name, value in cookies.items())
    return Fixed({"Cookie": header}, [value.reveal() for value in cookies.values()])
