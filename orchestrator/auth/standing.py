"""Whether a credential works: told once to every lane that shares it, and judged for each lane by itself.

Many workers of several lanes call with one credential: so until a generation has worked once, one call of each lane
carries it, and the first refusal stops them all. More than five wrong signatures lock a key: such a credential is
tried by one call of all lanes, and where no answer comes by few, so that a service that hangs does not hold up the
others: soon by one of a second lane, and after a second by one more, of the lane that has waited longest; one that is
out for longer still is not counted, because who is refused is told so at once. But a service that refuses what others
take is that service's affair: it stops its own lane and no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from types import TracebackType
from typing import NamedTuple, Protocol
from weakref import WeakSet

from orchestrator.auth.credential import Credential, scrub

HEAD_START = 0.04  # seconds after which a second lane may try one that locks
PATIENCE = 1.0  # seconds after which one more call may, from when there is a credential to carry
AT_ONCE = 3  # calls may carry one that has not worked yet ...
HANGS = 5.0  # ... of which one that was not answered for so many seconds is none any more, ...
AT_ALL = 5  # ... up to so many that are not answered: so few wrong ones lock no key
_GLANCE = 0.25  # seconds between two looks at whether the credential is there

_THROUGH = nullcontext()  # of every call that need not wait

Barrier = asyncio.Lock | asyncio.Semaphore


class Closes(Protocol):
    """What keeps calls from being made."""

    def set(self, reason: str) -> None:
        """Let no call begin from now on; the first reason stays."""


class Barriers(NamedTuple):
    """What a call has to pass that tries a credential: one after the other, few at once, few that are not answered."""

    one: asyncio.Lock
    few: asyncio.Semaphore
    all: asyncio.Semaphore


def barriers() -> Barriers:
    """Return barriers that nobody has passed."""
    return Barriers(asyncio.Lock(), asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(AT_ALL))


class Standing:
    """What is known of one credential: the generation that last worked, and why it was refused for good."""

    __slots__ = ("_credential", "_open", "barriers", "locks", "refused", "trying", "worked")

    def __init__(self, credential: Credential) -> None:
        self.locks = credential.locks
        self.barriers = barriers()  # for all lanes
        self.trying: set[Turn] = set()  # those that calls of their lane wait for, and mostly those of others
        self.worked = 0
        self.refused: str | None = None
        self._credential = credential
        self._open: WeakSet[Closes] = WeakSet()  # what is closed when it is refused

    @property
    def proven(self) -> bool:
        """Return whether the generation that the next call carries has worked at least once."""
        return self.worked >= self._credential.generation

    @property
    def ready(self) -> bool:
        """Return whether there is a credential to carry: while somebody logs in, nothing is being tried."""
        return self._credential.ready

    def is_open(self) -> bool:
        """Return whether calls need not wait for each other: all is well, or nothing more will be sent."""
        return self.refused is not None or self.proven

    def work(self, generation: int) -> None:
        """Note that a later generation works than was known to."""
        self.worked = generation
        self._open_up()

    def refuse(self, message: str) -> None:
        """Note that the credential is refused for good, everywhere; the first message stays."""
        if self.refused is None:
            self.refused = scrub(message, self._credential.secrets())
            for one in tuple(self._open):
                one.set(self.refused)
            self._open_up()

    def _open_up(self) -> None:
        """Let everybody through where that may be: a call is still out, and nobody need wait for it any more."""
        if self.is_open():
            for turn in tuple(self.trying):
                turn.let_on()

    def close_when_refused(self, one: Closes) -> None:
        """Close something when the credential is refused for good; at once where it is."""
        self._open.add(one)
        if self.refused is not None:
            one.set(self.refused)


class Admission:
    """One lane's view of a credential: whether this service lets it in."""

    __slots__ = ("_barriers", "_credential", "_open", "_own_refusal", "_rejected", "_standing", "_worked")

    def __init__(self, credential: Credential, standing: Standing) -> None:
        self._credential = credential
        self._standing = standing
        self._barriers = barriers()  # of the lane: its many workers must crowd out no others
        self._worked = 0  # the generation that this lane was let in with last ...
        self._rejected = 0  # ... and the one that was sent away last
        self._own_refusal: str | None = None
        self._open: WeakSet[Closes] = WeakSet()

    @property
    def refused(self) -> str | None:
        """Return why this lane must not call any more, if so."""
        return self._standing.refused or self._own_refusal

    def close_when_refused(self, one: Closes) -> None:
        """Close something when this lane must not call any more; at once where that is so."""
        self._open.add(one)
        self._standing.close_when_refused(one)
        if self._own_refusal is not None:
            one.set(self._own_refusal)

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Return the context that covers getting the credential and the send; look at `refused` once inside it."""
        standing = self._standing
        if standing.is_open():
            return _THROUGH
        return Turn(standing, self._barriers.one, standing.barriers if standing.locks else self._barriers)

    def refuse(self, message: str) -> None:
        """Note that the credential is refused for good, everywhere."""
        self._standing.refuse(message)

    def worked(self, generation: int) -> None:
        """Note that the service let a call of this generation in, whatever else it answered."""
        if generation > self._worked:
            self._worked = generation
        if generation > self._standing.worked:
            self._standing.work(generation)

    async def rejected(self, generation: int, message: str) -> bool:
        """Decide what a 401 to a call of this generation means: True = call again, False = this lane is over.

        Nothing is renewed twice: a call that began before the latest renewal is simply made again. A generation
        that is refused before any ever worked is refused for good. One that works elsewhere, and is refused here
        for the second time in a row or has never worked here and cannot be renewed, ends this lane only.
        """
        if self.refused is not None or generation < self._credential.generation:
            return self.refused is None
        again = 0 < self._rejected < generation and self._worked <= self._rejected
        self._rejected = generation
        if self._standing.worked == 0:
            self.refuse(message)
        elif again or not await self._credential.renew(generation):
            self._give_up(message, here_only=again or self._worked == 0)
        return self.refused is None

    def _give_up(self, message: str, *, here_only: bool) -> None:
        if here_only:
            self._own_refusal = scrub(message, self._credential.secrets())
            for one in tuple(self._open):
                one.set(self._own_refusal)
        else:
            self.refuse(message)


class Turn:
    """One call's place behind its barriers: the lane's, and those of all lanes where the credential locks.

    Inside it, in this order: `refused`, `obtain`, `headers`, `generation`, the send, then `worked` or `rejected` with
    that same generation. Read after the send it may be the next one's, and an old token's 401 would condemn that.
    """

    __slots__ = ("_barriers", "_held", "_lane", "_left", "_standing", "_timer")

    def __init__(self, standing: Standing, lane: asyncio.Lock, barriers: Barriers) -> None:
        self._standing = standing
        self._lane = lane
        self._barriers = barriers
        self._held: list[Barrier] = []
        self._left = PATIENCE
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        order: tuple[Barrier, ...] = (self._lane, *self._barriers)
        for barrier in dict.fromkeys(order):
            if not self._standing.is_open():
                await self._hold(barrier)
        if self._standing.is_open():  # from the start, or settled while this call waited
            self._free()
            return
        first = not self._standing.trying
        self._standing.trying.add(self)
        if first and self._standing.locks:
            self._after(HEAD_START, self._let_another_lane_on)
        else:
            self._after(_GLANCE, self._look)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._free()

    def let_on(self) -> None:
        """Let the next call go, and the next one of the lane queue behind those of others; a place is kept."""
        if self._timer is not None:
            self._timer.cancel()
        self._standing.trying.discard(self)
        self._release(self._barriers.one, self._lane)

    def _let_another_lane_on(self) -> None:
        """Let one call of another lane go."""
        self._release(self._barriers.one)
        self._after(_GLANCE, self._look)

    def _hangs(self) -> None:
        """Give the place to another: who is refused is told so at once."""
        self._release(self._barriers.few)

    def _release(self, *those: Barrier) -> None:
        for barrier in those:
            if barrier in self._held:
                self._held.remove(barrier)
                barrier.release()

    async def _hold(self, barrier: Barrier) -> None:
        try:
            await barrier.acquire()
        except BaseException:
            self._free()
            raise
        self._held.append(barrier)

    def _look(self) -> None:
        self._left = self._left - _GLANCE if self._standing.ready else PATIENCE
        if self._left <= 0:
            self.let_on()
            self._after(HANGS - PATIENCE, self._hangs)
        else:
            self._after(_GLANCE, self._look)

    def _after(self, seconds: float, what: Callable[[], None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, what)

    def _free(self) -> None:
        if self in self._standing.trying:
            self.let_on()
        if self._timer is not None:
            self._timer.cancel()
        self._release(*reversed(self._held))
