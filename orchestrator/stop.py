"""The reason to stop: one for the run, and for each lane a branch of it, that what waits is woken by."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakSet

import anyio

MIDWAY = 5  # the exit code of a run that its deadline cut short
T = TypeVar("T")


class Stop:
    """Tells everybody that no new call may begin, and why; the first reason stays.

    `deadline` (seconds of the monotonic clock) is when that will be at the latest. `exit_code` is what the run ends
    with because of it; a branch has none.
    """

    def __init__(self, deadline: float | None = None) -> None:
        self.deadline = deadline
        self.reason = ""
        self.exit_code: int | None = None
        self._stopped = False
        self._event = asyncio.Event()
        self._branches: WeakSet[Stop] = WeakSet()  # of lanes that are still there

    def branch(self) -> Stop:
        """Return what stops when this does, or before it: one lane that halts."""
        branch = Stop()
        self._branches.add(branch)
        if self.is_set():
            branch.set(self.reason)
        return branch

    def set(self, reason: str, exit_code: int | None = None) -> None:
        """Stop for a reason, which is what targets that were never sent are reported with."""
        if not self.is_set():
            self.reason, self.exit_code = reason, exit_code
            self._stopped = True
            self._event.set()
            for branch in tuple(self._branches):
                branch.set(reason)

    def would_be_late(self, moment: float) -> bool:
        """Return whether a moment is past the deadline."""
        return self.deadline is not None and moment > self.deadline

    def cut_short(self, reason: str) -> None:
        """Note that a part of the run ends midway, although the rest goes on."""
        if self.exit_code is None:
            self.reason, self.exit_code = reason, MIDWAY

    def is_set(self) -> bool:
        """Return whether new calls are over."""
        return self._stopped

    async def wait(self) -> None:
        """Return when there is a reason to stop."""
        await self._event.wait()

    async def rest(self, seconds: float) -> bool:
        """Wait for so long; return False, early, when there is a reason to stop."""
        if seconds > 0:
            with anyio.move_on_after(seconds):
                await self._event.wait()
        return not self.is_set()

    async def unless_set(self, action: Callable[[], Awaitable[T]]) -> T | None:
        """Do something that is not worth finishing once there is a reason to stop: then it is cancelled.

        What it raises is raised as it is, not in a group.
        """
        result: T | None = None
        failure: Exception | None = None

        async def do() -> None:
            nonlocal result, failure
            try:
                result = await action()
            except Exception as error:  # noqa: BLE001  raised below
                failure = error
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(do)
            await self._event.wait()
            group.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return result
