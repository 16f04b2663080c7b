"""Plan, config and catalogue held against each other, as far as tests/bad does not show it already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator import app, settings
from orchestrator.blueprint import Blueprint, warnings
from orchestrator.counting import count
from orchestrator.errors import InvalidInput
from orchestrator.model import Secret
from orchestrator.selection import Selector

AUTH = {"type": "aksk", "access_key": "env:AK", "secret_key": "env:SK"}
PROD = {"cloud": "huaweicloud", "region": "cn-north-4", "project_id": "p", "auth": AUTH}


def prepared(folder: Path, service: str, items: list[dict[str, Any]], **plan: Any) -> Blueprint:
    return prepared_group(folder, {"service": service, "items": items}, **plan)


def prepared_group(folder: Path, group: dict[str, Any], **plan: Any) -> Blueprint:
    (folder / "config.yaml").write_text(json.dumps({"connections": {"prod": PROD}}))
    targets = [{"connection": "prod", **group}]
    (folder / "plan.yaml").write_text(json.dumps({"name": "plan", "targets": targets, **plan}, indent=0))
    return app.prepare(folder / "plan.yaml", {}, settings.load(folder / "config.yaml", {}))


@pytest.mark.parametrize(
    ("service", "item"),
    [
        pytest.param("das.builtin-account", {"instance_id": "odd"}, id="made-again-when-read"),
        pytest.param("dcs.webcli", {"instance_id": "odd", "client_id": "env:WEBCLI"}, id="kept-for-its-secret"),
    ],
)
def test_what_looks_unusual_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: str, item: dict[str, Any]
) -> None:
    monkeypatch.setenv("WEBCLI", "c-1")
    known = app.load_catalogue(settings.load(None, {})).services[service].fields
    whole = {**item, **{name: "x" for name, spec in known.items() if not spec.optional and name not in item}}
    blueprint = prepared(tmp_path, service, [whole])
    assert count(blueprint.sections, Selector(())).total == 1
    assert [said for said in warnings(blueprint) if "instance_id" in said] == [
        f"items: the instance_id of 1 {service} targets looks unusual"
    ]


@pytest.mark.parametrize(
    ("group", "told"),
    [
        ({"service": "das.builtin-account", "items": [{"instance_id": "i"}]}, True),
        ({"service": "workspace.desktops", "items": [{"desktop_id": "d"}], "verify": False}, True),
        ({"service": "workspace.desktops", "items": [{"desktop_id": "d"}]}, False),
        ({"service": "cbh.console", "items": [{"server_id": "b"}], "expect": "denied"}, False),
    ],
    ids=["no-way", "not-wanted", "looked-at", "access-check"],
)
def test_what_nothing_looks_at_and_has_to_be_verified_is_told(
    tmp_path: Path, group: dict[str, Any], told: bool
) -> None:
    said = "afterwards, and `require: verified` wants that"
    assert any(said in one for one in warnings(prepared_group(tmp_path, group, require="verified"))) is told
    assert not any(said in one for one in warnings(prepared_group(tmp_path, group)))


def test_a_secret_of_an_item_is_what_it_was_when_the_plan_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBCLI", "before")
    blueprint = prepared(tmp_path, "dcs.webcli", [{"instance_id": "i", "client_id": "env:WEBCLI"}])
    monkeypatch.setenv("WEBCLI", "after")
    assert [target.fields["client_id"] for target in blueprint.sections[0].source.targets()] == [Secret("before")]


def test_a_fault_in_the_last_of_many_items_has_its_line(tmp_path: Path) -> None:
    items: list[dict[str, Any]] = [{"desktop_id": f"d-{n}"} for n in range(50)]
    with pytest.raises(InvalidInput) as caught:
        prepared(tmp_path, "workspace.desktops", [*items, {"desktop": "d"}])
    lines = (tmp_path / "plan.yaml").read_text().split("\n")
    assert {fault.line for fault in caught.value.faults} >= {lines.index('"desktop": "d"') + 1}


def test_what_is_no_mapping_among_the_items_is_told_item_by_item(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        prepared(tmp_path, "workspace.desktops", [{"desktop_id": ""}, "e", ["f"], {"no": "g"}])  # type: ignore[list-item]
    found = [fault.path for fault in caught.value.faults if (fault.path or "").startswith("targets")]
    items = [f"targets[0].items[{i}]" for i in range(4)]
    assert found == [f"{items[0]}.desktop_id", items[1], items[2], f"{items[3]}.desktop_id", f"{items[3]}.no"]
