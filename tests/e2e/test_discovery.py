"""Targets that the service lists: all of them, or the run is not green."""

from __future__ import annotations

from collections import Counter

import pytest

from .support import Site


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
    monkeypatch.setattr("orchestrator.learning.HOPELESS_SECONDS", 1.0)
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


def test_a_filter_that_the_service_ignores_does_not_widen_the_plan(site: Site) -> None:
    people(site, 50)
    plan = site.plan(discover("workspace.desktops", discover={"user": "user1"}))
    assert site.run("run", plan).code == 0
    assert {record["target"] for record in site.latest.records} == {f"d-{n:05}" for n in range(1, 50, 10)}


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
