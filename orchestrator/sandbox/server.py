"""The sandbox as a server: every service of a world on one loopback port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from email.utils import formatdate
from types import TracebackType

from aiohttp import web

from orchestrator.sandbox import accounts, cas, cbh, control, das, dcs, gateway, iam, sts, workspace, workspaceapp
from orchestrator.sandbox.configuration import config_text
from orchestrator.sandbox.state import World

_MAX_BODY = 12 * 1024 * 1024
_MAX_HEADER = 64 * 1024
_SERVICES = (dcs, das, workspace, workspaceapp, cbh, cas, iam, accounts, sts)


def application(world: World) -> web.Application:
    """Assemble the aiohttp application of a world."""
    app = web.Application(client_max_size=_MAX_BODY)
    for service in _SERVICES:
        for operation in service.OPERATIONS:
            app.router.add_route(operation.method, operation.path, gateway.guarded(world, operation))
    app.router.add_routes(control.routes(world))
    app.router.add_route("*", "/{tail:.*}", gateway.unknown(world))

    async def stamp(request: web.Request, answer: web.StreamResponse) -> None:
        answer.headers["Date"] = formatdate(world.now(), usegmt=True)
        if gateway.REQUEST_ID in request:
            answer.headers["X-Request-Id"] = request[gateway.REQUEST_ID]

    app.on_response_prepare.append(stamp)
    return app


class Sandbox:
    """A running sandbox, for as long as its `async with` block; port 0 takes a free one."""

    def __init__(self, world: World | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        self.world = World() if world is None else world
        self.url = ""
        self._host, self._port = host, port
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Sandbox:
        self._runner = web.AppRunner(
            application(self.world),
            access_log=None,
            shutdown_timeout=0.05,  # a call that hangs on purpose is not waited for
            max_field_size=_MAX_HEADER,
            max_line_size=_MAX_HEADER,
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port, backlog=1024).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def state(self) -> dict[str, object]:
        """Return what is alive and what was seen; the same as GET /_sandbox/state."""
        return self.world.snapshot()

    def config(self) -> str:
        """Return a config.yaml for the program; the same as GET /_sandbox/config."""
        return config_text(self.world, self.url)


async def serve(
    world: World, host: str = "127.0.0.1", port: int = 0, ready: Callable[[Sandbox], None] | None = None
) -> None:
    """Serve a world until cancelled; `ready` is told when connections are accepted."""
    async with Sandbox(world, host, port) as sandbox:
        if ready is not None:
            ready(sandbox)
        await asyncio.get_running_loop().create_future()
