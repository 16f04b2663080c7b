"""Batches: one bad id costs a few calls more, and never the other ninety-nine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from .support import Record, Site


def with_bad(site: Site, count: int, bad: Sequence[int]) -> str:
    """Return a plan of so many desktops, some of which do not exist."""
    good = site.seed(desktops={"count": count - len(bad)})["desktops"]
    names = [row["desktop_id"] for row in good]
    for place in sorted(bad):
        names.insert(place, f"bad-{place}")
    return site.plan(site.group("workspace.desktops", [{"desktop_id": name} for name in names]))


def bad_ones(records: Sequence[Record]) -> set[str]:
    return {record["target"] for record in records if record["outcome"] == "failed"}


@pytest.mark.parametrize("place", [0, 37, 99])
def test_one_bad_id_in_a_hundred(site: Site, place: int) -> None:
    assert site.run("run", with_bad(site, 100, [place])).code == 3
    assert site.latest.outcomes == Counter(accepted=99, failed=1)
    assert bad_ones(site.latest.records) == {f"bad-{place}"}
    state = site.state()
    assert site.calls("workspace") <= 1 + 15
    assert state["empty_logoffs"] == 0
    assert not state["sessions"]["workspace"]


def test_three_bad_ids_in_three_hundred(site: Site) -> None:
    bad = [5, 150, 299]
    assert site.run("run", with_bad(site, 300, bad)).code == 3
    assert site.latest.outcomes == Counter(accepted=297, failed=3)
    assert bad_ones(site.latest.records) == {f"bad-{place}" for place in bad}
    assert site.calls("workspace") <= 3 * (1 + 15)
    assert site.state()["empty_logoffs"] == 0
    assert all("does not exist" in r["error_message"] for r in site.latest.records if r["outcome"] == "failed")


def test_three_bad_ids_in_one_batch(site: Site) -> None:
    assert site.run("run", with_bad(site, 100, [1, 2, 90])).code == 3
    assert site.latest.outcomes == Counter(accepted=97, failed=3)
    assert site.state()["empty_logoffs"] == 0
    assert not site.state()["sessions"]["workspace"]


def test_a_resume_does_not_put_what_was_refused_beside_the_rest(site: Site) -> None:
    site.configure({"workspace.desktops": {"attempts": 1}})
    site.fault("workspace", "status", operation="logoff", status=503, match="desktop-0150", times=1)
    assert site.run("run", with_bad(site, 300, [5, 50])).code == 3
    assert site.latest.outcomes == Counter(accepted=198, failed=102)
    before = site.calls("workspace")
    assert site.run("resume", "latest").code == 3
    assert site.latest.outcomes == Counter(accepted=298, failed=2)
    assert site.calls("workspace") - before == 1 + 3  # the hundred, and the two: together, and one by one


def test_nothing_but_bad_ids(site: Site) -> None:
    rows = [{"desktop_id": f"bad-{number}"} for number in range(10)]
    assert site.run("run", site.plan(site.group("workspace.desktops", rows))).code == 3
    assert site.latest.outcomes == Counter(failed=10)
    assert site.calls("workspace") == 19
    assert site.state()["empty_logoffs"] == 0


def test_one_bad_session_in_a_batch_of_applications(site: Site) -> None:
    sown = site.seed(app_sessions={"count": 400})["app_sessions"]
    rows = [{"session_id": row["session_id"]} for row in sown] + [{"session_id": "nowhere"}]
    assert site.run("run", site.plan(site.group("workspaceapp.sessions", rows))).code == 3
    assert site.latest.outcomes == Counter(accepted=400, failed=1)
    assert site.calls("workspaceapp") <= 1 + 2 * 9
    assert not site.state()["sessions"]["workspaceapp"]


def test_only_targets_with_the_same_message_share_a_call(site: Site) -> None:
    site.seed(desktops={"count": 6})
    rows = [{"desktop_id": f"desktop-000{n}", "message": f"for {n % 2}"} for n in range(1, 7)]
    assert site.run("run", site.plan(site.group("workspace.desktops", rows))).code == 0
    assert site.calls("workspace") == 2
    assert len({record["batch"] for record in site.latest.records}) == 2


def test_a_target_listed_twice_is_called_and_reported_once(site: Site) -> None:
    site.seed(desktops={"count": 3})
    rows = [{"desktop_id": f"desktop-000{n}"} for n in (1, 2, 2, 3, 1)]
    assert site.run("run", site.plan(site.group("workspace.desktops", rows))).code == 0
    assert site.latest.outcomes == Counter(accepted=3)
    assert set(site.state()["logouts_handled"]["workspace"].values()) == {1}
    assert any("listed before" in note for note in site.latest.summary["notes"])
