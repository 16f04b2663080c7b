"""The server as a measurement sees it: started, given sites, asked what arrived, ended."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

from benchmarks.process import ROOT


class Server:
    """`with Server() as server: server.site("a", rate=200)` and clients post to `server.url("a")`."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.server"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)  # noqa: S603
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def url(self, name: str = "") -> str:
        """Return the base URL of a site."""
        return f"http://127.0.0.1:{self.port}" + (f"/{name}" if name else "")

    def site(self, name: str, **settings: Any) -> str:
        """Make a site, or make it anew, and return its URL."""
        self._ask("PUT", name, settings)
        return self.url(name)

    def summary(self, name: str) -> dict[str, Any]:
        """Return calls, accepted calls, and the monotonic time of the first arrival and the last accepted one."""
        return self._ask("GET", name)

    def arrivals(self, name: str) -> list[float]:
        """Return the monotonic time of every arrival."""
        return list(self._ask("POST", name)["times"])

    def _ask(self, method: str, name: str, body: object = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, f"/_site/{name}", json.dumps(body) if body is not None else None)
            found: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return found


def span(summary: dict[str, Any]) -> float:
    """Return the seconds from the first arrival to the last accepted one; nan when there is none."""
    if summary["first"] is None or summary["last"] is None:
        return float("nan")
    return float(summary["last"] - summary["first"])
