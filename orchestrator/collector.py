"""The garbage collector rests while what stays is built, and is seldom called afterwards.

Everything that a start imports and builds lives to the end, and the collector looked through all of it again and
again: a tenth of the time to the first call, a third of the time to load a large plan. What a run makes for a target
goes by itself when the target is done with; to look for what does not, every 700 new objects, was a tenth of a call.
"""

import gc
from types import TracebackType

SELDOM = 50_000  # new objects that are still there: some ten megabytes


class Resting:
    """Lets the collector rest; afterwards it leaves alone what is there, and comes seldom."""

    def __enter__(self) -> None:
        gc.disable()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gc.freeze()
        gc.set_threshold(SELDOM)
        gc.enable()
