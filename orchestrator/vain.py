"""Calls in a row that came to nothing, and whether it is worth going on after them."""

from __future__ import annotations

HOPELESS = 8  # of them ...
HOPELESS_SECONDS = 60.0  # ... over so long a time


class Vain:
    """The calls since the last one that came to something; times are seconds of one clock."""

    __slots__ = ("_since", "number")

    def __init__(self) -> None:
        self.number = 0
        self._since = 0.0  # when the first of them was

    def another(self, at: float) -> None:
        """Note one that came to nothing then."""
        self._since = at if self.number == 0 else min(self._since, at)
        self.number += 1

    def over(self) -> None:
        """Note one that came to something."""
        self.number = 0

    def hopeless(self, at: float) -> bool:
        """Return whether it is not worth going on, as of then."""
        return self.number >= HOPELESS and at - self._since >= HOPELESS_SECONDS
