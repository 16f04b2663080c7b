"""The bar: ten thousand targets over six lanes, in a process of its own against a sandbox in another."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from .support import ALREADY_ENDED, ENTRY, LOOKED_AT, Record, Report, Site, key_of, peak, until

RATES = {
    "dcs.webcli": 300,
    "das.builtin-account": 225,
    "workspace.desktops": 20,
    "workspaceapp.sessions": 8,
    "mrs.cas": 225,
    "cbh.console": 40,
}
FIRST = Counter(
    {
        ("dcs.webcli", "ended"): 1200,
        ("das.builtin-account", "ended"): 900,
        ("workspace.desktops", "ended"): 4400,
        ("workspaceapp.sessions", "ended"): 2500,
        ("mrs.cas", "ended"): 900,
        ("cbh.console", "issued"): 100,
    }
)
# DCS and DAS say that there was no session; the sandbox's config declares how. Workspace takes the same order again and
# says nothing about single desktops or sessions, which are gone when it is looked. A CAS clears the cookie that it got,
# whether or not its ticket lived, so nobody can tell. A bastion host issues another link.
SECOND = Counter(
    {
        ("dcs.webcli", "already_ended"): 1200,
        ("das.builtin-account", "already_ended"): 900,
        ("workspace.desktops", "ended"): 4400,
        ("workspaceapp.sessions", "ended"): 2500,
        ("mrs.cas", "ended"): 900,
        ("cbh.console", "issued"): 100,
    }
)
READS = {"rate": "400/s", "concurrency": 16}
CALLS = {"dcs.webcli": "webcli_logout", "mrs.cas": "logout", "cbh.console": "login"}  # the rest is called logoff
BURST = 1
ON_ITS_WAY = 0.02  # seconds by which a call of a busy machine may arrive later than the one after it was to


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Site]:
    """Return a site whose sandbox is the one of the command line."""
    config = tmp_path / "sandbox.yaml"
    command = [*ENTRY, "sandbox", "--port", "0", "--empty", "--write-config", str(config)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: config.exists() and "already_ended" in config.read_text())
            endpoint = next(line for line in config.read_text().splitlines() if "endpoint:" in line)
            yield Site(tmp_path, endpoint.split()[1])
        finally:
            process.kill()


def ten_thousand(site: Site) -> tuple[str, set[tuple[str, str, str]]]:
    site.looks = True
    looking = {name: {**ALREADY_ENDED.get(name, {}), "reads": READS} for name in (*ALREADY_ENDED, *LOOKED_AT)}
    site.configure({name: {"rate": f"{rate}/s", "concurrency": 16} for name, rate in RATES.items()}, services=looking)
    groups = [
        site.webcli(1200),
        site.databases(900, "token"),
        site.desktops(4400),
        site.app_sessions(2500, "token"),
        site.tickets(900),
        site.bastions(100),
    ]
    return site.plan(*groups), expected(site.state())


def expected(state: Record) -> set[tuple[str, str, str]]:
    """Return the identity of every target whose name is no secret."""
    sessions = state["sessions"]
    return {
        *(("workspace.desktops", "cloud", name) for name in sessions["workspace"]),
        *(("workspaceapp.sessions", "token", name) for name in sessions["workspaceapp"]),
        *(("das.builtin-account", "token", name.partition("/")[0]) for name in sessions["das"]),
    }


def outcomes(report: Report) -> Counter[tuple[str, str]]:
    return Counter((record["service"], record["outcome"]) for record in report.records)


def paces(report: Report) -> dict[str, int]:
    """Return the most calls that each lane began in a second; a batch is one call."""
    began: dict[str, dict[int, float]] = {}
    for record in report.records:
        moment = datetime.fromisoformat(record["first_sent"]).timestamp()
        began.setdefault(record["service"], {})[record["batch"]] = moment
    return {service: peak(moments.values()) for service, moments in began.items()}


def check_pace(report: Report, state: Record) -> None:
    for service, most in paces(report).items():
        assert most <= RATES[service] + BURST, service
        seen = state["services"]["cas" if service == "mrs.cas" else service.split(".")[0]]
        assert seen["peaks"][CALLS.get(service, "logoff")] <= RATES[service] * (1 + ON_ITS_WAY) + BURST, service


def test_ten_thousand_targets_over_six_lanes(own: Site) -> None:
    plan, known = ten_thousand(own)

    assert own.command("run", plan).code == 0
    report, state = own.latest, own.state()
    keys = report.keys()
    assert (len(keys), len(set(keys))) == (10_000, 10_000)
    assert known <= set(keys)
    assert outcomes(report) == FIRST
    assert not any(state["sessions"].values())
    check_pace(report, state)
    assert all(count == 1 for tally in state["logouts_handled"].values() for count in tally.values())
    assert sum(state["links"].values()) == 100
    assert state["empty_logoffs"] == 0

    done = own.command("run", plan)
    assert (done.code, done.out) == (0, "")
    again = own.latest
    assert outcomes(again) == SECOND
    assert {key_of(record) for record in again.records} == set(keys)
    check_pace(again, own.state())
