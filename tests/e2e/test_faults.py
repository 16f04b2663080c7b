"""Every kind of trouble, for a call that may be repeated (DCS) and for one that must not be (CBH)."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import pytest

from .support import AKSK, Record, Site

TIMEOUT = "300ms"
BEYOND = 5.0  # seconds; far longer than the timeout


@dataclass(frozen=True)
class Trouble:
    """What goes wrong once, or for ever, and what has to come of it: outcome, calls, calls that did the work."""

    kind: str
    outcome: str
    received: int
    handled: int
    details: dict[str, Any] = field(default_factory=dict)


def status(code: int, body: object = "", **headers: str) -> dict[str, Any]:
    return {"status": code, "body": body if isinstance(body, str) else json.dumps(body), "headers": headers}


def gateway(code: str, message: str = "said so") -> dict[str, str]:
    return {"error_code": code, "error_msg": message, "request_id": "a-request-id"}


FOREVER = {"times": None}
BUSY = {"error_msg": "busy", "error_code": "111400097", "error_ext_msg": None}
DCS = {
    "500-once": Trouble("status", "ended", 2, 1, status(500)),
    "500-for-ever": Trouble("status", "failed", 3, 0, status(500) | FOREVER),
    "503-html": Trouble("status", "ended", 2, 1, status(503, "<html>busy</html>", **{"Content-Type": "text/html"})),
    "400-refused": Trouble("status", "failed", 1, 0, status(400, {"error_code": "111400080", "error_msg": "no"})),
    "400-busy": Trouble("status", "ended", 2, 1, status(400, BUSY)),
    "400-busy-for-ever": Trouble("status", "failed", 3, 0, status(400, BUSY) | FOREVER),
    "403-nobody-knows-why": Trouble("status", "failed", 1, 0, status(403, "<html>a proxy</html>")),
    "404-without-a-word": Trouble("status", "failed", 1, 0, status(404)),
    "418-not-in-the-description": Trouble("status", "failed", 1, 0, status(418)),
    "302-to-a-login-page": Trouble("status", "failed", 1, 0, status(302, Location="/cas/login")),
    "200-with-an-error": Trouble("status", "failed", 1, 0, status(200, {"error_code": "111400080"})),
    "gateway-fault": Trouble("status", "ended", 2, 1, status(500, gateway("APIGW.0601"))),
    "gateway-wrong-url": Trouble("status", "failed", 1, 0, status(404, gateway("APIGW.0101"))),
    "gateway-quota": Trouble("status", "failed", 1, 0, status(403, gateway("APIGW.0501"))),
    "gateway-forbidden": Trouble("status", "failed", 1, 0, status(403, gateway("APIGW.0302"))),
    "gateway-flow-control": Trouble(
        "status", "ended", 2, 1, status(429, gateway("APIGW.0308", "over ratelimit,limit:99,time:1 second"))
    ),
    "gateway-flow-control-of-a-day": Trouble(
        "status", "failed", 1, 0, status(429, gateway("APIGW.0308", "over ratelimit, limit:1000, time:1 day"))
    ),
    "hang": Trouble("hang", "ended", 2, 1, {"seconds": BEYOND}),
    "hang-for-ever": Trouble("hang", "unknown", 3, 0, {"seconds": BEYOND, **FOREVER}),
    "reset": Trouble("reset", "ended", 2, 1),
    "reset-for-ever": Trouble("reset", "unknown", 3, 0, FOREVER),
    "lost": Trouble("lost", "already_ended", 2, 2),
    "truncate": Trouble("truncate", "already_ended", 2, 2),
    "content-type": Trouble("content_type", "failed", 1, 0),
    "slow": Trouble("slow", "ended", 1, 1, {"seconds": 0.05}),
    "slow-beyond-the-timeout": Trouble("slow", "already_ended", 2, 2, {"seconds": BEYOND}),
    "big": Trouble("big", "failed", 1, 0, {"size": 3_000_000}),
    "big-within-bounds": Trouble("big", "failed", 1, 0, {"size": 100_000}),
}
CBH = {
    "500": Trouble("status", "unknown", 1, 0, status(500)),
    "503": Trouble("status", "unknown", 1, 0, status(503)),
    "400": Trouble("status", "failed", 1, 0, status(400, {"error_code": "CBH.10020011", "error_description": "no"})),
    "403": Trouble("status", "failed", 1, 0, status(403, {"error_code": "CBH.10020002"})),
    "429": Trouble("status", "issued", 2, 1, status(429)),
    "200-without-a-link": Trouble("status", "unknown", 1, 0, status(200, {})),
    "200-with-another-link": Trouble("status", "unknown", 1, 0, status(200, {"login_url": "javascript:alert(1)"})),
    "hang": Trouble("hang", "unknown", 1, 0, {"seconds": BEYOND}),
    "reset": Trouble("reset", "unknown", 1, 0),
    "lost": Trouble("lost", "unknown", 1, 1),
    "truncate": Trouble("truncate", "unknown", 1, 1),
    "content-type": Trouble("content_type", "unknown", 1, 0),
    "slow": Trouble("slow", "issued", 1, 1, {"seconds": 0.05}),
    "slow-beyond-the-timeout": Trouble("slow", "unknown", 1, 1, {"seconds": BEYOND}),
    "big": Trouble("big", "unknown", 1, 0, {"size": 3_000_000}),
}


def played(site: Site, service: str, trouble: Trouble, group: Record) -> Record:
    """Run a plan of one target in the way of the trouble, and check the calls."""
    site.fault(service, trouble.kind, **trouble.details)
    done = site.run("run", site.plan(group))
    record, state = site.latest.one(), site.state()
    assert record["outcome"] == trouble.outcome, record
    assert sum(state["logout_calls"][service].values()) == trouble.received
    assert sum(state["logouts_handled"].get(service, {}).values()) == trouble.handled
    assert record["attempts"] == trouble.received
    assert done.code == (0 if trouble.outcome in ("ended", "already_ended", "issued") else 3)
    return record


@pytest.mark.parametrize("trouble", DCS.values(), ids=DCS)
def test_a_call_that_may_be_repeated(site: Site, trouble: Trouble) -> None:
    site.configure({"dcs.webcli": {"timeout": TIMEOUT, "attempts": 3}})
    record = played(site, "dcs", trouble, site.webcli(1))
    alive = site.state()["sessions"]["dcs"]
    assert bool(alive) == (record["outcome"] not in ("ended", "already_ended"))
    if record["outcome"] not in ("ended", "already_ended"):
        assert record["reason"]


def test_a_lane_that_is_faster_than_the_service_allows_loses_nothing(site: Site) -> None:
    """DAS throttles with 400 and says neither how long to wait nor what it allows."""
    site.settings(limits={"das": {"calls": 10, "burst": 1}})
    site.configure({"das.builtin-account": {"rate": "50/s", "concurrency": 4, "attempts": 3}})
    assert site.run("run", site.plan(site.databases(12))).code == 0
    assert site.latest.outcomes == Counter(ended=12)
    assert site.calls("das") <= 60


def test_what_a_lane_learned_is_there_for_the_next_run(site: Site) -> None:
    site.settings(limits={"das": {"calls": 20, "burst": 2}})
    site.configure({"das.builtin-account": {"rate": "200/s", "concurrency": 4, "attempts": 3}})
    assert site.run("run", site.plan(site.databases(30))).code == 0
    (file,) = site.folder.rglob("paces.json")
    (pace,) = json.loads(file.read_bytes())["lanes"].values()
    assert 5 < pace["per_second"] < 60
    assert 0 < pace["answer"] < 5
    assert abs(pace["at"] - time.time()) < 600
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_bytes(b"\xff not json")
    done = site.run("run", site.plan(site.databases(10)))
    assert (done.code, site.latest.outcomes) == (0, Counter(ended=10))
    assert "paces_ignored" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("trouble", CBH.values(), ids=CBH)
def test_a_call_that_must_not_be_repeated(site: Site, trouble: Trouble) -> None:
    site.configure({"cbh.console": {"timeout": TIMEOUT, "attempts": 3}})
    record = played(site, "cbh", trouble, site.bastions(1))
    links = list((site.latest.folder / "links").glob("*"))
    assert len(links) == (record["outcome"] == "issued")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        pytest.param(status(403, {"error_code": "CBH.10020002", "error_description": "no"}), "denied", id="refusal"),
        pytest.param(status(403, {"error_code": 403, "description": "no"}), "denied", id="refusal-of-the-examples"),
        pytest.param(status(403, "<html>a proxy</html>"), "failed", id="a-proxy-proves-nothing"),
        pytest.param(status(403, {"message": "blocked"}), "failed", id="a-firewall-proves-nothing"),
        pytest.param(status(403, gateway("APIGW.0302")), "failed", id="the-gateway-proves-nothing"),
        pytest.param(status(404, gateway("APIGW.0101")), "failed", id="a-wrong-url-proves-nothing"),
        pytest.param(status(200, {"login_url": "https://192.0.2.1"}), "still_active", id="got-in"),
        pytest.param(status(502), "unknown", id="no-clear-answer"),
    ],
)
def test_what_proves_that_an_identity_does_not_get_in(site: Site, answer: dict[str, Any], outcome: str) -> None:
    site.fault("cbh", "status", **answer)
    site.run("run", site.plan(site.bastions(1, expect="denied")))
    assert site.latest.one()["outcome"] == outcome
    assert not (site.latest.folder / "links").exists()


# Batches in trouble


def test_a_lost_answer_to_a_batch_repeats_the_batch(site: Site) -> None:
    site.fault("workspace", "lost")
    assert site.run("run", site.plan(site.desktops(100))).code == 0
    assert site.latest.outcomes == Counter(accepted=100)
    assert set(site.state()["logouts_handled"]["workspace"].values()) == {2}


def test_a_batch_that_meets_another_operation_is_tried_again(site: Site) -> None:
    site.fault("workspace", "status", **status(409, gateway("WKS.0009")))
    assert site.run("run", site.plan(site.desktops(100))).code == 0
    assert site.calls("workspace") == 2


def test_a_login_page_in_the_place_of_an_answer_is_no_success_for_anybody(site: Site) -> None:
    for service in ("dcs", "das", "workspace", "workspaceapp", "cas", "cbh"):
        site.fault(service, "content_type", times=None)
    groups = [site.webcli(2), site.databases(2), site.desktops(2), site.app_sessions(2), site.tickets(2)]
    assert site.run("run", site.plan(*groups, site.bastions(2))).code == 3
    told = Counter((record["service"], record["outcome"]) for record in site.latest.records)
    assert told["workspaceapp.sessions", "not_attempted"] == 2  # nobody tells since when they are there
    assert told["cbh.console", "unknown"] == 2  # a link may have been made behind the page
    assert Counter(record["outcome"] for record in site.latest.records)["failed"] == 8


# What a service does not know any more


def test_a_refusal_after_a_lost_answer_is_unknown_where_nothing_is_declared(site: Site) -> None:
    site.configure(services={})
    site.fault("dcs", "lost")
    site.run("run", site.plan(site.webcli(1)))
    assert site.latest.one()["outcome"] == "unknown"
    assert "may have ended it" in site.latest.one()["reason"]


def test_a_second_logout_fails_where_nothing_is_declared(site: Site) -> None:
    site.configure(services={})
    plan = site.plan(site.webcli(2))
    assert site.run("run", plan).code == 0
    assert site.run("run", plan).code == 3
    assert site.latest.outcomes == Counter(failed=2)


def test_a_cas_that_does_not_clear_the_cookie_proves_nothing(site: Site) -> None:
    site.settings(cas_clears_cookie=False)
    assert site.run("run", site.plan(site.tickets(2))).code == 3
    assert "did not clear the cookie" in site.latest.records[0]["reason"]


def test_a_cas_that_takes_only_get(site: Site) -> None:
    site.settings(cas_post=False)
    site.configure({"mrs.cas": {"concurrency": 1}})
    assert site.run("run", site.plan(site.tickets(5))).code == 0
    assert site.latest.outcomes == Counter(ended=5)
    assert site.calls("cas") == 6  # the refusal is paid for once


# Throttling


@pytest.mark.parametrize("form", ["delta", "date"])
def test_retry_after_is_waited_for(site: Site, form: str) -> None:
    asked = "1" if form == "delta" else formatdate(time.time() + 2, usegmt=True)
    site.fault("dcs", "status", **status(429, **{"Retry-After": asked}))
    assert site.run("run", site.plan(site.webcli(1))).code == 0
    record = site.latest.one()
    assert record["attempts"] == 2
    assert 990 <= record["duration_ms"] < 3500  # a date has whole seconds


@pytest.mark.parametrize(("form", "service"), [("delta", "dcs"), ("date", "dcs"), (None, "dcs"), (None, "das")])
def test_a_service_that_throttles_gets_what_it_asks_for(site: Site, form: str | None, service: str) -> None:
    site.settings(limits={service: {"calls": 12, "period": 1.0, "burst": 4, "retry_after": form}})
    group = site.webcli(10) if service == "dcs" else site.databases(10)
    site.configure({group["service"]: {"attempts": 40, "concurrency": 4, "backoff": "100ms", "backoff_cap": "500ms"}})
    assert site.run("run", site.plan(group)).code == 0
    assert site.latest.outcomes == Counter(ended=10)
    seen = site.state()["services"][service]
    assert seen["throttled"] >= 1
    assert seen["throttled"] <= 40
    assert set(site.state()["logouts_handled"][service].values()) == {1}


# Nobody there


@pytest.mark.parametrize("service", ["dcs", "cbh"])
def test_a_call_that_never_left_is_failed_and_not_unknown(site: Site, service: str) -> None:
    group = site.webcli(1) if service == "dcs" else site.bastions(1)
    nobody = site.connection(AKSK, endpoint="http://127.0.0.1:9")
    site.configure({group["service"]: {"attempts": 3}}, connections={"cloud": nobody})
    assert site.run("run", site.plan(group)).code == 3
    record = site.latest.one()
    assert (record["outcome"], record["attempts"], record["http_status"]) == ("failed", 3, None)
    assert "could not connect" in record["reason"]


# IAM in trouble


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(status(503, {"error_code": "APIGW.0613", "error_msg": "IAM is not there"}), id="gateway"),
        pytest.param(status(500, {"error": {"code": 500, "message": "no", "title": "Internal"}}), id="keystone"),
        pytest.param(
            status(429, {"error_code": "IAM.0012", "error_msg": "Threshold: 99 times per 1 seconds"}), id="throttled"
        ),
    ],
)
def test_a_login_that_fails_for_the_moment_is_tried_again(site: Site, answer: dict[str, Any]) -> None:
    site.fault("iam", "status", **answer)
    assert site.run("run", site.plan(site.databases(3, "token"))).code == 0
    assert site.state()["services"]["iam"]["operations"]["create_token"] == 2


def test_a_login_page_in_the_place_of_a_token_is_no_token(site: Site) -> None:
    site.fault("iam", "content_type", times=None)
    assert site.run("run", site.plan(site.databases(3, "token"))).code == 3
    assert not site.latest.outcomes["ended"]
    assert site.calls("das") == 0


def test_a_header_that_is_no_text_does_no_harm(site: Site) -> None:
    headers = {"X-Request-Id": "\u00ff\u00fe"}
    site.fault("das", "status", status=400, headers=headers, body='{"error_code": "DAS.200114"}', times=None)
    assert site.run("run", site.plan(site.databases(3))).code == 3
    assert site.latest.outcomes == Counter(failed=3)
