"""How many calls of a lane are under way at once."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque

PER_SLOT = 2.5  # calls a second that a slot is taken to make, where nothing is known of the service
AT_FIRST = 56  # calls under way, at most, until one came back: who knows what the service says to them


def first_pace(slots: int) -> float:
    """Return at how many calls a second a lane begins that knows nothing of its service."""
    return PER_SLOT * slots


def workers(slots: int) -> int:
    """Return how many calls a lane has in hand at most, those with them that rest between two attempts."""
    return 4 * slots + 4


class _Queue(ABC):
    """Who waits in line, first come, first served."""

    __slots__ = ("_line",)

    def __init__(self) -> None:
        self._line: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        """Wait in line until it is one's turn."""
        place = asyncio.get_running_loop().create_future()
        self._line.append(place)
        try:
            await place
        except BaseException:
            if not place.cancelled():  # it was this one's turn, and is the next one's
                self._hand_on()
            raise

    @abstractmethod
    def _hand_on(self) -> None:
        """Let the next one have a turn that nobody takes."""

    def _admit(self) -> bool:
        """Let the first in line have its turn; return whether there was one."""
        while self._line:
            place = self._line.popleft()
            if not place.done():
                place.set_result(None)
                return True
        return False


class Slots(_Queue):
    """So many calls at once; who finds no slot free waits in line. To take one that is free nothing is awaited."""

    __slots__ = ("_free", "_more")

    def __init__(self, number: int) -> None:
        super().__init__()
        self._free = min(number, AT_FIRST)  # more than none only while nobody is in line
        self._more = number - self._free

    def take(self) -> bool:
        """Take a slot; False when none is free."""
        if self._free:
            self._free -= 1
            return True
        return False

    def give(self) -> None:
        """Give a slot back: to the first in line, if there is one."""
        if not self._admit():
            self._free += 1

    def came_back(self) -> None:
        """Note that a call came back: from the first one on all slots may be used."""
        while self._more:
            self._more -= 1
            self.give()

    def _hand_on(self) -> None:
        self.give()


class Anteroom(_Queue):
    """Where calls wait that have their turn soon, each with a connection; the others wait in line for room.

    How much room there is changes with the pace, and is told each time.
    """

    __slots__ = ("_inside",)

    def __init__(self) -> None:
        super().__init__()
        self._inside = 0

    def enter(self, room: float) -> bool:
        """Go in; False when there is no room."""
        if self._inside < room and not self._line:
            self._inside += 1
            return True
        return False

    def leave(self, room: float) -> None:
        """Go out, and let in who is first in line, as many as there is room for; one in any case."""
        self._inside -= 1
        while (self._inside < room or self._inside == 0) and self._admit():
            self._inside += 1

    def _hand_on(self) -> None:
        if not self._admit():
            self._inside -= 1
