"""Credentials that do not work: as few wrong tries as can be, and the server's own words for everybody."""

from __future__ import annotations

from collections import Counter

import pytest

from .support import TOKEN, Record, Site

THREE = ("dcs.webcli", "das.builtin-account", "workspace.desktops")


def three_lanes(site: Site, connection: str = "cloud") -> str:
    site.configure({name: {"concurrency": 8} for name in THREE})
    return site.plan(site.webcli(40, connection), site.databases(40, connection), site.desktops(300, connection))


def refused_with(site: Site, words: str) -> list[Record]:
    """Every target has an outcome and none is good; what says why has the words."""
    records = site.latest.records
    assert len(records) == len(set(site.latest.keys())) == 380
    assert set(site.latest.outcomes) <= {"failed", "not_attempted"}
    assert all(words in record["reason"] for record in records), {record["reason"] for record in records}
    return records


def arrived(site: Site) -> int:
    return sum(site.calls(name) for name in ("dcs", "das", "workspace"))


# Keys


def test_a_wrong_secret_key_is_tried_once_over_all_lanes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_SK", "not-the-secret-key")
    assert site.run("run", three_lanes(site)).code == 3
    refused_with(site, "verify aksk signature fail")
    assert arrived(site) == 1
    assert site.state()["locked"] == []
    assert site.state()["auth_failures"] == {"SANDBOXAK": 1}


def test_every_run_with_a_wrong_key_costs_one_try(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_SK", "not-the-secret-key")
    plan = three_lanes(site)
    assert [site.run("run", plan).code for _ in range(3)] == [3, 3, 3]
    assert site.state()["auth_failures"] == {"SANDBOXAK": 3}
    assert site.state()["locked"] == []


def test_an_unknown_access_key(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_AK", "NOBODYSAK")
    assert site.run("run", three_lanes(site)).code == 3
    refused_with(site, "Get secretKey failed")
    assert arrived(site) == 1


@pytest.mark.parametrize("skew", [1260, -1260])
def test_a_clock_that_is_wrong_is_named(site: Site, skew: int) -> None:
    site.settings(date_skew=skew)
    done = site.run("run", three_lanes(site))
    assert done.code == 3
    refused_with(site, "clock differs by 12")
    assert "set the clock" in done.out
    assert arrived(site) == 1


def test_a_key_that_breaks_midway_stops_its_lanes_and_not_the_others(site: Site) -> None:
    site.configure({"dcs.webcli": {"rate": "100/s"}})
    refusal = '{"error_code": "APIGW.0301", "error_msg": "Incorrect IAM authentication information: revoked"}'
    site.fault("dcs", "status", status=401, body=refusal, after=10, times=None)
    assert site.run("run", site.plan(site.webcli(40), site.tickets(20))).code == 3
    outcomes = Counter((record["service"], record["outcome"]) for record in site.latest.records)
    assert outcomes["mrs.cas", "ended"] == 20
    assert outcomes["dcs.webcli", "ended"] == 10
    assert outcomes["dcs.webcli", "ended"] + outcomes["dcs.webcli", "failed"] <= 20
    assert sum(outcomes.values()) == 60
    reasons = {record["reason"] for record in site.latest.records if record["outcome"] in ("failed", "not_attempted")}
    assert all("revoked" in reason for reason in reasons)


# Tokens


def test_one_token_serves_every_lane_and_is_revoked_at_the_end(site: Site) -> None:
    assert site.run("run", three_lanes(site, "token")).code == 0
    assert site.state()["tokens"] == {"issued": 1, "revoked": 1, "alive": 0}
    assert site.state()["auth_failures"] == {}


def test_two_connections_of_one_account_share_one_token(site: Site) -> None:
    site.configure(connections={"same": site.connection(TOKEN)})
    assert site.run("run", site.plan(site.webcli(5, "token"), site.databases(5, "same"))).code == 0
    assert site.state()["tokens"]["issued"] == 1


@pytest.mark.parametrize("uses", [1, 20])
def test_a_token_that_expires_midway_is_renewed_once(site: Site, uses: int) -> None:
    site.settings(expire_tokens_after=[uses])
    assert site.run("run", three_lanes(site, "token")).code == 0
    assert site.state()["tokens"]["issued"] == 2
    assert site.state()["tokens"]["alive"] == 0
    assert set(site.state()["logouts_handled"]["dcs"].values()) == {1}


def test_tokens_that_keep_expiring_are_renewed_as_often_and_no_more(site: Site) -> None:
    site.settings(expire_tokens_after=[20, 20, 20])
    assert site.run("run", three_lanes(site, "token")).code == 0
    assert site.state()["tokens"]["issued"] == 4


def test_tokens_that_never_work_are_not_asked_for_without_end(site: Site) -> None:
    site.settings(expire_tokens_after=[0] * 50)
    assert site.run("run", three_lanes(site, "token")).code == 3
    refused_with(site, "The token must be updated")
    assert site.state()["tokens"]["issued"] == 1
    assert 1 <= arrived(site) <= 3  # one call of each lane, where no answer came before


def test_a_token_with_a_short_life_is_replaced_in_time(site: Site) -> None:
    site.settings(token_life=2.0)
    site.configure({"das.builtin-account": {"rate": "20/s"}})
    assert site.run("run", site.plan(site.databases(50, "token"))).code == 0
    assert site.state()["tokens"]["issued"] >= 2
    assert site.state()["services"]["das"]["statuses"] == {"200": 50}


def test_a_wrong_password_is_tried_once_over_all_lanes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_PASSWORD", "not-the-password")
    assert site.run("run", three_lanes(site, "token")).code == 3
    records = refused_with(site, "The username or password is wrong")
    assert {record["outcome"] for record in records} == {"not_attempted"}  # nothing was sent
    assert site.state()["auth_failures"] == {"cleaner": 1}
    assert site.state()["services"]["iam"]["operations"] == {"create_token": 1}
    assert arrived(site) == 0


def test_a_wrong_password_is_tried_once_over_two_projects(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_PASSWORD", "not-the-password")
    site.seed(projects=[{"id": "another", "name": "another"}])
    site.configure(connections={"other": site.connection(TOKEN, project_id="another")})
    assert site.run("run", site.plan(site.webcli(5, "token"), site.databases(5, "other"))).code == 3
    assert site.state()["auth_failures"] == {"cleaner": 1}
    assert not site.latest.outcomes["ended"]


def test_the_project_may_come_from_the_token(site: Site) -> None:
    """As PRODUCT's own example of Open Telekom Cloud: a region and a user, and no project id."""
    connection = {name: value for name, value in site.connection(TOKEN).items() if name != "project_id"}
    site.configure(connections={"region": connection})
    assert site.run("run", site.plan(site.webcli(3, "region"), site.databases(3, "region"))).code == 0
    assert site.latest.outcomes == Counter(ended=6)


def test_a_service_that_alone_refuses_a_good_token_stops_alone(site: Site) -> None:
    site.fault("das", "status", status=401, body='{"error_code": "DAS.1", "error_msg": "not you"}', times=None)
    site.configure({"dcs.webcli": {"rate": "40/s"}})
    assert site.run("run", site.plan(site.webcli(60, "token"), site.databases(60, "token"))).code == 3
    outcomes = Counter((record["service"], record["outcome"]) for record in site.latest.records)
    assert outcomes["dcs.webcli", "ended"] == 60
    assert outcomes["das.builtin-account", "ended"] == 0
    assert site.calls("das") <= 12
    assert site.state()["tokens"]["issued"] == 2


def test_an_endpoint_that_is_no_iam_is_called_that(site: Site) -> None:
    site.fault("iam", "status", status=404, body="<html>nothing here</html>", times=None)
    assert site.run("run", site.plan(site.databases(3, "token"))).code == 3
    assert site.latest.outcomes == Counter(not_attempted=3)
    reasons = {record["reason"] for record in site.latest.records}
    assert all("does not answer as IAM does; check the endpoint" in reason for reason in reasons)


def test_a_deadline_does_not_wait_for_a_login_that_hangs(site: Site) -> None:
    site.fault("iam", "hang", seconds=20, times=None)
    done = site.run("run", site.plan(site.databases(30, "token")), "--deadline", "1s")
    assert done.code == 5
    assert site.latest.summary["duration_ms"] < 6000
    assert site.latest.outcomes == Counter(not_attempted=30)
    assert site.calls("das") == 0


def test_a_large_token_is_taken_and_sent(site: Site) -> None:
    site.settings(token_bytes=30_000)
    assert site.run("run", three_lanes(site, "token")).code == 0
    assert site.state()["tokens"] == {"issued": 1, "revoked": 1, "alive": 0}


def test_a_cloud_without_revocation_is_left_alone(site: Site) -> None:
    site.settings(revocation=False)
    done = site.run("run", site.plan(site.databases(3, "token")))
    assert (done.code, done.out) == (0, "")
    assert site.state()["tokens"]["alive"] == 1


def test_a_token_is_revoked_also_when_the_run_did_not_go_well(site: Site) -> None:
    site.fault("das", "status", status=400, body='{"error_code": "DAS.200120"}', times=None)
    assert site.run("run", site.plan(site.databases(3, "token"))).code == 3
    assert site.state()["tokens"]["alive"] == 0


def test_secrets_that_are_missing_in_plan_and_config_are_told_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SANDBOX_SK")
    item = {"instance_id": "i", "client_id": "env:NOT_THERE"}
    done = site.run("run", site.plan({"service": "dcs.webcli", "connection": "cloud", "items": [item]}))
    assert done.code == 2
    assert "NOT_THERE, which is not set" in done.err
    assert "SANDBOX_SK, which is not set" in done.err
    assert "2 faults; nothing was sent" in done.err
