"""The exit code is the contract; standard output is for who reads it, and a preview sends nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from .support import ENVIRONMENT, Done, Site, interrupt, until

NOBODY = "SANDBOX_SK"


def nothing_was_sent(site: Site) -> bool:
    return not site.state()["services"]


# All is well


def test_all_good_says_nothing(site: Site) -> None:
    done = site.command("run", site.plan(site.webcli(3)))
    assert done == Done(0, "", "")
    assert site.latest.outcomes == Counter(ended=3)


def test_json_is_one_document(site: Site) -> None:
    done = site.command("run", site.plan(site.webcli(3)), "--output", "json")
    document = json.loads(done.out)
    assert done.code == 0
    assert (document["exit_code"], document["total"], document["good"]) == (0, 3, 3)
    assert document == site.latest.summary


ITEMS = [{"instance_id": "nowhere", "client_id": "env:SANDBOX_AK"}]


def test_output_none_is_silent_also_when_not_all_is_good(site: Site) -> None:
    plan = site.plan({"service": "dcs.webcli", "connection": "cloud", "items": ITEMS})
    done = site.command("run", plan, "--output", "none", "--log-level", "error")
    assert (done.code, done.out) == (3, "")


def test_not_all_good_says_which_and_how_to_go_on(site: Site) -> None:
    group = site.desktops(3)
    with (site.folder / group["from"]).open("a") as rows:
        rows.write("desktop-nowhere\r\n")
    done = site.run("run", site.plan(group))
    assert done.code == 3
    assert "desktop-nowhere" in done.out
    assert f"orchestrator resume {site.last_run()}" in done.out
    assert site.latest.outcomes == Counter(accepted=3, failed=1)
    assert site.latest.summary["exit_code"] == 3


def test_accepted_is_not_good_enough_for_a_plan_that_requires_ended(site: Site) -> None:
    assert site.run("run", site.plan(site.desktops(3), require="ended")).code == 3
    assert site.run("run", site.plan(site.webcli(3), require="ended", name="other")).code == 0


# Nothing to do, or not to be done


def test_nothing_matched(site: Site) -> None:
    (site.folder / "empty.txt").write_text("# nobody today\n")
    group = {"service": "workspace.desktops", "connection": "cloud", "from": "empty.txt"}
    assert site.run("run", site.plan(group)).code == 6
    assert site.run("run", site.plan(group, allow_empty=True)).code == 0
    assert nothing_was_sent(site)


def test_an_empty_list_beside_others_is_told(site: Site) -> None:
    (site.folder / "empty.csv").write_text("desktop_id\n")
    group = {"service": "workspace.desktops", "connection": "cloud", "from": "empty.csv"}
    plan = site.plan(site.databases(2), group)
    said = f"{site.folder / 'empty.csv'}: holds no target of workspace.desktops@cloud"
    assert said in site.run("preview", plan).out
    assert site.run("run", plan).code == 0
    assert site.latest.summary["notes"] == [said]
    assert site.run("resume", "latest").code == 0
    assert site.latest.summary["notes"] == [said]


def test_nothing_selected(site: Site) -> None:
    plan = site.plan(site.desktops(3))
    assert site.run("run", plan, "--only", "target=nobody-*").code == 6
    assert nothing_was_sent(site)


def test_not_valid_sends_nothing(site: Site) -> None:
    plan = site.plan({"service": "dcs.webcli", "connection": "clod", "items": [{"instance": "a"}]})
    done = site.run("run", plan)
    assert (done.code, done.out) == (2, "")
    assert "clod" in done.err
    assert not site.state_dir.exists()


def test_a_report_that_could_not_be_written_sends_nothing(site: Site) -> None:
    (site.folder / "occupied").write_text("not a folder")
    done = site.command("run", site.plan(site.webcli(3)), "--report-dir", "occupied/reports")
    assert (done.code, nothing_was_sent(site)) == (2, True)
    assert "the report's folder" in done.err


def test_a_missing_secret_is_not_valid(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = site.plan(site.webcli(3))
    monkeypatch.delenv(NOBODY)
    done = site.run("run", plan)
    assert done.code == 2
    assert NOBODY in done.err
    assert nothing_was_sent(site)


@pytest.mark.parametrize("command", [["run", "--dry-run"], ["preview"]], ids=" ".join)
@pytest.mark.parametrize("output", ["text", "json"])
def test_a_preview_sends_nothing(site: Site, command: list[str], output: str) -> None:
    plan = site.plan(site.webcli(3, "token"), site.desktops(230))
    done = site.run(*command, plan, "--output", output)
    assert done.code == 0
    assert done.out
    assert nothing_was_sent(site)  # not even a token is got
    assert not site.state_dir.exists()
    if output == "json":
        json.loads(done.out)


# Another run of the same plan


def test_a_second_run_meanwhile_is_locked_out(site: Site) -> None:
    site.configure({"dcs.webcli": {"rate": "5/s"}})
    plan = site.plan(site.webcli(200))
    with site.started("run", plan) as process:
        until(lambda: site.durable())
        calls = site.calls("dcs")
        second = site.run("run", plan, "--yes")
        assert (second.code, second.out) == (75, "")
        assert str(process.pid) in second.err
        assert site.run("resume", "latest").code == 75
        assert site.calls("dcs") <= calls + 8
        assert interrupt(process).code == 130
    assert len(site.journal("SELECT run FROM runs")) == 1
    assert max(site.state()["logouts_handled"]["dcs"].values()) == 1


def test_a_run_after_an_unfinished_one_says_how_to_go_on(site: Site) -> None:
    site.configure({"dcs.webcli": {"rate": "20/s"}})
    plan = site.plan(site.webcli(60))
    with site.started("run", plan) as process:
        until(lambda: site.durable())
        interrupt(process)
    calls, run = site.calls("dcs"), site.last_run()

    refused = site.run("run", plan)
    assert (refused.code, refused.out) == (4, "")
    assert f"orchestrator resume {run}" in refused.err
    assert site.calls("dcs") == calls

    site.configure()
    assert site.run("run", plan, "--yes").code == 0
    assert site.last_run() != run
    assert site.latest.outcomes["ended"] + site.latest.outcomes["already_ended"] == 60
    assert site.run("run", plan).code == 0  # the latest one did finish


# The deadline


@pytest.mark.parametrize("given", ["plan", "command line"])
def test_the_deadline_stops_a_run(site: Site, given: str) -> None:
    site.configure({"dcs.webcli": {"rate": "10/s"}})
    more = {"deadline": "700ms"} if given == "plan" else {}
    options = [] if given == "plan" else ["--deadline", "700ms"]
    done = site.run("run", site.plan(site.webcli(50), **more), *options)
    outcomes = site.latest.outcomes
    assert done.code == 5
    assert outcomes["ended"] + outcomes["not_attempted"] == 50
    assert 1 <= outcomes["ended"] <= 12
    assert "deadline" in site.latest.summary["reason"]
    assert site.calls("dcs") == outcomes["ended"]
    assert len(set(site.latest.keys())) == 50
    site.configure()
    assert site.run("resume", "latest").code == 0
    assert site.latest.outcomes == Counter(ended=50)


def test_a_service_that_asks_to_wait_past_the_deadline_is_not_waited_for(site: Site) -> None:
    site.fault("dcs", "status", status=429, headers={"Retry-After": "30"}, times=None)
    assert site.run("run", site.plan(site.webcli(20)), "--deadline", "5s").code == 5
    assert site.latest.outcomes["ended"] == 0
    assert site.latest.outcomes["not_attempted"] >= 4
    assert any("past the deadline" in note for note in site.latest.summary["notes"])


# Going on


def test_a_resume_refuses_a_plan_that_changed(site: Site) -> None:
    group = site.webcli(3)
    group["from"] = site.rows("rows.csv", [{"instance_id": "nowhere", "client_id": "1"}])
    plan = site.plan(group)
    assert site.run("run", plan).code == 3
    calls = site.calls("dcs")
    with (site.folder / "rows.csv").open("a") as rows:
        rows.write("elsewhere,2\r\n")
    done = site.run("resume", "latest")
    assert done.code == 4
    assert "rows.csv" in done.err
    site.plan(group, description="another")
    assert site.run("resume", "latest").code == 4
    assert site.calls("dcs") == calls


def test_a_resume_of_nothing(site: Site) -> None:
    done = site.run("resume", "latest")
    assert done.code == 2
    assert nothing_was_sent(site)


def test_what_failed_is_tried_again_by_a_resume_and_what_is_done_is_not(site: Site) -> None:
    site.fault("dcs", "status", status=403, body='{"error_code": "111403002", "error_msg": "no"}', after=2, times=3)
    plan = site.plan(site.webcli(8))
    assert site.run("run", plan).code == 3
    assert site.latest.outcomes == Counter(ended=5, failed=3)
    assert site.run("resume", "latest").code == 0
    assert site.latest.outcomes == Counter(ended=8)
    assert set(site.state()["logouts_handled"]["dcs"].values()) == {1}


def test_a_resume_of_what_is_done_calls_nothing_and_leaves_the_report_as_it_is(site: Site) -> None:
    assert site.run("run", site.plan(site.webcli(8), site.desktops(3))).code == 0
    calls, folder = site.calls("dcs"), site.latest.folder
    before = {path.name: (path.stat().st_ino, path.read_bytes()) for path in folder.iterdir()}
    assert site.run("resume", "latest").code == 0
    assert {path.name: (path.stat().st_ino, path.read_bytes()) for path in folder.iterdir()} == before
    (folder / "outcomes.csv").unlink()
    assert site.run("resume", "latest").code == 0
    assert (folder / "outcomes.csv").read_bytes() == before["outcomes.csv"][1]
    assert site.calls("dcs") == calls


def test_a_resume_of_what_is_done_finds_a_source_that_changed(site: Site) -> None:
    group = site.webcli(3)
    plan = site.plan(group)
    assert site.run("run", plan).code == 0
    path = site.folder / group["from"]
    rows = path.read_bytes()
    path.write_bytes(rows + b"\r\n")
    assert site.run("resume", "latest").code == 4
    path.unlink()
    assert site.run("resume", "latest").code == 2
    path.write_bytes(rows)
    assert site.run("resume", "latest").code == 0


def test_a_selector_that_matches_nothing_is_never_green(site: Site) -> None:
    plan = site.plan(site.databases(3), allow_empty=True)
    done = site.run("run", plan, "--only", "service=das.bultin-account")
    assert done.code == 6
    assert "--only service=das.bultin-account" in done.err
    assert site.calls("das") == 0


def test_a_list_without_even_a_header_is_no_list(site: Site) -> None:
    group = site.databases(3)
    (site.folder / group["from"]).write_text("")
    done = site.run("run", site.plan(group))
    assert done.code == 2
    assert "is empty" in done.err


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-", "<&- >&- 2>&-"])
def test_a_run_with_closed_streams_says_how_it_went(site: Site, closed: str) -> None:
    """A socket had the number of one of them, and libuv aborted at the end."""
    command = [sys.executable, "-m", "orchestrator", "run", site.plan(site.webcli(3)), "--yes"]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *command],
        cwd=site.folder,
        env={**os.environ, **ENVIRONMENT},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("limit", "code", "said"),
    [
        ("-Sn 80", 0, ""),
        (
            "-n 80",
            2,
            "open files, and this process may have 80; lower their concurrency",
        ),
        ("-n 20", 2, "this process may have 20"),
    ],
)
def test_a_run_has_as_many_files_as_its_lanes_need_or_does_not_begin(
    site: Site, limit: str, code: int, said: str
) -> None:
    site.configure({"dcs.webcli": {"concurrency": 300}})
    command = [sys.executable, "-m", "orchestrator", "run", site.plan(site.webcli(400)), "--yes"]
    done = subprocess.run(
        ["sh", "-c", f'ulimit {limit}; exec "$@"', "sh", *command],
        cwd=site.folder,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
