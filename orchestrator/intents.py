"""The batches of a lane, and the intent to call each: on disk before the call, and not much before it.

One commit for every call would bound a fast lane by the disk, so that a fast lane announces a moment's worth of calls
together. A slow one announces each just before its call: what a crash leaves in doubt is then what was really sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence

from orchestrator.model import Batch

MOMENT = 0.25  # seconds of calls at the lane's rate that are announced together ...
AT_ONCE = 3000  # ... up to so many targets, which is a commit of a few milliseconds: they are held until their call

Sent = Callable[[Sequence[Batch]], Awaitable[None]]


class Intents:
    """Hands out batches in their order, and makes durable that those about to be called are."""

    def __init__(self, batches: Iterator[Batch], sent: Sent) -> None:
        self._batches = batches
        self._sent = sent
        self._ahead: deque[Batch] = deque()  # read for an announcement, and not taken yet
        self._read: deque[Batch] = deque()  # read to see how many are left, and not announced yet
        self._announced: set[int] = set()  # numbers of batches whose intent is durable, until their call
        self._largest = 1  # targets in a batch, as far as was read ahead
        self._waiting: dict[int, Batch] = {}
        self._low = 0  # when fewer are left ahead, somebody announces the next ones while the others go on
        self._one = asyncio.Lock()

    def take(self) -> Batch | None:
        """Return the next batch, None after the last."""
        return self._ahead.popleft() if self._ahead else self._next()

    def unused(self) -> list[Batch]:
        """Return the batches that were read and never taken."""
        return [*self._ahead, *self._read]

    def few(self, calls: int) -> bool:
        """Return whether no more than so many batches are left; none more than so many are read to see it."""
        while len(self._ahead) + len(self._read) <= min(calls, AT_ONCE // self._largest):
            if (batch := next(self._batches, None)) is None:
                return True
            self._largest = max(self._largest, len(batch.targets))
            self._read.append(batch)
        return False

    def _next(self) -> Batch | None:
        return self._read.popleft() if self._read else next(self._batches, None)

    def spend(self, batch: Batch) -> bool:
        """Use the durable intent to call the batch; False where there is none yet, or it is time to announce more."""
        if len(self._ahead) < self._low or batch.number not in self._announced:
            return False
        self._announced.discard(batch.number)
        return True

    async def announce(self, batch: Batch, per_second: float) -> None:
        """Return when the intent to call the batch is durable, with that of a moment's worth of those that follow."""
        room = int(per_second * MOMENT)
        if batch.number not in self._announced:
            self._waiting[batch.number] = batch
            async with self._one:
                if batch.number not in self._announced:
                    await self._announce(room - len(self._ahead))
        elif len(self._ahead) < self._low and not self._one.locked():
            async with self._one:
                await self._announce(room - len(self._ahead))
        self._waiting.pop(batch.number, None)
        self._announced.discard(batch.number)

    async def _announce(self, room: int) -> None:
        """Announce those that wait, and as many of those that follow as there is room for."""
        together = [batch for batch in self._waiting.values() if batch.number not in self._announced]
        self._waiting.clear()
        targets = sum(len(batch.targets) for batch in [*self._ahead, *together])
        room -= len(together)
        while room > 0 and targets < AT_ONCE and (batch := self._next()) is not None:
            self._ahead.append(batch)
            together.append(batch)
            targets += len(batch.targets)
            room -= 1
        self._low = len(self._ahead) // 4
        if together:
            await self._sent(together)
        self._announced.update(batch.number for batch in together)
