"""Control over HTTP under /_sandbox/: look, seed, break, set, and let people sign in again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import orjson
from aiohttp import web

from orchestrator.sandbox.answers import document
from orchestrator.sandbox.configuration import config_text
from orchestrator.sandbox.endings import Lag
from orchestrator.sandbox.faults import Fault
from orchestrator.sandbox.limits import Limit
from orchestrator.sandbox.state import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_PLAIN: dict[str, tuple[type, ...]] = {
    "random_seed": (int,),
    "repeated_filters": (bool,),
    "ignored_filters": (list,),
    "ignored": (dict,),
    "returns": (dict,),
    "date_skew": (int, float),
    "token_life": (int, float),
    "token_bytes": (int,),
    "expire_tokens_after": (list,),
    "revocation": (bool,),
    "cas_post": (bool,),
    "cas_clears_cookie": (bool,),
    "alternate_fields": (bool,),
    "numeric_cbh_errors": (bool,),
}


def routes(world: World) -> list[web.RouteDef]:
    """Return the control routes of a world."""

    async def state(_request: web.Request) -> web.StreamResponse:
        return document(world.snapshot())

    async def config(request: web.Request) -> web.StreamResponse:
        return web.Response(text=config_text(world, f"http://{request.host}"), content_type="application/yaml")

    async def clear_faults(_request: web.Request) -> web.StreamResponse:
        world.faults.clear()
        return document({})

    return [
        web.get("/_sandbox/state", state),
        web.get("/_sandbox/config", config),
        web.post("/_sandbox/seed", _changing(lambda data: world.seed(data))),
        web.post("/_sandbox/faults", _changing(lambda data: _add_faults(world, data))),
        web.delete("/_sandbox/faults", clear_faults),
        web.post("/_sandbox/settings", _changing(lambda data: apply_settings(world, data))),
        web.post("/_sandbox/connect", _changing(lambda data: _revive(world, "workspace", data["desktop_ids"]))),
        web.post("/_sandbox/revive", _changing(lambda data: _revive(world, **data))),
    ]


def _changing(change: Callable[[Any], object]) -> Handler:
    """Return a handler that makes one change; what is wrong with it is answered as a 400."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return document(change(orjson.loads(await request.read())))
        except (ValueError, TypeError, KeyError, AttributeError) as wrong:
            return document({"error": str(wrong)}, 400)

    return handle


def _add_faults(world: World, data: Any) -> object:
    added = [Fault(**fault) for fault in (data if isinstance(data, list) else [data])]
    world.faults.extend(added)
    return [asdict(fault) for fault in added]


def apply_settings(world: World, data: Any) -> dict[str, object]:
    """Change settings by name; a limit of null is taken away. Raises ValueError for what is no setting, or no value."""
    if not isinstance(data, dict):
        raise ValueError("settings are one object: names, and a value for each")  # noqa: TRY004  as all that is wrong
    for name, value in data.items():
        try:
            _apply(world, name, value)
        except (TypeError, AttributeError, IndexError):
            raise ValueError(f"{name}: not a value for this setting") from None
    return {}


def _apply(world: World, name: str, value: Any) -> None:
    if name == "limits":
        _set_limits(world, value)
    elif name == "denied" and isinstance(value, list):
        world.denied = set(value)
    elif name == "lag":
        world.lag = {s: _lag(v) for s, v in value.items()} if isinstance(value, dict) else _lag(value)
    elif name == "ignored_share":
        world.ignored_share = {s: float(v) for s, v in value.items()} if isinstance(value, dict) else float(value)
    elif name in _PLAIN and isinstance(value, _PLAIN[name]):
        setattr(world, name, value)
    else:
        raise ValueError(f"{name}: no such setting, or not a value for it")


def _set_limits(world: World, limits: dict[str, dict[str, Any] | None]) -> None:
    for service, limit in limits.items():
        if limit is None:
            world.limits.pop(service, None)
        else:
            world.limits[service] = Limit(**limit)


def _lag(value: Any) -> Lag:
    least, most = (float(value[0]), float(value[1])) if isinstance(value, list) else (float(value),) * 2
    if not 0 <= least <= most:
        raise ValueError("lag: must be seconds, or the least and the most of them")
    return (least, most) if isinstance(value, list) else least


def _revive(world: World, service: str, ids: list[str], since: float | None = None) -> dict[str, object]:
    """Let people sign in again; a logoff that is still pending is void."""
    world.revive(service, ids, since)
    return {}
