"""The world that the sandbox serves: everything that tests, the demo and the control calls may look at or change."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from orchestrator.sandbox import das, endings, seed, workspace, workspaceapp
from orchestrator.sandbox.cas import Cas
from orchestrator.sandbox.cbh import Cbh
from orchestrator.sandbox.das import Das
from orchestrator.sandbox.dcs import Dcs
from orchestrator.sandbox.endings import Effect, Endings, Ids, Lag
from orchestrator.sandbox.faults import Fault
from orchestrator.sandbox.fleet import Fleet
from orchestrator.sandbox.iam import Credential, Iam, Project, User
from orchestrator.sandbox.ledger import Ledger
from orchestrator.sandbox.limits import Limit

PROJECT_ID = "0123456789abcdef0123456789abcdef"
REGION = "sandbox-1"
USER_ID = "a0000000000000000000000000000001"
USER, PASSWORD = "cleaner", "sandbox-password"
ACCESS_KEY, SECRET_KEY = "SANDBOXAK", "sandbox-secret-key"
TEMPORARY_KEY, TEMPORARY_SECRET = "SANDBOXTMPAK", "sandbox-temporary-secret"
SECURITY_TOKEN = "sandbox-security-token"  # noqa: S105  made up, like the ones above


def _account() -> Iam:
    return Iam(
        users={USER_ID: User(USER_ID, USER, PASSWORD, administrator=True)},
        projects={PROJECT_ID: Project(PROJECT_ID, REGION)},
        credentials={
            ACCESS_KEY: Credential(ACCESS_KEY, SECRET_KEY, USER_ID),
            TEMPORARY_KEY: Credential(TEMPORARY_KEY, TEMPORARY_SECRET, USER_ID, SECURITY_TOKEN),
        },
    )


_SIGN_IN: dict[str, Callable[[World, str, float], None]] = {
    "workspace": workspace.sign_in,
    "workspaceapp": workspaceapp.sign_in,
    "das": das.sign_in,
}


@dataclass(slots=True)
class World:
    """One account with its services, and how they behave.

    `lag` is the seconds until an accepted logoff takes effect, or a (low, high) range to draw from;
    `ignored_share` of the logoffs never does. A plain value of the two is for the services that only deliver a task,
    Workspace and Workspace APP; a mapping names services, "*" the others. `ignored` names things, per service, whose
    logoff is accepted and never takes effect, or not the first so many times. What is drawn depends only on
    `random_seed`, the service, the thing and how often it was logged off. `returns` says, per service and thing,
    after how many seconds its user signs in again, once. `repeated_filters` lets connect_status be given more than
    once, which the published definition does not; the `ignored_filters` of listings, by the names of their parameters,
    are taken and change nothing. `denied` are access keys or user names that CBH refuses.
    `expire_tokens_after` gives, for the tokens in the order of issue, after how many uses each is dead.
    `date_skew` shifts the Date header and the sandbox's idea of now, in seconds. `token_bytes` is the least
    length of a token. `revocation`, `cas_post`, `cas_clears_cookie`, `alternate_fields` and
    `numeric_cbh_errors` are what the real sites are not known to agree on.
    """

    clock: Callable[[], float] = time.time
    random_seed: int = 0
    lag: Lag | Mapping[str, Lag] = 0.0
    ignored_share: float | Mapping[str, float] = 0.0
    ignored: dict[str, Ids] = field(default_factory=dict)
    returns: dict[str, dict[str, float]] = field(default_factory=dict)
    repeated_filters: bool = False
    ignored_filters: Collection[str] = ()
    denied: set[str] = field(default_factory=set)
    limits: dict[str, Limit] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    date_skew: float = 0.0
    token_life: float = 86400.0
    token_bytes: int = 0
    expire_tokens_after: list[int] = field(default_factory=list)
    revocation: bool = True
    cas_post: bool = True
    cas_clears_cookie: bool = True
    alternate_fields: bool = False
    numeric_cbh_errors: bool = False
    iam: Iam = field(default_factory=_account)
    dcs: Dcs = field(default_factory=Dcs)
    das: Das = field(default_factory=Das)
    desktops: Fleet[workspace.Desktop] = field(default_factory=workspace.new_fleet)
    app_sessions: Fleet[workspaceapp.AppSession] = field(default_factory=workspaceapp.new_fleet)
    cbh: Cbh = field(default_factory=Cbh)
    cas: Cas = field(default_factory=lambda: Cas(users={USER: PASSWORD}))
    ledger: Ledger = field(default_factory=Ledger)
    endings: Endings = field(default_factory=Endings)
    _request_ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1), init=False)

    @classmethod
    def demo(cls) -> World:
        """Return the world of the demo: a little of everything, and logoffs that take a moment."""
        world = cls(lag=(0.1, 0.4), denied={USER})
        world.seed(seed.DEMO)
        return world

    def seed(self, things: Mapping[str, object]) -> dict[str, list[dict[str, object]]]:
        """Add things by kind, and return them one by one; see `seed.KINDS` for the kinds."""
        return seed.sow(self, things)

    def now(self) -> float:
        """Return what the sandbox takes for the present time."""
        return self.clock() + self.date_skew

    def end(self, service: str, id: str, effect: Effect, after: float = 0.0) -> None:
        """Take an accepted logoff for so many seconds later: its effect comes after the lag, or never.

        One that is to come keeps its time.
        """
        if self.endings.is_planned(service, id):
            return
        nth = self.endings.count(service, id)
        if self.is_ignored(service, id, nth):
            self.endings.ignored[service][id] = None
            return
        due = self.clock() + after + self.draw_lag(service, id, nth)
        self.endings.plan(service, id, due, partial(self._end, service, id, effect))
        self.settle()

    def _end(self, service: str, id: str, effect: Effect, at: float) -> None:
        effect(at + self.date_skew)
        pause = self.returns.get(service, {}).pop(id, None)
        if pause is not None:
            self.endings.plan(service, id, at + pause, lambda then: self.revive(service, [id], then + self.date_skew))

    def settle(self) -> None:
        """Let everything happen that is due; done before every call and every snapshot."""
        self.endings.settle(self.clock())

    def revive(self, service: str, ids: Iterable[str], since: float | None = None) -> None:
        """Let people sign in again, now or at another moment; what was to come for their sessions is void."""
        if service not in _SIGN_IN:
            raise ValueError(f"{service}: seed a new session instead; only {', '.join(_SIGN_IN)} keep the id")
        self.settle()
        for id in ids:
            _SIGN_IN[service](self, id, self.now() if since is None else since)

    def draw_lag(self, service: str, id: str, nth: int = 0) -> float:
        """Return the lag of a thing's logoff; `nth` counts from 0."""
        setting = endings.setting_for(service, self.lag)
        return endings.drawn(setting, endings.chance("lag", self.random_seed, service, id, nth))

    def is_ignored(self, service: str, id: str, nth: int = 0) -> bool:
        """Say whether a thing's logoff never takes effect; `nth` counts from 0."""
        if endings.is_listed(self.ignored.get(service, ()), id, nth):
            return True
        share = endings.drawn(endings.setting_for(service, self.ignored_share), 0.0)
        return endings.chance("ignored", self.random_seed, service, id, nth) < share

    def next_request_id(self) -> str:
        """Return a fresh request id of 32 hex digits."""
        return f"{next(self._request_ids):032x}"

    def snapshot(self) -> dict[str, object]:
        """Return what is alive and what was seen, as plain data without any secret of the account."""
        self.settle()
        return {
            "services": {name: traffic.summary() for name, traffic in self.ledger.services.items()},
            "sessions": self._alive(),
            "pending": self.endings.waiting(),
            "ignored": {service: list(ids) for service, ids in self.endings.ignored.items()},
            "logout_calls": self.ledger.counts("received"),
            "logouts_handled": self.ledger.counts("handled"),
            "empty_logoffs": self.ledger.empty_logoffs,
            "links": self.cbh.issued(),
            "tokens": self.iam.summary(self.now()),
            **self.iam.standing(),
            "auth_failures": dict(self.ledger.auth_failures),
            "locked": [key for key, c in self.iam.credentials.items() if c.locked_until > self.clock()],
            "faults": [{"service": f.service, "kind": f.kind, "seen": f.seen, "hits": f.hits} for f in self.faults],
        }

    def _alive(self) -> dict[str, list[str]]:
        return {
            "dcs": self.dcs.alive(),
            "das": self.das.alive(),
            "workspace": self.desktops.alive(),
            "workspaceapp": self.app_sessions.alive(),
            "cas": list(self.cas.tickets),
        }
