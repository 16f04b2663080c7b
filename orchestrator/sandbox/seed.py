"""Seeding: named things one by one, or a number of them with ids that can be computed beforehand."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.sandbox import iam, workspace, workspaceapp
from orchestrator.sandbox.cbh import Bastion
from orchestrator.sandbox.dcs import Instance, Session
from orchestrator.sandbox.iam import Credential, Project, User
from orchestrator.sandbox.workspace import CONNECTED, Desktop
from orchestrator.sandbox.workspaceapp import ACTIVE, AppSession

if TYPE_CHECKING:
    from orchestrator.sandbox.state import World

Record = dict[str, Any]  # one thing as JSON; its keys are checked by the signature that it is passed to


def digest(name: str, length: int) -> str:
    """Return the first hex digits of a name's SHA-256: how all computed ids are made."""
    return hashlib.sha256(name.encode()).hexdigest()[:length]


def instance_id(name: str) -> str:
    """Return the computed id of a named DCS instance or bastion host: 36 characters, like a UUID."""
    d = digest(name, 32)
    return f"{d[:8]}-{d[8:12]}-{d[12:16]}-{d[16:20]}-{d[20:]}"


def sow(world: World, things: Mapping[str, object]) -> dict[str, list[dict[str, object]]]:
    """Add things by kind: a list of records, or one record with `count` for a number of them.

    Raises ValueError that says which kind or record is wrong.
    """
    sown: dict[str, list[dict[str, object]]] = {}
    for kind, wanted in things.items():
        if kind not in KINDS:
            raise ValueError(f"{kind}: no such kind; there are {', '.join(KINDS)}")
        try:
            sown[kind] = _sow_kind(world, kind, wanted)
        except (TypeError, KeyError) as wrong:
            raise ValueError(f"{kind}: {_spoken(wrong)}") from None
    return sown


def _spoken(wrong: TypeError | KeyError) -> str:
    """Return what a signature has against a record, in the words of whoever wrote the record."""
    said = str(wrong.args[0])
    if unknown := re.search(r"unexpected keyword argument '(\w+)'", said):
        return f"there is no field {unknown[1]}"
    if missing := re.search(r"missing \d+ required .*?arguments?: (.+)", said):
        return f"needs {missing[1].replace(chr(39), '')}"
    return said


def _sow_kind(world: World, kind: str, wanted: object) -> list[Record]:
    add, number = KINDS[kind]
    records = number(**wanted) if isinstance(wanted, dict) else wanted
    if not isinstance(records, list):
        raise TypeError("must be a list, or an object with count")
    return [add(world, **record) for record in records]


def _names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{n:04d}" for n in range(1, count + 1)]


def _add_dcs_instance(world: World, **record: Any) -> Record:
    instance = Instance(**record)
    world.dcs.instances[instance.instance_id] = instance
    return record


def _add_dcs_session(world: World, client_id: str, instance_id: str, user: str = "cleaner") -> Record:
    world.dcs.instances.setdefault(instance_id, Instance(instance_id))
    world.endings.void("dcs", f"{instance_id}/{client_id}")
    world.dcs.open(Session(client_id, instance_id, user))
    return {"instance_id": instance_id, "client_id": client_id, "user": user}


def _add_das_instance(world: World, instance_id: str, name: str = "") -> Record:
    world.das.instances[instance_id] = name
    return {"instance_id": instance_id}


def _add_das_login(world: World, instance_id: str, user: str = "cleaner") -> Record:
    world.das.instances.setdefault(instance_id, "")
    world.endings.void("das", f"{instance_id}/{user}")
    return {"instance_id": instance_id, "user": user, "db_user_id": world.das.log_in(instance_id, user)}


def _add_desktop(
    world: World, desktop_id: str, status: str = CONNECTED, since: float | None = None, **record: Any
) -> Record:
    if not isinstance(record.get("tags", {}), dict):
        raise TypeError("tags must be an object")
    workspace.add(world, Desktop(desktop_id, status, **record), since)
    return {"desktop_id": desktop_id, "status": status, **record}


def _add_app_session(world: World, session_id: str, status: str = ACTIVE, **record: Any) -> Record:
    workspaceapp.add(world, AppSession(session_id, status, **record))
    return {"session_id": session_id, "status": status, **record}


def _add_cbh_instance(world: World, **record: Any) -> Record:
    bastion = Bastion(**record)
    world.cbh.instances[bastion.server_id] = bastion
    return record


def _add_cas_ticket(world: World, ticket: str, user: str = "cleaner") -> Record:
    world.endings.void("cas", ticket)
    world.cas.tickets[ticket] = user
    return {"ticket": ticket, "user": user}


def _add_project(world: World, **record: Any) -> Record:
    project = Project(**record)
    world.iam.projects[project.id] = project
    return record


def _add_user(world: World, access_keys: Iterable[Record] = (), **record: Any) -> Record:
    user = User(**record)
    world.iam.users[user.id] = user
    keys = [_add_credential(world, user_id=user.id, **key)["access_key"] for key in access_keys]
    return {"id": user.id, "name": user.name, "access_keys": keys}


def _add_token(world: World, user: str, project_id: str | None = None, token: str = "") -> Record:
    owner = world.iam.user_named(user)
    if owner is None:
        raise KeyError(f"no user {user}")
    value = iam.issue(world, owner, project_id or next(iter(world.iam.projects)), token)
    return {"user": user, "token": value, "id": world.iam.tokens[value].id}


def _add_credential(world: World, **record: Any) -> Record:
    credential = Credential(**record)
    if credential.user_id not in world.iam.users:
        raise KeyError(f"no user {credential.user_id}")
    world.iam.credentials[credential.access_key] = credential
    return {"access_key": credential.access_key, "user_id": credential.user_id}


def _dcs_instances(count: int, prefix: str = "cache-", **more: Any) -> list[Record]:
    return [{"instance_id": instance_id(name), "name": name, **more} for name in _names(prefix, count)]


def _dcs_sessions(
    count: int, prefix: str = "session-", instances: int = 1, instance_prefix: str = "cache-", **more: Any
) -> list[Record]:
    """Spread sessions over a number of instances; a client_id is 48 hex digits."""
    places = [instance_id(name) for name in _names(instance_prefix, instances)]
    return [
        {"client_id": digest(name, 48), "instance_id": places[n % instances], **more}
        for n, name in enumerate(_names(prefix, count))
    ]


def _das(count: int, prefix: str = "database-", **more: Any) -> list[Record]:
    return [{"instance_id": f"{digest(name, 32)}in01", **more} for name in _names(prefix, count)]


def _desktops(count: int, prefix: str = "desktop-", **more: Any) -> list[Record]:
    users = _names("user-", count)
    return [{"desktop_id": name, "user": user, **more} for name, user in zip(_names(prefix, count), users, strict=True)]


def _app_sessions(count: int, prefix: str = "app-", **more: Any) -> list[Record]:
    users = _names("user-", count)
    return [{"session_id": name, "user": user, **more} for name, user in zip(_names(prefix, count), users, strict=True)]


def _cbh_instances(count: int, prefix: str = "bastion-", **more: Any) -> list[Record]:
    return [{"server_id": instance_id(name), "name": name, **more} for name in _names(prefix, count)]


def _cas_tickets(count: int, prefix: str = "ticket-", **more: Any) -> list[Record]:
    return [{"ticket": f"TGT-{digest(name, 50)}-cas", **more} for name in _names(prefix, count)]


def _users(count: int, prefix: str = "user-", **more: Any) -> list[Record]:
    """Make users with one key each; password and keys are digests of their names, see `access_key` and `secret`."""
    return [
        {
            "id": digest(name, 32),
            "name": name,
            "password": secret(name),
            "access_keys": [{"access_key": access_key(name), "secret_key": secret(name)}],
            **more,
        }
        for name in _names(prefix, count)
    ]


def access_key(name: str) -> str:
    """Return the computed access key of a user that was seeded by number."""
    return digest(f"access key of {name}", 20).upper()


def secret(name: str) -> str:
    """Return the computed password of a user that was seeded by number; it is its secret key too."""
    return digest(f"secret of {name}", 40)


def _no_number(**_: Any) -> list[Record]:
    raise ValueError("this kind is seeded one by one")


KINDS: dict[str, tuple[Callable[..., Record], Callable[..., list[Record]]]] = {
    "dcs_instances": (_add_dcs_instance, _dcs_instances),
    "dcs_sessions": (_add_dcs_session, _dcs_sessions),
    "das_instances": (_add_das_instance, _das),
    "das_logins": (_add_das_login, _das),
    "desktops": (_add_desktop, _desktops),
    "app_sessions": (_add_app_session, _app_sessions),
    "cbh_instances": (_add_cbh_instance, _cbh_instances),
    "cas_tickets": (_add_cas_ticket, _cas_tickets),
    "projects": (_add_project, _no_number),
    "users": (_add_user, _users),
    "credentials": (_add_credential, _no_number),
    "tokens": (_add_token, _no_number),
}

DEMO: dict[str, object] = {
    "dcs_instances": {"count": 2},
    "dcs_sessions": {"count": 6, "instances": 2},
    "das_logins": {"count": 2},
    "desktops": {"count": 120, "pool_id": "pool-1", "tags": {"team": "demo"}},
    "app_sessions": {"count": 5},
    "cbh_instances": {"count": 1},
    "cas_tickets": {"count": 2},
}
