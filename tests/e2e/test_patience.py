"""Looks that come too early, too late, not at all, or at somebody else's session: nothing false, and nobody twice."""

from __future__ import annotations

import signal
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

import orchestrator
from orchestrator import catalogue

from .support import GENEROUS, Site, interrupt, until


@pytest.fixture(autouse=True)
def looks(site: Site) -> None:
    site.looks = True


def fared(site: Site) -> Counter[tuple[str, str]]:
    return Counter((record["outcome"], record["verification"]) for record in site.latest.records)


def orders(site: Site, host: str) -> list[int]:
    """Return how often each session was called to be ended."""
    return list(site.state()["logout_calls"][host].values())


def asked(site: Site, host: str, operation: str) -> int:
    return int(site.state()["services"].get(host, {}).get("operations", {}).get(operation, 0))


# A run that stops while it looks


def test_what_was_seen_alive_is_not_ended_when_the_run_stops_and_is_looked_at_by_a_resume(site: Site) -> None:
    """The Manager says that the tickets are gone, and its own login page that they are not."""
    group = site.tickets(5)
    site.settings(lag={"cas": 2.5})
    site.looking("mrs.cas", "20s")
    plan = site.plan(group, require="verified")
    with site.started("run", plan) as process:
        until(lambda: site.calls("cas") > 5 + 5)  # so that the first look at all five is over
        assert interrupt(process, signal.SIGTERM).code == 143
    assert fared(site) == {("accepted", "unavailable"): 5}
    assert all(record["reason"].startswith("seen alive (") for record in site.latest.records)
    assert site.latest.summary["resume"]
    assert site.run("resume", "latest").code == 0
    assert fared(site) == {("ended", "confirmed"): 5}
    assert {record["reason"] for record in site.latest.records} == {""}
    assert orders(site, "cas") == [1] * 5


def test_what_a_stopped_run_did_not_look_at_is_looked_at_by_a_resume(site: Site) -> None:
    group = site.desktops(10)
    site.configure(services={"workspace.desktops": {"verify": {"lag": "20s"}, "reads": GENEROUS}})
    plan = site.plan(group, require="verified")
    with site.started("run", plan) as process:
        until(lambda: len(site.durable()) == 10)
        assert interrupt(process, signal.SIGTERM).code == 143
    assert fared(site) == {("accepted", "unavailable"): 10}
    site.looking("workspace.desktops", "5s")
    assert site.run("resume", "latest").code == 0
    assert fared(site) == {("ended", "confirmed"): 10}
    assert orders(site, "workspace") == [1] * 10


def test_what_could_not_be_looked_at_is_looked_at_by_a_resume_where_the_plan_requires_it(site: Site) -> None:
    site.fault("workspace", "status", operation="connect_desktops", status=500, times=None)
    site.looking("workspace.desktops", "200ms", attempts=1)
    assert site.run("run", site.plan(site.desktops(5), require="ended")).code == 3
    assert fared(site) == {("accepted", "unavailable"): 5}
    assert site.latest.summary["resume"]
    site.control("faults", method="DELETE")
    assert site.run("resume", "latest").code == 0
    assert fared(site) == {("ended", "confirmed"): 5}
    assert orders(site, "workspace") == [1] * 5


# Looks that take longer than the deadline, and ends that are put off


def test_a_look_that_takes_longer_than_the_deadline_is_not_the_last(site: Site) -> None:
    """40 questions at 20 a second, a deadline of 300 ms, an effect after 1 s: nobody lives on, nothing says so."""
    group = site.tickets(40)
    site.settings(lag={"cas": 1.0})
    site.looking("mrs.cas", "300ms", rate="20/s", concurrency=2)
    assert site.run("run", site.plan(group, reattempt=0, require="verified")).code == 0
    assert fared(site) == {("ended", "confirmed"): 40}


def test_a_logoff_that_is_put_off_is_waited_for_and_not_ordered_again(site: Site) -> None:
    site.looking("workspaceapp.sessions", "500ms")
    group = {**site.app_sessions(3), "with": {"delay_time": 2}}
    assert site.run("run", site.plan(group, require="verified")).code == 0
    assert fared(site) == {("ended", "confirmed"): 3}
    assert orders(site, "workspaceapp") == [1] * 3


def test_a_logoff_that_is_put_off_holds_up_no_other(site: Site) -> None:
    site.seed(app_sessions=[{"session_id": name} for name in ("late", "stubborn", "at-once")])
    site.settings(ignored={"workspaceapp": {"stubborn": 1}})
    site.looking("workspaceapp.sessions", "500ms")
    items = [{"session_id": "late", "delay_time": 5}, {"session_id": "stubborn"}, {"session_id": "at-once"}]
    plan = site.plan({"service": "workspaceapp.sessions", "connection": "cloud", "items": items}, require="verified")
    assert site.run("run", plan).code == 0
    told = {record["target"]: datetime.fromisoformat(record["settled"]).timestamp() for record in site.latest.records}
    assert told["at-once"] < told["stubborn"] < told["late"] - 2


def test_the_lag_of_the_config_is_waited_for(site: Site) -> None:
    site.settings(lag={"workspace": 1.0})
    site.configure(services={"workspace.desktops": {"verify": {"lag": "1500ms", "deadline": "10s"}, "reads": GENEROUS}})
    assert site.run("run", site.plan(site.desktops(3), require="verified")).code == 0
    assert asked(site, "workspace", "connect_desktops") == 2  # one look: its page, and that there is no other


# Somebody else's session


def test_whoever_signs_in_again_while_it_is_looked_is_left_alone_where_the_service_tells_since_when(site: Site) -> None:
    site.seed(app_sessions=[{"session_id": f"s-{n}", "since": time.time() - 3600} for n in range(3)])
    site.settings(returns={"workspaceapp": {"s-1": 1.5}})
    known = {"verify": {"lag": "2500ms", "deadline": "1s"}, "reads": GENEROUS}
    site.configure(services={"workspaceapp.sessions": known})
    group = {"service": "workspaceapp.sessions", "connection": "cloud", "discover": {"session_state": "Active"}}
    assert site.run("run", site.plan(group, require="verified")).code == 0
    assert fared(site) == {("ended", "confirmed"): 3}
    assert site.state()["sessions"]["workspaceapp"] == ["s-1"]
    assert orders(site, "workspaceapp") == [1] * 3


def test_a_question_without_the_session_is_not_asked(site: Site) -> None:
    """The service refuses such a command for its form, and it says the same of a session that is gone."""
    site.seed(dcs_sessions=[{"instance_id": "i-1", "client_id": f"c{n}", "user": "somebody-else"} for n in range(3)])
    group = {"service": "dcs.webcli", "connection": "cloud", "everything": ["client_id"], "verify": True}
    site.looking("dcs.webcli", "200ms")
    done = site.run("run", site.plan({**group, "items": [{"instance_id": "i-1"}]}, require="verified"))
    assert done.code == 3
    assert site.latest.one()["verification"] == "unavailable"
    assert "it has no client_id" in site.latest.one()["reason"]
    assert asked(site, "dcs", "webcli_command") == 0


# Ended once more


def test_what_must_not_be_repeated_is_not_ended_again(site: Site) -> None:
    described = Path(catalogue.__file__).parent / "services" / "workspace.desktops.yaml"
    assert described.is_relative_to(Path(orchestrator.__file__).parent)
    text = described.read_text(encoding="utf-8").replace("service: workspace.desktops", "service: my.desktops", 1)
    (site.folder / "catalogue").mkdir()
    once = text.replace("  idempotent: true\n  batch:", "  idempotent: false\n  batch:", 1)
    (site.folder / "catalogue" / "my.desktops.yaml").write_text(once, encoding="utf-8")
    site.configure(
        catalogue=["catalogue"], services={"my.desktops": {"verify": {"deadline": "200ms"}, "reads": GENEROUS}}
    )
    group = {**site.desktops(2), "service": "my.desktops"}
    site.settings(ignored={"workspace": {site.desktop_rows[0]["desktop_id"]: 1}})
    assert site.run("run", site.plan(group, reattempt=3)).code == 3
    assert fared(site) == {("ended", "confirmed"): 1, ("still_active", "contradicted"): 1}
    assert orders(site, "workspace") == [1, 1]


def test_what_will_be_ended_again_does_not_stop_the_run(site: Site) -> None:
    group = site.desktops(100)
    names = [record["desktop_id"] for record in site.desktop_rows]
    site.settings(ignored={"workspace": dict.fromkeys(names[:5], 1)})
    site.looking("workspace.desktops", "500ms")
    assert site.run("run", site.plan(group, require="verified", guard={"stop_when_failed": "2%"})).code == 0
    assert fared(site) == {("ended", "confirmed"): 100}


def test_what_lives_on_after_all_stops_the_run(site: Site) -> None:
    group = site.desktops(100)
    names = [record["desktop_id"] for record in site.desktop_rows]
    site.settings(ignored={"workspace": dict.fromkeys(names[:5], 9)})
    site.configure(
        {"das.builtin-account": {"rate": "5/s"}},
        services={"workspace.desktops": {"verify": {"deadline": "200ms"}, "reads": {"rate": "1000/s"}}},
    )
    plan = site.plan(group, site.databases(40), require="verified", guard={"stop_when_failed": "2%"})
    assert site.run("run", plan).code == 5
    found = fared(site)
    assert (found["ended", "confirmed"], found["still_active", "contradicted"]) == (95, 5)
    assert found["not_attempted", "not_requested"] > 10


def test_what_lives_on_when_nothing_is_left_to_stop_is_told_as_that(site: Site) -> None:
    group = site.desktops(10)
    site.settings(ignored={"workspace": dict.fromkeys([row["desktop_id"] for row in site.desktop_rows][:5], 9)})
    site.looking("workspace.desktops", "200ms")
    assert site.run("run", site.plan(group, guard={"stop_when_failed": "10%", "ramp": ["100%"]})).code == 3
    assert fared(site) == {("ended", "confirmed"): 5, ("still_active", "contradicted"): 5}


# Guards


@pytest.mark.parametrize(("require", "called"), [("verified", 1), ("accepted", 20)])
def test_a_first_wave_that_cannot_be_verified_lets_no_more_out_where_that_is_required(
    site: Site, require: str, called: int
) -> None:
    site.fault("workspace", "status", operation="connect_desktops", status=500, times=None)
    site.looking("workspace.desktops", "200ms", attempts=1)
    plan = site.plan(site.desktops(20), require=require, guard={"ramp": [1, "100%"]})
    assert site.run("run", plan).code == (5 if require == "verified" else 0)
    assert site.latest.outcomes["not_attempted"] == 20 - called
    assert len(orders(site, "workspace")) == called


def test_a_target_that_fails_in_both_passes_counts_once(site: Site) -> None:
    group = {**site.tickets(1), "verify": False}
    site.fault("cas", "status", operation="logout", status=400, times=2)
    plan = site.plan(group, second_pass="100ms", guard={"stop_when_failed": 1})
    assert site.run("run", plan).code == 3
    assert site.latest.one()["outcome"] == "failed"
    assert site.calls("cas") == 2
