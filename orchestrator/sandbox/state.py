"""The world that the sandbox serves: everything that tests, the demo and the control calls may look at or change."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestrator.sandbox import seed, workspace, workspaceapp
from orchestrator.sandbox.cas import Cas
from orchestrator.sandbox.cbh import Cbh
from orchestrator.sandbox.das import Das
from orchestrator.sandbox.dcs import Dcs
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
        users={USER_ID: User(USER_ID, USER, PASSWORD)},
        projects={PROJECT_ID: Project(PROJECT_ID, REGION)},
        credentials={
            ACCESS_KEY: Credential(ACCESS_KEY, SECRET_KEY, USER_ID),
            TEMPORARY_KEY: Credential(TEMPORARY_KEY, TEMPORARY_SECRET, USER_ID, SECURITY_TOKEN),
        },
    )


@dataclass(slots=True)
class World:
    """One account with its services, and how they behave.

    `lag` is the seconds until an accepted logoff takes effect, or a (low, high) range to draw from;
    `ignored_share` of the logoffs never does. `denied` are access keys or user names that CBH refuses.
    `expire_tokens_after` gives, for the tokens in the order of issue, after how many uses each is dead.
    `date_skew` shifts the Date header and the sandbox's idea of now, in seconds. `token_bytes` is the least
    length of a token. `revocation`, `cas_post`, `cas_clears_cookie`, `alternate_fields` and
    `numeric_cbh_errors` are what the real sites are not known to agree on.
    """

    clock: Callable[[], float] = time.time
    random_seed: int = 0
    lag: float | tuple[float, float] = 0.0
    ignored_share: float = 0.0
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
    random: random.Random = field(init=False)
    _request_ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1), init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.random_seed)  # noqa: S311  for repeatable behaviour, not for secrets

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

    def draw_lag(self) -> float:
        """Return the lag of the next logoff."""
        return self.random.uniform(*self.lag) if isinstance(self.lag, tuple) else self.lag

    def is_ignored(self) -> bool:
        """Say whether the next logoff is one of the ignored share."""
        return self.ignored_share > 0 and self.random.random() < self.ignored_share

    def next_request_id(self) -> str:
        """Return a fresh request id of 32 hex digits."""
        return f"{next(self._request_ids):032x}"

    def snapshot(self) -> dict[str, object]:
        """Return what is alive and what was seen, as plain data without any secret of the account."""
        return {
            "services": {name: traffic.summary() for name, traffic in self.ledger.services.items()},
            "sessions": self._alive(),
            "logout_calls": self.ledger.counts("received"),
            "logouts_handled": self.ledger.counts("handled"),
            "empty_logoffs": self.ledger.empty_logoffs,
            "links": self.cbh.issued(),
            "tokens": self.iam.summary(self.now()),
            "auth_failures": dict(self.ledger.auth_failures),
            "locked": [key for key, c in self.iam.credentials.items() if c.locked_until > self.clock()],
            "faults": [{"service": f.service, "kind": f.kind, "seen": f.seen, "hits": f.hits} for f in self.faults],
        }

    def _alive(self) -> dict[str, list[str]]:
        return {
            "dcs": self.dcs.alive(),
            "das": self.das.alive(),
            "workspace": self.desktops.alive(self.clock()),
            "workspaceapp": self.app_sessions.alive(self.clock()),
            "cas": list(self.cas.tickets),
        }
