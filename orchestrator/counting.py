"""What there is to do, counted before anything is done: every source is read once, and every fault of it told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from orchestrator.errors import Fault, InvalidInput
from orchestrator.guards import NOBODY, Aside
from orchestrator.model import LaneName, Target
from orchestrator.rows import UnreadableError
from orchestrator.sections import Section
from orchestrator.seen import Seen
from orchestrator.selection import Selector


class Count(NamedTuple):
    """How many targets there are, in all and per lane, how many are set aside for which reason; each source's SHA-256.

    `called` has by lane how many are to be called, `seen` what reading the same rows for real has to remember.
    """

    total: int
    per_lane: dict[LaneName, int]
    called: Mapping[LaneName, int]
    set_aside: Mapping[str, int]
    digests: dict[str, str]
    seen: Seen


def digests(sections: Sequence[Section]) -> dict[str, str] | None:
    """Return the SHA-256 of each source without looking at its rows; None where one cannot be read."""
    try:
        found = {section.source.name: section.source.digest() for section in sections}
    except (OSError, UnreadableError):
        return None
    return {name: digest for name, digest in found.items() if digest}


def count(sections: Sequence[Section], selector: Selector, aside: Aside = NOBODY) -> Count:
    """Read every source once; raise InvalidInput with every fault of every source."""
    per_lane: dict[LaneName, int] = {}
    digests: dict[str, str] = {}
    faults: list[Fault] = []
    seen, left, called = Seen(), Counter[str](), Counter[LaneName]()

    def takes(target: Target) -> bool:
        if not (selector.takes(target) and seen.take(target)):
            return False
        if reason := aside.reason(target):
            left[reason] += 1
        else:
            called[target.service, target.connection] += 1
        return True

    for section in sections:
        checked = section.source.check(takes)
        faults += checked.faults
        lane = section.lane
        per_lane[lane] = per_lane.get(lane, 0) + checked.total
        if checked.digest:
            digests[section.source.name] = checked.digest
    if faults:
        raise InvalidInput(faults)
    once = {section.service.service for section in sections if not section.service.end.idempotent}
    return Count(sum(per_lane.values()), per_lane, called, left, digests, seen.second(once))
