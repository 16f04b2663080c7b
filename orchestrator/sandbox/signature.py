"""Verification of SDK-HMAC-SHA256, written apart from the program's signer so that one bug cannot hide another."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

ALGORITHM = "SDK-HMAC-SHA256"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_HEADER = re.compile(
    ALGORITHM + r" Access=(?P<access_key>[^,\s]+), ?SignedHeaders=(?P<signed>[^,\s]+), ?"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class Authorization:
    """An Authorization header taken apart."""

    access_key: str
    signed_headers: tuple[str, ...]
    signature: str


@dataclass(frozen=True, slots=True)
class Received:
    """A request exactly as it came over the wire: path and query still in their percent-encoding."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


def parse(header: str) -> Authorization | None:
    """Take an Authorization header apart; None when it is not of this algorithm or not well formed."""
    match = _HEADER.fullmatch(header)
    if match is None:
        return None
    return Authorization(match["access_key"], tuple(match["signed"].split(";")), match["signature"])


def verify(authorization: Authorization, secret_key: str, request: Received) -> bool:
    """Say whether the signature is the right one for the request as received."""
    signed = authorization.signed_headers
    if list(signed) != sorted({name.lower() for name in signed}):
        return False
    if any(name not in request.headers for name in signed):
        return False
    return hmac.compare_digest(sign(secret_key, request, signed), authorization.signature)


def sign(secret_key: str, request: Received, signed_headers: Sequence[str]) -> str:
    """Return the hex signature: no derived key, no region or service scope."""
    canonical = hashlib.sha256(canonical_request(request, signed_headers).encode()).hexdigest()
    text = f"{ALGORITHM}\n{request.headers['x-sdk-date']}\n{canonical}"
    return hmac.new(secret_key.encode(), text.encode(), hashlib.sha256).hexdigest()


def canonical_request(request: Received, signed_headers: Sequence[str]) -> str:
    """Return the text whose hash is signed; the header block ends in a line feed, hence the blank line."""
    return "\n".join(
        (
            request.method,
            _canonical_path(request.path),
            _canonical_query(request.query),
            "".join(f"{name}:{request.headers[name].strip()}\n" for name in signed_headers),
            ";".join(signed_headers),
            _payload_hash(request, signed_headers),
        )
    )


def _canonical_path(raw: str) -> str:
    path = "/".join(map(_encode, unquote(raw).split("/")))
    return path if path.endswith("/") else path + "/"


def _canonical_query(raw: str) -> str:
    """Decode and re-encode every pair, sorted; a `+` is a plus, as the official signer sends spaces as %20."""
    pairs = (piece.partition("=") for piece in raw.split("&") if piece)
    return "&".join(
        f"{_encode(key)}={_encode(value)}"
        for key, value in sorted((unquote(key), unquote(value)) for key, _, value in pairs)
    )


def _encode(text: str) -> str:
    return quote(text, safe="~")


def _payload_hash(request: Received, signed_headers: Sequence[str]) -> str:
    """Return the hash of the body, or the literal that a signed header says for a body that is not JSON."""
    declared = request.headers.get("x-sdk-content-sha256") if "x-sdk-content-sha256" in signed_headers else None
    is_json = request.headers.get("content-type", "").startswith(("application/json", "application/bson"))
    if declared == _UNSIGNED and request.body and not is_json:
        return _UNSIGNED
    return hashlib.sha256(request.body).hexdigest()
