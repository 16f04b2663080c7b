"""Who calls: the gateway's check of an X-Auth-Token or of an AK/SK signature, with its own error texts."""

from __future__ import annotations

import calendar
import time
from typing import TYPE_CHECKING

from orchestrator.sandbox import signature
from orchestrator.sandbox.answers import Refusal, error
from orchestrator.sandbox.call import Call, Caller
from orchestrator.sandbox.iam import Credential, iso_time

if TYPE_CHECKING:
    from orchestrator.sandbox.signature import Authorization

_MAX_SKEW = 15 * 60
_FAILURES_ALLOWED = 5
_LOCKED_FOR = 300.0
_MAX_TOKEN_HEADER = 32 * 1024


def identify(call: Call) -> Caller:
    """Return who calls, or refuse; a token goes before a signature when both are there (assumed)."""
    token = call.request.headers.get("X-Auth-Token")
    if token is not None:
        return _by_token(call, token)
    authorization = call.request.headers.get("Authorization", "")
    if authorization.startswith(signature.ALGORITHM):
        return _by_signature(call, signature.parse(authorization))
    raise _unauthorized(call, "anonymous", "x-auth-token not found")


def _by_token(call: Call, value: str) -> Caller:
    if len(value) > _MAX_TOKEN_HEADER:
        raise Refusal(error(494, "APIGW.0201", "Request header is too large.", request_id=call.id))
    token = call.world.iam.tokens.get(value)
    if token is None:
        raise _unauthorized(call, "token", "decrypt token fail")
    if token.expires_at <= call.world.now():
        raise _unauthorized(call, token.user.name, f"token expires, expires_at: {iso_time(token.expires_at)}")
    if not token.use():
        call.world.ledger.auth_failures[token.user.name] += 1
        raise Refusal(error(401, "APIGW.0307", "The token must be updated.", request_id=call.id))
    return Caller(token.user, token=token, project_id=token.project_id or "")


def _by_signature(call: Call, authorization: Authorization | None) -> Caller:
    if authorization is None:
        raise _unauthorized(call, "anonymous", "verify aksk signature fail")
    credential = call.world.iam.usable_credential(authorization.access_key)
    if credential is None:
        raise _unauthorized(call, authorization.access_key, "Get secretKey failed")
    if credential.locked_until > call.world.clock():
        raise _unauthorized(call, credential.access_key, "AK access failed to reach the limit,forbidden")
    _check_date(call, credential)
    if not _is_authentic(call, credential, authorization):
        raise _failed(call, credential, "verify aksk signature fail")
    credential.failures = 0
    user = call.world.iam.users[credential.user_id]
    return Caller(user, credential.access_key, project_id=call.request.headers.get("X-Project-Id"))


def _check_date(call: Call, credential: Credential) -> None:
    """Refuse a date that is off; the gateway reports clock skew in the words of app authentication."""
    stamp = call.request.headers.get("X-Sdk-Date", "")
    try:
        signed_at = calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise _failed(call, credential, "verify aksk signature fail") from None
    if abs(signed_at - call.world.now()) > _MAX_SKEW:
        _count_failure(call, credential)
        server_time = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(call.world.now()))
        message = (
            "Incorrect app authentication information: signature expired, "
            f"signature time: {stamp}, server time: {server_time}"
        )
        raise Refusal(error(401, "APIGW.0303", message, request_id=call.id))


def _is_authentic(call: Call, credential: Credential, authorization: Authorization) -> bool:
    headers = call.request.headers
    required = {"host", "x-sdk-date"} | ({"x-project-id"} if "X-Project-Id" in headers else set())
    if credential.security_token:
        required.add("x-security-token")
        if headers.get("X-Security-Token") != credential.security_token:
            return False
    if not required <= set(authorization.signed_headers):
        return False
    path, _, query = call.request.raw_path.partition("?")
    received = signature.Received(call.request.method, path, query, headers, call.body)
    return signature.verify(authorization, credential.secret_key, received)


def _failed(call: Call, credential: Credential, reason: str) -> Refusal:
    _count_failure(call, credential)
    return _refusal(call, reason)


def _count_failure(call: Call, credential: Credential) -> None:
    """Count a failure; more than five in a row lock the key, whatever the failure was (assumed)."""
    call.world.ledger.auth_failures[credential.access_key] += 1
    credential.failures += 1
    if credential.failures > _FAILURES_ALLOWED:
        credential.locked_until = call.world.clock() + _LOCKED_FOR
        credential.failures = 0


def _unauthorized(call: Call, who: str, reason: str) -> Refusal:
    call.world.ledger.auth_failures[who] += 1
    return _refusal(call, reason)


def _refusal(call: Call, reason: str) -> Refusal:
    message = f"Incorrect IAM authentication information: {reason}"
    return Refusal(error(401, "APIGW.0301", message, request_id=call.id))
