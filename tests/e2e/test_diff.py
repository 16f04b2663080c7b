"""`diff`: two nights of one plan, in words and as a document."""

from __future__ import annotations

import json
from pathlib import Path

from .support import Record, Site


def two_nights(site: Site) -> list[str]:
    """Run a plan twice: some targets fail the second time only, some the first, one comes and one goes."""
    group = site.databases(6)
    path: Path = site.folder / group["from"]
    head, *rows = path.read_text().splitlines()
    refusal = '{"error_code": "DAS.200114", "error_msg": "bad \\u001b[2J id"}'
    plan = site.plan(group, name="nightly")
    path.write_text("\n".join([head, *rows[:5]]) + "\n")
    site.fault("das", "status", status=400, body=refusal, match=rows[0], times=1)
    assert site.run("run", plan).code == 3
    path.write_text("\n".join([head, *rows[1:]]) + "\n")
    site.fault("das", "status", status=400, body=refusal, match=rows[1], times=1)
    assert site.run("run", plan, "--yes").code == 3
    return rows


def document(site: Site, *arguments: str) -> tuple[int, Record]:
    done = site.run("diff", *arguments, "--output", "json")
    found: Record = json.loads(done.out)
    assert found["exit_code"] == done.code
    return done.code, found


def test_two_nights_are_compared(site: Site) -> None:
    rows = two_nights(site)
    code, found = document(site, "latest")
    changes = {one["target"]: one["change"] for one in found["targets"]}
    assert code == 3
    assert changes[rows[1]] == "newly_failing"
    assert changes[rows[0]] == "gone"
    assert changes[rows[5]] == "new"
    assert found["totals"] == {"before": 5, "after": 5}
    assert sum(found["counts"].values()) == 6
    (worse,) = [one for one in found["targets"] if one["change"] == "newly_failing"]
    assert (worse["before"], worse["after"], worse["error_code"]) == ("ended", "failed", "DAS.200114")


def test_the_words_are_harmless_and_say_why(site: Site) -> None:
    two_nights(site)
    done = site.run("diff", "latest")
    assert done.code == 3
    assert done.out.startswith("nightly: 1 newly failing, 0 newly unknown, 0 still failing, 0 recovered, 1 new, 1 gone")
    assert "ended -> failed" in done.out
    assert "DAS.200114" in done.out
    assert "\x1b" not in done.out


def test_the_other_way_round_is_the_recovery(site: Site) -> None:
    two_nights(site)
    later, earlier = (str(run) for (run,) in site.journal("SELECT run FROM runs ORDER BY started DESC"))
    code, found = document(site, later, earlier)
    assert found["counts"]["recovered"] == 1
    assert (code, found["counts"]["newly_failing"]) == (3, 1)  # what is new in it had failed
    assert "is the later one of the two" in found["notes"][0]


def test_nothing_is_worse(site: Site) -> None:
    plan = site.plan(site.webcli(3), name="quiet")
    site.configure()
    assert [site.run("run", plan, "--yes").code for _ in range(2)] == [0, 0]
    done = site.run("diff", "latest")
    assert (done.code, done.err) == (0, "")
    assert "3 good in both" in done.out
    assert site.run("diff", "latest", "--output", "none").out == ""


def test_names_that_are_no_two_runs(site: Site) -> None:
    plan = site.plan(site.webcli(1), name="once")
    assert site.run("diff", "latest").code == 2
    assert site.run("run", plan).code == 0
    for arguments, words in (
        (["latest"], "there is no run of the plan 'once' before"),
        (["latest", "latest"], "are the same run"),
        (["latest", "nothing"], "there is no run 'nothing'"),
    ):
        done = site.run("diff", *arguments)
        assert (done.code, done.out) == (2, "")
        assert words in done.err
