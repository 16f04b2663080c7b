"""What stands around a bad file: a good config, a good plan, and how a case says what is expected of it.

It says so itself, in comments at its end so that the lines stay what they are, or beside it in a file that ends in
`.expect` where a comment would change what is tested:

    # expect: one line of standard error, in order, and nothing else may be there
    # args: options for the command
    # service: whose target the good plan around a bad config or source has, instead of workspace.desktops
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from orchestrator import cli

HERE = Path(__file__).parent
SECRETS = {
    "BAD_AK": "an-access-key",
    "BAD_SK": "a-secret-key",
    "BAD_TICKET": "TGT-1-x",
    "BAD_COOKIE": "TGT;1",
    "BAD_SPACE": "two words",
    "BAD_LINES": "two\nlines",
}
CONFIG = """
state_dir: {folder}/state
report_dir: {folder}/reports
connections:
  cloud:
    endpoint: http://127.0.0.1:{port}
    project_id: 0123456789abcdef0123456789abcdef
    auth: {{type: aksk, access_key: "env:BAD_AK", secret_key: "env:BAD_SK"}}
  no-project:
    endpoint: http://127.0.0.1:{port}
    auth: {{type: aksk, access_key: "env:BAD_AK", secret_key: "env:BAD_SK"}}
  otc:
    cloud: otc
    region: eu-de
    project_id: 0123456789abcdef0123456789abcdef
    auth: {{type: aksk, access_key: "env:BAD_AK", secret_key: "env:BAD_SK"}}
  manager: {{endpoint: "http://127.0.0.1:{port}", auth: {{type: none}}}}
  dcs-only:
    endpoints: {{dcs: "http://127.0.0.1:{port}"}}
    project_id: 0123456789abcdef0123456789abcdef
    auth: {{type: aksk, access_key: "env:BAD_AK", secret_key: "env:BAD_SK"}}
  cluster: {{cloud: otc, region: eu-de, auth: {{type: none}}}}
"""
PLAN = """
name: good
targets:
  - service: {service}
    connection: {connection}
    {source}
"""
# For the kinds of auth that no service of the package's own catalogue takes.
LAB = """
service: lab.thing
title: Anything
endpoint: {own: "https://10.0.0.5"}
auth: [aksk, iam-token, bearer, basic, cookie, none]
key: [thing_id]
fields: {thing_id: {max: 9}}
end: {method: POST, path: "/things/{thing_id}", idempotent: true}
success: {status: 200, then: ended}
"""
ITEMS = {"workspace.desktops": "items: [{desktop_id: d-1}]", "lab.thing": "items: [{thing_id: t-1}]"}
KINDS = ("plan", "config", "service", "sources", "environment")


def cases(kind: str) -> list[Path]:
    return sorted(path for path in (HERE / kind).iterdir() if path.suffix != ".expect")


def beside(path: Path) -> Path:
    return path.with_suffix(path.suffix + ".expect")


def said(path: Path, word: str) -> list[str]:
    """Return what a file says behind a word in its comments."""
    source = beside(path) if beside(path).exists() else path
    lines = source.read_bytes().decode("utf-8", "replace").splitlines()
    return [line.removeprefix(f"# {word}: ") for line in lines if line.startswith(f"# {word}: ")]


def expected(path: Path) -> list[str]:
    return said(path, "expect")


def options(path: Path) -> list[str]:
    return next((shlex.split(line) for line in said(path, "args")), [])


def good_plan(folder: Path, path: Path, source: str = "") -> Path:
    """Write the plan that is good but for the file under test."""
    service = next(iter(said(path, "service")), "workspace.desktops")
    connection = "manager" if service == "mrs.cas" else "cloud"
    plan = folder / "good.yaml"
    plan.write_text(PLAN.format(service=service, connection=connection, source=source or ITEMS[service]))
    return plan


def written(path: Path, folder: Path, port: int) -> Path:
    """Copy a config, with its endpoints led to the port that counts."""
    copy = folder / path.name
    copy.write_bytes(re.sub(rb"127\.0\.0\.1:9\b", b"127.0.0.1:%d" % port, path.read_bytes()))
    return copy


def check(path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str], *folders: Path) -> None:
    code = cli.main(arguments)
    shown = capsys.readouterr()
    text = shown.err
    for folder in folders:
        text = text.replace(f"{folder}/", "")
    assert (code, shown.out) == (2, "")
    assert "Traceback" not in text
    assert text.splitlines() == expected(path), text
