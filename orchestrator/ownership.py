"""Who the run itself is: what it must not end before everything else is done, or it could not go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from functools import partial

import orjson

from orchestrator import probes
from orchestrator.auth import CredentialRefused, CredentialUnavailable
from orchestrator.blueprint import Blueprint
from orchestrator.connections import Connections, Linked
from orchestrator.errors import Refused
from orchestrator.logs import Log
from orchestrator.model import Lost, Request, Response, Secret, Target
from orchestrator.pacing import Stop
from orchestrator.settings import Connection
from orchestrator.sources import Takes

SECONDS = 15.0
RESTS = (0.5, 2.0, 4.0)  # seconds before STS is asked again
SHOWN = 3
USER = "user"  # of the kinds of things that a credential is, the one that an access key does not show by itself

_STOPPED = Lost("the run is to stop", sent=True)
_log = Log()


class Own:
    """What the run's credentials are: access keys, users, tokens; and which field of a service's target is which.

    `unknown` says of which connections it could not be found out, where the cloud would tell, and why.
    """

    def __init__(
        self, kinds: Mapping[str, Set[str]], fields: Mapping[str, Mapping[str, str]], unknown: Sequence[str] = ()
    ) -> None:
        self.unknown = unknown
        self._kinds = kinds
        self._fields = fields

    def covers(self, target: Target) -> bool:
        """Return whether ending the target would end a credential that the run uses."""
        known = self._fields.get(target.service, {})
        return any(_plain(target.fields.get(name)) in self._kinds.get(kind, ()) for name, kind in known.items())


def _plain(value: object) -> str:
    return value.reveal() if isinstance(value, Secret) else str(value)


NOTHING = Own({}, {})


def working(blueprint: Blueprint) -> set[str]:
    """Return the connections whose credentials could be ended by the plan that uses them.

    Whose access is to be refused is not the one that works here: an offboarding ends just that identity.
    """
    if not any(section.service.own for section in blueprint.sections):
        return set()
    return {group.connection for _, _, group in blueprint.plan_file.plan.groups() if group.expect != "denied"}


async def of(blueprint: Blueprint, connections: Connections, stop: Stop) -> Own:
    """Ask who the run is, where a target of the plan could be its own; nothing is asked in any other plan."""
    fields = {section.service.service: section.service.own for section in blueprint.sections if section.service.own}
    kinds: dict[str, set[str]] = {}
    unknown: list[str] = []
    for name in sorted(working(blueprint)):
        linked = connections.linked[name]
        users: set[str] = set()
        try:
            await stop.unless_set(linked.credential.obtain)
            if any(USER in kind.values() for kind in fields.values()):
                users = await _users(blueprint.connections()[name], linked, stop)
        except CredentialRefused as error:  # it can end nothing, and its lanes tell why
            _log.warning("own_identity_unknown", connection=name, reason=error.message)
        except (CredentialUnavailable, LookupError) as error:
            unknown.append(f"{name}: {error}")
        for kind, values in linked.credential.own().items():
            kinds.setdefault(kind, set()).update(values)
        kinds.setdefault(USER, set()).update(users)
    return Own(kinds, fields, unknown)


async def _users(connection: Connection, linked: Linked, stop: Stop) -> set[str]:
    """Return the user behind an access key, where the cloud tells; raise LookupError when it should, and does not."""
    url = probes.sts_url(connection) if connection.auth.type == "aksk" else ""
    if not url:
        return set()
    request = Request("GET", url, probes.CALLER.path)
    for rest in (*RESTS, None):
        signed = replace(request, headers=linked.credential.headers(request))
        answer: Response | Lost = await stop.unless_set(partial(linked.transport.send, signed, SECONDS)) or _STOPPED
        if isinstance(answer, Response) and answer.status == 200 and (user := _principal(answer)):
            return {user}
        if isinstance(answer, Response) and answer.status == 404:  # the gateway has no such service here
            return set()
        if rest is None or not _passing(answer) or not await stop.rest(rest):
            break
    said = answer.reason if isinstance(answer, Lost) else f"it answers HTTP {answer.status}"
    raise LookupError(f"STS does not tell whose access key it is ({said})")


def _passing(answer: Response | Lost) -> bool:
    """Return whether the next answer may well be another."""
    return isinstance(answer, Lost) or answer.status == 429 or answer.status >= 500


def _principal(answer: Response) -> str | None:
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    user = said.get("principal_id") if isinstance(said, dict) else None
    return user if isinstance(user, str) and user else None


def check(blueprint: Blueprint, own: Own, called: Takes, *, yes: bool = False) -> None:
    """Raise Refused when a target that is called is a credential of the run, unless the plan wants that last.

    It is refused too when nobody can tell, unless a person has said yes.
    """
    if own.unknown and not yes and next(_targets(blueprint, called, {USER}), None):
        said = f"who the run itself is could not be found out ({'; '.join(own.unknown)})"
        raise Refused(f"{said}, so that it might end itself; try again, or add --yes; nothing was sent")
    if blueprint.plan_file.plan.guard.own == "last":
        return
    found = [f"{one.service} {one.id}" for one in _targets(blueprint, called) if own.covers(one)]
    if found:
        named = ", ".join(found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
        said = f"the plan would end what the run itself works with ({named})"
        raise Refused(f"{said}; leave it out, or say `guard: {{own: last}}`; nothing was sent")


def _targets(blueprint: Blueprint, called: Takes, kinds: Set[str] = frozenset()) -> Iterator[Target]:
    """Yield the targets that could be the run's own, all or those of these kinds."""
    for section in blueprint.sections:
        if section.service.own and kinds <= set(section.service.own.values()):
            yield from filter(called, section.source.targets())
