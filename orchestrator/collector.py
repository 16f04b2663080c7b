"""The garbage collector rests while what stays is built.

Everything that a start imports and builds lives to the end, and the collector looked through all of it again and
again: a tenth of the time to the first call, a third of the time to load a large plan.
"""

import gc
from types import TracebackType


class Resting:
    """Lets the collector rest, and afterwards leaves alone what is there."""

    def __enter__(self) -> None:
        gc.disable()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gc.freeze()
        gc.enable()
