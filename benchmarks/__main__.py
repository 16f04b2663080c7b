"""`python -m benchmarks`: run the measurements, print one table, write JSON and the pictures. Fails on no number."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import pictures, table
from benchmarks.points import MEASUREMENTS
from benchmarks.process import ROOT
from benchmarks.rows import Asked, Measurement, Row, not_measured

PACKAGES = ("aiohttp", "aiolimiter", "anyio", "uvloop", "tenacity", "botocore", "huaweicloudsdkcore")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; the exit code is 0 whatever came out, unless the harness itself is at fault."""
    options = _options(arguments)
    asked = Asked(options.quick, options.drawn, options.seed)
    chosen = [one for one in MEASUREMENTS if not options.only or one.NAME in options.only]
    rows: dict[str, list[Row]] = {}
    took: dict[str, float] = {}
    for one in chosen:
        print(f"{one.NAME}: {one.GOAL}", file=sys.stderr, flush=True)  # noqa: T201
        started = time.monotonic()
        rows[one.NAME] = _measured(one, asked)
        took[one.NAME] = round(time.monotonic() - started, 1)
    note = f" Drawn from --seed {options.seed}." if "learning" in rows and options.drawn else ""
    note += " Quick: an indication only." if options.quick else ""
    print(table.text(rows))  # noqa: T201
    print(f"\n{_verdict(rows)} Took {sum(took.values()):.0f} s.{note}")  # noqa: T201
    found: dict[str, Any] = {
        "about": _about(asked),
        "seconds": took,
        "goals": {one.NAME: one.GOAL for one in chosen},
    }
    found["rows"] = {name: [asdict(row) for row in some] for name, some in rows.items()}
    (options.out / "results.json").write_text(json.dumps(_finite(found), indent=1) + "\n")
    pictures.draw(rows, options.out)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute, for CI; tells, and proves nothing")
    parser.add_argument("--only", action="append", choices=[one.NAME for one in MEASUREMENTS], help="one point; repeat")
    parser.add_argument("--drawn", type=int, metavar="N", help="hidden limits drawn at random (8, and 1 when quick)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="what they are drawn from (the time)")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder for JSON and pictures"
    )
    options = parser.parse_args(arguments)
    if options.drawn is None:
        options.drawn = 1 if options.quick else 8
    elif options.drawn < 0:
        parser.error("--drawn: no fewer than none can be drawn")
    try:
        options.out.mkdir(parents=True, exist_ok=True)  # before the work of minutes that goes into it
    except OSError as error:
        parser.error(f"--out: {options.out} cannot be made: {error.strerror}")
    return options


def _measured(one: Measurement, asked: Asked) -> list[Row]:
    try:
        return one.measure(asked)
    except Exception as error:  # noqa: BLE001  the other points are worth having
        return [not_measured(one.NAME, "", f"{type(error).__name__}: {error}"[:300])]


def _verdict(rows: dict[str, list[Row]]) -> str:
    judged = [row.met for some in rows.values() for row in some if row.met is not None]
    return f"{sum(judged)} of {len(judged)} goals met."


def _about(asked: Asked) -> dict[str, Any]:
    return {
        **asked._asdict(),
        "python": platform.python_version(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _finite(value: Any) -> Any:
    """Return the same without infinities, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    sys.exit(main())
