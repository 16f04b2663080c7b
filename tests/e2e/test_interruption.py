"""Killed, interrupted, terminated: what a run leaves behind, and what going on with it does."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections import Counter

import pytest

from .support import ENTRY, ENVIRONMENT, Record, Site, finished, handled, interrupt, key_of, until

SLOW: dict[str, dict[str, object]] = {
    "dcs.webcli": {"rate": "60/s", "concurrency": 4},
    "das.builtin-account": {"rate": "60/s", "concurrency": 4},
    "mrs.cas": {"rate": "60/s", "concurrency": 4},
    "workspace.desktops": {"rate": "4/s"},
}
TARGETS = 800


def three_lanes(site: Site) -> str:
    site.configure(SLOW)
    site.looks = True
    return site.plan(site.webcli(150), site.databases(150, "token"), site.desktops(500))


def halfway(site: Site) -> None:
    until(lambda: len(site.durable()) > 60)


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def sent_once(site: Site) -> None:
    keys = site.latest.keys()
    assert (len(keys), len(set(keys))) == (TARGETS, TARGETS)


# Killed


def names_in_sandbox(site: Site, keys: set[tuple[str, str, str]]) -> Counter[str]:
    """Return how often the sandbox did the work for targets whose names are no secret."""
    counts = handled(site.state())
    return Counter({target: counts[target] for service, _, target in keys if service != "dcs.webcli"})


def test_a_killed_run_goes_on_and_repeats_nothing_that_is_on_record(site: Site) -> None:
    plan = three_lanes(site)
    with site.started("run", plan) as process:
        halfway(site)
        kill(process)
    before = site.durable()
    counted = names_in_sandbox(site, before)
    webcli = sum(1 for service, *_ in before if service == "dcs.webcli")
    assert 60 < len(before) < TARGETS
    assert set(counted.values()) == {1}

    done = site.command("resume", "latest")

    assert (done.code, done.out) == (0, "")
    sent_once(site)
    assert names_in_sandbox(site, before) == counted
    dcs = site.state()["logouts_handled"]["dcs"]
    assert sum(dcs.values()) - 150 <= 150 - webcli  # at worst everything without an outcome was called twice
    assert sum(1 for count in dcs.values() if count == 1) >= webcli
    assert max(handled(site.state()).values()) <= 2
    # what was cut off in flight may be found to be over already; nothing else is
    assert set(site.latest.outcomes) <= {"ended", "already_ended", "accepted"}
    assert site.latest.outcomes["already_ended"] <= 40
    assert not any(site.state()["sessions"].values())


def test_a_run_killed_twice_still_ends_with_every_target_once(site: Site) -> None:
    plan = three_lanes(site)
    with site.started("run", plan) as process:
        halfway(site)
        kill(process)
    with site.started("resume", "latest") as process:
        known = len(site.durable())
        until(lambda: len(site.durable()) > known + 50)
        kill(process)
    assert site.command("resume", "latest").code == 0
    sent_once(site)


def test_killed_with_a_call_in_flight_that_must_not_be_repeated(site: Site) -> None:
    site.configure({"cbh.console": {"rate": "100/s", "concurrency": 1, "timeout": "30s"}})
    site.fault("cbh", "hang", seconds=20, after=2)
    plan = site.plan(site.bastions(5))
    with site.started("run", plan) as process:
        until(lambda: site.calls("cbh") == 3)
        kill(process)
    in_flight = {target for _, _, target in site.in_flight()}
    assert len(in_flight) == 1  # those that wait for their turn were not sent, and must not be unknown
    site.control("faults", method="DELETE")

    assert site.command("resume", "latest").code == 3

    records = {record["target"]: record for record in site.latest.records}
    assert len(records) == 5
    assert {target for target, record in records.items() if record["outcome"] == "unknown"} == in_flight
    assert site.latest.outcomes["issued"] == 5 - len(in_flight)
    assert all("no answer is on record" in records[target]["reason"] for target in in_flight)
    assert not in_flight & set(site.state()["logouts_handled"]["cbh"])
    received = site.state()["logout_calls"]["cbh"]
    assert max(received.values()) == 1
    assert site.command("resume", "latest").code == 3  # and it stays so: nobody sends it again
    assert site.state()["logout_calls"]["cbh"] == received


# Interrupted


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_a_run_well(site: Site, number: signal.Signals, code: int, word: str) -> None:
    plan = three_lanes(site)
    site.fault("das", "slow", times=None, seconds=0.3)
    with site.started("run", plan) as process:
        halfway(site)
        done = interrupt(process, number)
    calls = site.calls("dcs") + site.calls("das") + site.calls("workspace")

    assert done.code == code
    assert site.last_run() in done.out
    sent_once(site)
    assert site.latest.summary["exit_code"] == code
    assert site.latest.summary["reason"] == f"{word} by {number.name}"
    records = site.latest.records
    left = [record for record in records if record["outcome"] == "not_attempted"]
    assert left
    assert all(record["attempts"] == 0 and record["first_sent"] is None for record in left)
    assert {record["reason"] for record in left} == {f"{word} by {number.name}"}
    settled = [record for record in records if record["outcome"] != "not_attempted"]
    assert {record["outcome"] for record in settled} <= {"ended", "accepted"}  # those in flight finished
    assert calls == len({(record["service"], record["batch"]) for record in settled})  # and no other call was made
    check_sessions(site, settled)
    assert site.state()["tokens"]["alive"] == 0

    site.control("faults", method="DELETE")
    assert site.command("resume", "latest").code == 0
    sent_once(site)
    assert set(handled(site.state()).values()) == {1}


def check_sessions(site: Site, settled: list[Record]) -> None:
    """What is reported as ended is over, and what is not, lives."""
    over = {key_of(record) for record in settled}
    alive = site.state()["sessions"]
    assert not {("das.builtin-account", "token", name.partition("/")[0]) for name in alive["das"]} & over
    assert not {("workspace.desktops", "cloud", name) for name in alive["workspace"]} & over
    assert len(alive["das"]) + len(alive["dcs"]) + len(alive["workspace"]) == TARGETS - len(over)


def test_a_second_signal_stops_at_once_and_leaves_what_a_resume_needs(site: Site) -> None:
    site.configure({"dcs.webcli": {"rate": "200/s", "concurrency": 2, "timeout": "30s"}})
    plan = site.plan(site.webcli(200))
    site.fault("dcs", "hang", times=2, after=5, seconds=25)
    with site.started("run", plan) as process:
        until(lambda: site.calls("dcs") == 7 and len(site.durable()) == 5)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)  # calls in flight are waited for
        process.send_signal(signal.SIGINT)
        done = finished(process, 5)

    assert done.code == 130
    report = site.latest
    assert report.summary["exit_code"] == 130
    assert report.outcomes == Counter(ended=5, unknown=2, not_attempted=193)  # every target has its line
    assert "resume" in done.out
    assert "in the middle of its calls" in done.out
    assert "those in flight finished" not in done.out

    site.control("faults", method="DELETE")
    assert site.command("resume", "latest").code == 0
    assert len(site.latest.keys()) == 200
    assert len(set(site.latest.keys())) == 200
    assert site.latest.outcomes == Counter(ended=200)
    assert not site.state()["sessions"]["dcs"]


def test_a_signal_does_not_wait_for_a_login_that_hangs_and_nothing_is_sent_after_it(site: Site) -> None:
    plan = site.plan(site.databases(30, "token"))
    site.fault("iam", "hang", seconds=3, times=None)
    with site.started("run", plan) as process:
        until(lambda: site.calls("iam") == 1)
        process.send_signal(signal.SIGTERM)
        done = finished(process, 3)
    assert done.code == 143
    assert site.latest.outcomes == Counter(not_attempted=30)
    assert site.calls("das") == 0


def test_an_interrupt_does_not_wait_for_a_lane_that_pauses(site: Site) -> None:
    site.configure({"dcs.webcli": {"rate": "1/m"}})
    plan = site.plan(site.webcli(3))
    site.fault("dcs", "status", status=429, headers={"Retry-After": "40"}, times=None)
    with site.started("run", plan) as process:
        until(lambda: site.calls("dcs") == 1)
        process.send_signal(signal.SIGTERM)
        done = finished(process, 5)
    assert done.code == 143
    assert site.latest.outcomes == Counter(failed=1, not_attempted=2)
    assert site.calls("dcs") == 1


def test_the_report_of_a_run_that_nobody_finished_can_still_be_had(site: Site) -> None:
    plan = three_lanes(site)
    with site.started("run", plan) as process:
        halfway(site)
        kill(process)
    done = site.command("report", "latest", "--format", "json")
    assert done.code == 0
    assert '"exit_code": null' in done.out
    assert site.last_run() in site.command("show", "latest").out


# A journal that cannot be written


def test_a_run_ends_when_its_journal_cannot_be_written(site: Site) -> None:
    site.configure({"dcs.webcli": {"rate": "500/s", "concurrency": 8}})
    plan = site.plan(site.webcli(1000))
    command = f"ulimit -f 250; exec {shlex.join([*ENTRY, 'run', plan])}"  # no file may get larger than this
    surroundings = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(
        ["bash", "-c", command], cwd=site.folder, env=surroundings, capture_output=True, text=True, timeout=45
    )
    assert done.returncode == 1
    assert "the journal" in done.stderr
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    settled = len(site.durable())
    sent = settled + len(site.in_flight())
    assert 0 < settled < 1000
    assert site.calls("dcs") <= sent  # nothing was sent that the journal does not know of

    assert site.command("resume", "latest").code == 0
    assert len(set(site.latest.keys())) == 1000
    assert set(site.latest.outcomes) <= {"ended", "already_ended"}


def test_a_second_signal_in_the_middle_of_a_split_keeps_what_was_done(site: Site) -> None:
    group = site.desktops(4)
    refusal = '{"error_code": "WKS.0001", "error_msg": "no"}'
    site.fault("workspace", "status", status=404, body=refusal, operation="logoff", times=1)
    site.fault("workspace", "hang", operation="logoff", seconds=20, after=1, times=1)
    with site.started("run", site.plan(group)) as process:
        until(lambda: site.calls("workspace") == 3)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGINT)
        done = finished(process, 5)
    assert done.code == 130
    assert site.latest.outcomes == Counter(
        accepted=2, unknown=1, not_attempted=1
    )  # the last was refused with the others only
