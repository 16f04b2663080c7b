"""A person's way in: the user, the access keys, the tokens; found, ended, and seen to be ended."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from .support import Record, Site

WAYS = ("iam.user", "iam.access-key", "iam.token")


def users(site: Site, count: int = 3) -> list[Record]:
    return site.seed(users={"count": count})["users"]


def discover(service: str, **filters: object) -> Record:
    return {"service": service, "connection": "cloud", "discover": filters}


def token_of(site: Site, monkeypatch: pytest.MonkeyPatch, user: str) -> Record:
    value = site.seed(tokens=[{"user": user}])["tokens"][0]["token"]
    monkeypatch.setenv("LEAVER_TOKEN", value)
    return {"service": "iam.token", "connection": "cloud", "items": [{"token": "env:LEAVER_TOKEN"}]}


def everything_of(site: Site, monkeypatch: pytest.MonkeyPatch, user: Record) -> list[Record]:
    """Return the groups for the token, the keys and the user itself; the token first, or it would be gone already."""
    return [
        token_of(site, monkeypatch, user["name"]),
        discover("iam.access-key", user_id=user["id"], status="active"),
        discover("iam.user", name=user["name"]),
    ]


def in_stages(site: Site, groups: list[Record], **more: Any) -> str:
    stages = [{"name": f"stage-{n}", "targets": [group]} for n, group in enumerate(groups)]
    site.write("plan.yaml", {"name": "plan", **more, "stages": stages})
    return "plan.yaml"


def fared(site: Site) -> dict[str, tuple[str, str]]:
    return {record["service"]: (record["outcome"], record["verification"]) for record in site.latest.records}


def test_a_user_its_keys_and_its_token_are_found_ended_and_seen_to_be_ended(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, leaver, _ = users(site)
    plan = in_stages(site, everything_of(site, monkeypatch, leaver), require="verified")
    assert site.run("run", plan).code == 0
    assert fared(site) == dict.fromkeys(WAYS, ("ended", "confirmed"))
    state = site.state()
    assert [name for name, enabled in state["users"].items() if not enabled] == [leaver["name"]]
    assert [key for key, status in state["access_keys"].items() if status != "active"] == leaver["access_keys"]


def test_keys_are_found_by_the_name_of_whose_they_are(site: Site) -> None:
    first, second, _ = users(site)
    plan = site.plan(discover("iam.access-key", user=[first["name"], second["name"]], status="active"))
    assert site.run("run", plan).code == 0
    ended = {key for key, status in site.state()["access_keys"].items() if status != "active"}
    assert ended == {*first["access_keys"], *second["access_keys"]}


def test_a_name_that_nobody_has_makes_the_list_of_keys_a_failed_one(site: Site) -> None:
    users(site)
    assert site.run("run", site.plan(discover("iam.access-key", user="nobody"))).code == 3
    (note,) = (note for note in site.latest.summary["notes"] if "lists for stage" in note)
    assert "nothing whose name is nobody" in note
    assert set(site.state()["access_keys"].values()) == {"active"}


def test_one_name_of_several_that_nobody_has_does_not_make_the_list_shorter_in_silence(site: Site) -> None:
    first, *_ = users(site)
    assert site.run("run", site.plan(discover("iam.access-key", user=[first["name"], "nobody"]))).code == 3
    (note,) = (note for note in site.latest.summary["notes"] if "lists for stage" in note)
    assert "nothing whose name is nobody" in note
    assert set(site.state()["access_keys"].values()) == {"active"}


@pytest.mark.parametrize("group", [discover("iam.user", enabled="true"), discover("iam.access-key", user="user-0001")])
def test_a_list_of_users_that_links_to_more_is_not_whole(site: Site, group: Record) -> None:
    first, *_ = users(site)
    one = {"id": first["id"], "name": first["name"], "enabled": True}
    body = {"users": [one], "links": {"next": f"{site.url}/v3/users?page=2", "previous": None, "self": ""}}
    site.fault("iam", "status", operation="list_users", status=200, body=json.dumps(body), times=None)
    assert site.run("run", site.plan({**group, "partial": True} if "user" in group["discover"] else group)).code == 3
    assert "it says that there is more, and not how to ask for that" in " ".join(site.latest.summary["notes"])
    assert site.latest.records == []
    assert all(site.state()["users"].values())


def test_late_is_waited_for_and_ignored_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    _, leaver, _ = users(site)
    groups = everything_of(site, monkeypatch, leaver)
    site.settings(lag={"iam": [0.2, 1.0]})
    assert site.run("run", in_stages(site, groups, require="verified")).code == 0
    assert fared(site) == dict.fromkeys(WAYS, ("ended", "confirmed"))


@pytest.mark.parametrize("reattempt", [0, 1])
def test_what_is_ignored_is_called_alive_unless_the_second_time_does_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, reattempt: int
) -> None:
    _, leaver, _ = users(site)
    groups = everything_of(site, monkeypatch, leaver)
    site.settings(ignored={"iam": {leaver["id"]: 1, leaver["access_keys"][0]: 1}})
    site.configure(services={name: {"verify": {"deadline": "1s"}} for name in WAYS})
    code = site.run("run", in_stages(site, groups, require="verified", reattempt=reattempt)).code
    expected = ("ended", "confirmed") if reattempt else ("still_active", "contradicted")
    assert fared(site) == {"iam.token": ("ended", "confirmed"), "iam.user": expected, "iam.access-key": expected}
    assert code == (0 if reattempt else 3)
    assert site.state()["users"][leaver["name"]] is (reattempt == 0)


def test_a_token_that_lives_on_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    users(site)
    site.settings(ignored_share={"iam": 1.0})
    site.configure(services={"iam.token": {"verify": {"deadline": "1s"}}})
    assert site.run("run", site.plan(token_of(site, monkeypatch, "user-0002"), require="verified")).code == 3
    record = site.latest.one()
    assert (record["outcome"], record["verification"]) == ("still_active", "contradicted")
    assert "the token is still valid" in record["reason"]


def test_a_token_that_died_with_its_user_is_already_ended_and_that_is_seen(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, leaver, _ = users(site)
    groups = everything_of(site, monkeypatch, leaver)
    assert site.run("run", in_stages(site, groups[::-1], require="verified")).code == 0
    assert fared(site)["iam.token"] == ("already_ended", "confirmed")


def test_several_users_are_found_by_name_and_only_their_keys_by_id(site: Site) -> None:
    people = users(site, 5)
    names, ids = [p["name"] for p in people[:2]], [p["id"] for p in people[:2]]
    keys, persons = discover("iam.access-key", user_id=ids), discover("iam.user", name=names)
    assert site.run("run", in_stages(site, [keys, persons], require="verified")).code == 0
    assert Counter(record["service"] for record in site.latest.records) == {"iam.access-key": 2, "iam.user": 2}
    state = site.state()
    assert sorted(name for name, enabled in state["users"].items() if not enabled) == names
    assert state["access_keys"]["SANDBOXAK"] == "active"


def test_keys_are_not_listed_without_saying_whose(site: Site) -> None:
    done = site.run("run", site.plan(discover("iam.access-key", status="active")))
    assert done.code == 2
    assert "needs user_id as well" in done.err
    assert "iam" not in site.state()["services"]


def test_a_name_that_nobody_has_ends_nobody(site: Site) -> None:
    users(site)
    assert site.run("run", site.plan(discover("iam.user", name="user-00"))).code == 6
    assert all(site.state()["users"].values())


def test_a_user_or_a_key_that_is_not_there_is_a_failure(site: Site) -> None:
    rows = {"iam.user": {"user_id": "none"}, "iam.access-key": {"access_key": "NONE"}}
    groups = [{"service": name, "connection": "cloud", "items": [row]} for name, row in rows.items()]
    assert site.run("run", site.plan(*groups)).code == 3
    assert fared(site) == dict.fromkeys(rows, ("failed", "not_requested"))


@pytest.mark.parametrize("kind", [{"kind": "status", "status": 404}, {"kind": "content_type"}], ids=["404", "page"])
def test_what_is_not_iam_makes_nothing_green(
    site: Site, monkeypatch: pytest.MonkeyPatch, kind: dict[str, object]
) -> None:
    _, leaver, _ = users(site)
    rows = {"iam.user": {"user_id": leaver["id"]}, "iam.access-key": {"access_key": leaver["access_keys"][0]}}
    groups = [{"service": name, "connection": "cloud", "items": [row]} for name, row in rows.items()]
    groups.append(token_of(site, monkeypatch, leaver["name"]))
    site.fault("*", before_auth=True, times=None, **kind)  # type: ignore[arg-type]
    assert site.run("run", site.plan(*groups), "--yes").code == 3
    assert set(site.latest.outcomes) == {"failed"}
    assert all(record["reason"] for record in site.latest.records)


@pytest.mark.parametrize(
    ("operation", "service"),
    [("show_user", "iam.user"), ("show_credential", "iam.access-key"), ("check_token", "iam.token")],
)
def test_a_question_that_fails_is_unavailable_and_never_green(
    site: Site, monkeypatch: pytest.MonkeyPatch, operation: str, service: str
) -> None:
    _, leaver, _ = users(site)
    groups = everything_of(site, monkeypatch, leaver)
    site.configure(services={service: {"verify": {"deadline": "1s"}, "reads": {"attempts": 1}}})
    site.fault("iam", "status", operation=operation, status=500, times=None)
    assert site.run("run", in_stages(site, groups, require="verified")).code == 3
    assert fared(site)[service] == ("ended", "unavailable")
