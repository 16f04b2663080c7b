"""The documents say what the program does: links, commands, codes, keys and every YAML block are held against it."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import jsonschema
import orjson
import pytest
from pydantic import BaseModel

from orchestrator import app, blueprint, catalogue, cli, counting, environment, settings, validation, yamltext
from orchestrator.classify import compile_reading
from orchestrator.model import Outcome, Response, RunRecord
from orchestrator.plan import Group, Plan, Stage
from orchestrator.reading import Check, Condition
from orchestrator.report import csv_writer, summarize
from orchestrator.selection import Selector
from orchestrator.service import Service
from orchestrator.settings import Config

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = sorted([README, ROOT / "CHANGELOG.md", *ROOT.glob("docs/*.md"), *ROOT.glob(".github/*.md")])
EXAMPLE = ROOT / "config.example.yaml"
PLANS = sorted((ROOT / "plans").glob("*.yaml"))
DEMO = "demo.yaml"  # its connections are those of the demo's own config
CONDITIONS = {*Condition.model_fields, *Check.model_fields}  # explained in docs/descriptions.md, wherever they are used
MARKERS = {"plan", "config", "description", "cases", "fragment"}
SCHEMAS: dict[str, type[BaseModel]] = {"plan": Plan, "config": Config, "description": Service}


@dataclass(frozen=True)
class Block:
    """One YAML block of a page, and what the comment before it says that it is."""

    page: Path
    line: int
    marker: str
    text: str

    @property
    def source(self) -> str:
        return f"{self.page.name}:{self.line}"

    def __str__(self) -> str:
        return self.source


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"(?:<!-- ([^\n]*?) -->\n)?^```ya?ml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        yield Block(page, text[: match.start()].count("\n") + 1, match[1] or "", match[2])


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def marked(marker: str) -> list[Any]:
    return [pytest.param(block, id=block.source) for block in BLOCKS if block.marker == marker]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(environment.PREFIX)]:
        monkeypatch.delenv(name)


def written(path: Path, block: Block) -> Path:
    path.write_text(block.text, encoding="utf-8")
    return path


# YAML blocks


def test_every_yaml_block_says_what_it_is() -> None:
    unknown = [block.source for block in BLOCKS if block.marker.split(": acme")[0] not in MARKERS]
    assert unknown == []


@pytest.mark.parametrize("block", marked("plan"))
def test_a_plan_in_a_page_holds_together_with_the_example_config(block: Block, tmp_path: Path) -> None:
    (tmp_path / "lists").symlink_to(ROOT / "plans" / "lists")
    app.prepare(written(tmp_path / "plan.yaml", block), {}, settings.load(EXAMPLE, {}), offline=True)


@pytest.mark.parametrize("block", marked("config"))
def test_a_config_in_a_page_loads(block: Block, tmp_path: Path) -> None:
    settings.load(written(tmp_path / "config.yaml", block), {})


@pytest.mark.parametrize("block", marked("description"))
def test_a_description_in_a_page_joins_the_catalogue(block: Block, tmp_path: Path) -> None:
    written(tmp_path / "acme.yaml", block)
    service = validation.read(Service, block.text, block.source)
    assert service.service in catalogue.load([tmp_path]).services


@pytest.mark.parametrize(("block", "model"), [(p.values[0], m) for m in SCHEMAS for p in marked(m)], ids=str)
def test_what_a_page_shows_is_valid_by_the_schema(block: Block, model: str) -> None:
    schema = SCHEMAS[model].model_json_schema(by_alias=True)
    jsonschema.Draft202012Validator(schema).validate(yamltext.typed(yamltext.load(block.text, block.source)))


def test_every_key_of_a_description_is_shown() -> None:
    shown: set[tuple[str, str]] = set()
    for block in BLOCKS:
        if block.marker == "description":
            shown |= set(keys_used(validation.read(Service, block.text, block.source)))
    unshown = set(keys_known(Service)) - shown
    assert {pair for pair in unshown if pair[1] not in CONDITIONS} == set()
    page = (ROOT / "docs/descriptions.md").read_text(encoding="utf-8")
    assert [name for name in (*Condition.model_fields, "batch") if f"| `{name}` |" not in page] == []
    assert [name for name in Check.model_fields if f"`{name}: " not in page] == []


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.marker.startswith("cases")], ids=lambda b: b.source
)
def test_the_cases_in_a_page_are_decided_as_they_say(block: Block) -> None:
    wanted = block.marker.removeprefix("cases").removeprefix(": ")
    described = [b for b in BLOCKS if b.page == block.page and b.marker == "description" and b.line < block.line]
    services = [validation.read(Service, b.text, b.source) for b in described]
    service = next(service for service in services if wanted in ("", service.service))
    classify = compile_reading(service, catalogue.load().rules(service), service.service)
    document = yamltext.typed(yamltext.load(block.text, block.source))
    for case in document["cases"]:
        body = orjson.dumps(case["body"]) if "body" in case else case.get("text", "").encode()
        ruling = classify(Response(case["status"], {}, body), case.get("batch", 1), 0.0)
        assert (case["name"], str(ruling.verdict)) == (case["name"], case["then"])
        assert case.get("reason", "") in ruling.reason


# The example config and the plans


def keys_used(value: Any) -> Iterator[tuple[str, str]]:
    """Yield (model, key) for everything that a document sets, as deep as it goes."""
    if isinstance(value, BaseModel):
        for name in value.model_fields_set:
            yield type(value).__name__, name
            yield from keys_used(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from keys_used(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from keys_used(item)


def keys_known(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Yield (model, key) for everything that a document could set."""
    for name, field in model.model_fields.items():
        yield model.__name__, name
        for inner in models_in(field.annotation):
            yield from keys_known(inner)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)


def test_the_example_config_shows_every_key() -> None:
    config = settings.load(EXAMPLE, {}).config
    assert set(keys_known(Config)) - set(keys_used(config)) == set()


def test_every_key_of_the_config_is_explained() -> None:
    page = (ROOT / "docs/config.md").read_text(encoding="utf-8")
    explained = {name for _, name in keys_known(Config)} - CONDITIONS
    assert [name for name in sorted(explained) if not re.search(rf"`(?:log\.)?{name}[`:.]", page)] == []


def test_every_key_of_the_plan_is_explained() -> None:
    page = (ROOT / "docs/plan.md").read_text(encoding="utf-8")
    for model in (Plan, Stage, Group):
        names = [field.alias or name for name, field in model.model_fields.items()]
        assert [name for name in names if f"`{name}" not in page] == []


@pytest.mark.parametrize("path", [path for path in PLANS if path.name != DEMO], ids=lambda path: path.name)
def test_the_plans_hold_together_with_the_example_config_and_their_lists(path: Path) -> None:
    prepared = app.prepare(path, {}, settings.load(EXAMPLE, {}), offline=True)
    assert counting.count([one for one in prepared.sections if not one.source.interactive], Selector(())).total > 0
    assert list(blueprint.warnings(prepared)) == []


def test_the_demo_plan_is_the_one_that_the_demo_runs() -> None:
    assert (ROOT / "plans" / DEMO).read_text() == (ROOT / "orchestrator/demo/demo.yaml").read_text()


# The README


def test_the_source_map_has_every_module_once_and_no_other() -> None:
    modules = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "orchestrator").rglob("*.py"))
    mapped = re.findall(r"^\|[^|]*\| `(orchestrator/[^`]+\.py)` \| [^|]+ \|$", README.read_text(), re.MULTILINE)
    assert sorted(mapped) == modules


COMMAND = re.compile(r"\borchestrator ([a-z]+)\b([^\n`|;]*)")


def commands() -> dict[str, set[str]]:
    """Return the options of every command of the program."""
    groups = [action for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return {name: set(parser._option_string_actions) for name, parser in groups[0].choices.items()}


def uses_of(page: Path) -> Iterator[tuple[str, str]]:
    """Yield (command, rest of the line) for every use in a page's shell blocks and code spans."""
    text = page.read_text(encoding="utf-8")
    shell = re.findall(r"^```(?:sh|cron)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    spans = re.findall(r"`(orchestrator [^`]+)`", text)
    yield from (match.groups() for part in [*shell, *spans] for match in COMMAND.finditer(part))  # type: ignore[misc]


def test_every_command_is_in_the_readme() -> None:
    assert set(commands()) == {name for name, _ in uses_of(README)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_that_a_page_uses_exists(page: Path) -> None:
    known = commands()
    for name, rest in uses_of(page):
        assert name in known
        assert set(re.findall(r"(?<= )--[a-z-]+", rest.partition(" #")[0])) <= known[name]


def test_the_exit_codes_are_those_of_the_program() -> None:
    table = README.read_text().partition("## Exit codes")[2].partition("\n## ")[0]
    said = re.findall(r"^\| ([\d, ]+) \| (.+) \|$", table, re.MULTILINE)
    known = re.findall(r"^  (\d+(?:, \d+)*)\s+(.+)$", cli.EXIT_CODES, re.MULTILINE)
    assert said == known
    assert known


def test_the_outcomes_are_those_of_the_program() -> None:
    for page, title in ((README, "## Outcomes"), (ROOT / "docs/outcomes-and-reports.md", "## Outcomes")):
        table = page.read_text().partition(title)[2].partition("\n## ")[0]
        assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(map(str, Outcome))


def test_ci_finds_its_two_commands() -> None:
    text = README.read_text()
    for marker in ("demo", "tests"):
        block = text.partition(f"<!-- ci:{marker} -->\n```sh\n")[2].partition("\n```")[0]
        assert block.startswith("python3 -m venv .venv && ")
        assert "\n" not in block


# The other pages


def test_every_column_and_key_of_the_report_is_explained() -> None:
    page = (ROOT / "docs/outcomes-and-reports.md").read_text(encoding="utf-8")
    columns, _, summary = page.partition("### report.json")
    assert [name for name in csv_writer.COLUMNS if f"`{name}`" not in columns] == []
    facts = summarize(RunRecord("run", "plan", "plan.yaml", None, "", "accepted", 0.0), [], folder="")
    assert [name for name in facts.to_json() if f"`{name}`" not in summary] == []


@pytest.mark.parametrize("service", catalogue.load().services.values(), ids=lambda service: service.service)
def test_every_service_has_its_section(service: Service) -> None:
    page = (ROOT / "docs/services.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {service.service}\n")[2].partition("\n## ")[0]
    assert f"`{service.end.method} {service.end.path}`" in section
    assert [name for name in service.fields if f"`{name}`" not in section] == []
    assert (
        f"| limits | {service.limits.rate[0] if service.limits.rate else ''}, {service.limits.concurrency} at"
        in section
    )
    assert f"| repeatable | {'yes' if service.end.idempotent else 'no'}" in section
    assert service.permission in section
    assert service.end.batch is None or f"up to {service.end.batch.size}" in section


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors_of(target), f"{page.name}: {link}"


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as they are made on the web."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
