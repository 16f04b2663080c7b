"""The product as a measurement sees it: a folder with plan, config, description and lists, and its command line."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.process import Ran, beside, run

SERVICE = "bench.sessions"
FAST = {"rate": "100000/s", "concurrency": 32, "attempts": 3}
OUTPUT = ("--output", "json", "--progress", "plain")


def description(service: str = SERVICE, *, batch: int = 1, limits: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a service that ends one session a call, or `batch` of them."""
    end: dict[str, Any] = {
        "method": "POST",
        "path": "/v1/sessions/logout" if batch > 1 else "/v1/sessions/{session_id}/logout",
        "headers": {"Content-Type": "application/json"},
        "json": {"sessions": "{*session_id}"} if batch > 1 else {"session": "{session_id}"},
        "idempotent": True,
    }
    if batch > 1:
        end["batch"] = {"size": batch}
    return {
        "service": service,
        "title": "Sessions of the measuring server",
        "source": "benchmarks/server.py",
        "endpoint": {"own": "http://127.0.0.1"},
        "auth": ["none", "bearer", "aksk"],
        "key": ["session_id"],
        "fields": {"session_id": {"min": 1, "max": 64}},
        "limits": dict(limits or {}),
        "end": end,
        "success": {"status": 200 if batch > 1 else 204, "shape": "empty", "then": "ended"},
        "otherwise": [{"include": "gateway"}],
    }


def ids(count: int, prefix: str = "session") -> Iterable[str]:
    """Yield so many ids, the same ones as the peers use."""
    return (f"{prefix}-{number:08d}" for number in range(count))


class Product:
    """A temporary folder in which the product runs; JSON is YAML, so that nothing else is needed to write it."""

    def __init__(self, **limits: Any) -> None:
        self.limits = limits or dict(FAST)
        self.connections: dict[str, Any] = {}
        self.services: dict[str, dict[str, Any]] = {}
        self.groups: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="orchestrator-bench-"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def target(self, url: str, count: int, *, batch: int = 1) -> Self:
        """Have `count` targets of one service on one connection, from an NDJSON list."""
        self.services[SERVICE] = description(batch=batch, limits=self.limits)
        self.connections["bench"] = {"endpoint": url, "auth": {"type": "none"}}
        self.listed(SERVICE, "bench", ids(count))
        return self

    def listed(self, service: str, connection: str, names: Iterable[str], *fields: str) -> None:
        """Add a group of targets from a list, in which every field of a row has the same value."""
        name = f"list-{len(self.groups)}.ndjson"
        with (self.folder / name).open("w") as file:
            file.writelines(json.dumps(dict.fromkeys(fields or ("session_id",), found)) + "\n" for found in names)
        self.groups.append({"service": service, "connection": connection, "from": name})

    def write(self, config: Mapping[str, Any] | None = None) -> None:
        """Write everything down."""
        (self.folder / "catalogue").mkdir(exist_ok=True)
        for name, described in self.services.items():
            (self.folder / "catalogue" / f"{name}.yaml").write_text(json.dumps(described))
        made = {"connections": self.connections, "catalogue": ["catalogue"] if self.services else [], **(config or {})}
        (self.folder / "config.yaml").write_text(json.dumps(made))
        (self.folder / "plan.yaml").write_text(json.dumps({"name": "bench", "targets": self.groups}))

    def run(self, *arguments: str, **how: Any) -> Ran:
        """Run the plan; `arguments` come after the usual ones."""
        return self.command("run", "plan.yaml", "--yes", *arguments, *OUTPUT, **how)

    def command(
        self,
        *arguments: str,
        loop: str = "shipped",
        seconds: float = 120.0,
        memory: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> Ran:
        """Run one of the product's commands in the folder; the loop `script` is its installed script, as it stands."""
        program = [beside("orchestrator")] if loop == "script" else [sys.executable, "-m", "benchmarks.drive", loop]
        return run([*program, *arguments], cwd=self.folder, seconds=seconds, memory=memory, env=env)


def good(ran: Ran) -> Ran:
    """Return a run in which all went well; raise RuntimeError with what it said otherwise."""
    if ran.code:
        raise RuntimeError(f"orchestrator ended with {ran.code}: {(ran.err or ran.out)[-500:]}")
    return ran
