"""Many things of one kind, by id and by status, and the moments as the services write them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Generic, TypeVar


@dataclass(slots=True)
class Endable:
    """Something with an id and a status."""

    id: str
    status: str


Member = TypeVar("Member", bound=Endable)


class Fleet(Generic[Member]):
    """Members by id and by status, so that neither a listing nor a count looks at all of them.

    `over` is the status of an ended one; `living` are the statuses in which there is a session.
    """

    def __init__(self, over: str, living: Iterable[str]) -> None:
        self.members: dict[str, Member] = {}
        self._by_status: defaultdict[str, dict[str, Member]] = defaultdict(dict)
        self._over = over
        self._living = tuple(living)

    def add(self, member: Member) -> None:
        """Add a member, or replace the one of that id."""
        if (former := self.members.get(member.id)) is not None:
            del self._by_status[former.status][former.id]
        self.members[member.id] = member
        self._by_status[member.status][member.id] = member

    def move(self, member: Member, status: str) -> None:
        """Give a member another status."""
        del self._by_status[member.status][member.id]
        member.status = status
        self._by_status[status][member.id] = member

    def is_living(self, member: Member) -> bool:
        """Say whether a member has a session."""
        return member.status in self._living

    def end(self, member: Member) -> None:
        """End the session of a member."""
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

    def alive(self) -> list[str]:
        """Return the ids of the members that have a session."""
        return [member.id for member in self.listed(self._living)]


def told(moment: float) -> str:
    """Return a moment as Workspace writes it: UTC to the second, with a Z."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_time(text: str) -> float | None:
    """Return the moment that a query means, None when it is none; without a zone it is in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
