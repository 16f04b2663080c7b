"""The gateway in front of every service: arrival, faults, identity, rate limit, project, then the operation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from orchestrator.sandbox import faults, iam, limits
from orchestrator.sandbox.answers import Refusal, error, page
from orchestrator.sandbox.call import Call, Operation
from orchestrator.sandbox.dcs import failure as dcs_failure
from orchestrator.sandbox.identity import identify
from orchestrator.sandbox.state import World

REQUEST_ID = web.RequestKey("request_id", str)
UNKNOWN = Operation("gateway", "unknown", "*", "/{tail:.*}", iam.not_published, open=True)
_CLOUD_PATHS = ("/v1/", "/v2/", "/v3/", "/v3.0/", "/v5/")


def guarded(world: World, operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the aiohttp handler of one operation."""

    async def handle(request: web.Request) -> web.StreamResponse:
        traffic = world.ledger.arrive(operation.service, operation.name)
        call = Call(world, request, operation, world.next_request_id())
        request[REQUEST_ID] = call.id
        try:
            answer = await _answered(call)
            traffic.statuses[answer.status] += 1
            return answer
        finally:
            traffic.in_flight -= 1

    return handle


async def _answered(call: Call) -> web.StreamResponse:
    try:
        call.take_body(await call.request.read())
    except web.HTTPRequestEntityTooLarge:
        return error(413, "APIGW.0201", "Request entity too large.", request_id=call.id)
    if call.operation.targets is not None:
        traffic = call.world.ledger.of(call.operation.service)
        traffic.received.update(call.operation.targets(call))
    return await faults.around(call, before_auth=True, work=partial(_admitted, call))


async def _admitted(call: Call) -> web.StreamResponse:
    """Let a call in: known caller first, then the rate limit of the user, then the project of the path."""
    call.world.settle()
    try:
        if not call.operation.open:
            call.admitted = identify(call)
        if (refusal := limits.check(call)) is not None:
            return refusal
        _check_project(call)
    except Refusal as refused:
        return refused.answer
    return await faults.around(call, before_auth=False, work=partial(_worked, call))


async def _worked(call: Call) -> web.StreamResponse:
    call.world.settle()
    if call.operation.targets is not None:
        traffic = call.world.ledger.of(call.operation.service)
        traffic.handled.update(call.operation.targets(call))
    try:
        return call.operation.handler(call)
    except Refusal as refused:
        return refused.answer


def _check_project(call: Call) -> None:
    """Refuse a project that does not exist or is not the credential's, in the service's own words."""
    wanted = call.request.match_info.get("project_id")
    if wanted is None:
        return
    own = call.caller.project_id
    if wanted in call.world.iam.projects and own in (None, wanted):
        return
    if call.operation.service == "dcs":
        message = "The project ID in the URL does not match the project ID of the token."
        raise Refusal(dcs_failure(401, "111401004", message))
    message = "The IAM user is forbidden in the currently selected region."
    raise Refusal(error(403, "APIGW.0802", message, request_id=call.id))


def unknown(world: World) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the handler of every path and method that is no operation."""
    in_cloud = guarded(world, UNKNOWN)

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path.startswith(_CLOUD_PATHS):
            return await in_cloud(request)
        return page("<html><body>HTTP Status 404 - Not Found</body></html>", 404)

    return handle
