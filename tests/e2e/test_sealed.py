"""A sealed plan: exactly what was reviewed is carried out, once, and otherwise nothing."""

from __future__ import annotations

import json
import os
import stat
import time
from collections import Counter
from pathlib import Path

import pytest

from orchestrator import sealfile

from .support import Record, Site, interrupt, until

FLEET = {
    "service": "workspace.desktops",
    "connection": "cloud",
    "discover": {"connect_status": "CONNECTED"},
    "verify": False,
}


def grow(site: Site, *names: str) -> None:
    site.seed(desktops=[{"desktop_id": name} for name in names])


@pytest.fixture
def plan(site: Site) -> str:
    """A plan with a list, an item whose key is a secret, and a group that is discovered: ten targets."""
    grow(site, *(f"d-{n}" for n in range(6)))
    groups = [site.webcli(3), {**site.tickets(1), "verify": False}, FLEET]
    return site.plan(*groups, vars={"message": "good night"})


def sealed(site: Site, plan: str, *arguments: str) -> Path:
    done = site.run("preview", plan, "--seal", "plan.seal", "--output", "none", *arguments)
    assert done.code == 0, done
    return site.folder / "plan.seal"


def refused(site: Site, words: str, *arguments: str, code: int = 4) -> None:
    before = site.state()["sessions"]
    done = site.run("run", "--sealed", "plan.seal", *arguments)
    assert (done.code, done.out) == (code, ""), done
    assert words in done.err, done.err
    assert "Traceback" not in done.err
    assert site.state()["sessions"] == before, "something was ended"


def edited(path: Path, *, honest: bool = False, **changes: object) -> None:
    """Change a seal; `honest` gives it the digest that goes with the change, as somebody who means harm would."""
    document: Record = {**json.loads(path.read_text()), **changes}
    document.pop("sha256" if honest else "nothing", None)
    digest = {"sha256": sealfile.digest_of(document)} if honest else {}
    path.write_text(json.dumps({**document, **digest}))


def test_what_was_sealed_is_done_once(site: Site, plan: str) -> None:
    path = sealed(site, plan)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    document = json.loads(path.read_text())
    assert (document["targets"], document["calls"]) == (10, 5)
    assert [len(group["targets"]) for group in document["groups"]] == [1, 3, 6]
    assert "TGT-" not in path.read_text()
    assert site.run("run", "--sealed", "plan.seal").code == 0
    assert site.latest.outcomes == Counter(ended=4, accepted=6)
    assert site.journal("SELECT seal FROM runs") == [(document["sha256"],)]
    refused(site, f"was carried out by the run {site.last_run()}; to go on with that: orchestrator resume")


def test_the_same_plan_may_be_named_and_another_may_not(site: Site, plan: str) -> None:
    sealed(site, plan)
    other = site.plan(FLEET, name="other")
    refused(site, "other.yaml is not what was sealed", other, code=2)
    assert site.run("run", plan, "--sealed", "plan.seal").code == 0


def test_variables_and_selection_are_those_of_the_preview(site: Site) -> None:
    grow(site, "d-1", "d-2", "d-3")
    plan = site.plan({**FLEET, "with": {"message": "${message}"}}, vars={"message": "x"})
    sealed(site, plan, "--var", "message=y", "--only", "target=d-[12]")
    refused(site, "--var: does not go with --sealed", "--var", "message=z", code=2)
    refused(site, "--only: does not go with --sealed", "--only", "target=*", code=2)
    refused(site, "--dry-run: does not go with --sealed", "--dry-run", code=2)
    assert site.run("run", "--sealed", "plan.seal").code == 0
    assert {record["target"] for record in site.latest.records} == {"d-1", "d-2"}
    assert set(site.state()["sessions"]["workspace"]) == {"d-3"}


def test_one_that_has_expired_is_refused(site: Site, plan: str) -> None:
    sealed(site, plan, "--expires", "50ms")
    time.sleep(0.1)
    refused(site, "expired at 2")


def test_one_that_was_changed_is_refused(site: Site, plan: str) -> None:
    edited(sealed(site, plan), expires="2999-01-01T00:00:00Z")
    refused(site, "was changed since it was sealed")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("plan", "plan.yaml, which changed since"),
        ("plan that is gone", "plan.yaml, which cannot be read any more"),
        ("list", "dcs.webcli-cloud.csv changed since"),
        ("config", "the config changed since"),
        ("catalogue", "the catalogue changed since"),
        ("protect", "what the plan protects changed since"),
    ],
)
def test_what_it_depends_on_must_not_change(site: Site, plan: str, what: str, words: str) -> None:
    (site.folder / "vip.txt").write_text("nobody\n")
    document = json.loads((site.folder / plan).read_text())
    site.write(plan, {**document, "guard": {"protect": ["vip.txt"]}})
    path = sealed(site, plan)
    if what == "plan":
        site.write(plan, {**document, "require": "ended"})
    elif what == "plan that is gone":
        (site.folder / plan).unlink()
    elif what == "list":
        with (site.folder / "dcs.webcli-cloud.csv").open("a") as file:
            file.write("\n")
    elif what == "config":
        site.configure({"dcs.webcli": {"rate": "7/s"}})
    elif what == "catalogue":
        edited(path, honest=True, catalogue="0" * 64)
    else:
        (site.folder / "vip.txt").write_text("d-1\n")
    refused(site, words)


def test_a_config_that_changed_where_it_does_not_matter_is_no_reason(site: Site, plan: str) -> None:
    sealed(site, plan)
    site.configure({"cbh.console": {"rate": "7/s"}}, connections={"another": site.connection({"type": "none"})})
    assert site.run("run", "--sealed", "plan.seal").code == 0


def test_what_is_new_is_never_ended_and_what_is_gone_is_tried(site: Site, plan: str) -> None:
    sealed(site, plan)
    grow(site, "newcomer")
    gone = {"service": "workspace.desktops", "connection": "cloud", "items": [{"desktop_id": "d-0"}]}
    assert site.run("run", site.plan(gone, name="another")).code == 0
    refused(site, "had 6 discovered targets; 1 are new and 1 are gone, and --tolerance allows 0")
    refused(site, "and --tolerance allows 1;", "--tolerance", "1")
    refused(site, "and --tolerance allows 1;", "--tolerance", "30%")
    assert site.run("run", "--sealed", "plan.seal", "--tolerance", "34%").code == 0
    told = {record["target"] for record in site.latest.records if record["service"] == "workspace.desktops"}
    assert told == {f"d-{n}" for n in range(6)}
    assert "newcomer" in site.state()["sessions"]["workspace"]
    (note,) = (note for note in site.latest.summary["notes"] if "not sealed" in note)
    assert "1 are there by now that were not sealed, and are left alone (newcomer)" in note


def test_a_share_is_one_of_what_is_listed_now(site: Site) -> None:
    def rows(status: str) -> list[Record]:
        states = ["Active" if n < 5 else status for n in range(50)]
        return [{"session_id": f"s-{n}", "user": "ab"[n >= 5], "status": state} for n, state in enumerate(states)]

    site.seed(app_sessions=rows("Active"))
    sessions = {"service": "workspaceapp.sessions", "connection": "cloud", "discover": {"session_state": "Active"}}
    sealed(site, site.plan({**sessions, "where": {"user": "a"}, "verify": False}, guard={"max_targets": "10%"}))
    site.seed(app_sessions=rows("SignedOut"))
    refused(site, "guard.max_targets allows 10% of the 5 that are listed")


def test_since_when_a_session_is_there_is_not_taken_from_the_seal_where_nobody_tells_it_any_more(site: Site) -> None:
    item = {"id": "s-1", "login_user": "a", "session_state": "Active", "machine_name": "m"}
    site.seed(app_sessions=[{"session_id": "s-1", "since": time.time() - 3600}])
    group = {"service": "workspaceapp.sessions", "connection": "cloud", "discover": {"session_state": "Active"}}
    sealed(site, site.plan({**group, "verify": False}, older_than="30m"))
    told = json.dumps({"count": 1, "items": [item]})
    site.fault("workspaceapp", "status", operation="list_sessions", status=200, body=told, times=None)
    assert site.run("run", "--sealed", "plan.seal").code == 3
    assert "does not tell since when" in site.latest.one()["reason"]


def test_a_fresh_list_that_is_not_whole_cannot_be_compared(site: Site, plan: str) -> None:
    sealed(site, plan)
    site.looking("workspace.desktops", "1s")
    sealed(site, plan)
    site.fault("workspace", "status", operation="connect_desktops", status=500, times=None)
    refused(site, "cannot be held against what there is now", "--tolerance", "100%")


def test_a_signal_while_the_lists_are_read_leaves_the_seal_as_it_was(site: Site, plan: str) -> None:
    sealed(site, plan)
    site.fault("workspace", "hang", operation="connect_desktops", seconds=30, times=1)
    before = site.calls("workspace")
    with site.started("run", "--sealed", "plan.seal") as process:
        until(lambda: site.calls("workspace") > before)
        done = interrupt(process)
    assert (done.code, "nothing was sent" in done.err) == (130, True)
    assert site.run("run", "--sealed", "plan.seal").code == 0


def test_a_sealed_run_is_resumed_as_any_other(site: Site, plan: str) -> None:
    site.configure({"workspace.desktops": {"attempts": 1}})
    sealed(site, plan)
    grow(site, "newcomer")
    site.fault("workspace", "status", operation="logoff", status=503, times=None)
    assert site.run("run", "--sealed", "plan.seal", "--tolerance", "1").code == 3
    assert site.latest.outcomes == Counter(ended=4, failed=6)
    site.control("faults", method="DELETE")
    assert site.run("resume", "latest").code == 0
    assert site.latest.outcomes == Counter(ended=4, accepted=6)
    assert "newcomer" in site.state()["sessions"]["workspace"]


def test_a_sealed_run_is_not_resumed_with_another_config(site: Site, plan: str) -> None:
    sealed(site, plan)
    site.fault("dcs", "status", status=400, times=None)
    assert site.run("run", "--sealed", "plan.seal").code == 3
    site.configure({"dcs.webcli": {"rate": "1/s"}})
    done = site.run("resume", "latest")
    assert done.code == 4
    assert "the config changed since the run" in done.err


def test_what_a_run_would_not_do_is_not_sealed(site: Site, plan: str) -> None:
    site.looking("workspace.desktops", "1s")
    site.fault("workspace", "status", operation="connect_desktops", status=500, times=1000)
    done = site.run("preview", plan, "--seal", "plan.seal")
    assert (done.code, "not sealed: a list is not whole" in done.err) == (3, True)
    site.control("faults", method="DELETE")
    guarded = site.plan(FLEET, name="guarded", guard={"max_targets": 5})
    done = site.run("preview", guarded, "--seal", "plan.seal")
    assert (done.code, "not sealed: a run would be refused" in done.err) == (4, True)
    assert not (site.folder / "plan.seal").exists()


def test_somebody_who_means_harm_gets_words_too(site: Site, plan: str) -> None:
    path = sealed(site, plan)
    document = json.loads(path.read_text())
    *others, fleet = document["groups"]
    edited(path, honest=True, groups=others)
    refused(site, "has other groups than the plan")
    rows = [*fleet["rows"], {"desktop_id": "newcomer"}]
    edited(path, honest=True, groups=[*others, {**fleet, "rows": rows}])
    refused(site, "that are not the targets it names")
    for row in ({"nonsense": "x"}, {"desktop_id": "d-0", "began at": "never"}, {}):
        edited(path, honest=True, groups=[*others, {**fleet, "rows": [row] * 6}])
        refused(site, "that are not the targets it names")
    edited(path, honest=True, groups=[{**others[0], "targets": ["x"]}, *others[1:], fleet])
    refused(site, "has other targets than")


def test_a_path_that_is_no_text_cannot_be_sealed(site: Site, plan: str) -> None:
    folder = site.folder / os.fsdecode(b"\xff")
    folder.mkdir()
    for path in site.folder.glob("*.*"):
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    site.folder = folder
    done = site.run("preview", plan, "--seal", "plan.seal")
    assert (done.code, done.err.startswith("--seal: the path")) == (2, True), done


def test_the_json_of_a_preview_names_the_seal(site: Site, plan: str) -> None:
    done = site.run("preview", plan, "--seal", "plan.seal", "--output", "json")
    assert json.loads(done.out)["seal"] == json.loads((site.folder / "plan.seal").read_text())["sha256"]
    assert "to do exactly this: orchestrator run --sealed plan.seal" in done.err
