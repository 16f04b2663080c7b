"""One run: stages in their order, the lanes of a stage side by side, one outcome per target.

Everything flows one way: sources -> lanes -> journal. What was done before (a resume) or is listed twice is dropped
on the way in; what is left when the run stops is settled as `not_attempted` on the way out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import anyio
from anyio.abc import TaskStatus

from orchestrator import waves
from orchestrator.checks import FollowUp
from orchestrator.guards import Aside, Tripwire
from orchestrator.journal.record import decode
from orchestrator.lane import LEFT_TOGETHER, Lane
from orchestrator.logs import Log
from orchestrator.model import LaneName, Outcome, Settled, Tallied, Target, meets
from orchestrator.seen import Seen
from orchestrator.sources import BROKEN, Source, Takes, nobody
from orchestrator.stop import MIDWAY, Stop
from orchestrator.turn import ANY, Turn
from orchestrator.waves import Ages, Wave

PASSED_OVER = 1000  # targets in a row that are not called, after which others get a turn

_log = Log()


@dataclass(slots=True, eq=False)
class LaneWork:
    """What one lane has to do in one stage, and what follows it."""

    lane: Lane
    sources: list[Source] = field(default_factory=list)
    follow_up: FollowUp | None = None
    waves: Sequence[int | None] = (None,)


@dataclass(slots=True, eq=False)
class StageWork:
    """The lanes of a stage, which run side by side, and when it has its turn.

    `broken` says that a source could not be read to its end; `called` that all its calls are through, `over` that what
    was called has been looked at too.
    """

    name: str
    lanes: list[LaneWork]
    turn: Turn = field(default_factory=Turn)
    broken: bool = False
    called: anyio.Event = field(default_factory=anyio.Event)
    over: anyio.Event = field(default_factory=anyio.Event)


@dataclass(slots=True, eq=False)
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
    asked: float  # whatever services told of their sessions, they did not before this moment
    refresh: Callable[[Sequence[Source]], Awaitable[str | None]]
    own: Takes = nobody
    last: Takes = nobody
    finished: Collection[LaneName] = ()
    held: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    clock: Callable[[], float] = time.monotonic

    def targets(self, stage: StageWork, work: LaneWork) -> Iterator[Target | None]:
        """Yield the targets of a lane that are to be called now, and None where others should have a turn."""
        if work.lane.name in self.finished:
            return
        wants = self.takes if self.own is nobody else self._wants
        recheck = work.follow_up.watched.recheck if work.follow_up else None
        failed: list[str] = []
        set_aside = 0
        for target in fresh(work.sources, wants, self.seen, failed, recheck):
            if target is not None and stage.turn.own:  # so that it is no part of what it waits for
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

    A stage begins when those that it needs are called, or over where it matters what came of them.
    """
    known = {stage.name: stage for stage in stages}
    async with anyio.create_task_group() as watch:
        watch.start_soon(keep_deadline, intake.stop, intake.clock)
        async with anyio.create_task_group() as group:
            for stage in stages:
                group.start_soon(_stage, stage, [known[name] for name in stage.turn.needs], intake)
        watch.cancel_scope.cancel()
    return intake.failed


async def _stage(stage: StageWork, needed: Sequence[StageWork], intake: Intake) -> None:
    turn = stage.turn
    for one in needed:
        await (one.over if turn.looks_at(one.turn) else one.called).wait()
    short = [one.name for one in needed if not await _good(intake, one, turn.continue_on)]
    _log.info("stage_started", stage=stage.name, lanes=len(stage.lanes), held_back_by=short)
    if short and not turn.own:  # what is the run's own of it will not have its turn either
        intake.held.add(stage.name)
        intake = replace(intake, own=nobody)
    if turn.anew:
        await intake.stop.rest(turn.rest)
        intake = replace(intake, seen=Seen(), finished=(), takes=intake.once_more)
    if turn.own:
        intake = replace(intake, takes=intake.at_last, own=nobody)
    async with anyio.create_task_group() as looking:
        async with anyio.create_task_group() as calling:
            for work in stage.lanes:
                if short:
                    said = f"the stage {', '.join(short)} did not come out as this one needs it"
                    calling.start_soon(_leave, work, intake.targets(stage, work), said)
                else:
                    calling.start_soon(looking.start, _work, stage, work, intake)  # returns when all is called
        stage.called.set()
    stage.over.set()


async def _good(intake: Intake, stage: StageWork, requirement: str) -> bool:
    return requirement == ANY or (not stage.broken and await intake.came_out(stage.name, requirement))


async def _leave(work: LaneWork, targets: Iterator[Target | None], reason: str) -> None:
    """Settle the targets of a lane that does not begin, or does not go on."""
    for count, target in enumerate(targets):
        if target is not None:
            work.lane.set_aside(target, reason)
        if count % LEFT_TOGETHER == 0:
            await work.lane.flush()


async def _work(stage: StageWork, work: LaneWork, intake: Intake, *, task_status: TaskStatus[None]) -> None:
    """Let a lane's targets out, wave after wave; a wave that is not good is the last. Tell when all are called."""
    name = work.lane.name
    async with work.lane.busy:
        ages = Ages(partial(intake.refresh, work.sources), intake.asked, intake.stop, intake.clock)
        waits = stage.turn.needs or ages.old()
        unasked = await ages.ask() if waits and name not in intake.finished else ""
        targets = intake.targets(stage, work)
        for number, size in enumerate(() if unasked else work.waves):
            if number:
                unasked = unasked or await ages.ask()
            if size is not None:
                intake.tripwire.let_out(name)
            wave = Wave(targets, size, waves.PORTION if work.follow_up else math.inf, ages.old)
            unasked = unasked or await _wave(work, wave, intake.aside, ages)
            if size is None:
                break
            await _look(work, intake.aside, unasked)
            bad = intake.tripwire.call_in(name)
            if bad and not intake.stop.is_set() and not intake.tripwire.spares(name):
                said = f"{bad} of a wave of {size} did not come out as the plan requires"
                intake.tripwire.trip(name, f"{said}, so that no more is let out")
        await _leave(work, targets, unasked)
        task_status.started()
        await _look(work, intake.aside, unasked)


async def _wave(work: LaneWork, wave: Wave, aside: Aside, ages: Ages) -> str:
    """Call a wave, and look at it whenever much is to be looked at; return why it does not go on to its end, if so."""
    unasked = ""
    while not (wave.over or unasked):
        await work.lane.run(wave.portion())
        await work.lane.flush()
        if not wave.over and ages.old():
            unasked = await ages.ask()
        if not wave.over and work.follow_up is not None and work.follow_up.watched.waiting >= waves.PORTION // 2:
            await _look(work, aside, unasked)
    return unasked


async def _look(work: LaneWork, aside: Aside, unasked: str) -> None:
    """Look at what was called, and end again what lives on: not what is set aside by now, or could not be asked of."""
    if work.follow_up is not None:
        await work.follow_up.carry_out(work.lane, lambda target: unasked or aside.reason(target))


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

    A source that breaks ends, and is told of. Targets that were called and not looked at yet go to `recheck`. What
    failed in an earlier part of the run comes last: it may fail again, and stop the lane before others had a turn.
    """
    readable = list(sources)
    if not seen.some_failed:
        yield from _fresh(readable, takes, seen, failed, recheck)
        return
    yield from _fresh(readable, lambda target: takes(target) and not seen.failed(target), seen, failed, recheck)
    yield from _fresh(readable, lambda target: takes(target) and seen.failed(target), seen, failed, recheck)


def _fresh(
    readable: list[Source], takes: Takes, seen: Seen, failed: list[str], recheck: Callable[[Settled], None] | None
) -> Iterator[Target | None]:
    passed = 0
    for source in tuple(readable):
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
            readable.remove(source)
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
