"""When a stage of a run has its turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

ANY = "any"


class Turn(NamedTuple):
    """The stages that a stage waits for, what has to have come of them, and a rest in seconds after that.

    One that `proves` something checks access; of one that `shuts` people out identity providers are called.
    A second pass calls `anew` what was called before. The stage of what is the run's `own` takes that, and no other
    does.
    """

    needs: Sequence[str] = ()
    continue_on: str = ANY
    rest: float = 0.0
    anew: bool = False
    own: bool = False
    proves: bool = False
    shuts: bool = False

    def looks_at(self, needed: Turn) -> bool:
        """Return whether it waits for what comes of a stage that it needs, and not for the calls of that alone.

        Before it is seen that people are shut out, they would be logged straight back in, and a proof would fail.
        """
        return self.continue_on != ANY or self.anew or self.own or self.proves or needed.shuts
