"""When each stage and lane of a forecast begins and ends, and what is said of it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator import app, forecast, paces, settings, waves
from orchestrator.outlook import Forecast, spoken
from orchestrator.paces import Learned
from orchestrator.selection import Selector

CONFIG = """
state_dir: state
connections:
  c: {endpoint: "http://127.0.0.1:9", project_id: p, auth: {type: aksk, access_key: "env:A", secret_key: "env:B"}}
  m: {endpoint: "http://127.0.0.1:9", auth: {type: none}}
limits:
  das.builtin-account: {rate: 1/s, attempts: 2, timeout: 10s, backoff: 4s}
  dcs.webcli: {rate: 10/s}
  workspace.desktops: {rate: 5/s}
services:
  workspace.desktops: {verify: {lag: 3s, deadline: 7s}, reads: {rate: 1/s}}
"""


def das(number: int) -> dict[str, Any]:
    items = [{"instance_id": f"{n:032x}in02"} for n in range(number)]
    return {"service": "das.builtin-account", "connection": "c", "items": items}


def dcs(number: int) -> dict[str, Any]:
    items = [{"instance_id": f"5560df16-cebf-4473-95c4-{n:012x}", "client_id": "env:C"} for n in range(number)]
    return {"service": "dcs.webcli", "connection": "c", "items": items}


def desktops(number: int, **more: object) -> dict[str, Any]:
    items = [{"desktop_id": f"d-{n}"} for n in range(number)]
    return {"service": "workspace.desktops", "connection": "c", "items": items, **more}


def predicted(
    folder: Path, plan: dict[str, Any], *only: str, deadline: float | None = None, latency: float | None = 0.1
) -> Forecast:
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "plan.yaml").write_text(json.dumps({"name": "plan", **plan}))
    config = settings.load(folder / "config.yaml", {})
    blueprint = app.prepare(folder / "plan.yaml", {}, config, offline=True)
    return forecast.predict(blueprint, Selector(only), latency=latency, deadline=deadline)


def times(found: Forecast) -> dict[str, tuple[float, float]]:
    return {stage.name: (round(stage.begins, 1), round(stage.ends, 1)) for stage in found.stages}


def test_what_a_lane_takes_is_said_or_remembered_or_assumed(tmp_path: Path) -> None:
    known = Learned(per_second=4.0, answer=0.6)
    (tmp_path / "state").mkdir()
    paces.keep(tmp_path / "state", {"c/dcs.webcli": known, "c/das.builtin-account": Learned(9.0)}, time.time())
    plan = {"targets": [dcs(41), das(11)]}
    found = predicted(tmp_path, plan, latency=None)
    first, second = found.lanes
    assert (first.latency, first.assumed, second.latency, second.assumed) == (0.6, False, 0.1, True)
    assert (round(first.per_second, 2), first.bound, second.per_second) == (3.33, "concurrency", 1.0)
    said = "How long das.builtin-account@c takes to answer was never measured: 100 ms is assumed (--latency)."
    assert said in found.text()
    sure = predicted(tmp_path, plan, latency=0.02)
    assert [lane.latency for lane in sure.lanes] == [0.02, 0.02]
    assert sure.lanes[0].per_second == 4.0  # it was refused at more, whatever the config says
    assert "assumed" not in sure.text()


def test_a_lane_that_had_to_wait_asks_first_since_when_its_sessions_are_there(tmp_path: Path) -> None:
    items = [{"session_id": f"s-{n}"} for n in range(250)]
    sessions = {"service": "workspaceapp.sessions", "connection": "c", "items": items, "verify": False}
    stages = [{"name": "a", "targets": [das(5)]}, {"name": "b", "targets": [dcs(3), sessions]}]
    _, dcs_lane, asking = predicted(tmp_path, {"stages": stages}).lanes
    assert [dcs_lane.begins, asking.begins] == pytest.approx([4.1, 4.1 + 1.1], abs=0.05)  # three pages, at 2/s
    assert asking.worst_begins > dcs_lane.worst_begins
    (first,) = predicted(tmp_path, {"targets": [sessions]}).lanes
    assert first.begins == 0.0


def test_stages_follow_each_other_and_their_lanes_run_side_by_side(tmp_path: Path) -> None:
    stages = [{"name": "a", "targets": [das(5), dcs(5)]}, {"name": "b", "targets": [dcs(3)]}]
    found = predicted(tmp_path, {"stages": stages})
    assert times(found) == {"a": (0.0, 4.1)}  # what b has was called before
    assert [stage.bottleneck.lane for stage in found.stages] == ["das.builtin-account@c"]
    assert (found.targets, found.calls, found.listed_twice) == (10, 10, 3)


def test_a_stage_begins_when_what_it_needs_is_over(tmp_path: Path) -> None:
    stages = [
        {"name": "a", "targets": [das(5)]},
        {"name": "b", "needs": [], "targets": [dcs(6)]},
        {"name": "c", "needs": ["b"], "targets": [desktops(1, verify=False)]},
    ]
    found = predicted(tmp_path, {"stages": stages})
    assert times(found) == {"a": (0.0, 4.1), "b": (0.0, 0.6), "c": (0.6, 0.7)}
    assert found.seconds == pytest.approx(4.1, rel=0.01)


@pytest.mark.parametrize(("continue_on", "begins"), [("any", 4.9), ("accepted", 10.0)])
def test_a_stage_waits_for_looks_only_where_it_has_to_know_what_came_of_the_calls(
    tmp_path: Path, continue_on: str, begins: float
) -> None:
    after = {"name": "b", "continue_on": continue_on, "targets": [dcs(6)]}
    found = predicted(tmp_path, {"stages": [{"name": "a", "targets": [desktops(2500)]}, after]})
    assert times(found)["a"] == pytest.approx((0.0, 10.0), rel=0.01)
    assert times(found)["b"] == pytest.approx((begins, begins + 0.6), rel=0.02)
    assert found.stages[1].worst_begins < found.stages[0].worst_ends or continue_on == "accepted"


def test_a_lane_works_for_one_stage_at_a_time(tmp_path: Path) -> None:
    other = {**das(7), "items": das(7)["items"][5:]}
    stages = [{"name": "a", "targets": [das(5)]}, {"name": "b", "needs": [], "targets": [other]}]
    assert times(predicted(tmp_path, {"stages": stages})) == {"a": (0.0, 4.1), "b": (0.0, 5.2)}


def test_looks_come_after_the_calls(tmp_path: Path) -> None:
    found = predicted(tmp_path, {"targets": [desktops(2500)]})
    (lane,) = found.lanes
    assert (lane.calls, lane.looks) == (25, 3)
    assert lane.seconds == pytest.approx(4.9, rel=0.01)
    assert lane.look_seconds == pytest.approx(3 + 2 + 0.1, rel=0.01)
    assert found.seconds == pytest.approx(10.0, rel=0.01)
    assert found.worst_seconds > 2 * (10 + 25)
    assert "looked at afterwards, in 3 calls: about 5 s" in found.text()


def test_waves_wait_for_each_other(tmp_path: Path) -> None:
    found = predicted(tmp_path, {"targets": [desktops(300)], "guard": {"ramp": [1, 10, "100%"]}})
    (lane,) = found.lanes
    assert (lane.calls, lane.looks) == (1 + 1 + 3, 3 * 2)
    assert lane.look_seconds == pytest.approx(3 * 4.1)
    assert lane.examples == ("d-0", "d-1", "d-2")


def test_an_end_that_is_put_off_is_looked_at_later(tmp_path: Path) -> None:
    items = [{"session_id": f"s-{n}", "delay_time": 30 * n} for n in range(3)]
    group = {"service": "workspaceapp.sessions", "connection": "c", "items": items}
    (lane,) = predicted(tmp_path, {"targets": [group]}).lanes
    assert lane.look_seconds == pytest.approx(60.6, rel=0.01)


def test_what_is_looked_at_is_called_a_portion_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waves, "PORTION", 1000)
    (lane,) = predicted(tmp_path, {"targets": [desktops(2500)]}).lanes
    assert (lane.targets, lane.calls, lane.looks) == (2500, 25, 2 + 2 + 2)
    assert lane.look_seconds == pytest.approx(3 * 3 + 3 * 1.1)


def test_a_second_pass_calls_identity_providers_again(tmp_path: Path) -> None:
    tickets = {"service": "mrs.cas", "connection": "m", "verify": False, "items": [{"ticket": "env:T"}]}
    found = predicted(tmp_path, {"targets": [dcs(6), tickets], "second_pass": "60s"})
    assert [stage.name for stage in found.stages] == ["identity", "targets", "second pass"]
    assert found.seconds == pytest.approx(0.1 + 0.6 + 60 + 0.1, rel=0.01)
    assert (found.targets, found.calls) == (7, 8)
    assert "stage second pass: after a rest of 1m, about 1 s, bound by mrs.cas@m" in found.text()
    assert "It takes about 61 s at these rates, bound by the rest before stage second pass." in found.text()
    longer = predicted(tmp_path, {"targets": [dcs(100), tickets], "second_pass": "2s"})
    assert "at these rates, bound by dcs.webcli@" in longer.text()


def test_the_worst_uses_every_attempt_up_until_the_deadline(tmp_path: Path) -> None:
    assert predicted(tmp_path, {"targets": [das(1)]}).worst_seconds == pytest.approx(24.0)
    bounded = predicted(tmp_path, {"targets": [das(1)]}, deadline=20.0)
    assert bounded.worst_seconds == 20.0
    assert "about 20 s, when the deadline ends it." in bounded.text()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (89.4, "89 s"), (149, "2.5 min"), (210.8, "3.5 min"), (3000, "50 min"), (9000, "2.5 h")],
)
def test_a_duration_is_said_to_within_a_twentieth(seconds: float, said: str) -> None:
    assert spoken(seconds) == f"about {said}"


def test_only_what_is_selected_counts(tmp_path: Path) -> None:
    found = predicted(tmp_path, {"targets": [das(5), dcs(6)]}, "service=dcs.*")
    assert (found.targets, [lane.lane for lane in found.lanes]) == (6, ["dcs.webcli@c"])
    assert found.bottleneck is not None
    assert found.bottleneck.bound == "rate"
