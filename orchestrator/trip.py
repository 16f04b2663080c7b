"""What one run goes with: what the command line said, and all that is open while it lasts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.app import Pacers
from orchestrator.blueprint import Blueprint
from orchestrator.connections import Connections
from orchestrator.journal import SqliteJournal
from orchestrator.selection import Selector
from orchestrator.signals import Ear
from orchestrator.stop import Stop
from orchestrator.view import Watch

if TYPE_CHECKING:
    from orchestrator.sealing import Sealed


class Options(NamedTuple):
    """What the command line says about a run. `ask` puts a yes-or-no question to a person, where there is one."""

    report_dir: Path | None = None
    deadline: float | None = None
    selector: Selector = Selector(())
    yes: bool = False
    ask: Callable[[str], bool] | None = None
    sealed: Sealed | None = None


class Trip(NamedTuple):
    """Everything that one run goes with; nobody was asked before it `began`, in seconds of the monotonic clock."""

    blueprint: Blueprint
    options: Options
    watch: Watch
    journal: SqliteJournal
    connections: Connections
    stop: Stop
    ear: Ear
    began: float
    notes: list[str]
    pacers: Pacers

    @property
    def selector(self) -> Selector:
        """Return what of the plan is wanted."""
        return self.options.selector
