"""`sandbox`: the services and IAM on loopback, until interrupted."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import anyio

from orchestrator.errors import InvalidInput
from orchestrator.sandbox import Sandbox, World, serve

GUIDE = """\
sandbox at {url}
state   curl {url}/_sandbox/state      (which sessions are alive, what was called, at which peak rate)
faults  curl {url}/_sandbox/faults -d '{{"service": "dcs", "kind": "status", "status": 503, "times": 3}}'
config  curl {url}/_sandbox/config     (a config.yaml for it, and the credentials to export)
Ctrl-C ends it."""


def sandbox(options: argparse.Namespace) -> int:
    """Serve until interrupted."""

    def ready(running: Sandbox) -> None:
        if options.write_config:
            _write(Path(options.write_config), running.config())
        print(GUIDE.format(url=running.url), file=sys.stderr, flush=True)  # noqa: T201

    world = World() if options.empty else World.demo()
    try:
        anyio.run(lambda: serve(world, port=options.port, ready=ready))
    except OSError as error:
        raise InvalidInput.one("sandbox", f"cannot serve on port {options.port}: {error.strerror}") from None
    except KeyboardInterrupt:
        return 130
    return 0


def _write(path: Path, config: str) -> None:
    try:
        path.write_text(config, encoding="utf-8")
    except OSError as error:
        raise InvalidInput.one("--write-config", f"{path} cannot be written: {error.strerror}") from None
