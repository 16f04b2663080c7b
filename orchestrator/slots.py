"""How many calls of a lane are under way at once."""

from __future__ import annotations

import asyncio
from collections import deque

AT_FIRST = 56  # calls under way, at most, until one came back: who knows what the service says to them


def workers(slots: int) -> int:
    """Return how many calls a lane has in hand at most, those with them that rest between two attempts."""
    return 4 * slots + 4


class Slots:
    """So many calls at once; who finds no slot free waits in line. To take one that is free nothing is awaited."""

    __slots__ = ("_free", "_line", "_more")

    def __init__(self, number: int) -> None:
        self._free = min(number, AT_FIRST)  # more than none only while nobody is in line
        self._more = number - self._free
        self._line: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Take a slot; False when none is free."""
        if self._free:
            self._free -= 1
            return True
        return False

    async def wait(self) -> None:
        """Wait in line for a slot, and take it."""
        place = asyncio.get_running_loop().create_future()
        self._line.append(place)
        try:
            await place
        except BaseException:
            if not place.cancelled():  # it was this one's turn, and is the next one's
                self.give()
            raise

    def give(self) -> None:
        """Give a slot back: to the first in line, if there is one."""
        while self._line:
            place = self._line.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

    def came_back(self) -> None:
        """Note that a call came back: from the first one on all slots may be used."""
        while self._more:
            self._more -= 1
            self.give()


class Anteroom:
    """Where calls wait that have their turn soon, each with a connection; the others wait in line for room.

    How much room there is changes with the pace, and is told each time.
    """

    __slots__ = ("_inside", "_line")

    def __init__(self) -> None:
        self._inside = 0
        self._line: deque[asyncio.Future[None]] = deque()

    def enter(self, room: float) -> bool:
        """Go in; False when there is no room."""
        if self._inside < room and not self._line:
            self._inside += 1
            return True
        return False

    async def wait(self) -> None:
        """Wait in line for room, and go in."""
        place = asyncio.get_running_loop().create_future()
        self._line.append(place)
        try:
            await place
        except BaseException:
            if not place.cancelled():  # it was this one's turn, and is the next one's
                self.leave(self._inside)
            raise

    def leave(self, room: float) -> None:
        """Go out, and let in who is first in line, as many as there is room for; one in any case."""
        self._inside -= 1
        while self._line and (self._inside < room or self._inside == 0):
            place = self._line.popleft()
            if not place.done():
                self._inside += 1
                place.set_result(None)
