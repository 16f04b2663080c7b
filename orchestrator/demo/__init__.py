"""The demo's script: what the sandbox holds and does, and what has to come out."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import orjson

from orchestrator.sandbox import Limit, World
from orchestrator.sandbox.state import ACCESS_KEY, PASSWORD, SECRET_KEY

FOLDER = Path(str(resources.files(__name__)))
PLAN = FOLDER / "demo.yaml"
LEAVER = "leaver"
LEAVER_PASSWORD = "sandbox-leaver-password"  # noqa: S105  the sandbox's own
ENVIRONMENT = {
    "SANDBOX_AK": ACCESS_KEY,
    "SANDBOX_SK": SECRET_KEY,
    "SANDBOX_PASSWORD": PASSWORD,
    "SANDBOX_LEAVER_PASSWORD": LEAVER_PASSWORD,
}
BAD_DESKTOP = "desktop-that-never-was"
BASTION = "4ef98c14-cd01-477e-8d8f-a33e89159f0b"
DATABASES = (
    "9d1a511aa206f0d3091cedc7125c5068in01",
    "c48ca809468dc1766493a486e7b42c8din01",
    "3b1f0e62f9a94a5c8f5d7c9b0c6f1a27in01",
    "77aa0c54d1f24e1b9a3c5e8f7d6b4a39in01",
    "e09d3c1b5a7f4826b1c4d8e2f6a0937cin01",
)
EXPECTED = Counter(
    {
        ("dcs.webcli", "ended"): 11,
        ("dcs.webcli", "already_ended"): 1,
        ("das.builtin-account", "ended"): 5,
        ("workspace.desktops", "ended"): 129,
        ("workspace.desktops", "failed"): 1,
        ("workspaceapp.sessions", "ended"): 8,
        ("mrs.cas", "ended"): 3,
        ("cbh.console", "denied"): 1,
        ("cbh.console", "issued"): 1,
    }
)


def world() -> World:
    """Return the sandbox's world as the demo finds it."""
    made = World()
    sessions = _rows("webcli.csv")
    made.seed(
        {
            "users": [{"id": "leaver-id", "name": LEAVER, "password": LEAVER_PASSWORD}],
            "dcs_sessions": sessions[:-1],  # the last one is gone already
            "das_logins": [{"instance_id": name} for name in DATABASES],
            "desktops": [row for row in _rows("desktops.csv") if row["desktop_id"] != BAD_DESKTOP],
            "app_sessions": [{"session_id": f"app-{number:04}"} for number in range(1, 9)],
            "cas_tickets": [orjson.loads(line) for line in (FOLDER / "tickets.ndjson").read_bytes().splitlines()],
            "cbh_instances": [{"server_id": BASTION, "name": "bastion"}],
        }
    )
    made.denied.add(LEAVER)
    made.limits["dcs"] = Limit(calls=5, period=1.0, burst=5)
    made.expire_tokens_after = [4]
    made.lag = (0.05, 0.2)
    return made


def config(url: str) -> str:
    """Return the demo's config for a sandbox at a URL."""
    return (FOLDER / "config.yaml").read_text(encoding="utf-8").replace("SANDBOX_URL", url)


def surprises(records: Iterable[str], after: World) -> Iterator[str]:
    """Return everything that did not come out as scripted; records are lines of outcomes.jsonl."""
    found: Counter[tuple[str, str]] = Counter()
    for record in map(orjson.loads, records):
        found[record["service"], record["outcome"]] += 1
        if (record["outcome"] == "failed") != (record["target"] == BAD_DESKTOP):
            yield f"{record['service']} {record['target']}: {record['outcome']} ({record['reason']})"
    for key in sorted({*EXPECTED, *found}):
        if found[key] != EXPECTED[key]:
            yield f"{key[0]}: {found[key]} {key[1]} instead of {EXPECTED[key]}"
    yield from _unplayed(after)


def _unplayed(after: World) -> Iterator[str]:
    """Return which parts of the script the sandbox did not see, and the sessions that it still has."""
    state: dict[str, Any] = after.snapshot()
    if not state["services"]["dcs"]["throttled"]:
        yield "the sandbox throttled nothing"
    if state["tokens"]["issued"] < 3:
        yield "no token was replaced"
    for service in ("dcs", "das", "cas"):
        if state["sessions"][service]:
            yield f"{service}: {len(state['sessions'][service])} sessions are still alive"


def _rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
