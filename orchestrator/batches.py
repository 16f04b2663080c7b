"""Packs targets into the batches that a service takes in one call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from orchestrator.model import Batch, Target

MAX_OPEN = 256


class Packing(NamedTuple):
    """How many targets fit into a call, and which fields they must share."""

    size: int = 1
    group_by: tuple[str, ...] = ()


def pack(targets: Iterator[Target], packing: Packing, numbers: Iterator[int]) -> Iterator[Batch]:
    """Pack targets into batches: never an empty one, and only targets that share what `group_by` names.

    What was refused before is not put beside what was not: a batch is refused for one of its targets.
    """
    if packing.size == 1:
        for target in targets:
            yield Batch((target,), next(numbers))
        return
    open_batches: dict[tuple[object, ...], list[Target]] = {}
    for target in targets:
        key = (target.suspect, target.expect, *(target.fields.get(name) for name in packing.group_by))
        members = open_batches.setdefault(key, [])
        members.append(target)
        if len(members) == packing.size:
            yield Batch(open_batches.pop(key), next(numbers))
        elif len(open_batches) > MAX_OPEN:
            yield Batch(open_batches.pop(next(iter(open_batches))), next(numbers))
    for members in open_batches.values():
        yield Batch(members, next(numbers))
