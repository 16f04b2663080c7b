"""The paces that lanes learned in earlier runs: a small file in the state directory, by lane, with an age.

A pace is where a lane begins, never how fast it may go. The file is a help and no more: whatever is wrong with it is
logged and left out, and a run that cannot write it says so and goes on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.logs import Log
from orchestrator.private import Replacing

NAME = "paces.json"
VERSION = 1
OLD = 30 * 86_400.0  # seconds after which a pace is forgotten
AHEAD = 300.0  # seconds by which the clock may have been set back since
MOST = 10_000  # lanes that are remembered, the latest ones
LONGEST = 4 * 1024 * 1024  # bytes; a longer file is not ours
SLOWEST, FASTEST = 1e-4, 1e5  # calls a second

_log = Log()


@dataclass(frozen=True, slots=True)
class Pace:
    """Calls per second that a service let through, and when that was learned (seconds since the epoch)."""

    per_second: float
    at: float


def read(folder: Path, now: float) -> dict[str, float]:
    """Return the remembered calls per second by lane (`connection/service`) that are not too old."""
    return {name: pace.per_second for name, pace in _read(folder, now).items()}


def keep(folder: Path, learned: Mapping[str, float], now: float) -> None:
    """Write down what lanes learned, beside what is known of the others."""
    if not learned:
        return
    paces = _read(folder, now)  # again: another plan's run may have written it meanwhile
    paces.update({name: Pace(per_second, now) for name, per_second in learned.items()})
    latest = sorted(paces.items(), key=lambda item: item[1].at)[-MOST:]
    lanes = {name: {"per_second": round(pace.per_second, 4), "at": round(pace.at)} for name, pace in latest}
    try:
        with Replacing(folder) as new:
            new.open(NAME).write(json.dumps({"version": VERSION, "lanes": lanes}, indent=1) + "\n")
    except OSError as error:
        _log.warning("paces_not_kept", file=str(folder / NAME), reason=error.strerror)


def _read(folder: Path, now: float) -> dict[str, Pace]:
    path = folder / NAME
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no file")  # noqa: TRY301  told like all that is wrong with it
        with path.open("rb") as file:
            text = file.read(LONGEST + 1)
        said: Any = json.loads(text) if len(text) <= LONGEST else None
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        _log.warning("paces_ignored", file=str(path), reason=str(error)[:200])
        return {}
    lanes = said.get("lanes") if isinstance(said, dict) and said.get("version") == VERSION else None
    if not isinstance(lanes, dict):
        _log.warning("paces_ignored", file=str(path), reason="it does not have the form of this version")
        return {}
    found = {name: pace for name, one in lanes.items() if (pace := _pace(one)) is not None}
    if len(found) < len(lanes):
        _log.warning("paces_ignored", file=str(path), lanes=len(lanes) - len(found), reason="they are malformed")
    return {name: pace for name, pace in found.items() if now - OLD <= pace.at <= now + AHEAD}


def _pace(said: Any) -> Pace | None:
    if not isinstance(said, dict):
        return None
    per_second, at = _number(said.get("per_second")), _number(said.get("at"))
    return Pace(per_second, at) if SLOWEST <= per_second <= FASTEST and math.isfinite(at) else None


def _number(said: Any) -> float:
    """Return a number, or one that is none."""
    is_one = isinstance(said, int | float) and not isinstance(said, bool) and abs(said) < 1e12
    return float(said) if is_one else math.nan
