"""The garbage collector rests while what stays is built, and is seldom called afterwards.

Everything that a start imports and builds lives to the end, and the collector looked through all of it again and
again: a tenth of the time to the first call, a third of the time to load a large plan. What a run makes for a target
goes by itself when the target is done with; to look for what does not, every 700 new objects, was a tenth of a call.
"""

import gc
from types import TracebackType

SELDOM = 50_000  # new objects that are still there: some ten megabytes


class Resting:
    """Lets the collector rest; with `keep` it leaves alone for good what is there afterwards, and comes seldom."""

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep
        self._was = False

    def __enter__(self) -> None:
        self._was = gc.isenabled()
        gc.disable()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keep:
            gc.freeze()
            gc.set_threshold(SELDOM)
        if self._was:
            gc.enable()
