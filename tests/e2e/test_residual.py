"""What a person may still get in with, after runs that went well in parts, were interrupted, or were killed."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from orchestrator.sandbox.seed import digest

from .support import AKSK, Record, Site, interrupt, until

LEAVER = "user-0002"
HOSTILE = "Alice </td><script>alert(1)</script> | `x` \x1b[31m"


def account(site: Site) -> dict[str, object]:
    """Return a connection that names no project."""
    return {name: value for name, value in site.connection(AKSK).items() if name != "project_id"}


def configure(site: Site, **limits: Any) -> None:
    site.configure(limits, {"account": account(site)})


def statement(site: Site) -> Record:
    found: Record = site.latest.summary["residual"]
    return found


def states(found: Record) -> list[tuple[str, str]]:
    """Return (service, state) in the table's order, each once."""
    return list(dict.fromkeys((row["service"], row["state"]) for row in found["rows"]))


@pytest.fixture
def mixed(site: Site) -> Site:
    """Return where a user was disabled, of three desktops all live on, and a Web CLI session was ended."""
    site.looks = True
    site.seed(users={"count": 3})
    user = {"service": "iam.user", "connection": "account", "items": [{"user_id": digest(LEAVER, 32)}]}
    site.settings(ignored_share={"workspace": 1.0})
    site.looking("workspace.desktops", "300ms")
    settings = json.loads((site.folder / "config.yaml").read_text())
    settings["connections"]["account"] = account(site)
    site.write("config.yaml", settings)
    told: Record = {"subject": "${user}", "vars": {"user": HOSTILE}}
    assert site.run("run", site.plan(user, site.desktops(3), site.webcli(1), **told)).code == 3
    return site


def test_a_mixed_outcome(mixed: Site) -> None:
    found = statement(mixed)
    assert states(found)[:3] == [
        ("workspace.desktops", "open"),
        ("dcs.webcli", "ended"),
        ("iam.user", "confirmed"),
    ]
    left = {row["service"]: row["connections"] for row in found["rows"] if row["kind"] == "untouched"}
    assert left["mrs.cas"] == ["manager"]
    assert left["cbh.console"] == ["cloud", "token"]
    assert not left.keys() & {"workspace.desktops", "dcs.webcli", "iam.user"}
    assert found["rows"][0]["targets"] == {"still_active": 3}
    assert found["subject"] == HOSTILE
    assert "nothing known remains" not in found["sentence"]
    (called,) = (record for record in mixed.latest.records if record["service"] == "iam.user")
    (tokens,) = (row for row in found["rows"] if row["until"] == "up to 30 minutes")
    seconds = datetime.fromisoformat(tokens["until_time"]) - datetime.fromisoformat(called["settled"])
    assert 1800 <= seconds.total_seconds() <= 1801


def test_every_format_has_it_and_nothing_in_it_is_obeyed(mixed: Site) -> None:
    page, mark = ((mixed.latest.folder / f"report.{ending}").read_text() for ending in ("html", "md"))
    shown = mixed.run("show", "latest").out
    assert "What may still work for <bdi>Alice &lt;/td&gt;&lt;script&gt;" in page
    assert "<script" not in page
    assert "`Alice </td><script>alert(1)</script> \u00a6 'x' \\x1b[31m` may still have live sessions" in mark
    assert "\\x1b[31m may still have\n  - live sessions or access, in workspace.desktops (3 still active)\n" in shown
    assert "\x1b" not in page + mark + shown


def test_it_says_the_same_when_config_and_catalogue_have_changed(mixed: Site) -> None:
    before = statement(mixed)
    mixed.write("config.yaml", {"connections": {}})
    done = mixed.run("report", "latest", "--format", "json")
    assert json.loads(done.out)["residual"] == before


def test_an_interrupted_run_says_what_was_not_attempted(site: Site) -> None:
    configure(site, **{"dcs.webcli": {"rate": "15/s"}})
    plan = site.plan(site.webcli(40), subject="alice")
    with site.started("run", plan) as process:
        until(lambda: len(site.durable()) > 2)
        assert interrupt(process).code == 130
    row = statement(site)["rows"][0]
    assert (row["service"], row["state"]) == ("dcs.webcli", "open")
    assert row["targets"]["not_attempted"] > 5
    assert site.run("resume", "latest").code in (0, 3)
    assert ("dcs.webcli", "ended") in states(statement(site))


def test_a_run_that_was_killed_has_it_as_well(site: Site) -> None:
    configure(site, **{"dcs.webcli": {"rate": "10/s"}})
    plan = site.plan(site.webcli(100), subject="alice")
    with site.started("run", plan) as process:
        until(lambda: len(site.durable()) > 2)
        process.kill()
        process.wait()
    found = json.loads(site.run("report", "latest", "--format", "json").out)["residual"]
    assert found["rows"][0]["targets"]["never_taken_up"] > 50
    assert "the run is not over" in found["doubts"]


def test_where_all_was_seen_to_be_gone_and_touched_it_says_so(site: Site) -> None:
    site.looks = True
    site.write("config.yaml", {"connections": {"manager": {"endpoint": site.url, "auth": {"type": "none"}}}})
    assert site.run("run", site.plan(site.tickets(2), subject="alice")).code == 0
    found = statement(site)
    assert found["doubts"] == []
    assert found["sentence"].endswith("nothing known remains beyond that.")


def test_without_a_subject_there_is_no_such_section(site: Site) -> None:
    site.run("run", site.plan(site.webcli(1)))
    assert site.latest.summary["residual"] is None
    assert "may still work" not in (site.latest.folder / "report.html").read_text()
