"""What lanes learned in earlier runs: a small file in the state directory, by lane, with an age.

A pace is where a lane begins, never how fast it may go; how long an answer takes is for forecasts. The file is a help
and no more: whatever is wrong with it is logged and left out, and a run that cannot write it says so and goes on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.logs import Log
from orchestrator.private import Replacing

NAME = "paces.json"
VERSION = 1
OLD = 30 * 86_400.0  # seconds after which a pace is forgotten
AHEAD = 300.0  # seconds by which the clock may have been set back since
MOST = 10_000  # lanes that are remembered, the latest ones
LONGEST = 4 * 1024 * 1024  # bytes; a longer file is not ours
SLOWEST, FASTEST = 1e-4, 1e5  # calls a second
LONGEST_ANSWER = 3600.0  # seconds

_log = Log()


class Learned(NamedTuple):
    """Calls per second that a service let through, and the seconds that an answer takes; None for what is not known.

    `at` is when that was learned, in seconds since the epoch.
    """

    per_second: float | None = None
    answer: float | None = None
    at: float = 0.0


def read(folder: Path, now: float) -> dict[str, Learned]:
    """Return what is remembered by lane (`connection/service`) and is not too old."""
    path = folder / NAME
    lanes = _lanes(path)
    found = {name: one for name, said in lanes.items() if (one := _learned(said)) is not None}
    if len(found) < len(lanes):
        _log.warning("paces_ignored", file=str(path), lanes=len(lanes) - len(found), reason="they are malformed")
    return {name: one for name, one in found.items() if now - OLD <= one.at <= now + AHEAD}


def keep(folder: Path, learned: Mapping[str, Learned], now: float) -> None:
    """Write down what lanes learned, beside what is known of the others."""
    if not learned:
        return
    known = read(folder, now)  # again: another plan's run may have written it meanwhile
    known.update({name: one._replace(at=now) for name, one in learned.items()})
    latest = sorted(known.items(), key=lambda item: item[1].at)[-MOST:]
    lanes = {name: _written(one) for name, one in latest}
    try:
        with Replacing(folder) as new:
            new.open(NAME).write(json.dumps({"version": VERSION, "lanes": lanes}, indent=1) + "\n")
    except OSError as error:
        _log.warning("paces_not_kept", file=str(folder / NAME), reason=error.strerror)


def _written(one: Learned) -> dict[str, float]:
    facts = {"per_second": one.per_second, "answer": one.answer}
    return {**{name: round(value, 4) for name, value in facts.items() if value is not None}, "at": round(one.at)}


def _lanes(path: Path) -> dict[str, Any]:
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
    return lanes


def _learned(said: Any) -> Learned | None:
    if not isinstance(said, dict) or not {"per_second", "answer"} & said.keys():
        return None
    per_second, answer = _number(said.get("per_second", SLOWEST)), _number(said.get("answer", 0.0))
    at = _number(said.get("at"))
    if not (SLOWEST <= per_second <= FASTEST and 0 <= answer <= LONGEST_ANSWER and math.isfinite(at)):
        return None
    return Learned(per_second if "per_second" in said else None, answer if "answer" in said else None, at)


def _number(said: Any) -> float:
    """Return a number, or one that is none."""
    is_one = isinstance(said, int | float) and not isinstance(said, bool) and abs(said) < 1e12
    return float(said) if is_one else math.nan
