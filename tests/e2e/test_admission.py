"""What is asked before anything is sent holds for a resume and a preview as well, and when nobody can tell."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections import Counter
from typing import Any

import pytest

from orchestrator.report import write_folder as written

from .support import Record, Site, finished, interrupt, until

AK = "SANDBOXAK"
CLEANER = "a0000000000000000000000000000001"  # the IAM user whose key the connection `cloud` has
FLEET = {"service": "workspace.desktops", "connection": "cloud", "discover": {"connect_status": "CONNECTED"}}


def people(site: Site, count: int) -> None:
    site.seed(desktops=[{"desktop_id": f"d-{n:04}", "user": f"user{n % 10}"} for n in range(count)])


def unlisted(site: Site, times: int | None = None) -> None:
    site.fault("workspace", "status", operation="connect_desktops", status=500, times=times)


def users(*ids: str) -> Record:
    return {"service": "iam.user", "connection": "cloud", "items": [{"user_id": one} for one in ids]}


def enabled(site: Site) -> set[str]:
    return {name for name, on in site.state()["users"].items() if on}


# A resume


def test_a_resume_that_lists_more_than_is_allowed_is_refused(site: Site) -> None:
    people(site, 50)
    site.looking("workspace.desktops", "1s", attempts=1)
    unlisted(site)
    assert site.run("run", site.plan(FLEET, guard={"max_targets": 5})).code == 3
    site.control("faults", method="DELETE")
    done = site.run("resume", "latest")
    assert (done.code, len(site.state()["sessions"]["workspace"])) == (4, 50)
    assert "max_targets allows 5" in done.err


@pytest.mark.parametrize("own", ["refuse", "last"])
def test_a_resume_that_finds_the_runs_own_user_refuses_it_or_ends_it_last(site: Site, own: str) -> None:
    found = {"service": "iam.user", "connection": "cloud", "discover": {"name": "cleaner"}}
    site.configure(services={"iam.user": {"reads": {"attempts": 1}, "verify": {"deadline": "1s"}}})
    site.fault("iam", "status", operation="list_users", status=500, times=None)
    assert site.run("run", site.plan(found, guard={"own": own})).code == 3
    site.control("faults", method="DELETE")
    code = site.run("resume", "latest").code
    assert ("cleaner" in enabled(site)) is (own == "refuse")
    assert (code == 4) is (own == "refuse")
    assert len(site.latest.records) == (0 if own == "refuse" else 1)


def test_what_failed_and_is_protected_by_now_is_still_what_failed(site: Site) -> None:
    site.fault("workspace", "status", operation="logoff", status=400, times=None)
    (site.folder / "never.txt").write_text("nobody-else\n")
    group = {**site.desktops(2), "verify": False}
    assert site.run("run", site.plan(group, guard={"protect": ["never.txt"]})).code == 3
    site.control("faults", method="DELETE")
    failed = sorted(record["target"] for record in site.latest.records)
    (site.folder / "never.txt").write_text(failed[0])
    assert site.run("resume", "latest").code == 3
    assert Counter(record["outcome"] for record in site.latest.records) == {"failed": 1, "accepted": 1}
    assert site.latest.summary["protected"] == 0


@pytest.mark.parametrize("code", [0, 3])
def test_a_run_that_came_to_its_end_is_not_passed_over_a_second_time(site: Site, code: int) -> None:
    if code:
        site.fault("das", "status", status=400, body='{"error_code": "DAS.200114"}', times=1)
    plan = site.plan(site.databases(1), site.tickets(2), second_pass="10ms")
    assert site.run("run", plan).code == code
    assert sum(site.state()["logout_calls"]["cas"].values()) == 4
    assert site.run("resume", "latest").code == 0
    assert sum(site.state()["logout_calls"]["cas"].values()) == 4


# Who the run is


def test_who_the_run_is_is_asked_again_before_anybody_gives_up(site: Site) -> None:
    site.fault("sts", "status", status=503, times=1)
    done = site.run("run", site.plan(users(CLEANER)))
    assert done.code == 4
    assert "what the run itself works with" in done.err
    assert "cleaner" in enabled(site)


def test_a_run_that_cannot_tell_who_it_is_ends_no_user_unless_somebody_says_yes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.ownership.RESTS", (0.01,))
    someone, _ = site.seed(users={"count": 2})["users"]
    site.fault("sts", "status", status=500, times=None)
    site.configure(services={"iam.user": {"verify": {"deadline": "1s"}}})
    plan = site.plan(users(someone["id"]))
    done = site.run("run", plan)
    assert done.code == 4
    assert "who the run itself is could not be found out" in done.err
    assert someone["name"] in enabled(site)
    assert site.run("run", plan, "--yes").code == 0
    assert someone["name"] not in enabled(site)


@pytest.mark.parametrize(
    ("auth", "own", "said"),
    [
        ({"type": "bearer", "token": "env:MINE"}, "token", "what the run itself works with"),
        ({"type": "basic", "user": "MINE-it-is", "password": "env:OTHER"}, "user", "what the run itself works with"),
        ({"type": "bearer", "token": "env:OTHER"}, "user", "nobody tells whose bearer it is"),
        ({"type": "cookie", "cookies": {"SESSION": "env:OTHER"}}, "user", "nobody tells whose cookie it is"),
    ],
)
def test_whatever_a_run_works_with_it_does_not_end_itself(
    site: Site, monkeypatch: pytest.MonkeyPatch, auth: Record, own: str, said: str
) -> None:
    monkeypatch.setenv("MINE", "mine-it-is")
    monkeypatch.setenv("OTHER", "another-one")
    (site.folder / "catalogue").mkdir()
    described = {
        "service": "my.tokens", "title": "t", "endpoint": {"own": site.url}, "auth": ["bearer", "basic", "cookie"],
        "key": ["id"], "fields": {"id": {}}, "own": {"id": own}, "success": {"status": 204, "then": "ended"},
        "end": {"method": "DELETE", "path": "/tokens/{id}", "idempotent": True},
    }  # fmt: skip
    site.write("catalogue/my.tokens.yaml", described)
    site.configure(catalogue=["catalogue"], connections={"mine": {"endpoint": site.url, "auth": auth}})
    done = site.run("run", site.plan({"service": "my.tokens", "connection": "mine", "items": [{"id": "mine-it-is"}]}))
    assert done.code == 4
    assert said in done.err


def test_a_token_for_a_service_that_ends_no_users_need_not_be_anybody_s(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB", "lab-token")
    someone, _ = site.seed(users={"count": 2})["users"]
    (site.folder / "catalogue").mkdir()
    described = {
        "service": "lab.sessions", "title": "t", "endpoint": {"own": site.url}, "auth": ["bearer"], "key": ["id"],
        "fields": {"id": {}}, "success": {"status": 204, "then": "ended"},
        "end": {"method": "DELETE", "path": "/lab/{id}", "idempotent": True},
    }  # fmt: skip
    site.write("catalogue/lab.sessions.yaml", described)
    lab = {"endpoint": site.url, "auth": {"type": "bearer", "token": "env:LAB"}}
    site.configure(catalogue=["catalogue"], connections={"lab": lab})
    sessions = {"service": "lab.sessions", "connection": "lab", "items": [{"id": "s-1"}]}
    assert site.run("preview", site.plan(users(someone["id"]), sessions)).code == 0


@pytest.mark.parametrize("told", [True, False])
def test_where_there_is_no_sts_iam_tells_whose_key_it_is_or_nobody_is_ended(site: Site, told: bool) -> None:
    someone, _ = site.seed(users={"count": 2})["users"]
    site.fault("sts", "status", status=404, body='{"error_code": "APIGW.0101"}', times=None)
    if not told:
        site.fault("iam", "status", operation="show_credential", status=403, body="{}", times=None)
    site.configure(services={"iam.user": {"verify": {"deadline": "1s"}}})
    done = site.run("run", site.plan(users(CLEANER.upper()), name="self"))
    assert (done.code, site.calls("iam")) == (4, 1)
    said = "what the run itself works with" if told else "(STS: it answers HTTP 404; IAM: it answers HTTP 403)"
    assert said in done.err
    assert site.run("run", site.plan(users(someone["id"]))).code == (0 if told else 4)


@pytest.mark.parametrize(
    ("status", "said"), [(401, "refused the credential"), (404, "does not answer as IAM does; check the endpoint")]
)
def test_a_run_whose_credential_iam_refuses_ends_nothing_and_says_why(site: Site, status: int, said: str) -> None:
    """It is asked for before anything is sent, to find out whether a target is the run's own user."""
    body = "<html>" if status == 404 else '{"error": {"code": 401}}'
    site.fault("iam", "status", operation="create_token", status=status, body=body, times=None)
    plan = site.plan({**users(CLEANER), "connection": "token"})
    assert site.run("run", plan).code == 3
    (one,) = site.latest.records
    assert (one["outcome"], said in one["reason"]) == ("not_attempted", True)
    assert site.state()["services"]["iam"]["operations"] == {"create_token": 1}
    assert site.run("preview", plan).code == 0


def test_a_run_whose_credential_iam_does_not_give_is_refused(site: Site) -> None:
    site.fault("iam", "status", operation="create_token", status=503, times=None)
    plan = site.plan({**users(CLEANER), "connection": "token"})
    for command in ("run", "preview"):
        done = site.run(command, plan)
        assert done.code == 4
        assert "who the run itself is could not be found out" in done.err + done.out


def test_what_is_protected_or_not_selected_may_be_the_runs_own(site: Site) -> None:
    guard = {"protect": [{"target": [CLEANER], "service": "iam.user"}]}
    plan = site.plan(users(CLEANER), site.databases(1), guard=guard)
    assert site.run("run", plan).code == 0
    assert site.run("run", site.plan(users(CLEANER), site.databases(1)), "--only", "service=das.*").code == 0
    assert "cleaner" in enabled(site)


def test_what_is_the_runs_own_goes_last_where_that_is_wanted(site: Site) -> None:
    plan = site.plan(users(CLEANER), site.databases(3), guard={"own": "last"}, require="ended")
    foreseen = json.loads(site.run("preview", plan, "--output", "json").out)
    assert [stage["name"] for stage in foreseen["stages"]] == ["targets", "own credential"]
    done = site.run("run", plan)
    assert (done.code, done.err.count("[error]")) == (0, 0)
    assert Counter(record["outcome"] for record in site.latest.records if record["service"] != "iam.user") == {
        "ended": 3
    }
    (mine,) = (record for record in site.latest.records if record["service"] == "iam.user")
    assert (mine["outcome"], mine["verification"]) == ("ended", "not_requested")  # nobody is left to ask
    last = max(record["settled"] for record in site.latest.records if record["service"] != "iam.user")
    assert mine["first_sent"] >= last
    assert "cleaner" not in enabled(site)
    assert site.run("resume", "latest").code == 0  # nobody is left to call, nor to ask who the run is


def test_a_credential_that_would_have_to_end_itself_twice_over_ends_nothing(site: Site) -> None:
    """The user last, or its key last: after the one there is no credential left for the other."""
    keys = {"service": "iam.access-key", "connection": "cloud", "items": [{"access_key": AK}]}
    plan = site.plan(users(CLEANER), keys, site.databases(1), guard={"own": "last"})
    done = site.run("run", plan)
    assert (done.code, "cleaner" in enabled(site)) == (4, True)
    said = f"cloud works with iam.user {CLEANER}, and without it could not end iam.access-key {AK}"
    assert said in done.err
    assert site.run("run", plan, "--only", "service=das.*").code == 0


def test_a_credential_that_another_one_ends_before_its_turn_ends_nothing_either(site: Site) -> None:
    """Lanes are side by side: the key could be gone before the user is disabled with it."""
    keys = {"service": "iam.access-key", "connection": "token", "items": [{"access_key": AK}]}
    done = site.run("run", site.plan(users(CLEANER), keys, guard={"own": "last"}))
    assert (done.code, "cleaner" in enabled(site)) == (4, True)
    assert f"token works with iam.user {CLEANER}, and without it could not end iam.access-key {AK}" in done.err


@pytest.mark.parametrize("how", ["gone", "changed"])
def test_a_list_that_changes_while_it_is_asked_who_the_run_is_is_a_fault_of_the_list(site: Site, how: str) -> None:
    site.fault("sts", "slow", seconds=2, times=1)
    (site.folder / "users.txt").write_text("a" * 32)
    plan = site.plan({"service": "iam.user", "connection": "cloud", "from": "users.txt"})
    with site.started("run", plan) as process:
        until(lambda: site.calls("sts"))
        (site.folder / "users.txt").unlink() if how == "gone" else (site.folder / "users.txt").write_text("b" * 99)
        done = finished(process)
    assert done.code == 2
    assert "Traceback" not in done.err
    assert "users.txt: changed while it was asked who the run itself is" in done.err
    assert site.calls("iam") <= 1


# A preview


def test_a_preview_says_what_a_run_would_be_refused_for(site: Site) -> None:
    done = site.run("preview", site.plan(users(CLEANER)))
    assert done.code == 4
    assert "what the run itself works with" in done.out
    plan = site.plan(site.databases(1), name="often", guard={"min_interval": "1h"})
    assert site.run("preview", plan).code == 0
    assert site.run("run", plan).code == 0
    done = site.run("preview", plan)
    assert done.code == 4
    assert "min_interval" in done.out


def test_a_preview_says_that_the_latest_run_did_not_finish(site: Site) -> None:
    plan = site.plan({**site.desktops(3), "verify": False}, guard={"ramp": [1, "100%"]})
    site.fault("workspace", "status", operation="logoff", status=400, times=None)
    assert site.run("run", plan).code == 5
    done = site.run("preview", plan)
    assert done.code == 0
    assert "did not finish; to go on with it: orchestrator resume" in done.out


# Sizes, stages, instants


def test_a_group_that_wants_nobody_makes_no_share_smaller(site: Site) -> None:
    people(site, 100)
    half = {**FLEET, "where": {"user": [f"user{n}" for n in range(5)]}}
    nobody = {**FLEET, "where": {"user": "nobody"}}
    done = site.run("run", site.plan(half, nobody, guard={"max_targets": "40%"}))
    assert done.code == 4
    assert "50 targets of workspace.desktops@cloud" in done.err


def test_lists_that_overlap_and_a_list_of_ones_own_are_held_to_a_share_too(site: Site) -> None:
    people(site, 10)
    wider = {**FLEET, "discover": {"connect_status": ["CONNECTED", "REGISTERED"]}}
    done = site.run("run", site.plan(FLEET, wider, guard={"max_targets": "60%"}))
    assert (done.code, "60% of the 10 that are listed" in done.err) == (4, True)
    (site.folder / "some.txt").write_text("".join(f"d-{n:04}\n" for n in range(5)))
    brought = {"service": "workspace.desktops", "connection": "cloud", "from": "some.txt", "verify": False}
    one = {**FLEET, "where": {"desktop_id": "d-0009"}}
    done = site.run("run", site.plan(one, brought, guard={"max_targets": "50%"}))
    assert "6 targets of workspace.desktops@cloud would be called" in done.err
    assert site.run("run", site.plan(one, brought, guard={"max_targets": "60%"})).code == 0


def test_a_stage_whose_list_is_not_whole_did_not_come_out_well(site: Site) -> None:
    people(site, 3)
    site.looking("workspace.desktops", "1s", attempts=1)
    unlisted(site)
    stages = [
        {"name": "first", "targets": [FLEET]},
        {"name": "second", "needs": ["first"], "continue_on": "ended", "targets": [site.databases(3)]},
    ]
    site.write("staged.yaml", {"name": "staged", "stages": stages})
    assert site.run("run", "staged.yaml").code == 3
    assert site.latest.outcomes == Counter(not_attempted=3)
    assert site.calls("das") == 0


def test_the_standing_order_names_the_stage_of_items_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    sown = site.seed(cas_tickets={"count": 1})["cas_tickets"]
    monkeypatch.setenv("TICKET", sown[0]["ticket"])
    items = {"service": "mrs.cas", "connection": "manager", "items": [{"ticket": "env:TICKET"}], "verify": False}
    plan = site.plan(site.databases(1), items)
    assert site.run("run", plan, "--only", "stage=identity").code == 0
    assert [(record["service"], record["stage"]) for record in site.latest.records] == [("mrs.cas", "identity")]


def test_who_signs_in_while_the_list_is_read_is_left_alone(site: Site) -> None:
    site.seed(app_sessions=[{"session_id": "before", "user": "alice"}])
    site.fault("workspaceapp", "slow", operation="list_sessions", seconds=1.5, times=1)
    group = {
        "service": "workspaceapp.sessions",
        "connection": "cloud",
        "discover": {"session_state": "Active"},
        "verify": False,
    }
    with site.started("run", site.plan(group)) as process:
        until(lambda: site.calls("workspaceapp"))
        time.sleep(1.05 - time.time() % 1)  # the service tells whole seconds
        site.seed(app_sessions=[{"session_id": "after", "user": "bob"}])
        process.wait(20)
    told = {record["target"]: record["reason"] for record in site.latest.records if record["outcome"] != "ended"}
    assert told.get("after", "newer than the cut-off") == "newer than the cut-off"
    assert "after" in site.state()["sessions"]["workspaceapp"]


@pytest.mark.parametrize(
    "source",
    [{"discover": {"session_state": "Active"}}, {"items": [{"session_id": "stays-away"}, {"session_id": "returns"}]}],
    ids=["discovered", "brought"],
)
def test_who_signs_in_while_the_stages_before_are_under_way_is_left_alone(site: Site, source: Record) -> None:
    site.seed(app_sessions=[{"session_id": name, "user": "alice"} for name in ("stays-away", "returns")])
    site.fault("das", "slow", operation="logoff", seconds=3, times=1)
    sessions = {"service": "workspaceapp.sessions", "connection": "cloud", **source, "verify": False}
    stages = [{"name": "first", "targets": [site.databases(1)]}, {"name": "second", "targets": [sessions]}]
    site.write("staged.yaml", {"name": "staged", "stages": stages})
    with site.started("run", "staged.yaml") as process:
        until(lambda: site.calls("das"))
        time.sleep(1.1)  # the list tells whole seconds
        site.control("revive", {"service": "workspaceapp", "ids": ["returns"]})
        assert process.wait(20) == 3
    told = {
        record["target"]: record["reason"] for record in site.latest.records if record["outcome"] == "not_attempted"
    }
    assert told == {"returns": "newer than the cut-off"}
    assert site.state()["sessions"]["workspaceapp"] == ["returns"]


@pytest.mark.parametrize(
    "source", [{"discover": {"session_state": "Active"}}, {"items": [{"session_id": "s-1"}]}], ids=["found", "brought"]
)
def test_a_stage_that_waited_calls_nobody_whose_age_cannot_be_asked_any_more(site: Site, source: Record) -> None:
    site.seed(app_sessions=[{"session_id": "s-1", "since": time.time() - 3600}])
    site.configure(services={"workspaceapp.sessions": {"reads": {"attempts": 1}}})
    site.fault("das", "slow", operation="logoff", seconds=3, times=1)
    sessions = {"service": "workspaceapp.sessions", "connection": "cloud", **source, "verify": False}
    stages = [{"name": "first", "targets": [site.databases(1)]}, {"name": "second", "targets": [sessions]}]
    site.write("staged.yaml", {"name": "staged", "stages": stages})
    with site.started("run", "staged.yaml") as process:
        until(lambda: site.calls("das"))
        site.fault("workspaceapp", "status", operation="list_sessions", status=403, times=None)
        assert process.wait(20) == 3
    told = {record["service"]: (record["outcome"], record["reason"]) for record in site.latest.records}
    assert told["das.builtin-account"][0] == "ended"
    outcome, reason = told["workspaceapp.sessions"]
    assert outcome == "not_attempted"
    assert reason.startswith("since when its sessions are there could not be asked: page 1 could not be read: HTTP 403")
    assert site.state()["sessions"]["workspaceapp"] == ["s-1"]
    assert site.run("resume", "latest").code == 0, "whoever goes on knowing it takes it on himself"
    assert site.latest.outcomes == Counter(ended=1, accepted=1)
    assert "workspaceapp.sessions" in site.latest.summary["not_told_when_begun"]
    assert "workspaceapp.sessions" in site.journal("SELECT ageless FROM runs")[0][0]


# Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_lists_are_read_ends_well_and_sends_nothing(site: Site, number: signal.Signals) -> None:
    people(site, 10)
    site.fault("workspace", "hang", operation="connect_desktops", seconds=30, times=None)
    group = {**FLEET, "connection": "token"}
    with site.started("run", site.plan(group, site.databases(2))) as process:
        until(lambda: site.calls("workspace"))
        done = interrupt(process, number)
    assert done.code == 128 + number
    assert site.latest.outcomes == Counter(not_attempted=2)
    assert (site.calls("das"), len(site.state()["sessions"]["workspace"])) == (0, 10)
    assert site.state()["tokens"]["alive"] == 0


def test_a_signal_while_the_report_is_written_does_not_stop_that(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = site.plan(site.databases(3))

    def interrupted(*arguments: Any) -> object:
        signal.raise_signal(signal.SIGTERM)
        return written(*arguments)

    monkeypatch.setattr("orchestrator.ending.write_folder", interrupted)
    assert site.run("run", whole).code == 0
    assert site.latest.outcomes == Counter(ended=3)


def test_the_cut_off_of_a_run_is_kept(site: Site) -> None:
    site.run("run", site.plan(site.databases(1)))
    with sqlite3.connect(site.state_dir / "journal.sqlite") as journal:
        ((started, cut_off, ageless),) = journal.execute("SELECT started, cut_off, ageless FROM runs")
    assert (cut_off, json.loads(ageless)) == (started, ["das.builtin-account"])
    assert site.latest.summary["not_told_when_begun"] == ["das.builtin-account"]
