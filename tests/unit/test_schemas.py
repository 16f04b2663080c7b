"""The exported JSON Schemas, checked by another implementation than the one that reads the files."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

from orchestrator import cli, demo, yamltext

SERVICES = sorted(Path(str(resources.files("orchestrator").joinpath("services"))).glob("[a-z]*.yaml"))
PLANS = sorted(Path(__file__).parents[2].joinpath("plans").glob("*.yaml"))


def schema(document: str, capsys: pytest.CaptureFixture[str]) -> jsonschema.Draft202012Validator:
    assert cli.main(["schema", document]) == 0
    found = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


def read(path: Path) -> object:
    return yamltext.typed(yamltext.load(path.read_text(), path.name))


@pytest.mark.parametrize("path", [demo.PLAN, *PLANS], ids=lambda path: path.name)
def test_every_plan_is_valid_by_the_schema(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema("plan", capsys).validate(read(path))


def test_the_demo_config_is_valid_by_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    schema("config", capsys).validate(read(demo.FOLDER / "config.yaml"))


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_every_description_is_valid_by_the_schema(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema("service", capsys).validate(read(path))


@pytest.mark.parametrize(
    ("document", "wrong"),
    [("plan", {"name": "x", "stagez": []}), ("config", {"state_dirr": "x"}), ("service", {"service": "x"})],
)
def test_what_is_wrong_is_wrong_by_the_schema_too(
    document: str, wrong: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not schema(document, capsys).is_valid(wrong)
