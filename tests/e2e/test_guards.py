"""Guards: what is refused before anything is sent, what is left alone, what stops a run."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter

import pytest

from orchestrator.sandbox.state import USER_ID

from .support import Record, Site


def people(site: Site, count: int) -> None:
    site.seed(desktops=[{"desktop_id": f"d-{n:04}", "user": f"user{n % 10}"} for n in range(count)])


FOUND = {"service": "workspace.desktops", "connection": "cloud", "discover": {"connect_status": "CONNECTED"}}


@pytest.mark.parametrize(("most", "code"), [(50, 0), (49, 4), ("100%", 0), ("99%", 4)])
def test_more_targets_than_allowed_are_refused_before_anything_is_sent(site: Site, most: object, code: int) -> None:
    people(site, 50)
    done = site.run("run", site.plan(FOUND, guard={"max_targets": most}))
    assert done.code == code
    assert len(site.state()["sessions"]["workspace"]) == (50 if code else 0)
    assert ("max_targets" in done.err) is bool(code)


def test_what_is_protected_is_left_alone_and_told(site: Site) -> None:
    people(site, 30)
    (site.folder / "never.txt").write_text("d-0001\nworkspace.* d-002?\ndcs.* d-0003\n")
    guard = {"protect": ["never.txt", {"target": ["d-0010"], "service": "workspace.*"}], "max_targets": 18}
    assert site.run("run", site.plan(FOUND, guard=guard)).code == 0
    assert site.latest.outcomes == Counter(ended=18, not_attempted=12)
    kept = {record["target"] for record in site.latest.records if record["reason"] == "protected"}
    assert kept == {"d-0001", "d-0010", *(f"d-002{n}" for n in range(10))}
    assert set(site.state()["sessions"]["workspace"]) == kept
    assert site.latest.summary["protected"] == 12


def test_who_is_protected_by_name_keeps_all_that_a_listing_says_is_theirs(site: Site) -> None:
    site.seed(
        users={"count": 2},
        desktops=[{"desktop_id": f"d-{who}", "user": who} for who in ("pam", "sam")],
        app_sessions=[{"session_id": f"s-{who}", "user": who} for who in ("pam", "sam")],
    )
    groups = [
        {"service": "workspace.desktops", "connection": "cloud", "discover": {"connect_status": "CONNECTED"}},
        {"service": "workspaceapp.sessions", "connection": "cloud", "discover": {"session_state": "Active"}},
        {"service": "iam.user", "connection": "cloud", "discover": {"name": "user-0001"}},
    ]
    guard = {"protect": [{"target": ["pam", "user-*"]}]}
    assert site.run("run", site.plan(*groups, guard=guard)).code == 0
    told = {record["target"] for record in site.latest.records if record["outcome"] == "ended"}
    assert told == {"d-sam", "s-sam"}
    assert site.latest.summary["protected"] == 3
    assert all(site.state()["users"].values())


def test_a_plan_does_not_run_twice_within_its_interval(site: Site) -> None:
    plan = site.plan(site.databases(2), guard={"min_interval": "1h"})
    assert site.run("run", plan).code == 0
    done = site.run("run", plan, "--yes")
    assert done.code == 4
    assert "min_interval" in done.err
    assert "only a change of the plan allows" in done.err
    assert site.run("run", plan, "--only", "service=das.*").code == 4
    assert site.calls("das") == 2


def test_a_part_of_a_plan_is_no_duplicate_of_all_of_it(site: Site) -> None:
    plan = site.plan(site.databases(2), site.webcli(2), guard={"min_interval": "1h"})
    part = ("--only", "service=das.*")
    assert site.run("run", plan, *part).code == 0
    assert site.run("run", plan, *part).code == 4
    assert site.run("run", plan, "--only", "service=dcs.*").code == 0
    assert site.run("run", plan).code == 0
    assert site.run("run", plan, *part).code == 4


def test_who_may_not_start_again_is_told_how_to_go_on(site: Site) -> None:
    site.fault("das", "status", status=400, body='{"error_code": "DAS.200114"}', times=None)
    site.configure({"das.builtin-account": {"rate": "50/s", "concurrency": 1}})
    plan = site.plan(site.databases(20), guard={"min_interval": "1h", "stop_when_failed": 1})
    assert site.run("run", plan).code == 5
    done = site.run("run", plan, "--yes")
    assert done.code == 4
    assert "min_interval" in done.err
    assert f"to go on with it: orchestrator resume {site.last_run()}" in done.err


def test_an_id_is_a_part_of_what_a_glob_took(site: Site) -> None:
    group = site.databases(1)
    plan = site.plan(group, guard={"min_interval": "1h"})
    (name,) = (site.folder / str(group["from"])).read_text().split()[1:]
    assert site.run("run", plan, "--only", f"target={name[:8]}*").code == 0
    assert site.run("run", plan, "--only", f"target={name}").code == 4
    assert site.run("run", plan, "--only", "stage=targets").code == 4
    assert site.calls("das") == 1


def test_a_target_of_a_stage_that_ran_just_now_is_a_duplicate_by_whatever_it_is_named(site: Site) -> None:
    one, two = site.databases(2, prefix="one-"), site.databases(2, "token", prefix="two-")
    stages = [{"name": "a", "targets": [one]}, {"name": "b", "targets": [two]}]
    site.write("plan.yaml", {"name": "plan", "guard": {"min_interval": "1h"}, "stages": stages})
    name, other = ((site.folder / str(group["from"])).read_text().split()[1] for group in (one, two))
    assert site.run("run", "plan.yaml", "--only", "stage=a").code == 0
    assert site.run("run", "plan.yaml", "--only", f"target={name}").code == 4
    assert site.run("preview", "plan.yaml", "--only", f"target={name}").code == 4
    assert site.run("run", "plan.yaml", "--only", f"target={name}", "--only", f"target={other}").code == 0
    assert site.calls("das") == 4


@pytest.mark.parametrize(
    "only", ["stage=*", "service=d*", "target=**", "connection=cloud,service=das.*", "stage=targets"]
)
def test_a_part_that_is_written_in_another_way_is_the_same(site: Site, only: str) -> None:
    plan = site.plan(site.databases(2), guard={"min_interval": "1h"})
    assert site.run("run", plan, "--only", "service=*").code == 0
    assert site.run("run", plan, "--only", only).code == 4
    assert site.run("run", plan).code == 4
    assert site.calls("das") == 2


def test_a_run_in_which_too_much_fails_stops(site: Site) -> None:
    site.configure({"das.builtin-account": {"rate": "50/s", "concurrency": 1}})
    site.fault("das", "status", status=400, body='{"error_code": "DAS.200114"}', times=None)
    assert site.run("run", site.plan(site.databases(60), guard={"stop_when_failed": "10%"})).code == 5
    assert site.latest.outcomes == Counter(failed=7, not_attempted=53)
    assert "stop_when_failed allows 6" in site.latest.summary["reason"]


def test_a_small_lane_that_fails_stops_alone(site: Site) -> None:
    site.configure({"das.builtin-account": {"rate": "50/s", "concurrency": 1}})
    site.fault("das", "status", status=400, body='{"error_code": "DAS.200114"}', times=None)
    plan = site.plan(site.databases(10), site.webcli(200), guard={"stop_when_failed": "30%"})
    assert site.run("run", plan).code == 5
    found = Counter((record["service"], record["outcome"]) for record in site.latest.records)
    assert found["dcs.webcli", "ended"] == 200
    assert found["das.builtin-account", "failed"] < 10


def test_what_was_in_a_batch_with_those_that_failed_did_not_fail(site: Site) -> None:
    """The lane stops before the batch is divided to its end; the others have their turn in a resume."""
    site.configure({"workspace.desktops": {"rate": "200/s", "concurrency": 1}})
    group = {**site.desktops(97), "verify": False}
    listed = site.folder / group["from"]
    head, *rows = listed.read_text().splitlines()
    listed.write_text("\n".join([head, "gone-0", "gone-1", "gone-2", *rows]) + "\n")
    plan = site.plan(group, site.webcli(400), guard={"stop_when_failed": "2%"})
    assert site.run("run", plan).code == 5
    found = Counter((record["service"], record["outcome"]) for record in site.latest.records)
    assert (found["dcs.webcli", "ended"], found["workspace.desktops", "failed"]) == (400, 3)
    assert found["workspace.desktops", "accepted"] + found["workspace.desktops", "not_attempted"] == 97


def test_a_resume_gets_past_what_a_slow_start_stumbled_over(site: Site) -> None:
    group = {**site.desktops(20), "verify": False}
    listed = site.folder / group["from"]
    head, *rows = listed.read_text().splitlines()
    listed.write_text("\n".join([head, "gone-0", *rows]) + "\n")
    assert site.run("run", site.plan(group, guard={"ramp": [1, 3, "100%"]})).code == 5
    assert site.latest.outcomes == Counter(failed=1, not_attempted=20)
    assert site.run("resume", "latest").code == 3
    assert site.latest.outcomes == Counter(accepted=20, failed=1)


@pytest.mark.parametrize("good", [True, False])
def test_a_slow_start_lets_the_rest_out_only_after_a_good_first_wave(site: Site, good: bool) -> None:
    if not good:
        site.fault("das", "status", status=400, body='{"error_code": "DAS.200114"}', after=1, times=1)
    plan = site.plan(site.databases(40), guard={"ramp": [1, 5, "100%"]})
    assert site.run("run", plan).code == (0 if good else 5)
    assert site.latest.outcomes == (Counter(ended=40) if good else Counter(ended=5, failed=1, not_attempted=34))


def test_stages_wait_for_what_they_need(site: Site) -> None:
    site.fault("das", "status", status=400, body='{"error_code": "DAS.200114"}', times=1)
    stages = [
        {"name": "first", "targets": [site.databases(3)]},
        {"name": "second", "needs": ["first"], "continue_on": "ended", "targets": [site.webcli(3)]},
        {"name": "third", "needs": [], "targets": [site.tickets(2)]},
    ]
    site.write("staged.yaml", {"name": "staged", "stages": stages})
    assert site.run("run", "staged.yaml").code == 3
    found = Counter((record["stage"], record["outcome"]) for record in site.latest.records)
    assert found == {
        ("first", "failed"): 1,
        ("first", "ended"): 2,
        ("second", "not_attempted"): 3,
        ("third", "ended"): 2,
    }
    assert site.calls("dcs") == 0


def test_identity_providers_go_first_and_once_more_at_the_end(site: Site) -> None:
    plan = site.plan(site.databases(3), site.tickets(2), second_pass="1s")
    assert site.run("run", plan).code == 0
    records = {record["service"]: record for record in site.latest.records}
    assert records["mrs.cas"]["stage"] == "identity"
    assert records["das.builtin-account"]["stage"] == "targets"
    assert len(site.latest.records) == 5
    assert sum(site.state()["logout_calls"]["cas"].values()) == 4
    assert sum(site.state()["logout_calls"]["das"].values()) == 3


@pytest.mark.parametrize("made", [{"second_pass": "100ms"}, {"guard": {"own": "last"}}], ids=str)
def test_what_was_held_back_is_not_called_by_a_stage_that_the_program_makes(site: Site, made: Record) -> None:
    site.fault("das", "status", status=400, body='{"error_code": "DAS.200114"}', times=None)
    own = {"service": "iam.user", "connection": "cloud", "items": [{"user_id": USER_ID}], "verify": False}
    held = own if "guard" in made else {**site.tickets(2), "verify": False}
    stages = [
        {"name": "apps", "targets": [site.databases(1)]},
        {"name": "held", "continue_on": "ended", "targets": [held]},
    ]
    site.write("held.yaml", {"name": "held", "stages": stages, **made})
    assert site.run("run", "held.yaml").code == 3
    told = {(record["service"], record["outcome"], record["reason"]) for record in site.latest.records[1:]}
    why = "the stage apps did not come out as this one needs it"
    assert told == {(held["service"], "not_attempted", why)}
    assert site.calls("cas") == 0
    assert all(site.state()["users"].values())


def test_the_run_s_own_credential_is_left_where_a_resume_will_need_it(site: Site) -> None:
    site.fault("das", "status", status=400, body='{"error_code": "DAS.200114"}', times=None)
    own = {"service": "iam.user", "connection": "cloud", "items": [{"user_id": USER_ID}], "verify": False}
    plan = site.plan(own, site.databases(1), guard={"own": "last"})
    assert site.run("run", plan).code == 3
    assert site.latest.outcomes == Counter(failed=1, not_attempted=1)
    site.control("faults", method="DELETE")
    assert site.run("resume", "latest").code == 0
    assert site.latest.outcomes == Counter(ended=2)


def test_who_is_not_selected_is_not_asked(site: Site) -> None:
    site.fault("workspace", "status", status=500, times=None)
    plan = site.plan(site.databases(2), {**FOUND, "verify": False}, second_pass="60s")
    before = time.monotonic()
    assert site.run("run", plan, "--only", "service=das.*").code == 0
    assert (site.calls("workspace"), time.monotonic() - before < 30) == (0, True)


def test_a_resume_that_calls_an_identity_provider_calls_it_once_more_at_the_end_too(site: Site) -> None:
    site.configure({"mrs.cas": {"attempts": 1}})
    site.fault("cas", "status", status=500, operation="logout", times=None)
    plan = site.plan({**site.tickets(1), "verify": False}, site.databases(1), second_pass="100ms", reattempt=0)
    assert site.run("run", plan).code == 3
    site.control("faults", method="DELETE")
    before = sum(site.state()["logout_calls"]["cas"].values())
    assert site.run("resume", "latest").code == 0
    assert sum(site.state()["logout_calls"]["cas"].values()) == before + 2
    assert site.run("resume", "latest").code == 0
    assert sum(site.state()["logout_calls"]["cas"].values()) == before + 2


def test_a_late_resume_asks_where_sessions_tell_no_age(site: Site) -> None:
    site.fault("das", "status", status=400, body='{"error_code": "DAS.200114"}', times=1)
    plan = site.plan(site.databases(3), resume_within="1s")
    assert site.run("run", plan).code == 3
    with sqlite3.connect(site.state_dir / "journal.sqlite") as journal:
        journal.execute("UPDATE runs SET started = started - 3600")
    done = site.run("resume", "latest")
    assert done.code == 4
    assert "signed in again" in done.err
    assert site.calls("das") == 3
    assert site.run("resume", "latest", "--yes").code == 0


def test_a_late_resume_does_not_ask_about_what_is_done(site: Site) -> None:
    site.seed(app_sessions=[{"session_id": "s-1", "since": time.time() - 86400}])
    site.fault("workspaceapp", "status", operation="logoff", status=400, body='{"error_code": "WKS.1"}')
    sessions = {"service": "workspaceapp.sessions", "connection": "cloud", "discover": {"session_state": "Active"}}
    assert site.run("run", site.plan(site.databases(2), {**sessions, "verify": False})).code == 3
    with sqlite3.connect(site.state_dir / "journal.sqlite") as journal:
        journal.execute("UPDATE runs SET started = started - 36000, cut_off = cut_off - 36000")
    assert site.run("resume", "latest").code == 0
    assert site.latest.outcomes == Counter(ended=2, accepted=1)


def test_a_session_that_is_newer_than_the_cut_off_is_left_alone(site: Site) -> None:
    site.seed(app_sessions=[{"session_id": f"s-{n}", "since": time.time() - 3600} for n in range(6)])
    group = {"service": "workspaceapp.sessions", "connection": "cloud", "discover": {"session_state": "Active"}}
    site.fault("workspaceapp", "status", operation="logoff", status=400, body='{"error_code": "WKS.1"}', times=None)
    assert site.run("run", site.plan(group)).code == 3
    names = [record["target"] for record in site.latest.records]
    site.control("faults", method="DELETE")
    site.control("revive", {"service": "workspaceapp", "ids": names[:2]})
    with sqlite3.connect(site.state_dir / "journal.sqlite") as journal:
        journal.execute("UPDATE runs SET started = :t, cut_off = :t", {"t": time.time() - 5})
    assert site.run("resume", "latest", "--yes").code == 3
    told = {record["target"]: record["outcome"] for record in site.latest.records}
    assert {told[name] for name in names[:2]} == {"failed"}  # that is what is on record, and nobody called again
    assert {told[name] for name in names[2:]} == {"ended"}
    assert set(site.state()["sessions"]["workspaceapp"]) == set(names[:2])


def test_older_than_leaves_younger_sessions_alone(site: Site) -> None:
    now = time.time()
    site.seed(app_sessions=[{"session_id": f"s-{n}", "since": now - n * 3600} for n in range(1, 9)])
    group = {"service": "workspaceapp.sessions", "connection": "cloud", "discover": {"session_state": "Active"}}
    assert site.run("run", site.plan(group, older_than="4h30m")).code == 3
    told = {record["target"]: record["reason"] for record in site.latest.records if record["outcome"] != "ended"}
    assert told == {f"s-{n}": "newer than the cut-off" for n in range(1, 5)}


def tokens(site: Site, *values: str) -> str:
    return site.rows("tokens.csv", [{"token": value} for value in values])


def test_older_than_leaves_alone_what_does_not_tell_its_age(site: Site) -> None:
    """In a group that is passing over without a word, in a plan it is told."""
    long_ago = "2020-01-01T00:00:00Z"
    rows = [{"id": "silent"}, {"id": "old", "start_time": long_ago}]
    site.seed(app_sessions=[{"session_id": row["id"]} for row in rows])
    items = [{**row, "login_user": "a", "session_state": "Active", "machine_name": "m"} for row in rows]
    told = json.dumps({"count": 2, "items": items})
    site.fault("workspaceapp", "status", operation="list_sessions", status=200, body=told, times=None)
    group = {"service": "workspaceapp.sessions", "connection": "cloud", "discover": {"session_state": "Active"}}
    assert site.run("run", site.plan({**group, "verify": False}, older_than="8h")).code == 3
    found = {record["target"]: (record["outcome"], record["reason"]) for record in site.latest.records}
    assert found == {
        "silent": ("not_attempted", "older_than: the service does not tell since when it is there"),
        "old": ("accepted", found["old"][1]),
    }
    assert site.state()["sessions"]["workspaceapp"] == ["silent"]


def test_a_run_does_not_end_the_token_that_it_uses_unless_that_goes_last(site: Site) -> None:
    """An IAM token of somebody else may be revoked; one of the run's own user would leave it without."""
    sown = site.seed(tokens=[{"user": "cleaner"}])["tokens"]
    group = {"service": "iam.token", "connection": "token", "from": tokens(site, sown[0]["token"])}
    assert site.run("run", site.plan(group)).code == 0
    assert site.latest.outcomes == Counter(ended=1)
