"""What a run notes down of what may remain: the catalogue's words, and the services that its plan leaves out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator import app, residual, settings, story
from orchestrator.catalogue import load

PROJECT = "0123456789abcdef0123456789abcdef"
AKSK = {"type": "aksk", "access_key": "env:AK", "secret_key": "env:SK"}
CLOUD = {"cloud": "huaweicloud", "region": "cn-north-4", "auth": AKSK}
PROD = {**CLOUD, "project_id": PROJECT}
OTC = {**PROD, "cloud": "otc", "region": "eu-nl"}
MANAGER = {"endpoint": "https://10.0.0.5:20009", "auth": {"type": "none"}}
CLOUD_SERVICES = [name for name, service in load().services.items() if "aksk" in service.auth]
OF_ACCOUNTS = [name for name in CLOUD_SERVICES if "{project_id}" not in load().services[name].end.path]
GROUP = {"service": "workspace.desktops", "connection": "prod", "items": [{"desktop_id": "d-1"}]}


def noted(folder: Path, connections: dict[str, Any], *more: dict[str, Any], subject: str | None = "al") -> Any:
    (folder / "config.yaml").write_text(json.dumps({"connections": connections}))
    named = {"subject": subject} if subject else {}
    (folder / "plan.yaml").write_text(json.dumps({"name": "plan", **named, "targets": [GROUP, *more]}))
    config = settings.load(folder / "config.yaml", {})
    blueprint = app.prepare(folder / "plan.yaml", {}, config, offline=True)
    return residual.declared(blueprint, {("workspace.desktops", "prod"): 1})


def untouched(found: Any) -> dict[str, list[str]]:
    return {one["service"]: one["connections"] for one in found["not_touched"]}


def test_without_a_subject_nothing_is_noted(tmp_path: Path) -> None:
    assert noted(tmp_path, {"prod": PROD}, subject=None) == {}


def test_what_the_description_declares_is_noted(tmp_path: Path) -> None:
    group = {"service": "iam.user", "connection": "prod", "items": [{"user_id": PROJECT}]}
    user, desktops = noted(tmp_path, {"prod": PROD}, group)["services"]
    assert (desktops["service"], desktops["connections"], desktops["planned"]) == ("workspace.desktops", ["prod"], 1)
    assert [entry.get("seconds") for entry in user["residual"]] == [1800, 86400]
    assert json.loads(json.dumps(user)) == user


@pytest.mark.parametrize(
    ("connections", "left"),
    [
        pytest.param({}, {name: ["prod"] for name in CLOUD_SERVICES if name != "workspace.desktops"}, id="one"),
        pytest.param({"manager": MANAGER}, {"mrs.cas": ["manager"]}, id="another-kind-of-auth"),
        pytest.param({"again": PROD}, {"dcs.webcli": ["again", "prod"]}, id="two-ways-to-one-place"),
        pytest.param({"account": CLOUD}, {"dcs.webcli": ["prod"], "iam.user": ["account", "prod"]}, id="no-project"),
        pytest.param(
            {"otc": OTC},
            {"dcs.webcli": ["otc", "prod"], "iam.user": ["otc", "prod"], "das.builtin-account": ["prod"]},
            id="not-offered-there",
        ),
        pytest.param(
            {"west": {**PROD, "region": "na-mexico-1"}},
            {"dcs.webcli": ["prod", "west"], "workspace.desktops": None},
            id="not-in-that-region",
        ),
        pytest.param(
            {"south": {**PROD, "region": "cn-south-1"}, "other": {**PROD, "project_id": "f" * 32}},
            {"workspace.desktops": ["other", "south"]},
            id="the-same-service-elsewhere",
        ),
    ],
)
def test_what_the_config_reaches_and_the_plan_leaves_out(
    tmp_path: Path, connections: dict[str, Any], left: dict[str, Any]
) -> None:
    found = untouched(noted(tmp_path, {"prod": PROD, **connections}))
    assert {name: found.get(name) for name in left} == left


def test_a_config_of_which_everything_is_touched(tmp_path: Path) -> None:
    ticket = {"service": "mrs.cas", "connection": "manager", "items": [{"ticket": "env:TICKET"}]}
    found = untouched(noted(tmp_path, {"prod": PROD, "manager": MANAGER}, ticket))
    assert "mrs.cas" not in found
    assert sorted(found) == sorted(set(CLOUD_SERVICES) - {"workspace.desktops"})
    assert OF_ACCOUNTS


def test_the_last_call_is_the_last_answer_to_one_that_was_made() -> None:
    def line(service: str, sent: str | None, settled: str) -> str:
        return json.dumps({"service": service, "first_sent": sent, "settled": settled})

    first, second, third = (f"1970-01-01T00:00:0{second}.500Z" for second in (1, 2, 3))
    lines = [line("a", first, second), line("a", first, first), line("a", None, third), line("b", None, third)]
    assert story.last_calls(lines) == {"a": 2.5}


def test_every_number_of_the_catalogue_is_said_in_words_too() -> None:
    words = {1800: "30 minutes", 86400: "24 hours", 28800: "8 hours"}
    entries = [entry for service in load().services.values() for entry in service.residual if entry.seconds]
    assert {entry.seconds for entry in entries} == set(words)
    assert [entry for entry in entries if words[entry.seconds or 0] not in entry.until] == []
