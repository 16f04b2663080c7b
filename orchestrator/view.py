"""A run under way, as whoever shows progress and whoever concludes it may look at it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.journal import SqliteJournal
from orchestrator.lane import Lane
from orchestrator.model import LaneName, RunRecord
from orchestrator.stop import Stop


@dataclass(slots=True, eq=False)
class View:
    """What whoever shows progress may look at while a run is under way; `planned` has the targets of every lane.

    `cut_off` is set when a second signal ended the run in the middle of its calls.
    """

    record: RunRecord
    lanes: Sequence[Lane]
    planned: dict[LaneName, int]
    journal: SqliteJournal
    stop: Stop
    cut_off: bool = False


Watch = Callable[[View], Coroutine[Any, Any, None]]
