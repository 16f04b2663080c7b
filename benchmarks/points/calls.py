"""How many calls a job takes, counted by orchestrator's own sandbox in another process."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from types import TracebackType
from typing import Any, Self

from benchmarks.process import ROOT
from benchmarks.product import Product
from benchmarks.rows import Asked, Row, at_most

NAME = "calls"
GOAL = "10,000 desktops are 100 calls; a bad id among 100 costs at most 15 more, ten among 1,000 at most 110 more"

SERVICE = "workspace.desktops"
SECRETS = {"SANDBOX_AK": "SANDBOXAK", "SANDBOX_SK": "sandbox-secret-key", "SANDBOX_PASSWORD": "sandbox-password"}
FASTER = "\nlimits: {workspace.desktops: {rate: 2000/s, concurrency: 8}}\n"
PATIENCE = 15.0


def measure(asked: Asked) -> list[Row]:
    """Let good and bad ids be logged off; which places the bad ones have is drawn, the same every time."""
    turns = 2 if asked.quick else 12
    drawn = random.Random(4)  # noqa: S311  no secret
    with Sandbox() as sandbox:
        many = [float(sandbox.calls(f"many-{i}", 10_000, [])) for i in range(1)]
        one = [sandbox.calls(f"one-{i}", 100, [drawn.randrange(100)]) - 1.0 for i in range(turns)]
        ten = [sandbox.calls(f"ten-{i}", 1000, drawn.sample(range(1000), 10)) - 10.0 for i in range(turns)]
        worst = [sandbox.calls("spread", 1000, [100 * i + drawn.randrange(100) for i in range(10)]) - 10.0]
    return [
        at_most("calls for 10,000 desktops", many, 100, by=max),
        at_most("one bad id among 100: more calls", one, 15, by=max),
        at_most("ten bad ids among 1,000: more calls", ten, 110, by=max),
        at_most("ten bad ids among 1,000, one in each call: more calls", worst, 110, by=max),
    ]


class Sandbox:
    """The product's sandbox, in a process of its own."""

    def __enter__(self) -> Self:
        self._product = Product().__enter__()
        config = self._product.folder / "sandbox.yaml"
        command = [
            sys.executable,
            "-m",
            "orchestrator",
            "sandbox",
            "--port",
            "0",
            "--empty",
            "--write-config",
            str(config),
        ]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT, start_new_session=True)  # noqa: S603
        until = time.monotonic() + PATIENCE
        while not (config.exists() and config.read_text()):
            if time.monotonic() > until or self._process.poll() is not None:
                self.__exit__(None, None, None)
                raise RuntimeError("the sandbox did not start")
            time.sleep(0.05)
        self._config = config.read_text()
        self._url = next(line.split()[1] for line in self._config.splitlines() if "endpoint:" in line)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._product.__exit__(None, None, None)

    def calls(self, name: str, count: int, bad: list[int]) -> int:
        """Return the calls that it takes to log off `count` desktops, those at the places in `bad` unknown."""
        made = self._ask("seed", {"desktops": {"count": count - len(bad), "prefix": name}})
        ids = [row["desktop_id"] for row in made["desktops"]]
        for place in sorted(bad):
            ids.insert(place, f"no-such-desktop-{name}-{place}")
        before = self._calls()
        self._run(ids, len(bad))
        return self._calls() - before

    def _run(self, ids: list[str], bad: int) -> None:
        with Product() as product:
            product.listed(SERVICE, "sandbox", ids, "desktop_id")
            product.groups[-1]["verify"] = False  # to look whether they are gone would take calls of its own
            product.write()
            (product.folder / "config.yaml").write_text(self._config + FASTER)
            ran = product.run(env=SECRETS, seconds=60)
            counts = json.loads(ran.out)["counts"] if ran.out else {}
        if (counts.get("accepted"), counts.get("failed")) != (len(ids) - bad, bad):
            raise RuntimeError(f"came out otherwise: {counts} {ran.err[-300:]}")

    def _calls(self) -> int:
        return int(self._ask("state")["services"].get("workspace", {}).get("calls", 0))

    def _ask(self, what: str, body: object = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self._url}/_sandbox/{what}", data, timeout=30) as answer:  # noqa: S310  loopback
            found: dict[str, Any] = json.load(answer)
        return found
