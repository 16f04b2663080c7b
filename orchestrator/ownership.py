"""Who the run itself is: what it must not end before everything else is done, or it could not go on."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace

import orjson

from orchestrator.auth import CredentialRefused, CredentialUnavailable
from orchestrator.blueprint import Blueprint
from orchestrator.connections import Connections, Linked
from orchestrator.errors import Refused
from orchestrator.logs import Log
from orchestrator.model import Request, Response, Secret, Target
from orchestrator.pacing import Stop
from orchestrator.service import CLOUDS
from orchestrator.settings import Connection

WHO = "/v5/caller-identity"  # STS, signed by an access key: account_id, principal_id, principal_urn
SECONDS = 15.0
SHOWN = 3

_log = Log()


class Own:
    """What the run's credentials are: access keys, users, tokens; and which field of a service's target is which."""

    def __init__(self, kinds: Mapping[str, Set[str]], fields: Mapping[str, Mapping[str, str]]) -> None:
        self._kinds = kinds
        self._fields = fields

    def covers(self, target: Target) -> bool:
        """Return whether ending the target would end a credential that the run uses."""
        known = self._fields.get(target.service, {})
        return any(_plain(target.fields.get(name)) in self._kinds.get(kind, ()) for name, kind in known.items())


def _plain(value: object) -> str:
    return value.reveal() if isinstance(value, Secret) else str(value)


NOTHING = Own({}, {})


async def of(blueprint: Blueprint, connections: Connections, stop: Stop) -> Own:
    """Ask who the run is, where a target of the plan could be its own; nothing is asked in any other plan."""
    services = {section.service.service: section.service.own for section in blueprint.sections if section.service.own}
    if not services:
        return NOTHING
    kinds: dict[str, set[str]] = {}
    # whose access is to be refused is not the one that works here: an offboarding ends just that identity
    working = {group.connection for _, _, group in blueprint.plan_file.plan.groups() if group.expect != "denied"}
    for name, connection in blueprint.connections().items():
        if name not in working:
            continue
        linked = connections.linked[name]
        try:
            await stop.unless_set(linked.credential.obtain)
        except (CredentialRefused, CredentialUnavailable) as error:  # the lanes will meet it too, and tell
            _log.warning("own_identity_unknown", connection=name, reason=error.message)
        for kind, values in linked.credential.own().items():
            kinds.setdefault(kind, set()).update(values)
        kinds.setdefault("user", set()).update(await _users(name, connection, linked))
    return Own(kinds, services)


async def _users(name: str, connection: Connection, linked: Linked) -> set[str]:
    """Return the user behind an access key, where the cloud tells."""
    if connection.auth.type != "aksk":
        return set()
    base = connection.endpoints.get("sts") or connection.endpoint
    if base is None and connection.cloud is not None:
        base = f"https://sts.{connection.region}.{CLOUDS[connection.cloud]}"
    request = Request("GET", base or "", WHO)
    signed = replace(request, headers=linked.credential.headers(request))
    answer = await linked.transport.send(signed, SECONDS) if base else None
    user = _principal(answer) if isinstance(answer, Response) and answer.status == 200 else None
    if user is None:
        _log.warning("own_identity_unknown", connection=name, reason="the cloud does not tell whose access key it is")
    return {user} if user else set()


def _principal(answer: Response) -> str | None:
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    user = said.get("principal_id") if isinstance(said, dict) else None
    return user if isinstance(user, str) and user else None


def check(blueprint: Blueprint, own: Own) -> None:
    """Raise Refused when the plan would end a credential that it uses, unless it wants that last."""
    if blueprint.plan_file.plan.guard.own == "last":
        return
    found = [
        f"{target.service} {target.id}"
        for section in blueprint.sections
        if section.service.own
        for target in section.source.targets()
        if own.covers(target)
    ]
    if found:
        named = ", ".join(found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
        said = f"the plan would end what the run itself works with ({named})"
        raise Refused(f"{said}; leave it out, or say `guard: {{own: last}}`; nothing was sent")
