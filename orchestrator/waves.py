"""How the targets of a lane are let out: wave after wave, in portions, asked of again when what is known is old."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

from orchestrator.model import Target
from orchestrator.stop import Stop
from orchestrator.units import Amount

FRESH = 60.0  # seconds for which it is believed since when sessions are there ...
RARE = 20  # ... and so often as long as it takes to ask
PORTION = 20_000  # targets of a lane that is looked at which are called together: what is pending is in memory


class Ages:
    """Since when the sessions of a lane are there: asked again when that is long ago, for they may be others by now.

    `refresh` asks, and returns why that could not be done (None: there is nothing to ask); they were `asked` before.
    """

    def __init__(
        self,
        refresh: Callable[[], Awaitable[str | None]],
        asked: float,
        stop: Stop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._refresh = refresh
        self._due = asked + FRESH
        self._stop = stop
        self._clock = clock

    def old(self) -> bool:
        """Return whether it should be asked again."""
        return self._clock() >= self._due

    async def ask(self) -> str:
        """Ask, if there is something to ask; return why nobody of the lane must be called any more, if so."""
        began = self._clock()
        failure = await self._refresh()
        now = self._clock()
        self._due = math.inf if failure is None else now + max(FRESH, RARE * (now - began))
        return "" if self._stop.is_set() else failure or ""


class Wave:
    """So many targets of a lane, or all for None; they come in portions, so that others get a turn between.

    A portion has `most` targets at the most, and ends when what is known of their ages is `old`.
    """

    def __init__(
        self, targets: Iterator[Target | None], size: int | None, most: float, old: Callable[[], bool]
    ) -> None:
        self.over = False
        self._targets = targets
        self._left = math.inf if size is None else size
        self._most = most
        self._old = old

    def portion(self) -> Iterator[Target]:
        """Yield the next targets, up to where many in a row were passed over."""
        room = self._most
        for found in self._targets if self._left > 0 else ():
            if found is None:
                return
            self._left -= 1
            room -= 1
            yield found
            if self._left <= 0:
                break
            if room <= 0 or self._old():
                return
        self.over = True


def wave_sizes(ramp: Sequence[Amount] | None, total: int) -> Iterator[int | None]:
    """Yield how many targets each wave of a lane lets out; None is all the rest."""
    for size in ramp or ():
        if size.share == 1.0:
            break
        yield max(1, size.of(total))
    yield None
