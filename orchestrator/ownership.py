"""Who the run itself is: what it must not end before everything else is done, or it could not go on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from functools import partial
from urllib.parse import quote

import orjson

from orchestrator import probes
from orchestrator.auth import CredentialRefused, CredentialUnavailable
from orchestrator.blueprint import Blueprint
from orchestrator.connections import Connections, Linked
from orchestrator.errors import InvalidInput, Refused
from orchestrator.logs import Log
from orchestrator.model import Lost, Request, Response, Target
from orchestrator.service import Service
from orchestrator.settings import Connection
from orchestrator.sources import BROKEN, Takes
from orchestrator.stop import Stop
from orchestrator.targets import comparable

SECONDS = 15.0
RESTS = (0.5, 2.0, 4.0)  # seconds before STS is asked again
SHOWN = 3
USER = "user"  # of the kinds of things that a credential is, the one that an access key does not show by itself

_STOPPED = Lost("the run is to stop", sent=True)
_log = Log()


Kinds = Mapping[str, Set[str]]  # access keys, users and tokens, by kind


class Own:
    """What the credentials of the run's connections are; and which field of a service's target is of which kind.

    `unknown` says of which connections it could not be found out, where the cloud would tell, and why.
    """

    def __init__(
        self, kinds: Mapping[str, Kinds], fields: Mapping[str, Mapping[str, str]], unknown: Sequence[str] = ()
    ) -> None:
        self.unknown = unknown
        self._kinds = kinds
        self._fields = fields

    def covers(self, target: Target) -> bool:
        """Return whether ending the target would end a credential that the run uses."""
        return any(self._is_of(target, kinds) for kinds in self._kinds.values())

    def is_last_call(self, target: Target) -> bool:
        """Return whether ending the target would end the very credential that it is ended with."""
        return self.ends(target, target.connection)

    def ends(self, target: Target, connection: str) -> bool:
        """Return whether ending the target would end the credential of a connection."""
        return self._is_of(target, self._kinds.get(connection, {}))

    def _is_of(self, target: Target, kinds: Kinds) -> bool:
        known = self._fields.get(target.service, {})
        return any(comparable(target.fields.get(name)) in kinds.get(kind, ()) for name, kind in known.items())


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
    kinds: dict[str, Kinds] = {}
    unknown: list[str] = []
    for name in sorted(working(blueprint)):
        linked = connections.linked[name]
        users: set[str] = set()
        try:
            await stop.unless_set(linked.credential.obtain)
            if any(USER in kind.values() for kind in fields.values()):
                users = await _users(blueprint, name, linked, stop)
        except CredentialRefused as error:  # it can end nothing, and its lanes tell why
            _log.warning("own_identity_unknown", connection=name, reason=error.message)
        except (CredentialUnavailable, LookupError) as error:
            unknown.append(f"{name}: {error}")
        mine = {USER: users, **linked.credential.own()}
        mine[USER] = {*mine[USER], *users}
        kinds[name] = {kind: {one.casefold() for one in found} for kind, found in mine.items()}
    return Own(kinds, fields, unknown)


async def _users(blueprint: Blueprint, name: str, linked: Linked, stop: Stop) -> set[str]:
    """Return the user behind an access key: STS tells it, or where there is none IAM; LookupError when nobody does."""
    connection = blueprint.connections()[name]
    if connection.auth.type in ("bearer", "cookie") and _takes(blueprint, connection.auth.type):
        raise LookupError(f"nobody tells whose {connection.auth.type} it is")
    if connection.auth.type != "aksk":
        return set()
    said = "there is no STS here"
    if url := probes.sts_url(connection):
        answer = await _answer(linked, Request("GET", url, probes.CALLER.path), stop)
        if user := _user(answer, "principal_id"):
            return {user}
        said = f"STS: {_said(answer)}"
        if not isinstance(answer, Response) or answer.status != 404:  # the gateway has no such service here
            raise LookupError(f"nobody tells whose access key it is ({said})")
    for key in linked.credential.own().get("access_key", ()):
        path = probes.KEY.path.replace("{access_key}", quote(key, safe=""))
        answer = await _answer(linked, Request("GET", _iam_url(blueprint, connection), path), stop)
        if user := _user(answer, "credential", "user_id"):
            return {user}
        said += f"; IAM: {_said(answer)}"
    raise LookupError(f"nobody tells whose access key it is ({said})")


def _takes(blueprint: Blueprint, kind: str) -> bool:
    """Return whether a service of the plan that ends users is called with this kind of credential."""
    return any(kind in service.auth for service in _ending_users(blueprint))


def _ending_users(blueprint: Blueprint) -> Iterator[Service]:
    return (section.service for section in blueprint.sections if USER in section.service.own.values())


def _iam_url(blueprint: Blueprint, connection: Connection) -> str:
    """Return where the service that ends users is on a connection; LookupError where it is not offered."""
    for url in filter(None, (probes.url_of(service, connection) for service in _ending_users(blueprint))):
        return url
    raise LookupError("neither STS nor IAM is offered there, to tell whose access key it is")


async def _answer(linked: Linked, request: Request, stop: Stop) -> Response | Lost:
    """Return what is answered, once more where the next answer may well be another."""
    answer: Response | Lost = _STOPPED
    for rest in (*RESTS, None):
        signed = replace(request, headers=linked.credential.headers(request))
        answer = await stop.unless_set(partial(linked.transport.send, signed, SECONDS)) or _STOPPED
        if rest is None or not _passing(answer) or not await stop.rest(rest):
            break
    return answer


def _passing(answer: Response | Lost) -> bool:
    """Return whether the next answer may well be another."""
    return isinstance(answer, Lost) or answer.status == 429 or answer.status >= 500


def _said(answer: Response | Lost) -> str:
    return answer.reason if isinstance(answer, Lost) else f"it answers HTTP {answer.status}"


def _user(answer: Response | Lost, *path: str) -> str:
    """Return the user that a good answer names at a place; the empty string where it does not."""
    if isinstance(answer, Lost) or answer.status != 200:
        return ""
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return ""
    for name in path:
        said = said.get(name) if isinstance(said, dict) else None
    return said if isinstance(said, str) else ""


def check(blueprint: Blueprint, own: Own, called: Takes, *, yes: bool = False) -> None:
    """Raise Refused when a target that is called is a credential of the run, unless the plan wants that last.

    It is refused too when nobody can tell, unless a person has said yes, and when a credential could be ended before
    all was ended that it is needed for.
    """
    if own.unknown and not yes and next(_targets(blueprint, called, {USER}), None):
        said = f"who the run itself is could not be found out ({'; '.join(own.unknown)})"
        raise Refused(f"{said}, so that it might end itself; try again, or add --yes; nothing was sent")
    if blueprint.plan_file.plan.guard.own == "last":
        _check_last(blueprint, own, called)
        return
    found = [one for one in _targets(blueprint, called) if own.covers(one)]
    if found:
        said = f"the plan would end what the run itself works with ({_named(found)})"
        raise Refused(f"{said}; leave it out, or say `guard: {{own: last}}`; nothing was sent")


def _check_last(blueprint: Blueprint, own: Own, called: Takes) -> None:
    """Raise Refused when of two targets that are the run's own one ends what the other is ended with.

    They are ended side by side, and two that end each other have no order at all.
    """
    found = {(one.service, one.connection, one.id): one for one in _targets(blueprint, called) if own.covers(one)}
    for first, second in itertools.permutations(found.values(), 2):
        if own.ends(first, second.connection):
            said = f"{second.connection} works with {_named([first])}, and without it could not end {_named([second])}"
            raise Refused(f"{said}; leave one out, or end it with another plan; nothing was sent")


def _named(targets: Sequence[Target]) -> str:
    return ", ".join(f"{one.service} {one.id}" for one in targets[:SHOWN]) + (", ..." if targets[SHOWN:] else "")


def _targets(blueprint: Blueprint, called: Takes, kinds: Set[str] = frozenset()) -> Iterator[Target]:
    """Yield the targets that could be the run's own, all or those of these kinds."""
    for section in blueprint.sections:
        if not section.service.own or not kinds <= set(section.service.own.values()):
            continue
        try:
            yield from filter(called, section.source.targets())
        except BROKEN as error:
            said = f"changed while it was asked who the run itself is: {error}"
            raise InvalidInput.one(section.source.name, said) from None
