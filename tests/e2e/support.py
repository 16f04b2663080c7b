"""A folder with a config for a sandbox in another process, and what a person or a cron job would do there."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import cli
from orchestrator.sandbox import seed
from orchestrator.sandbox.state import (
    ACCESS_KEY,
    PASSWORD,
    PROJECT_ID,
    REGION,
    SECRET_KEY,
    SECURITY_TOKEN,
    TEMPORARY_KEY,
    TEMPORARY_SECRET,
)

ENTRY = [sys.executable, "-m", "orchestrator"]
ENVIRONMENT = {
    "SANDBOX_AK": ACCESS_KEY,
    "SANDBOX_SK": SECRET_KEY,
    "SANDBOX_PASSWORD": PASSWORD,
    "SANDBOX_TEMPORARY_AK": TEMPORARY_KEY,
    "SANDBOX_TEMPORARY_SK": TEMPORARY_SECRET,
    "SANDBOX_SECURITY_TOKEN": SECURITY_TOKEN,
}
BASTION = seed.instance_id("bastion-0001")
AKSK = {"type": "aksk", "access_key": "env:SANDBOX_AK", "secret_key": "env:SANDBOX_SK"}
TEMPORARY = {
    "type": "aksk",
    "access_key": "env:SANDBOX_TEMPORARY_AK",
    "secret_key": "env:SANDBOX_TEMPORARY_SK",
    "security_token": "env:SANDBOX_SECURITY_TOKEN",
}
TOKEN = {"type": "iam-token", "user": "cleaner", "domain": "sandbox", "password": "env:SANDBOX_PASSWORD"}
Record = dict[str, Any]
ALREADY_ENDED: dict[str, Record] = {  # how the sandbox says that there was no session to end
    "dcs.webcli": {"already_ended": [{"status": 400, "code": "111400063"}]},
    "das.builtin-account": {"already_ended": [{"status": 400, "code": r"DAS\.200112"}]},
}
SERVICES = (
    "dcs.webcli",
    "das.builtin-account",
    "workspace.desktops",
    "workspaceapp.sessions",
    "mrs.cas",
    "cbh.console",
    "iam.token",
    "iam.user",
    "iam.access-key",
)
READ = (*("dcs.webcli", "das.builtin-account", "workspace.desktops", "workspaceapp.sessions"), "mrs.cas", "cbh.console")
LOOKED_AT = ("workspace.desktops", "workspaceapp.sessions", "mrs.cas")
GENEROUS = {"rate": "1000/s", "concurrency": 8, "backoff": "1ms", "backoff_cap": "5ms"}


@dataclass(frozen=True)
class Done:
    """What a finished command left behind on its three ways out."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Report:
    folder: Path

    @property
    def summary(self) -> Record:
        found: Record = json.loads((self.folder / "report.json").read_bytes())
        return found

    @property
    def records(self) -> list[Record]:
        return [json.loads(line) for line in (self.folder / "outcomes.jsonl").read_bytes().splitlines()]

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(record["outcome"] for record in self.records)

    def one(self) -> Record:
        (record,) = self.records
        return record

    def keys(self) -> list[tuple[str, str, str]]:
        return [key_of(record) for record in self.records]


def key_of(record: Mapping[str, Any]) -> tuple[str, str, str]:
    return record["service"], record["connection"], record["target"]


class Site:
    """One folder, one sandbox."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.looks = False  # whether groups are looked at afterwards; most tests are about the calls
        self.configure()

    # The sandbox

    def control(self, path: str, data: object = None, method: str | None = None) -> Any:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(f"{self.url}/_sandbox/{path}", body, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def seed(self, **things: object) -> dict[str, list[Record]]:
        sown: dict[str, list[Record]] = self.control("seed", things)
        return sown

    def settings(self, **settings: object) -> None:
        self.control("settings", settings)

    def fault(self, service: str, kind: str, **more: object) -> None:
        self.control("faults", {"service": service, "kind": kind, **more})

    def state(self) -> Record:
        state: Record = self.control("state")
        return state

    def calls(self, service: str) -> int:
        return int(self.state()["services"].get(service, {}).get("calls", 0))

    # The folder

    def configure(
        self,
        limits: Mapping[str, Mapping[str, object]] | None = None,
        connections: Mapping[str, object] | None = None,
        **more: object,
    ) -> Path:
        """Write the config: the usual connections, `connections` beside or over them, and generous limits."""
        usual = {
            "cloud": self.connection(AKSK),
            "token": self.connection(TOKEN),
            "manager": {"endpoint": self.url, "auth": {"type": "none"}},
        }
        generous = {name: {**GENEROUS, **(limits or {}).get(name, {})} for name in SERVICES}
        places = {"connections": {**usual, **(connections or {})}, "limits": generous}
        said = more.pop("services", {name: {**ALREADY_ENDED.get(name, {}), "reads": GENEROUS} for name in READ})
        return self.write("config.yaml", {"services": said, **more, **places})

    def looking(self, service: str, deadline: str, **reads: object) -> None:
        """Look at a service's sessions for so long, and as fast as a test wants it."""
        known: Record = {
            **ALREADY_ENDED.get(service, {}),
            "verify": {"deadline": deadline},
            "reads": {**GENEROUS, **reads},
        }
        self.configure(services={**ALREADY_ENDED, service: known})

    def connection(self, auth: Mapping[str, object], **more: object) -> dict[str, object]:
        return {"endpoint": self.url, "region": REGION, "project_id": PROJECT_ID, "auth": auth, **more}

    def write(self, name: str, document: object) -> Path:
        """Write a YAML file, of which JSON is a part."""
        path = self.folder / name
        path.write_text(json.dumps(document, indent=1), encoding="utf-8")
        return path

    def rows(self, name: str, rows: Sequence[Mapping[str, str]]) -> str:
        with (self.folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return name

    def plan(self, *groups: Mapping[str, object], name: str = "plan", **more: object) -> str:
        self.write(f"{name}.yaml", {"name": name, **more, "targets": groups})
        return f"{name}.yaml"

    def group(self, service: str, rows: Sequence[Mapping[str, str]], connection: str = "cloud", **more: str) -> Record:
        source = self.rows(f"{service}-{connection}.csv", rows)
        unseen = {} if self.looks or service not in LOOKED_AT else {"verify": False}
        return {"service": service, "connection": connection, "from": source, **unseen, **more}

    # What sessions there are

    def webcli(self, count: int, connection: str = "cloud", prefix: str = "session-") -> Record:
        sown = self.seed(dcs_sessions={"count": count, "prefix": prefix})["dcs_sessions"]
        rows = [{"instance_id": row["instance_id"], "client_id": row["client_id"]} for row in sown]
        return self.group("dcs.webcli", rows, connection)

    def databases(self, count: int, connection: str = "cloud", prefix: str = "database-") -> Record:
        sown = self.seed(das_logins={"count": count, "prefix": prefix})["das_logins"]
        return self.group("das.builtin-account", [{"instance_id": row["instance_id"]} for row in sown], connection)

    def desktops(self, count: int, connection: str = "cloud") -> Record:
        sown = self.desktop_rows = self.seed(desktops={"count": count})["desktops"]
        return self.group("workspace.desktops", [{"desktop_id": row["desktop_id"]} for row in sown], connection)

    def app_sessions(self, count: int, connection: str = "cloud") -> Record:
        sown = self.seed(app_sessions={"count": count})["app_sessions"]
        return self.group("workspaceapp.sessions", [{"session_id": row["session_id"]} for row in sown], connection)

    def tickets(self, count: int, connection: str = "manager") -> Record:
        sown = self.seed(cas_tickets={"count": count})["cas_tickets"]
        return self.group("mrs.cas", [{"ticket": row["ticket"]} for row in sown], connection)

    def bastions(self, count: int, connection: str = "cloud", expect: str = "issued") -> Record:
        sown = self.seed(cbh_instances={"count": count})["cbh_instances"]
        rows = [{"server_id": row["server_id"]} for row in sown]
        return self.group("cbh.console", rows, connection, expect=expect)

    # The program

    def run(self, *arguments: str) -> Done:
        """Run a command in this process, as the entry point would; standard output is no terminal."""
        written, err = io.BytesIO(), io.StringIO()
        out = io.TextIOWrapper(written, encoding="utf-8", write_through=True)
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.main(arguments)
        return Done(code, written.getvalue().decode(), err.getvalue())

    @contextmanager
    def started(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
        """Start a command in a process of its own; it is gone when the block ends."""
        surroundings = {**os.environ, **ENVIRONMENT, **(environment or {})}
        process = subprocess.Popen(
            [*ENTRY, *arguments],
            cwd=self.folder,
            env=surroundings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def command(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Done:
        """Run a command in a process of its own to its end."""
        with self.started(*arguments, environment=environment) as process:
            return finished(process)

    @property
    def latest(self) -> Report:
        return Report(self.folder / "reports" / "latest")

    @property
    def state_dir(self) -> Path:
        return self.folder / ".orchestrator"

    def journal(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the journal, also while somebody writes it."""
        path = self.state_dir / "journal.sqlite"
        if not path.exists():
            return []
        with closing(sqlite3.connect(path, timeout=10)) as connection:
            try:
                return connection.execute(statement).fetchall()
            except sqlite3.OperationalError:  # its tables are not there yet
                return []

    def durable(self) -> set[tuple[str, str, str]]:
        """Return the targets that have an outcome in the journal."""
        return set(
            self.journal(
                "SELECT service, connection, target FROM lanes JOIN targets USING (lane) WHERE outcome IS NOT NULL"
            )
        )

    def in_flight(self) -> set[tuple[str, str, str]]:
        """Return the targets whose call is announced in the journal, and that have no outcome."""
        announced = "SELECT service, connection, value FROM lanes JOIN announced USING (lane), json_each(targets)"
        return set(self.journal(announced)) - self.durable()

    def last_run(self) -> str:
        return str(self.journal("SELECT run FROM runs ORDER BY started DESC LIMIT 1")[0][0])


def finished(process: subprocess.Popen[str], seconds: float = 45.0) -> Done:
    out, err = process.communicate(timeout=seconds)
    return Done(process.returncode, out, err)


def interrupt(process: subprocess.Popen[str], number: signal.Signals = signal.SIGINT) -> Done:
    process.send_signal(number)
    return finished(process)


def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def handled(state: Mapping[str, Any]) -> Counter[str]:
    """Return how often each target's call got as far as the service's own work, over all services."""
    return Counter({target: n for tally in state["logouts_handled"].values() for target, n in tally.items()})


def peak(moments: Iterable[float], window: float = 0.999) -> int:
    """Return the most moments within any window; the report's times have whole milliseconds."""
    ordered = sorted(moments)
    first, most = 0, 0
    for last, moment in enumerate(ordered):
        while ordered[first] <= moment - window:
            first += 1
        most = max(most, last - first + 1)
    return most
