"""What is called ended is gone, and what lives is not called ended: late, ignored, throttled, dead."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from .support import Site


@pytest.fixture(autouse=True)
def looks(site: Site) -> None:
    site.looks = True


def fared(site: Site) -> Counter[tuple[str, str]]:
    return Counter((record["outcome"], record["verification"]) for record in site.latest.records)


def test_what_was_accepted_is_ended_when_it_is_seen_to_be_gone(site: Site) -> None:
    site.settings(lag={"workspace": [0.0, 1.0], "workspaceapp": [0.0, 1.0]})
    plan = site.plan(site.desktops(150), site.app_sessions(30), site.tickets(5), require="verified")
    assert site.run("run", plan).code == 0
    assert fared(site) == {("ended", "confirmed"): 185}
    assert not any(site.state()["sessions"].values())


def test_where_there_is_no_read_back_or_none_is_asked_for_nothing_is_verified(site: Site) -> None:
    plan = site.plan(site.databases(3), site.webcli(3), require="verified")
    assert site.run("run", plan).code == 3
    assert fared(site) == {("ended", "unavailable"): 3, ("ended", "not_requested"): 3}


def test_a_web_cli_session_is_looked_at_where_a_group_wants_it(site: Site) -> None:
    group = {**site.webcli(5), "verify": True}
    assert site.run("run", site.plan(group, require="verified")).code == 0
    assert fared(site) == {("ended", "confirmed"): 5}


def test_a_group_may_do_without(site: Site) -> None:
    group = {**site.desktops(5), "verify": False}
    assert site.run("run", site.plan(group)).code == 0
    assert fared(site) == {("accepted", "not_requested"): 5}
    assert "connect_desktops" not in site.state()["services"]["workspace"]["operations"]


def test_late_ignored_and_throttled_at_once_nothing_is_told_that_is_not_so(site: Site) -> None:
    """The bar: lag of 0 to 5 s, 5 % ignored for ever, the listing throttled."""
    site.settings(lag={"workspace": [0.0, 5.0]}, ignored_share={"workspace": 0.05}, random_seed=7)
    site.fault("workspace", "throttle", operation="connect_desktops", every=2, times=6)
    site.looking("workspace.desktops", "6s")
    plan = site.plan(site.desktops(400), require="verified")
    site.run("run", plan)
    told = {record["target"]: record["outcome"] for record in site.latest.records}
    alive = set(site.state()["sessions"]["workspace"])
    assert {name for name, outcome in told.items() if outcome == "ended"} & alive == set()
    assert {name for name, outcome in told.items() if outcome == "still_active"} == alive
    assert set(told.values()) <= {"ended", "still_active"}


def test_app_sessions_late_ignored_and_throttled_at_once(site: Site) -> None:
    site.settings(lag={"workspaceapp": [0.0, 1.5]}, ignored_share={"workspaceapp": 0.1}, random_seed=3)
    site.fault("workspaceapp", "throttle", operation="list_sessions", every=3, times=6)
    site.looking("workspaceapp.sessions", "2500ms")
    site.run("run", site.plan(site.app_sessions(250), require="verified"))
    told = {record["target"]: (record["outcome"], record["verification"]) for record in site.latest.records}
    alive = set(site.state()["sessions"]["workspaceapp"])
    assert {name for name, fared in told.items() if fared == ("still_active", "contradicted")} == alive
    assert {name for name, fared in told.items() if fared == ("ended", "confirmed")} == set(told) - alive
    assert len(told) == 250


@pytest.mark.parametrize(
    ("host", "service"), [("dcs", "dcs.webcli"), ("cas", "mrs.cas")], ids=["a-command-is-taken", "the-page-knows-him"]
)
def test_what_is_called_ended_by_the_service_and_lives_is_contradicted(site: Site, host: str, service: str) -> None:
    group = {**(site.webcli(4) if host == "dcs" else site.tickets(4)), "verify": True}
    ids = site.state()["sessions"][host]
    site.settings(ignored={host: {ids[0]: 1, ids[1]: 9}})
    site.looking(service, "1s")
    assert site.run("run", site.plan(group, require="verified")).code == 3
    assert fared(site) == {("ended", "confirmed"): 3, ("still_active", "contradicted"): 1}
    assert len(site.state()["sessions"][host]) == 1


def test_a_logout_that_the_manager_did_not_see_is_not_told_as_ended(site: Site) -> None:
    site.settings(cas_clears_cookie=False)
    assert site.run("run", site.plan(site.tickets(2), require="verified")).code == 3
    assert set(site.latest.outcomes) == {"failed"}


@pytest.mark.parametrize(
    ("host", "operation", "service"),
    [
        ("dcs", "webcli_command", "dcs.webcli"),
        ("cas", "login_form", "mrs.cas"),
        ("workspaceapp", "list_sessions", "workspaceapp.sessions"),
    ],
)
@pytest.mark.parametrize("kind", [{"kind": "status", "status": 404}, {"kind": "content_type"}], ids=["404", "page"])
def test_a_question_that_something_else_answers_is_unavailable(
    site: Site, host: str, operation: str, service: str, kind: dict[str, object]
) -> None:
    site.looking(service, "1s", attempts=2)
    groups = {"dcs": site.webcli, "cas": site.tickets, "workspaceapp": site.app_sessions}
    group = {**groups[host](3), "verify": True}
    site.fault(host, operation=operation, times=None, **kind)  # type: ignore[arg-type]
    assert site.run("run", site.plan(group, require="verified")).code == 3
    assert {record["verification"] for record in site.latest.records} == {"unavailable"}


def test_what_lives_on_is_ended_once_more_and_then_told(site: Site) -> None:
    group = site.desktops(10)
    names = [record["desktop_id"] for record in site.desktop_rows]
    site.settings(ignored={"workspace": {names[0]: 1, names[1]: 5}})
    site.looking("workspace.desktops", "1s")
    assert site.run("run", site.plan(group)).code == 3
    told = {record["target"]: record for record in site.latest.records}
    assert (told[names[0]]["outcome"], told[names[0]]["verification"]) == ("ended", "confirmed")
    assert (told[names[1]]["outcome"], told[names[1]]["verification"]) == ("still_active", "contradicted")
    assert "the session still lives" in told[names[1]]["reason"]
    assert len(told) == 10
    assert site.latest.summary["verification"]["contradicted"] == 1


def test_a_call_whose_answer_is_lost_is_settled_by_what_is_seen(site: Site) -> None:
    group = site.desktops(10)
    names = [record["desktop_id"] for record in site.desktop_rows]
    site.settings(ignored={"workspace": {names[0]: 99}})
    site.fault("workspace", "lost", operation="logoff", times=None)
    site.looking("workspace.desktops", "1s")
    assert site.run("run", site.plan(group)).code == 3
    assert fared(site) == {("ended", "confirmed"): 9, ("still_active", "contradicted"): 1}
    assert list(site.state()["sessions"]["workspace"]) == [names[0]]


@pytest.mark.parametrize(("require", "code"), [("accepted", 0), ("ended", 3), ("verified", 3)])
def test_a_read_back_that_fails_is_unavailable_and_never_green(site: Site, require: str, code: int) -> None:
    site.fault("workspace", "status", operation="connect_desktops", status=500, times=None)
    site.looking("workspace.desktops", "1s")
    ran = site.run("run", site.plan(site.desktops(5), require=require))
    assert ran.code == code
    assert fared(site) == {("accepted", "unavailable"): 5}
    assert all("could not be checked" in record["reason"] for record in site.latest.records)
    assert ("GOOD, AND NOT ALL COULD BE CHECKED (exit code 0)" in ran.out) is (code == 0)


@pytest.mark.parametrize(("require", "code"), [("accepted", 0), ("ended", 3)])
def test_that_a_service_says_ended_is_not_enough_where_it_was_asked_in_vain(
    site: Site, require: str, code: int
) -> None:
    group = site.tickets(3)
    site.fault("cas", "content_type", operation="login_form", times=None)
    site.looking("mrs.cas", "1s")
    ran = site.run("run", site.plan(group, require=require))
    assert ran.code == code
    assert fared(site) == {("ended", "unavailable"): 3}
    assert ran.out
    assert (site.latest.summary["resume"] is None) is (code == 0)


@pytest.mark.parametrize("kind", [{"kind": "status", "status": 404}, {"kind": "content_type"}], ids=["404", "page"])
def test_a_base_url_that_is_not_the_service_makes_nothing_green(site: Site, kind: dict[str, object]) -> None:
    site.fault("*", before_auth=True, times=None, **kind)  # type: ignore[arg-type]
    groups = [site.webcli(2), site.databases(2), site.desktops(2), site.app_sessions(2), site.tickets(2)]
    assert site.run("run", site.plan(*groups, site.bastions(2), require="accepted")).code == 3
    assert not set(site.latest.outcomes) & {"ended", "already_ended", "accepted", "denied", "issued"}
    assert all(record["reason"] for record in site.latest.records)


def test_a_desktop_that_is_not_listed_is_not_called_gone(site: Site) -> None:
    site.settings(alternate_fields=True)
    site.fault("workspace", "empty_page", operation="connect_desktops", times=None)
    site.looking("workspace.desktops", "1s")
    assert site.run("run", site.plan(site.desktops(5), require="verified")).code == 3
    assert fared(site) == {("accepted", "unavailable"): 5}


def test_both_spellings_of_the_state_are_read(site: Site) -> None:
    site.settings(alternate_fields=True)
    assert site.run("run", site.plan(site.desktops(5), require="verified")).code == 0


def test_a_limit_for_the_day_that_is_used_up_ends_the_looking_too(site: Site) -> None:
    site.settings(limits={"workspace": {"calls": 2, "period": 86_400, "burst": 2}})
    site.looking("workspace.desktops", "60s")
    began = time.monotonic()
    assert site.run("run", site.plan(site.desktops(300))).code == 3
    assert time.monotonic() - began < 30
    assert "used up" in " ".join(record["reason"] for record in site.latest.records)
