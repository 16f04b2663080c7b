"""What must hold before anything is sent, and what ends a run that goes wrong: the plan's guards."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple, Protocol

from orchestrator.errors import Refused
from orchestrator.guardrails import Guard, ProtectedEntry
from orchestrator.model import BAD, NEWER, PROTECTED, LaneName, Settled, Target, Verification, meets
from orchestrator.stop import MIDWAY, Stop
from orchestrator.units import Amount, plural
from orchestrator.validation import NoTextError, text_of

UNTOLD = "older_than: the service does not tell since when it is there"
SET_ASIDE = frozenset({PROTECTED, NEWER, UNTOLD})
_PENDING = Verification.PENDING


class Keep(NamedTuple):
    """What is never touched: targets of these services and connections with such a name, as it stands or as a glob."""

    targets: tuple[str, ...]
    service: str = "*"
    connection: str = "*"

    def covers(self, target: Target) -> bool:
        """Return whether a target is one of these."""
        if not (fnmatchcase(target.service, self.service) and fnmatchcase(target.connection, self.connection)):
            return False
        return any(value == glob or fnmatchcase(value, glob) for glob in self.targets for value in _names(target))


def protected(guard: Guard, folder: Path) -> Iterator[tuple[int, int | None, Keep]]:
    """Yield what a plan protects, with the number of the entry and the line of its file; files are beside the plan.

    Raises OSError and ValueError.
    """
    for i, entry in enumerate(guard.protect or ()):
        if isinstance(entry, ProtectedEntry):
            yield i, None, Keep(entry.target, entry.service, entry.connection)
        else:
            try:
                text = text_of(folder / entry)
            except NoTextError as error:
                place = entry if error.line is None else f"line {error.line} of {entry}"
                raise ValueError(f"{place} {error}") from None
            yield from ((i, line, keep) for line, keep in _read(text))


def _names(target: Target) -> set[str]:
    """Return what a target is called: its id, its texts, what a listing told; no number, no switch and no secret."""
    return {target.id, *target.names, *(value for value in target.fields.values() if isinstance(value, str))}


def _read(text: str) -> Iterator[tuple[int, Keep]]:
    """Read a list: a glob for targets of any service on a line, or a glob for services before it; ` #` comments."""
    for number, line in enumerate(text.splitlines(), 1):
        words = re.sub(r"(^|\s)#.*", "", line).split()
        if len(words) == 1:
            yield number, Keep((words[0],))
        elif words:
            yield number, Keep(tuple(words[1:]), words[0])


class Aside:
    """Which targets are not called, and why: protected, or begun after the cut-off (seconds since the epoch).

    Where only the `aged` are meant, one of which it is not told since when it is there is not called either.
    """

    def __init__(self, keeps: Iterable[Keep], cut_off: float | None, *, aged: bool = False) -> None:
        self._everywhere: set[str] = set()
        self._keeps: list[Keep] = []
        for keep in keeps:
            plain = keep.service == keep.connection == "*" and not any(set(glob) & set("*?[") for glob in keep.targets)
            self._everywhere |= set(keep.targets) if plain else set()
            self._keeps += [] if plain else [keep]
        self._cut_off = cut_off
        self._aged = aged

    def reason(self, target: Target) -> str:
        """Return why a target is not called; empty when it is."""
        if self._everywhere and self._named(target):
            return PROTECTED
        if self._keeps and any(keep.covers(target) for keep in self._keeps):
            return PROTECTED
        if target.began is None:
            return UNTOLD if self._aged else ""
        return NEWER if self._cut_off is not None and target.began > self._cut_off else ""

    def _named(self, target: Target) -> bool:
        return not self._everywhere.isdisjoint(_names(target))


NOBODY = Aside((), None)


def check_size(guard: Guard, called: Mapping[LaneName, int], listed: Mapping[LaneName, int]) -> None:
    """Raise Refused when more targets would be called than the plan allows, or in a lane more of what was listed.

    `called` has by lane how many targets that are, `listed` how many things its service listed, where it was asked.
    """
    most, wanted = guard.max_targets, sum(called.values())
    if most is None:
        return
    if most.number is not None and wanted > most.number:
        said = f"{plural(wanted, 'target')} would be called, and guard.max_targets allows {most.number}"
        raise Refused(f"{said}; nothing was sent")
    for name, there in listed.items():
        mine = called.get(name, 0)
        if most.share is not None and mine > most.of(there):
            said = f"{plural(mine, 'target')} of {'@'.join(name)} would be called"
            share = f"{most.share:.0%} of the {there} that are listed"
            raise Refused(f"{said}, and guard.max_targets allows {share}; nothing was sent")


def check_interval(guard: Guard, started: float | None, now: float | None = None) -> None:
    """Raise Refused when the latest run of the plan began too short a time ago."""
    if guard.min_interval is None or started is None:
        return
    left = started + guard.min_interval - (time.time() if now is None else now)
    if left > 0:
        ago = f"the plan ran {guard.min_interval - left:.0f} s ago"
        said = f"{ago}, and guard.min_interval lets it run again in {left:.0f} s"
        raise Refused(f"{said}; what a guard of the plan forbids, only a change of the plan allows; nothing was sent")


class Haltable(Protocol):
    """A lane, as far as a guard can stop it."""

    def halt(self, reason: str) -> None:
        """Let no new call begin."""


class Tripwire:
    """Counts what failed, by lane and in all, and stops a lane or the run when it is more than the plan allows.

    `totals` are the targets of every lane. A count, or the share of all targets rounded down, may fail; one more trips,
    unless nothing is left that could be stopped: `left` has how many calls are still to come, one for each target and
    for each time that it is called anew. What of a lane's wave is not as good as the plan requires is kept while the
    wave is out.
    """

    def __init__(
        self,
        allowed: Amount | None,
        totals: Mapping[LaneName, int],
        stop: Stop,
        require: str = "accepted",
        left: Mapping[LaneName, int] | None = None,
    ) -> None:
        self.lanes: dict[LaneName, Haltable] = {}
        self.failed: Counter[LaneName] = Counter()
        self._allowed = allowed
        self._totals = totals
        self._stop = stop
        self._require = require
        self._waves: dict[LaneName, set[str]] = {}
        self._left = Counter(totals if left is None else left)
        self._open: set[int] = set()  # what was called and has not its last word, by the hash of its identity

    def note(self, settled: Sequence[Settled]) -> None:
        """Take outcomes; a target counts once, with what stands on record of it."""
        changed: dict[LaneName, None] = {}
        for one in settled:
            lane = (one.target.service, one.target.connection)
            if lane in self._waves and one.reason not in SET_ASIDE:
                self._judge(one, self._waves[lane])
            if self._open or one.verification is _PENDING:
                self._left[lane] -= self._taken_up(one, lane)
            else:
                self._left[lane] -= 1
            change = (one.stands in BAD) - (one.instead_of in BAD)
            if change:
                self.failed[lane] += change
                changed[lane] = None
        for lane in changed:
            self._look_at(lane)

    def let_out(self, name: LaneName) -> None:
        """Note that a lane's wave begins."""
        self._waves[name] = set()

    def call_in(self, name: LaneName) -> int:
        """Note that a lane's wave is over; return how many of it are not good."""
        return len(self._waves.pop(name, ()))

    def spares(self, name: LaneName) -> bool:
        """Return whether a lane has nothing left that could be stopped."""
        return self._left[name] <= 0

    def _taken_up(self, one: Settled, lane: LaneName) -> bool:
        """Return whether this is the first outcome of a target, and remember it until it has its last word."""
        key = hash((lane, one.target.id))
        first = key not in self._open
        if one.verification is _PENDING:
            self._open.add(key)
        else:
            self._open.discard(key)
        return first

    def _judge(self, one: Settled, not_good: set[str]) -> None:
        if meets(self._require, one.outcome, one.verification):
            not_good.discard(one.target.id)
        else:
            not_good.add(one.target.id)

    def _look_at(self, name: LaneName) -> None:
        if self._allowed is None:
            return
        total, failed = sum(self._totals.values()), self.failed.total()
        if failed > self._allowed.of(total) and not all(map(self.spares, self._left)):
            said = f"{failed} of {total} targets failed, and stop_when_failed allows {self._allowed.of(total)}"
            self._stop.set(said, MIDWAY)
        mine, bad = self._totals.get(name, 0), self.failed[name]
        alone = self._allowed.share is not None and bad > self._allowed.of(mine)
        if alone and name in self.lanes and not self.spares(name):
            said = f"{bad} of the lane's {mine} targets failed, and stop_when_failed allows {self._allowed.of(mine)}"
            self.trip(name, said)

    def trip(self, name: LaneName, reason: str) -> None:
        """Stop one lane."""
        self._stop.cut_short(reason)
        self.lanes[name].halt(reason)
