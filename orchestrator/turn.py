"""When a stage of a run has its turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

ANY = "any"


class Turn(NamedTuple):
    """The stages that a stage waits for, what has to have come of them, and a rest in seconds after that.

    A second pass calls `anew` what was called before. The stage of what is the run's `own` takes that, and no other
    does.
    """

    needs: Sequence[str] = ()
    continue_on: str = ANY
    rest: float = 0.0
    anew: bool = False
    own: bool = False

    @property
    def looks_back(self) -> bool:
        """Return whether it waits for what comes of the stages before it, and not for their calls alone."""
        return self.continue_on != ANY or self.anew or self.own
