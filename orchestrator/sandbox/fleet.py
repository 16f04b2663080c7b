"""Things with a status that changes late: a logoff is accepted now and takes effect after a lag."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Generic, TypeVar


@dataclass(slots=True)
class Endable:
    """Something with an id and a status; `ends_at` is when an accepted logoff takes effect."""

    id: str
    status: str
    ends_at: float | None = field(default=None, kw_only=True)


Member = TypeVar("Member", bound=Endable)


class Fleet(Generic[Member]):
    """Members by id and by status, so that neither a listing nor a count looks at all of them.

    `over` is the status of an ended one; `living` are the statuses in which there is a session.
    """

    def __init__(self, over: str, living: Iterable[str]) -> None:
        self.members: dict[str, Member] = {}
        self._by_status: defaultdict[str, dict[str, Member]] = defaultdict(dict)
        self._due: list[tuple[float, int, Member]] = []
        self._order = itertools.count()
        self._over = over
        self._living = tuple(living)

    def add(self, member: Member) -> None:
        """Add a member, or replace the one of that id."""
        if (former := self.members.get(member.id)) is not None:
            del self._by_status[former.status][former.id]
            former.ends_at = None
        self.members[member.id] = member
        self._by_status[member.status][member.id] = member

    def move(self, member: Member, status: str) -> None:
        """Give a member another status at once; what was pending for it is void."""
        del self._by_status[member.status][member.id]
        member.status, member.ends_at = status, None
        self._by_status[status][member.id] = member

    def end(self, member: Member, now: float, lag: float) -> None:
        """Let a living member end after a lag; one that is already ending keeps its time."""
        if member.status not in self._living or member.ends_at is not None:
            return
        member.ends_at = now + lag
        heapq.heappush(self._due, (member.ends_at, next(self._order), member))
        self.settle(now)

    def settle(self, now: float) -> None:
        """Carry out every ending that is due."""
        while self._due and self._due[0][0] <= now:
            due, _, member = heapq.heappop(self._due)
            if member.ends_at == due:
                self.move(member, self._over)

    def listed(self, statuses: Iterable[str]) -> Iterator[Member]:
        """Return the members in any of the statuses; of no status means all."""
        wanted = tuple(statuses)
        if not wanted:
            return iter(self.members.values())
        return chain.from_iterable(self._by_status[status].values() for status in wanted)

    def count(self, *statuses: str) -> int:
        """Return how many members are in any of the statuses; of no status means all."""
        return sum(len(self._by_status[s]) for s in statuses) if statuses else len(self.members)

    def alive(self, now: float) -> list[str]:
        """Return the ids of the members that have a session."""
        self.settle(now)
        return [member.id for member in self.listed(self._living)]
