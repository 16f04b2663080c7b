"""plans/offboard.yaml as it stands, run against the sandbox for a person who has something everywhere."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest

from orchestrator.sandbox.seed import access_key, digest, instance_id, secret

from .support import ALREADY_ENDED, GENEROUS, SERVICES, Done, Record, Site

PLAN = Path(__file__).parents[2] / "plans" / "offboard.yaml"
LEAVER, STAYER = "user-0002", "user-0001"
DEAD_KEY = {"status": 401, "code": r"APIGW\.0301", "message": "Get secretKey failed"}
TICKET = "TGT-leaver"


class Office:
    """Two people with the same things; one of them leaves."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self.site = site
        people = (STAYER, LEAVER)
        site.seed(
            users={"count": 3},
            desktops=[{"desktop_id": f"desktop-{who}-{n}", "user": who} for who in people for n in range(3)],
            app_sessions=[{"session_id": f"app-{who}-{n}", "user": who} for who in people for n in range(3)],
            cbh_instances={"count": 1},
            cas_tickets=[{"ticket": TICKET, "user": LEAVER}, {"ticket": "TGT-stayer", "user": STAYER}],
            das_logins={"count": 1},
        )
        webcli = [{"client_id": digest(who, 48), "instance_id": instance_id("cache"), "user": who} for who in people]
        site.seed(dcs_sessions=webcli)
        token = site.seed(tokens=[{"user": LEAVER}])["tokens"][0]["token"]
        environment = {
            "LEAVER_TOKEN": token,
            "LEAVER_CASTGC": TICKET,
            "LEAVER_AK": access_key(LEAVER),
            "LEAVER_SK": secret(LEAVER),
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        session = {"instance_id": instance_id("cache"), "client_id": digest(LEAVER, 48)}
        (site.folder / "webcli.ndjson").write_text(json.dumps(session) + "\n")
        (site.folder / "databases.txt").write_text(f"{digest('database-0001', 32)}in01\n")
        (site.folder / "lists").mkdir()
        (site.folder / "lists" / "break-glass.txt").write_text("iam.user break-glass\n")
        text = PLAN.read_text().replace("second_pass: 60s", "second_pass: 200ms")
        (site.folder / "offboard.yaml").write_text(text)

    def configure(self, **services: Mapping[str, object]) -> None:
        leaver = {"type": "aksk", "access_key": "env:LEAVER_AK", "secret_key": "env:LEAVER_SK"}
        usual = self.site.connection({"type": "aksk", "access_key": "env:SANDBOX_AK", "secret_key": "env:SANDBOX_SK"})
        quick: Record = {name: {"verify": {"deadline": "1200ms"}, "reads": GENEROUS} for name in SERVICES}
        for name, more in {**ALREADY_ENDED, **services}.items():
            quick[name] = {**quick[name], **more}
        self.site.configure(
            connections={
                "prod": usual,
                "account": {name: value for name, value in usual.items() if name != "project_id"},
                "analytics": {"endpoint": self.site.url, "auth": {"type": "none"}},
                "offboarded": self.site.connection(leaver),
            },
            services=quick,
        )

    def offboard(self, *options: str) -> Done:
        told = {
            "user": LEAVER,
            "webcli": "webcli.ndjson",
            "databases": "databases.txt",
            "bastion": instance_id("bastion-0001"),
        }
        variables = (o for n, v in told.items() for o in ("--var", f"{n}={v}"))
        return self.site.run("run", "offboard.yaml", *variables, *options)

    def fared(self) -> dict[str, Counter[str]]:
        found: dict[str, Counter[str]] = {}
        for record in self.site.latest.records:
            found.setdefault(record["service"], Counter())[record["outcome"]] += 1
        return found

    def held(self) -> dict[str, list[str]]:
        """Return what is alive of everybody, without the sessions that nobody else has."""
        return {name: sorted(ids) for name, ids in self.site.state()["sessions"].items() if ids}


@pytest.fixture
def office(site: Site, monkeypatch: pytest.MonkeyPatch) -> Office:
    return Office(site, monkeypatch)


ALL_ENDED = {
    "iam.access-key": {"ended": 1},
    "dcs.webcli": {"ended": 1},
    "das.builtin-account": {"ended": 1},
    "workspace.desktops": {"ended": 3},
    "workspaceapp.sessions": {"ended": 3},
    "mrs.cas": {"ended": 1},
}


def test_a_person_is_out_everywhere_and_nobody_else_is(office: Office) -> None:
    office.site.settings(lag={"workspace": [0.0, 1.0], "workspaceapp": [0.0, 1.0]})
    office.configure()
    done = office.offboard()
    assert done.code == 0, (done, office.fared(), office.site.latest.summary["notes"])
    fared = office.fared()
    assert {name: dict(fared[name]) for name in ALL_ENDED} == ALL_ENDED
    assert set(fared["iam.user"]) == {"ended"}
    assert set(fared["iam.token"]) <= {"ended", "already_ended"}
    assert fared["cbh.console"] == {"denied": 1}
    state = office.site.state()
    assert [name for name, enabled in state["users"].items() if not enabled] == [LEAVER]
    assert [key for key, status in state["access_keys"].items() if status != "active"] == [access_key(LEAVER)]
    assert state["tokens"]["alive"] == 0
    assert office.held() == {
        "dcs": [f"{instance_id('cache')}/{digest(STAYER, 48)}"],
        "workspace": [f"desktop-{STAYER}-{n}" for n in range(3)],
        "workspaceapp": [f"app-{STAYER}-{n}" for n in range(3)],
        "cas": ["TGT-stayer"],
    }


def test_nobody_is_signed_out_or_proven_to_be_out_before_the_identity_is_seen_to_be_shut(office: Office) -> None:
    office.site.settings(lag={"iam": 0.8})
    slow = {"verify": {"deadline": "5s"}, "reads": GENEROUS}
    office.configure(**dict.fromkeys(("iam.user", "iam.access-key", "iam.token"), slow))
    done = office.offboard()
    assert done.code == 0, (done, office.fared(), office.site.latest.summary["notes"])
    assert office.fared()["cbh.console"] == {"denied": 1}
    records = [one for one in office.site.latest.records if one["stage"] == "applications"]
    begun = office.site.latest.summary["started"]
    waited = (datetime.fromisoformat(one["first_sent"]) - datetime.fromisoformat(begun) for one in records)
    assert min(waited).total_seconds() > 0.8


@pytest.mark.parametrize(("declared", "key"), [(False, "MISTYPED"), (False, ""), (True, "MISTYPED")])
def test_a_key_that_the_plan_does_not_deactivate_proves_nothing_unless_the_config_says_so(
    office: Office, monkeypatch: pytest.MonkeyPatch, declared: bool, key: str
) -> None:
    monkeypatch.setenv("LEAVER_AK", key or access_key(LEAVER).lower())  # in capitals it would be the right one
    office.configure(**({"cbh.console": {"already_ended": [DEAD_KEY]}} if declared else {}))
    assert office.offboard().code == (0 if declared else 3)
    (proof,) = (record for record in office.site.latest.records if record["service"] == "cbh.console")
    assert (proof["outcome"] == "already_ended") if declared else (proof["outcome"] in ("failed", "not_attempted"))
    assert "Get secretKey failed" in json.dumps(proof)
    assert {name: dict(office.fared()[name]) for name in ALL_ENDED} == ALL_ENDED


@pytest.mark.parametrize("denied", [True, False])
def test_while_the_key_still_works_cbh_itself_has_the_last_word(office: Office, denied: bool) -> None:
    """IAM takes its time: the key and the user are found alive, and what CBH answers is what counts there."""
    office.site.settings(lag={"iam": 60.0}, denied=[LEAVER] if denied else [])
    office.configure()
    assert office.offboard().code == 3
    fared = office.fared()
    assert fared["cbh.console"] == ({"denied": 1} if denied else {"still_active": 1})
    assert fared["iam.user"] == fared["iam.access-key"] == {"still_active": 1}


def test_the_one_who_runs_it_is_not_offboarded_by_it(office: Office) -> None:
    office.configure()
    done = office.site.run(
        "run",
        "offboard.yaml",
        *("--var", "user=cleaner"),
        *("--var", "webcli=webcli.ndjson", "--var", "databases=databases.txt"),
    )
    assert done.code == 4
    assert "what the run itself works with" in done.err
    assert all(office.site.state()["users"].values())


def test_a_run_that_is_started_twice_by_mistake_ends_nobody_who_came_back(office: Office) -> None:
    office.configure()
    assert office.offboard().code == 0
    office.site.seed(
        desktops=[{"desktop_id": "desktop-returned", "user": LEAVER}],
        app_sessions=[{"session_id": "app-returned", "user": LEAVER}],
    )
    done = office.offboard("--yes")
    assert done.code == 4
    assert "guard.min_interval lets it run again" in done.err
    assert "desktop-returned" in office.held()["workspace"]
    assert "app-returned" in office.held()["workspaceapp"]


def test_a_resume_an_hour_later_asks_and_leaves_alone_who_signed_in_since(office: Office) -> None:
    for host in ("workspace", "workspaceapp"):
        office.site.fault(host, "status", operation="logoff", status=400, times=None)
    office.configure()
    assert office.offboard().code == 3
    office.site.control("faults", method="DELETE")
    office.site.control("revive", {"service": "workspaceapp", "ids": [f"app-{LEAVER}-0"]})  # signs in again
    hour = "UPDATE runs SET started = started - 3600, cut_off = cut_off - 3600"
    with sqlite3.connect(office.site.state_dir / "journal.sqlite") as journal:
        journal.execute(hour)
    done = office.site.run("resume", "latest")
    assert done.code == 4
    assert "began 60 min ago" in done.err
    assert "workspace.desktops" in done.err
    assert office.site.run("resume", "latest", "--yes").code == 3
    assert f"app-{LEAVER}-0" in office.held()["workspaceapp"]
    summary = office.site.latest.summary
    assert "workspace.desktops" in summary["not_told_when_begun"]
    assert "workspaceapp.sessions" not in summary["not_told_when_begun"]
    page = (office.site.latest.folder / "report.html").read_text()
    assert "who had signed in again there may have been signed out" in page
