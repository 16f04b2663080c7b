"""One run: stages in their order, the lanes of a stage side by side, one outcome per target.

Everything flows one way: sources -> lanes -> journal. What was done before (a resume) or is listed twice is dropped
on the way in; what is left when the run stops is settled as `not_attempted` on the way out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import anyio

from orchestrator.checks import FollowUp
from orchestrator.guards import Aside, Tripwire
from orchestrator.journal.record import decode
from orchestrator.lane import LEFT_TOGETHER, Lane
from orchestrator.logs import Log
from orchestrator.model import LaneName, Outcome, Settled, Tallied, Target, meets
from orchestrator.pacing import MIDWAY, Stop
from orchestrator.seen import Seen
from orchestrator.sources import BROKEN, Source, Takes, nobody

PASSED_OVER = 1000  # targets in a row that are not called, after which others get a turn
FRESH = 60.0  # seconds for which it is believed since when sessions are there ...
RARE = 20  # ... and so often as long as it takes to ask
PORTION = 20_000  # targets of a lane that is looked at which are called together: what is pending is in memory

_log = Log()


@dataclass(slots=True)
class LaneWork:
    """What one lane has to do in one stage, and what follows it."""

    lane: Lane
    sources: list[Source] = field(default_factory=list)
    follow_up: FollowUp | None = None
    waves: Sequence[int | None] = (None,)


@dataclass(slots=True)
class StageWork:
    """The lanes of a stage, which run side by side; the stages that it waits for, and what has to have come of them.

    A second pass begins after a `rest`, in seconds, and calls `anew` what was called before. The stage of what is the
    run's `own` takes that, and no other does. `broken` says that a source could not be read to its end.
    """

    name: str
    lanes: list[LaneWork]
    needs: Sequence[str] = ()
    continue_on: str = "any"
    rest: float = 0.0
    anew: bool = False
    own: bool = False
    broken: bool = False


async def unchanged(_sources: Sequence[Source]) -> None:
    """Ask nothing."""


@dataclass(slots=True)
class Intake:
    """What a run takes up of its sources, once; what it sets aside; what went wrong with sources.

    `came_out(stage, requirement)` says whether a stage that is over was good enough; `refresh(sources)` asks since when
    the sessions of a lane are there by now, and returns why that could not be asked (None: there is nothing to ask).
    What is the run's `own` is left to the stage for that; a target that is the `last` call of its own credential is not
    looked at, because nobody could. Of lanes that are `finished` the sources need not be read. What of a stage that was
    `held` back is not called by a later one either.
    """

    takes: Takes
    seen: Seen
    aside: Aside
    tripwire: Tripwire
    stop: Stop
    came_out: Callable[[str, str], Awaitable[bool]]
    refresh: Callable[[Sequence[Source]], Awaitable[str | None]] = unchanged
    own: Takes = nobody
    last: Takes = nobody
    finished: Collection[LaneName] = ()
    held: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    asked: float = field(default_factory=time.monotonic)  # when the lists were read
    clock: Callable[[], float] = time.monotonic

    def targets(self, stage: StageWork, work: LaneWork) -> Iterator[Target | None]:
        """Yield the targets of a lane that are to be called now, and None where others should have a turn."""
        if (work.lane.service, work.lane.connection) in self.finished:
            return
        recheck = work.follow_up.watched.recheck if work.follow_up else None
        failed: list[str] = []
        set_aside = 0
        for target in fresh(work.sources, self._wants, self.seen, failed, recheck):
            if target is not None and stage.own:  # so that it is no part of what it waits for
                target = replace(target, stage=stage.name)
            if target is None or not (reason := self.aside.reason(target)):
                set_aside = 0
                yield replace(target, verify=False) if target and target.verify and self.last(target) else target
                continue
            work.lane.set_aside(target, reason)
            set_aside += 1
            if set_aside % PASSED_OVER == 0:
                yield None
        self.failed += failed
        stage.broken |= bool(failed)

    def once_more(self, target: Target) -> bool:
        """Return whether a second pass takes a target: not of a stage that was held back."""
        return self.takes(target) and target.stage not in self.held

    def at_last(self, target: Target) -> bool:
        """Return whether the stage of what is the run's own takes a target."""
        return self.once_more(target) and self.own(target)

    def _wants(self, target: Target) -> bool:
        return self.takes(target) and not self.own(target)


async def execute(stages: Sequence[StageWork], intake: Intake) -> list[str]:
    """Give every target that is taken of every source its outcome; return what went wrong with sources.

    A stage begins when those it needs are over.
    """
    over = {stage.name: (stage, anyio.Event()) for stage in stages}
    async with anyio.create_task_group() as watch:
        watch.start_soon(keep_deadline, intake.stop, intake.clock)
        async with anyio.create_task_group() as group:
            for stage in stages:
                group.start_soon(_stage, stage, over, intake)
        watch.cancel_scope.cancel()
    return intake.failed


async def _stage(stage: StageWork, over: dict[str, tuple[StageWork, anyio.Event]], intake: Intake) -> None:
    needed = [over[name] for name in stage.needs]
    for _, event in needed:
        await event.wait()
    short = [one.name for one, _ in needed if not await _good(intake, one, stage.continue_on)]
    _log.info("stage_started", stage=stage.name, lanes=len(stage.lanes), held_back_by=short)
    if short and not stage.own:  # what is the run's own of it will not have its turn either
        intake.held.add(stage.name)
        intake = replace(intake, own=nobody)
    if stage.anew:
        await intake.stop.rest(stage.rest)
        intake = replace(intake, seen=Seen(), finished=(), takes=intake.once_more)
    if stage.own:
        intake = replace(intake, takes=intake.at_last, own=nobody)
    async with anyio.create_task_group() as group:
        for work in stage.lanes:
            if short:
                said = f"the stage {', '.join(short)} did not come out as this one needs it"
                group.start_soon(_leave, work, intake.targets(stage, work), said)
            else:
                group.start_soon(_work, stage, work, intake)
    over[stage.name][1].set()


async def _good(intake: Intake, stage: StageWork, requirement: str) -> bool:
    return requirement == "any" or (not stage.broken and await intake.came_out(stage.name, requirement))


async def _leave(work: LaneWork, targets: Iterator[Target | None], reason: str) -> None:
    """Settle the targets of a lane that does not begin, or does not go on."""
    for count, target in enumerate(targets):
        if target is not None:
            work.lane.set_aside(target, reason)
        if count % LEFT_TOGETHER == 0:
            await work.lane.flush()


async def _work(stage: StageWork, work: LaneWork, intake: Intake) -> None:
    """Let a lane's targets out, wave after wave; a wave that is not good is the last."""
    name = (work.lane.service, work.lane.connection)
    async with work.lane.busy:
        ages = Ages(work.sources, intake)
        waits = stage.needs or ages.old()
        unasked = await ages.ask() if waits and name not in intake.finished else ""
        targets = intake.targets(stage, work)
        for number, size in enumerate(() if unasked else work.waves):
            if number:
                unasked = unasked or await ages.ask()
            if size is not None:
                intake.tripwire.let_out(name)
            wave = Wave(targets, size, PORTION if work.follow_up else math.inf, ages.old)
            unasked = unasked or await _wave(work, wave, intake.aside, ages)
            bad = intake.tripwire.call_in(name) if size is not None else 0
            if bad and not intake.stop.is_set() and not intake.tripwire.spares(name):
                said = f"{bad} of a first wave of {size} did not come out as the plan requires"
                intake.tripwire.trip(name, f"{said}, so that no more is let out")
        await _leave(work, targets, unasked)
        if work.follow_up is not None and work.follow_up.watched.waiting:  # of an earlier part of the run
            await work.follow_up.carry_out(work.lane, lambda target: unasked)


async def _wave(work: LaneWork, wave: Wave, aside: Aside, ages: Ages) -> str:
    """Call a wave, and look at it: at the end, and whenever much is to be looked at.

    Return why it does not go on to its end, if so.
    """
    follow_up, unasked = work.follow_up, ""
    while not (wave.over or unasked):
        await work.lane.run(wave.portion())
        await work.lane.flush()
        if not wave.over and ages.old():
            unasked = await ages.ask()
        if follow_up is not None and (wave.over or unasked or follow_up.watched.waiting >= PORTION // 2):
            await follow_up.carry_out(work.lane, aside.reason)
    return unasked


class Ages:
    """Since when the sessions of a lane are there: asked again when that is long ago, for they may be others by now."""

    def __init__(self, sources: Sequence[Source], intake: Intake) -> None:
        self._sources = sources
        self._intake = intake
        self._clock = intake.clock
        self._due = intake.asked + FRESH

    def old(self) -> bool:
        """Return whether it should be asked again."""
        return self._clock() >= self._due

    async def ask(self) -> str:
        """Ask, if there is something to ask; return why nobody of the lane must be called any more, if so."""
        began = self._clock()
        failure = await self._intake.refresh(self._sources)
        now = self._clock()
        self._due = math.inf if failure is None else now + max(FRESH, RARE * (now - began))
        return "" if self._intake.stop.is_set() else failure or ""


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
        while self._left > 0 and (found := next(self._targets, self)) is not self:
            if not isinstance(found, Target):
                return
            self._left -= 1
            room -= 1
            yield found
            if (room <= 0 or self._old()) and self._left > 0:
                return
        self.over = True


async def keep_deadline(stop: Stop, clock: Callable[[], float] = time.monotonic) -> None:
    """Stop the run when its time is up."""
    if stop.deadline is not None:
        await anyio.sleep(max(0.0, stop.deadline - clock()))
        stop.set("the deadline has passed", MIDWAY)


def left_over(stages: Sequence[StageWork], seen: Seen, takes: Takes, reason: str) -> Iterator[Settled]:
    """Return as not attempted every target that a run which was cut off never took up; `seen` has all that it did."""
    for stage in stages:
        for work in stage.lanes:
            for target in filter(None, fresh(work.sources, takes, seen, [])):
                yield Settled(target, Outcome.NOT_ATTEMPTED, reason, settled=time.time())


def fresh(
    sources: Sequence[Source],
    takes: Takes,
    seen: Seen,
    failed: list[str],
    recheck: Callable[[Settled], None] | None = None,
) -> Iterator[Target | None]:
    """Yield the targets that nobody has taken up yet, and None after many that are passed over.

    A source that breaks ends, and is told of. Targets that were called and not looked at yet go to `recheck`.
    """
    passed = 0
    for source in sources:
        try:
            for target in source.targets():
                if takes(target) and seen.take(target):
                    passed = 0
                    yield replace(target, suspect=True) if seen.suspects(target) else target
                    continue
                if recheck is not None and takes(target) and target.verify and (record := seen.unchecked(target)):
                    recheck(decode(record, target))
                passed += 1
                if passed % PASSED_OVER == 0:
                    yield None
        except BROKEN as error:
            failed.append(f"{source.name} changed while it was read: {error}")
            _log.error("source_failed", source=source.name, reason=str(error))


def exit_code(tally: Sequence[Tallied], require: str, stop: Stop, *, failed: bool, allow_empty: bool) -> int:
    """Return the exit code of a finished run from how its targets fared.

    `failed` says that a source could not be read to its end.
    """
    if stop.exit_code is not None:
        return stop.exit_code
    if failed or not all(meets(require, one.outcome, one.verification, protected=one.protected) for one in tally):
        return 3
    return 0 if tally or allow_empty else 6
