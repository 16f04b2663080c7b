"""STS: who the holder of an access key is."""

from __future__ import annotations

from aiohttp import web

from orchestrator.sandbox.answers import document, error
from orchestrator.sandbox.call import Call, Operation


def caller_identity(call: Call) -> web.Response:
    """Tell account, user id and URN of whoever signed; the definition knows no other way to come in."""
    user, account = call.caller.user, call.world.iam.domain_id
    if not call.caller.access_key:
        message = "Incorrect IAM authentication information: verify aksk signature fail"
        return error(401, "APIGW.0301", message, request_id=call.id)
    urn = f"iam::{account}:user:{user.name}"
    return document({"account_id": account, "principal_id": user.id, "principal_urn": urn})


OPERATIONS = (Operation("sts", "caller_identity", "GET", "/v5/caller-identity", caller_identity),)
