"""CBH: console login links; issuing one opens access and ends nothing."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from aiohttp import web

from orchestrator.sandbox.answers import Refusal, document
from orchestrator.sandbox.call import Call, Listing, Operation


@dataclass(slots=True)
class Bastion:
    """A bastion host instance."""

    server_id: str
    name: str = ""
    status: str = "ACTIVE"


@dataclass(frozen=True, slots=True)
class Link:
    """A console link that was issued; its URL is a bearer secret."""

    server_id: str
    user: str
    url: str = field(repr=False)


@dataclass(slots=True)
class Cbh:
    """The instances, and every link that was issued."""

    instances: dict[str, Bastion] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)

    def issued(self) -> dict[str, int]:
        """Count the issued links per instance."""
        return dict(Counter(link.server_id for link in self.links))


def failure(call: Call, status: int, code: str, text: str) -> web.Response:
    """Answer in the shape of CBH's tables, or of its examples: an integer code, another key."""
    if call.world.numeric_cbh_errors:
        return document({"error_code": status, "description": text}, status)
    return document({"error_code": code, "error_description": text}, status)


def log_in(call: Call) -> web.Response:
    """Issue a console link, unless the caller is denied."""
    server_id, caller = call.field("server_id"), call.caller
    if call.world.denied & {caller.access_key, caller.user.name}:
        return failure(call, 403, "CBH.10020002", "The tenant has no authority.")
    if not isinstance(call.data, dict):
        return failure(call, 400, "CBH.10020009", "Invalid message format.")
    if not isinstance(server_id, str) or server_id not in call.world.cbh.instances:
        return failure(call, 400, "CBH.10020011", "Incorrect server ID.")
    url = f"https://192.0.2.10:443?cbhinfo={secrets.token_urlsafe(48)}"
    call.world.cbh.links.append(Link(server_id, caller.user.name, url))
    return document({"login_url": url})


def _login_targets(call: Call) -> Iterable[str]:
    return (str(call.field("server_id")),)


def list_instances(call: Call) -> web.Response:
    """List the instances, paged (the default page of 1000 is assumed)."""
    window = call.window(lambda name: failure(call, 400, "CBH.10020010", f"Invalid {name}."))
    bastions = list(call.world.cbh.instances.values())
    shown = [_described(bastion) for bastion in bastions[window]]
    return document({"total": len(bastions), "instance": shown})


def _described(bastion: Bastion) -> dict[str, object]:
    return {
        "server_id": bastion.server_id,
        "name": bastion.name,
        "status_info": {"status": bastion.status, "task_status": "NO_TASK", "instance_status": "running"},
        "network": {"public_ip": "192.0.2.10", "private_ip": "192.168.0.10", "web_port": "443"},
        "bastion_version": "3.3.52",
    }


def status(call: Call) -> web.Response:
    """Tell the status of one instance."""
    bastion = call.world.cbh.instances.get(call.part("server_id"))
    if bastion is None:
        raise Refusal(failure(call, 400, "CBH.10020011", "Incorrect server ID."))
    return document({"name": bastion.name, "status": bastion.status, "server_id": bastion.server_id})


_INSTANCE = "/v2/{project_id}/cbs/instance"
OPERATIONS = (
    Operation("cbh", "login", "POST", f"{_INSTANCE}/login", log_in, targets=_login_targets),
    Operation(
        "cbh", "list_instances", "GET", f"{_INSTANCE}/list", list_instances, listing=Listing("instance", "total", low=1)
    ),
    Operation("cbh", "status", "GET", f"{_INSTANCE}/{{server_id}}/status", status),
)
