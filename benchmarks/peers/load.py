"""Loads a plan, and prints the seconds and the peak of the process in MB: PyYAML's pure loader, or the product."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def pyyaml(folder: Path) -> float:
    """Return the seconds that PyYAML's pure loader takes."""
    import yaml

    started = time.perf_counter()
    with (folder / "plan.yaml").open() as file:
        yaml.load(file, Loader=yaml.SafeLoader)
    return time.perf_counter() - started


def orchestrator(folder: Path) -> float:
    """Return the seconds that the product takes to have plan, config and catalogue checked."""
    from orchestrator import app, settings

    started = time.perf_counter()
    app.prepare(folder / "plan.yaml", {}, settings.load(folder / "config.yaml", {}), offline=True)
    return time.perf_counter() - started


def peak() -> float:
    """Return the peak of this process's resident memory in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    seconds = {"pyyaml": pyyaml, "orchestrator": orchestrator}[sys.argv[1]](Path(sys.argv[2]))
    sys.stdout.write(json.dumps([seconds, peak()]))
