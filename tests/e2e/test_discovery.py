"""Targets that the service lists: all of them, or the run is not green."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections import Counter
from contextlib import closing

import pytest

from orchestrator import app, catalogue, settings
from orchestrator.connections import Connections
from orchestrator.sights import Notes
from orchestrator.stop import Stop

from .support import GENEROUS, SERVICES, Site


def hasty(site: Site) -> None:
    """Let listings be read as fast as a test wants it."""
    site.configure(services={service: {"reads": GENEROUS} for service in SERVICES})


def discover(service: str, **more: object) -> dict[str, object]:
    return {"service": service, "connection": "cloud", **more}


def people(site: Site, count: int, **more: object) -> list[str]:
    rows = [{"desktop_id": f"d-{n:05}", "user": f"user{n % 10}", **more} for n in range(count)]
    site.seed(desktops=rows)
    return [str(row["desktop_id"]) for row in rows]


def test_desktops_are_found_by_state_and_by_user(site: Site) -> None:
    people(site, 250)
    plan = site.plan(discover("workspace.desktops", discover={"user": "user3", "connect_status": ["CONNECTED"]}))
    assert site.run("run", plan).code == 0
    assert len(site.latest.records) == 25
    assert site.latest.outcomes == Counter(ended=25)
    assert len(site.state()["sessions"]["workspace"]) == 225


def test_a_listing_is_read_to_its_end(site: Site) -> None:
    people(site, 2500)
    plan = site.plan(discover("workspace.desktops", discover={"connect_status": ["CONNECTED", "DISCONNECTED"]}))
    assert site.run("run", plan).code == 0
    assert len(site.latest.records) == 2500
    assert not site.state()["sessions"]["workspace"]


def test_where_narrows_what_was_found(site: Site) -> None:
    people(site, 30)
    where = {"user": ["user1", "user2*"]}
    plan = site.plan(discover("workspace.desktops", discover={"connect_status": "CONNECTED"}, where=where))
    assert site.run("run", plan).code == 0
    assert len(site.latest.records) == 6


def test_app_sessions_instances_and_bastions_are_found(site: Site) -> None:
    site.app_sessions(120)
    site.bastions(3)
    site.webcli(2)
    plan = site.plan(
        discover("workspaceapp.sessions", discover={"session_state": ["Active"]}),
        discover("cbh.console", discover={"status": "ACTIVE"}, expect="issued"),
        discover("dcs.webcli", discover={"status": "RUNNING"}, everything=["client_id"]),
    )
    done = site.run("run", plan)
    found = Counter(record["service"] for record in site.latest.records)
    assert found["workspaceapp.sessions"] == 120, done
    assert found["cbh.console"] == 3
    assert found["dcs.webcli"] >= 1


def test_app_sessions_are_found_by_state_user_and_age(site: Site) -> None:
    now = time.time()
    ages = {"old": 9 * 3600, "idle": 10 * 3600, "young": 60}
    rows = [
        {"session_id": f"{age}-{user}", "user": user, "since": now - seconds, "status": status}
        for user in ("alice", "bob", "carol")
        for age, seconds, status in zip(ages, ages.values(), ("Active", "Disconnected", "Active"), strict=True)
    ]
    site.seed(app_sessions=[*rows, {"session_id": "over", "user": "alice", "since": now - 9e4, "status": "SignedOut"}])
    filters = {"session_state": ["Active", "Disconnected"], "user": ["alice", "bob"]}
    group = discover("workspaceapp.sessions", discover=filters, older_than="8h")
    assert site.run("run", site.plan(group, require="verified")).code == 0
    named = {f"{age}-{user}" for age in ("old", "idle") for user in ("alice", "bob")}
    assert {record["target"] for record in site.latest.records} == named
    assert {r["session_id"] for r in rows} - named == set(site.state()["sessions"]["workspaceapp"])


@pytest.mark.parametrize(
    ("service", "sown", "last", "more"),
    [
        ("cbh.console", {"cbh_instances": {"count": 2100}}, "bastion-2100", {"expect": "issued"}),
        ("dcs.webcli", {"dcs_instances": {"count": 2100}}, "cache-2100", {"everything": ["client_id"]}),
    ],
)
def test_instances_are_listed_to_the_last_page(
    site: Site, service: str, sown: dict[str, object], last: str, more: dict[str, object]
) -> None:
    hasty(site)
    site.seed(**sown)
    status = {"cbh.console": "ACTIVE", "dcs.webcli": "RUNNING"}[service]
    plan = site.plan(discover(service, discover={"status": status}, where={"name": last}, **more))
    assert site.run("run", plan).code == 0, site.latest.summary["notes"]
    assert len(site.latest.records) == 1
    operations = site.state()["services"][service.split(".")[0]]["operations"]
    assert operations["list_instances"] == 3


def test_one_filter_with_several_values_is_asked_for_one_after_the_other(site: Site) -> None:
    names = [{"instance_id": f"i-{n}", "name": f"cache-{n}", "status": s} for n, s in enumerate(("RUNNING", "ERROR"))]
    site.seed(dcs_instances=names)
    group = discover("dcs.webcli", discover={"status": ["RUNNING", "ERROR"]}, everything=["client_id"])
    site.configure({"dcs.webcli": {"attempts": 1}})
    site.run("run", site.plan(group))
    assert {record["target"] for record in site.latest.records} == {"i-0", "i-1"}


LISTED: dict[str, tuple[str, str, dict[str, object], dict[str, object]]] = {
    "app-sessions": (
        "workspaceapp",
        "list_sessions",
        {"app_sessions": {"count": 350}},
        discover("workspaceapp.sessions", discover={"session_state": "Active"}, verify=False),
    ),
    "bastions": (
        "cbh",
        "list_instances",
        {"cbh_instances": {"count": 3100}},
        discover("cbh.console", discover={"status": "ACTIVE"}, expect="issued"),
    ),
    "instances": (
        "dcs",
        "list_instances",
        {"dcs_instances": {"count": 3100}},
        discover("dcs.webcli", discover={"status": "RUNNING"}, everything=["client_id"]),
    ),
}


@pytest.mark.parametrize(
    "trouble",
    [
        {"kind": "status", "status": 404, "page": 2},
        {"kind": "content_type", "page": 3},
        {"kind": "repeat_page", "page": 2},
        {"kind": "empty_page", "page": 2},
        {"kind": "false_total", "total": 9999, "page": 1},
    ],
    ids=lambda trouble: trouble["kind"],
)
@pytest.mark.parametrize("listed", LISTED.values(), ids=LISTED.keys())
def test_no_service_s_list_is_taken_for_whole_when_it_is_not(
    site: Site,
    listed: tuple[str, str, dict[str, object], dict[str, object]],
    trouble: dict[str, object],
) -> None:
    hasty(site)
    host, operation, sown, group = listed
    site.seed(**sown)
    site.fault(host, operation=operation, times=None, **trouble)  # type: ignore[arg-type]
    assert site.run("run", site.plan(group)).code == 3
    assert site.latest.records == []
    (note,) = (note for note in site.latest.summary["notes"] if "lists for stage" in note)
    assert "nothing of it is ended" in note


@pytest.mark.parametrize(
    "trouble",
    [
        {"kind": "throttle", "page": 3, "times": None},
        {"kind": "status", "status": 500, "page": 3, "times": None},
        {"kind": "repeat_page", "page": 3, "times": None},
        {"kind": "empty_page", "page": 3, "times": None},
        {"kind": "content_type", "page": 2, "times": None},
        {"kind": "truncate", "page": 2, "times": None},
    ],
    ids=lambda trouble: trouble["kind"],
)
@pytest.mark.parametrize("partial", [False, True])
def test_a_part_of_a_list_never_passes_for_all_of_it(
    site: Site, trouble: dict[str, object], partial: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.vain.HOPELESS", 3)
    monkeypatch.setattr("orchestrator.vain.HOPELESS_SECONDS", 1.0)
    people(site, 4500)
    site.fault("workspace", operation="connect_desktops", **trouble)  # type: ignore[arg-type]
    site.looking("workspace.desktops", "1s", attempts=3, timeout="1s")
    group = discover("workspace.desktops", discover={"connect_status": "CONNECTED"}, partial=partial, verify=False)
    assert site.run("run", site.plan(group)).code == 3
    (note,) = (note for note in site.latest.summary["notes"] if "lists for stage" in note)
    assert "nothing of it is ended" in note if not partial else "only what was listed" in note
    assert len(site.latest.records) < 4500
    assert bool(site.latest.records) is partial
    assert len(site.state()["sessions"]["workspace"]) == 4500 - len(site.latest.records)


def test_a_page_that_is_throttled_once_costs_nothing_but_time(site: Site) -> None:
    people(site, 2500)
    site.fault("workspace", "throttle", operation="connect_desktops", page=2, times=2)
    plan = site.plan(discover("workspace.desktops", discover={"connect_status": "CONNECTED"}))
    assert site.run("run", plan).code == 0
    assert len(site.latest.records) == 2500


def test_a_listing_keeps_to_the_deadline(site: Site) -> None:
    people(site, 3)
    site.fault("workspace", "hang", operation="connect_desktops", seconds=20, times=None)
    plan = site.plan(discover("workspace.desktops", discover={"user": "user1"}))
    assert site.run("run", plan, "--deadline", "1s").code == 5
    assert site.latest.records == []


def test_nothing_found_is_told_by_the_exit_code(site: Site) -> None:
    people(site, 3)
    plan = site.plan(discover("workspace.desktops", discover={"user": "nobody"}))
    assert site.run("run", plan).code == 6
    assert (
        site.run("run", site.plan(discover("workspace.desktops", discover={"user": "x"}), allow_empty=True)).code == 0
    )


@pytest.mark.parametrize("ignored", [[], ["user_names"]], ids=["taken", "ignored"])
def test_a_filter_that_the_service_ignores_does_not_widen_the_plan(site: Site, ignored: list[str]) -> None:
    people(site, 50)
    site.settings(ignored_filters=ignored)
    plan = site.plan(discover("workspace.desktops", discover={"user": "user1"}, verify=False))
    assert site.run("run", plan).code == 0
    assert {record["target"] for record in site.latest.records} == {f"d-{n:05}" for n in range(1, 50, 10)}


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("parameter", ["tag", "pool_id"])
def test_a_filter_that_no_item_shows_is_believed_where_it_makes_a_difference(
    site: Site, parameter: str, partial: bool
) -> None:
    hasty(site)
    people(site, 20, tags={"team": "blue"}, pool_id="pool-1")
    site.seed(desktops=[{"desktop_id": "d-red", "tags": {"team": "red"}, "pool_id": "pool-2"}])
    asked = {"tag": {"tag": "team=red"}, "pool_id": {"pool_id": "pool-2"}}[parameter]
    plan = site.plan(discover("workspace.desktops", discover=asked, verify=False, partial=partial))
    site.settings(ignored_filters=[parameter])
    assert site.run("run", plan).code == 3
    assert site.latest.records == []
    (note,) = (note for note in site.latest.summary["notes"] if "lists for stage" in note)
    assert f"as many are listed without {parameter}" in note
    assert len(site.state()["sessions"]["workspace"]) == 21
    site.settings(ignored_filters=[])
    assert site.run("run", plan, "--yes").code == 0
    assert [record["target"] for record in site.latest.records] == ["d-red"]


def test_a_session_that_is_there_for_a_year_is_found(site: Site) -> None:
    day, now = 86400, time.time()
    site.seed(app_sessions=[{"session_id": f"{days} days", "since": now - days * day} for days in (1, 40, 400)])
    plan = site.plan(discover("workspaceapp.sessions", discover={"session_state": "Active"}), require="verified")
    assert site.run("run", plan).code == 0
    assert len(site.latest.records) == 3
    assert not site.state()["sessions"]["workspaceapp"]


def bounded(site: Site) -> None:
    """Add a service whose listing reaches back thirty days."""
    text = (catalogue.OWN / "workspaceapp.sessions.yaml").read_text()
    assert "    page_size: 100\n" in text
    text = text.replace("workspaceapp.sessions", "my.sessions")
    (site.folder / "services").mkdir()
    (site.folder / "services" / "mine.yaml").write_text(
        text.replace("    page_size: 100\n", "    page_size: 100\n    window: 30d\n")
    )
    site.configure(catalogue=["services"], services={"my.sessions": {"reads": GENEROUS}})


def test_what_a_bounded_listing_does_not_show_is_told(site: Site) -> None:
    day, now = 86400, time.time()
    site.seed(app_sessions=[{"session_id": f"{days} days", "since": now - days * day} for days in (1, 40)])
    bounded(site)
    plan = site.plan(discover("my.sessions", discover={"session_state": "Active"}))
    assert "what began more than 30d ago is not listed, nor ended" in site.run("preview", plan).out
    assert site.run("run", plan).code == 0
    assert [record["target"] for record in site.latest.records] == ["1 days"]
    assert any("what began more than 30d ago is not listed, nor ended" in n for n in site.latest.summary["notes"])


def test_an_age_that_is_never_listed_cannot_be_asked_for(site: Site) -> None:
    bounded(site)
    group = discover("my.sessions", discover={"session_state": "Active"})
    for plan in (site.plan({**group, "older_than": "30d"}), site.plan(group, older_than="31d")):
        done = site.run("validate", plan)
        assert done.code == 2
        assert "older_than: the listing reaches back 30d, so that nothing so old is in it" in done.err
    assert site.run("validate", site.plan({**group, "older_than": "29d"}, older_than="29d")).code == 0


def test_the_rate_of_a_listing_is_that_of_the_connection_however_many_groups_ask(site: Site) -> None:
    people(site, 20)
    site.configure(services={"workspace.desktops": {"reads": {"rate": "4/s", "concurrency": 1}}})
    groups = [discover("workspace.desktops", discover={"user": f"user{n}"}, verify=False) for n in range(8)]
    assert site.run("run", site.plan(*groups)).code == 0
    assert site.state()["services"]["workspace"]["peaks"]["connect_desktops"] <= 5
    assert len(site.latest.records) == 16


def test_what_is_old_enough_is_the_same_for_a_resume(site: Site) -> None:
    site.seed(app_sessions=[{"session_id": "s-1", "since": time.time() - 5}])
    site.configure(services={"workspaceapp.sessions": {"reads": {**GENEROUS, "attempts": 1}}})
    site.fault("workspaceapp", "status", operation="list_sessions", status=500)
    group = discover("workspaceapp.sessions", discover={"session_state": "Active"}, older_than="7s", verify=False)
    assert site.run("run", site.plan(group)).code == 3
    time.sleep(2.1)  # by now it would be
    site.run("resume", "latest")
    assert site.latest.records == []


def put_back(site: Site, seconds: float) -> None:
    """Let the latest run have begun so much earlier."""
    with closing(sqlite3.connect(site.state_dir / "journal.sqlite")) as journal, journal:
        journal.execute("UPDATE runs SET started = started - ?", (seconds,))


AGELESS = '{"count": 1, "items": [{"id": "s-1", "session_state": "Active"}]}'


@pytest.mark.parametrize(
    ("now", "trouble", "code"),
    [
        (None, None, 0),
        (None, {"status": 500}, 4),
        (None, {"status": 200, "body": AGELESS}, 4),
        ({"status": 200, "body": AGELESS}, None, 4),
    ],
    ids=["told", "not answered", "not told any more", "never told"],
)
def test_a_late_resume_goes_on_by_itself_only_where_every_age_is_known(
    site: Site, now: dict[str, object] | None, trouble: dict[str, object] | None, code: int
) -> None:
    site.seed(app_sessions=[{"session_id": "s-1", "since": time.time() - 86400}])
    site.configure({"workspaceapp.sessions": {"attempts": 1}})
    site.configure(services={"workspaceapp.sessions": {"reads": {**GENEROUS, "attempts": 1}}})
    if now is not None:
        site.fault("workspaceapp", "status", operation="list_sessions", **now)
    site.fault("workspaceapp", "status", operation="logoff", status=400, body='{"error_code": "WKS.1"}')
    group = discover("workspaceapp.sessions", discover={"session_state": "Active"}, verify=False)
    assert site.run("run", site.plan(group)).code == 3
    assert site.latest.outcomes == Counter(failed=1)
    assert site.latest.summary["not_told_when_begun"] == (["workspaceapp.sessions"] if now else [])
    put_back(site, 36000)
    if trouble is not None:
        site.fault("workspaceapp", "status", operation="list_sessions", **trouble)
    done = site.run("resume", "latest")
    assert done.code == code
    assert ("nothing tells since when the sessions of workspaceapp.sessions in it are there" in done.err) is (code == 4)
    assert site.run("resume", "latest", "--yes").code == 0


@pytest.mark.parametrize("told", [True, False])
def test_a_resume_asks_since_when_the_sessions_of_a_list_are_there(site: Site, told: bool) -> None:
    site.seed(app_sessions=[{"session_id": name, "since": time.time() - 86400} for name in ("stays-away", "returns")])
    once = {"attempts": 1}
    site.configure({"workspaceapp.sessions": once}, services={"workspaceapp.sessions": {"reads": once}})
    site.fault("workspaceapp", "status", operation="logoff", status=500, body="{}", times=1)
    (site.folder / "sessions.txt").write_text("stays-away\nreturns\n")
    group = {"service": "workspaceapp.sessions", "connection": "cloud", "from": "sessions.txt", "verify": False}
    assert site.run("run", site.plan(group)).code == 3
    time.sleep(1.1)  # the list tells whole seconds
    site.control("revive", {"service": "workspaceapp", "ids": ["returns"]})
    if not told:
        site.fault("workspaceapp", "status", operation="list_sessions", status=500)
    assert site.run("resume", "latest").code == (3 if told else 0)
    assert site.state()["sessions"]["workspaceapp"] == (["returns"] if told else [])
    assert site.latest.summary["not_told_when_begun"] == ([] if told else ["workspaceapp.sessions"])
    assert [record["reason"].endswith("newer than the cut-off") for record in site.latest.records] == [False, told]


def test_a_resume_means_the_targets_that_were_listed_when_the_run_began(site: Site) -> None:
    people(site, 200)
    site.fault("workspace", "status", operation="logoff", status=503, times=None, after=1)
    site.configure({"workspace.desktops": {"attempts": 1}})
    group = discover("workspace.desktops", discover={"connect_status": "CONNECTED"}, verify=False)
    assert site.run("run", site.plan(group)).code == 3
    assert site.latest.outcomes == Counter(accepted=100, failed=100)
    site.seed(desktops=[{"desktop_id": "newcomer"}])
    site.control("faults", method="DELETE")
    assert site.run("resume", "latest").code == 0
    assert site.latest.outcomes == Counter(accepted=200)
    assert "newcomer" in site.state()["sessions"]["workspace"]


def test_who_reads_a_listing_before_the_run_and_in_it_keeps_to_one_rate(site: Site) -> None:
    """A limit by the hour would be used twice."""
    site.configure(services={"workspace.desktops": {"reads": {"rate": "100/h"}}})
    site.plan(discover("workspace.desktops", discover={"user": "user3"}))
    config_file = settings.load(site.folder / "config.yaml", {})
    blueprint = app.prepare(site.folder / "plan.yaml", {}, config_file)
    connections = Connections(config_file, blueprint.connections())
    service, pacers = blueprint.sections[0].service, app.Pacers()
    lanes = [
        app.Workshop(blueprint, connections, Notes(), Stop(), itertools.count(1), pacers=pacers)
        .lister(service, "cloud", service.discover[0])
        ._lane
        for _ in range(2)
    ]
    assert lanes[0] is not lanes[1]
    assert lanes[0].pacer is lanes[1].pacer
