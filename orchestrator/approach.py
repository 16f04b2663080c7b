"""How a call of a lane comes to its turn: with a connection, made as far ahead as one takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from orchestrator.pacing import SOON, Look, Pacer
from orchestrator.slots import Anteroom
from orchestrator.stop import Stop

MOMENT = 0.02  # seconds; and no shorter ...
TWICE = 2.0  # ... than so many times what it took to make the last connection is the next one made ahead of its call


class Line(Protocol):
    """A connection that is kept for a call."""

    def free(self) -> None:
        """Let whoever comes next make a call on it."""


class Lines(Protocol):
    """The connections to where a lane calls."""

    @property
    def ready(self) -> bool:
        """Whether there seems to be one that is open, and that no call is made on."""

    def take(self) -> Line | None:
        """Return one that is open, if one is there; no call is made on it until it is freed."""

    async def dial(self) -> Line | None:
        """Return a new one, if there is one soon; no call is made on it until it is freed. It may be cancelled."""


class Approach:
    """The calls of one lane that wait for their turn, until there is a reason to stop (`over`).

    Without `lines` every call finds or makes its own connection when its turn has come.
    """

    def __init__(
        self, pacer: Pacer, over: Stop, look: Look, clock: Callable[[], float], lines: Lines | None = None
    ) -> None:
        self._lines = lines
        self._pacer = pacer
        self._over = over
        self._look = look
        self._clock = clock
        self._near = Anteroom()
        self._ahead = MOMENT  # seconds before its turn in which a call gets its connection

    async def turn(self, before: Callable[[], Awaitable[object]] | None) -> bool:
        """Wait for the lane's rate, and do what is to be done just `before` the call; return whether it may be made."""
        if before is None and self._lines is not None and self._lines.ready and self._pacer.take_now(self._over):
            return True
        while not await self._soon(before):
            if self._over.is_set():
                return False
            await self._pacer.unpaused(self._over, self._look)
        return True

    async def _soon(self, before: Callable[[], Awaitable[object]] | None) -> bool:
        """Wait for the lane's rate; False when there is no turn soon.

        A connection is kept meanwhile, and free when that is over: the call, which follows at once, is made on it.
        """
        if not self._near.enter(self._room):
            await self._near.wait()
        line: Line | None = None
        try:
            line = await self._line()
            return await self._pacer.take(self._over, self._look, before)
        finally:
            self._near.leave(self._room)
            if line is not None:
                line.free()

    @property
    def _room(self) -> float:
        """Return how many calls have their turn in the time in which a connection is made."""
        return max(1.0, self._ahead * self._pacer.pace_now)

    async def _line(self) -> Line | None:
        """Return a connection for a call that has its turn soon: made then, it would have the call arrive late."""
        if self._lines is None or self._pacer.pace_now * SOON < 1 or self._over.is_set():
            return None
        if (line := self._lines.take()) is None:
            began = self._clock()
            line = await self._over.unless_set(self._lines.dial)
            self._ahead = min(SOON, max(MOMENT, TWICE * (self._clock() - began)))
        return line
