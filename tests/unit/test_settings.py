"""The config: where it is found, what it may say, the environment over it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator import settings
from orchestrator.calling import Limits
from orchestrator.errors import InvalidInput
from orchestrator.settings import ConfigFile
from orchestrator.units import Rate


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("ORCHESTRATOR_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def load(text: str | None) -> ConfigFile:
    path = None
    if text is not None:
        path = Path("config.yaml")
        path.write_text(text, encoding="utf-8")
    return settings.load(path, os.environ)


def faults(text: str | None) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        load(text)
    return [str(fault) for fault in caught.value.faults]


CONFIG = """\
state_dir: var/state
connections:
  prod:
    cloud: huaweicloud
    region: cn-north-4
    project_id: 0123456789abcdef0123456789abcdef
    auth: {type: aksk, access_key: "env:AK", secret_key: "env:SK"}
  analytics:
    endpoint: https://10.0.0.5:20009/
    auth: {type: none}
limits:
  workspace.desktops: {rate: 5/s, concurrency: 4}
"""


def test_a_config_is_read() -> None:
    found = load(CONFIG)
    prod, analytics = found.config.connections["prod"], found.config.connections["analytics"]
    assert (prod.cloud, prod.region, prod.auth.type) == ("huaweicloud", "cn-north-4", "aksk")
    assert (analytics.endpoint, analytics.auth.type) == ("https://10.0.0.5:20009", "none")
    limits = found.config.limits["workspace.desktops"]
    assert (limits.rate, limits.concurrency) == ((Rate(5, 1),), 4)


def test_paths_are_relative_to_the_config(tmp_path: Path) -> None:
    found = load(CONFIG)
    assert found.state_dir == tmp_path / "var" / "state"
    assert found.report_dir == tmp_path / "reports"


@pytest.mark.parametrize("text", [None, "", "# nothing\n"], ids=["no-file", "empty", "comment"])
def test_without_a_config_there_are_defaults(text: str | None) -> None:
    if text and text.startswith("#"):
        assert "not empty" in faults(text)[0]
        return
    assert load(text).config.connections == {}


def test_the_environment_is_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_STATE_DIR", "/elsewhere")
    monkeypatch.setenv("ORCHESTRATOR_CONNECTIONS__PROD__REGION", "eu-de")
    found = load(CONFIG)
    assert found.state_dir == Path("/elsewhere")
    assert found.config.connections["prod"].region == "eu-de"
    assert found.config.connections["prod"].cloud == "huaweicloud"


def test_no_environment_counts_but_the_one_that_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_STATE_DIR", "/elsewhere")
    monkeypatch.setenv("ORCHESTRATOR_LOG", "no JSON")
    assert settings.load(None, {}).config == settings.Config()
    assert settings.load(None, {"ORCHESTRATOR_REPORT_DIR": "here"}).config == settings.Config(report_dir=Path("here"))


AUTH = "auth: {type: none}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("conections: {}", "config.yaml:1: conections: unknown key; did you mean 'connections'?", id="key"),
        pytest.param(
            f"connections:\n  a: {{{AUTH}}}", "connections.a: needs cloud and region, or an endpoint", id="nowhere"
        ),
        pytest.param(
            f"connections:\n  a: {{cloud: otc, {AUTH}}}", "connections.a: has a cloud and no region", id="region"
        ),
        pytest.param("connections:\n  a: {endpoint: 'https://x'}", "a.auth: is missing, and is required", id="no-auth"),
        pytest.param(
            "connections:\n  a: {endpoint: 'https://x', auth: {type: akks}}",
            "a.auth: unknown type (it can be aksk, iam-token, bearer, basic, cookie, none); did you mean 'aksk'?",
            id="auth-type",
        ),
        pytest.param(
            "connections:\n  a: {endpoint: 'https://x', auth: {type: bearer, token: hunter2}}",
            "a.auth.token: is a literal secret; write a reference instead: env:NAME or file:PATH",
            id="literal-secret",
        ),
        pytest.param(
            "connections:\n  a: {endpoint: 'https://x', auth: {type: iam-token, user: u, password: 'env:P'}}",
            "needs user and domain, or user_id",
            id="half-a-user",
        ),
        pytest.param(f"connections:\n  a: {{endpoint: 'ftp://x', {AUTH}}}", "should be a URL such as", id="scheme"),
        pytest.param(f"connections:\n  a: {{endpoint: 10.0.0.5, {AUTH}}}", "should be a URL such as", id="no-scheme"),
        pytest.param(
            f"connections:\n  a: {{endpoint: 'https://u:hunter2@x', {AUTH}}}",
            "credentials go into auth",
            id="user-in-url",
        ),
        pytest.param(
            f"connections:\n  a: {{cloud: aws, region: x, {AUTH}}}", "connections.a.cloud: should be", id="cloud"
        ),
        pytest.param(
            f"connections:\n  a: {{endpoint: 'https://x', {AUTH}, tls: {{fingerprint: abc}}}}",
            "tls.fingerprint",
            id="pin",
        ),
        pytest.param("limits: {x: {rate: fast}}", "limits.x.rate: should be a rate such as 5/s", id="rate"),
        pytest.param("limits: {x: {concurrency: 0}}", "limits.x.concurrency", id="concurrency"),
        pytest.param("log: {level: loud}", "log.level: should be", id="level"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, expected: str) -> None:
    (fault,) = faults(text)
    assert expected in fault
    assert fault.startswith("config.yaml:")
    assert "hunter2" not in fault


def test_every_fault_of_a_config_is_reported_at_once() -> None:
    text = "connections:\n  a: {auth: {type: none}}\n  b:\n    cloud: otc\n    auth: {type: none}\nlog: {levle: info}\n"
    assert [fault.split(": ")[:2] for fault in faults(text)] == [
        ["config.yaml:2", "connections.a"],
        ["config.yaml:3", "connections.b"],
        ["config.yaml:6", "log.levle"],
    ]


def test_a_variable_that_is_no_setting_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_STATEDIR", "x")
    (fault,) = faults(None)
    assert fault == "environment variable ORCHESTRATOR_STATEDIR: there is no such setting; did you mean 'state_dir'?"


def test_a_wrong_value_in_the_environment_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_CONNECTIONS__PROD__REGION", "EU DE")
    (fault,) = faults(CONFIG)
    assert fault.startswith("environment variable ORCHESTRATOR_CONNECTIONS__PROD__REGION: ")


def test_a_config_is_looked_for_in_order(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "orchestrator").mkdir(parents=True)
    environment = {"XDG_CONFIG_HOME": str(home)}
    assert settings.find(None, environment) is None
    own = home / "orchestrator" / "config.yaml"
    own.touch()
    assert settings.find(None, environment) == own
    Path("config.yaml").touch()
    assert settings.find(None, environment) == Path("config.yaml")
    named = {**environment, "ORCHESTRATOR_CONFIG": "named.yaml"}
    assert settings.find(None, named) == Path("named.yaml")
    assert settings.find("given.yaml", named) == Path("given.yaml")


def test_a_wrong_value_in_the_environment_names_its_variable_also_where_the_file_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_LOG__LEVEL", "loud")
    assert faults("state_dir: here\n")[0].startswith("environment variable ORCHESTRATOR_LOG__LEVEL: ")


def test_who_has_no_home_has_no_config_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    assert settings.find(None, {}) is None


def test_a_home_that_may_not_be_looked_into_has_no_config(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(Path, "is_file", forbidden)
    assert settings.find(None, {}) is None


def test_a_burst_belongs_to_its_rate() -> None:
    described = Limits.model_validate({"rate": "5/s", "burst": 20, "concurrency": 4})
    assert Limits().over(described).burst == 20
    assert Limits.model_validate({"concurrency": 1}).over(described).burst == 20
    assert Limits.model_validate({"rate": "9/s"}).over(described).burst is None
    assert Limits.model_validate({"rate": "9/s", "burst": 3}).over(described).burst == 3
