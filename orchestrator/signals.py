"""Ctrl-C and its like: the first is the wish to stop well, a second the wish to stop now."""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
from anyio.abc import TaskStatus

from orchestrator.errors import OrchestratorError
from orchestrator.stop import Stop

ONE_WISH = 0.3  # seconds; a wrapper that passes a signal on beside the terminal does not mean it twice
SIGNALS = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated"), signal.SIGHUP: (143, "hung up")}


class Ear:
    """Hears signals while a run lives, its report included; `cut_off` says that a second one ended the calls."""

    def __init__(self, stop: Stop) -> None:
        self.cut_off = False
        self._stop = stop
        self._scope: anyio.CancelScope | None = None

    @contextmanager
    def cutting(self) -> Iterator[None]:
        """Let a second signal cut off what is done meanwhile."""
        with anyio.CancelScope() as self._scope:
            yield
        self._scope = None

    async def listen(self, *, task_status: TaskStatus[None]) -> None:
        """Hear signals until cancelled."""
        first = None
        with anyio.open_signal_receiver(*SIGNALS) as received:
            task_status.started()
            async for number in received:
                code, word = SIGNALS[signal.Signals(number)]
                if first is not None and time.monotonic() - first > ONE_WISH and self._scope is not None:
                    self.cut_off = True
                    self._scope.cancel()
                first = first or time.monotonic()
                self._stop.set(f"{word} by {signal.Signals(number).name}", code)


@asynccontextmanager
async def heard(stop: Stop) -> AsyncIterator[Ear]:
    """Hear signals meanwhile; of several errors the one that a person can act on is raised."""
    try:
        async with anyio.create_task_group() as beside:
            ear = Ear(stop)
            await beside.start(ear.listen)
            yield ear
            beside.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise leaf(group) from None


def leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the one error of a group that a person can act on, else the group."""
    known = group.subgroup(OrchestratorError)
    while known is not None and isinstance(known, BaseExceptionGroup):
        first = known.exceptions[0]
        if not isinstance(first, BaseExceptionGroup):
            return first
        known = first
    return group
