"""The life of one run, from the lock to the report: begin or go on, execute, conclude."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio

from orchestrator import admission, beginning, discovered, guards, history, ownership, paces, residual, run
from orchestrator.app import Workshop
from orchestrator.blueprint import Blueprint, warnings
from orchestrator.connections import Connections
from orchestrator.counting import Count, count, digests
from orchestrator.errors import Stopped
from orchestrator.guards import Aside
from orchestrator.journal import SqliteJournal, lock
from orchestrator.logs import Log
from orchestrator.memory import RunMemory
from orchestrator.model import LaneName, RunRecord, meets
from orchestrator.ownership import Own
from orchestrator.run import Intake, StageWork
from orchestrator.seen import Seen
from orchestrator.selection import Selector
from orchestrator.signals import heard
from orchestrator.sources import Source, nobody
from orchestrator.stages import Step, steps_of
from orchestrator.stop import Stop
from orchestrator.trip import Options, Trip
from orchestrator.units import plural
from orchestrator.view import View, Watch

if TYPE_CHECKING:
    from orchestrator.ending import Finished

_log = Log()

SWEPT_TOGETHER = 1000


async def start(blueprint: Blueprint, options: Options, watch: Watch) -> Finished:
    """Start a new run of a plan."""
    blueprint = blueprint.within(options.selector)
    admission.check_paths(beginning.paths(blueprint, options))
    admission.check_files(blueprint)
    read = _read(blueprint, options)
    if options.sealed:
        options.sealed.agree(blueprint, read.digests, options.selector)
    for warning in warnings(blueprint):
        _log.warning("unusual", what=warning)
    connections = Connections(blueprint.config_file, blueprint.connections())
    with _ready(blueprint) as journal:
        if options.sealed:
            options.sealed.unused(journal)
        admission.look_back(journal, blueprint, yes=options.yes, ask=options.ask)
        async with _under_way(blueprint, options, watch, journal, connections) as trip:
            record = beginning.new_record(blueprint, options, time.time())
            await discovered.ask(blueprint, trip.connections, trip.stop, now=record.started, pacers=trip.pacers)
            if options.sealed:
                if trip.stop.is_set():  # what is listed now cannot be held against what was sealed
                    raise Stopped(trip.stop.reason, trip.stop.exit_code or 1)
                trip.notes.extend(options.sealed.settle(blueprint, options.selector))
            counted, own = await _admitted(trip, record, None if any(discovered.discoveries(blueprint)) else read)
            admission.something(blueprint, counted, options.selector)
            admission.check_interval(journal, blueprint, options.selector)
            record = record._replace(
                planned=counted.total,
                inputs=beginning.inputs(blueprint, record, counted.digests),
                ageless=discovered.ageless(blueprint),
            )
            record = record._replace(residual=residual.declared(blueprint, counted.per_lane))
            beginning.make_folder(record)
            journal.add(record)
            return await _carry_out(trip, record, counted, own)


async def resume(blueprint: Blueprint, record: RunRecord, options: Options, watch: Watch) -> Finished:
    """Go on with a run that stopped: what failed and what was never started, never what is done."""
    blueprint = blueprint.within(options.selector)
    inputs = beginning.inputs(blueprint, record, digests(blueprint.sections) or {})
    if inputs != record.inputs:  # with the faults of what changed
        inputs = beginning.inputs(blueprint, record, count(blueprint.sections, options.selector).digests)
    history.agree(record, blueprint.plan_file.digest, inputs)
    admission.check_files(blueprint)
    connections = Connections(blueprint.config_file, blueprint.connections())
    with _ready(blueprint) as journal:
        finished = _finished(blueprint, record, journal)
        read = finished or _read(blueprint, options)
        unlisted = discovered.restore(blueprint, journal, record.run)
        over = history.over(journal, record.run, blueprint.catalogue.services, record.require)
        done = {lane for lane, number in read.per_lane.items() if 0 < number == over[lane]}
        agreed = admission.ask_again(blueprint, record, done, yes=options.yes, ask=options.ask)
        async with _under_way(blueprint, options, watch, journal, connections) as trip:
            if finished is None:
                await discovered.ask(
                    blueprint, trip.connections, trip.stop, unlisted, now=record.started, pacers=trip.pacers
                )
            if not trip.stop.is_set():  # what was not told of its age now is no better than what never was
                admission.ask_again(blueprint, record, done, yes=options.yes, ask=None, agreed=agreed)
            asked = finished is None and (
                any(discovered.discoveries(blueprint)) or any(discovered.aged(blueprint.sections))
            )
            if finished is not None and not record.unfinished:  # nobody is called, nobody asked
                counted, own = finished, ownership.NOTHING
            else:
                counted, own = await _admitted(trip, record, None if asked else read)
            journal.reopen(record.run)
            return await _carry_out(trip, record, counted, own, discovered.ageless(blueprint))


def _read(blueprint: Blueprint, options: Options) -> Count:
    """Read every source once, so that every fault of every source is told before anybody is asked."""
    return count(blueprint.sections, options.selector, Aside(blueprint.keeps, None))


def _finished(blueprint: Blueprint, record: RunRecord, journal: SqliteJournal) -> Count | None:
    """Return what a run that is done with everything had to do, by its journal: nothing has to be read for that."""
    if any(discovered.discoveries(blueprint)):
        return None
    per_lane = history.whole(record, journal.tally(record.run), blueprint.catalogue.services)
    return Count(record.planned, dict(per_lane), per_lane, {}, dict(record.inputs), Seen()) if per_lane else None


@asynccontextmanager
async def _under_way(
    blueprint: Blueprint, options: Options, watch: Watch, journal: SqliteJournal, connections: Connections
) -> AsyncIterator[Trip]:
    """Have the connections open, and hear signals, until the report is written."""
    limit, began = options.deadline or blueprint.plan_file.plan.deadline, time.monotonic()
    stop = Stop(None if limit is None else began + limit)
    async with heard(stop) as ear, connections:
        yield Trip(blueprint, options, watch, journal, connections, stop, ear, began, [], {})


async def _admitted(trip: Trip, record: RunRecord, read: Count | None) -> tuple[Count, Own]:
    """Count what is to be done, and raise Refused when a guard does not let it begin.

    `read` is what was counted already, where the services were not asked since.
    """
    aside = _aside(trip, record)
    counted = read or count(trip.blueprint.sections, trip.selector, aside)
    own = await ownership.of(trip.blueprint, trip.connections, trip.stop)
    if own.unknown and trip.options.yes:
        trip.notes.append(f"--yes was said, and who the run itself is was not found out ({'; '.join(own.unknown)})")
    if not trip.stop.is_set():
        admission.check_targets(trip.blueprint, counted, own, trip.selector, aside, yes=trip.options.yes)
    return counted, own


def _aside(trip: Trip, record: RunRecord) -> Aside:
    older_than = trip.blueprint.plan_file.plan.older_than
    return Aside(trip.blueprint.keeps, record.cut_off or record.started, aged=older_than is not None)


@contextmanager
def _ready(blueprint: Blueprint) -> Iterator[SqliteJournal]:
    """Hold the plan's lock and have the journal open."""
    state_dir = blueprint.config_file.state_dir
    with lock.held(state_dir / "locks", blueprint.plan_file.lock_name):
        journal = history.open_journal(blueprint.config_file)
        try:
            yield journal
        finally:
            journal.close()


async def _carry_out(trip: Trip, record: RunRecord, counted: Count, own: Own, agreed: Collection[str] = ()) -> Finished:
    """Do what was admitted; of the services that are `agreed` nobody has to tell since when a session is there."""
    blueprint, journal, per_lane = trip.blueprint, trip.journal, counted.per_lane
    discovered.keep(blueprint, journal, record.run)
    notes = discovered.empty(blueprint)
    journal.start()
    before = history.recall(journal, record.run, blueprint.catalogue.services, counted.seen, record.require, per_lane)
    planned = {lane: number - before[lane] for lane, number in per_lane.items()}
    steps = steps_of(blueprint, second_pass=record.unfinished or _signs_in(blueprint, planned))
    tripwire = _tripwire(trip, record, per_lane, planned, steps)
    workshop = _workshop(trip, record, steps, tripwire)
    stages = workshop.build(steps, per_lane)
    tripwire.lanes.update(workshop.lanes)
    apart = own if any(step.turn.own for step in steps) else None
    refresh = partial(discovered.refresh, blueprint, workshop, trip.stop, agreed)
    intake = _intake(trip, record, counted, planned, tripwire, refresh, apart)
    view = View(record, list(workshop.lanes.values()), planned, journal, trip.stop)
    failed = [*await _execute(trip, stages, intake, view), *discovered.failures(blueprint)]
    paces.keep(blueprint.config_file.state_dir, workshop.learned(), time.time())
    return await _conclude(trip, view, failed, [*notes, *discovered.bounded(blueprint), *_twice(intake.seen)])


async def _conclude(trip: Trip, view: View, failed: Sequence[str], notes: Sequence[str]) -> Finished:
    """Note the end, and write the report; `failed` are the sources that could not be read."""
    from orchestrator.ending import conclude  # with all the report's formats: nothing needs them before

    ageless = sorted({*view.record.ageless, *discovered.ageless(trip.blueprint)})
    view.record = view.record._replace(ageless=ageless)
    told = [*failed, *trip.notes, *notes]
    return await conclude(view, told, bool(failed), trip.blueprint.plan_file.plan.allow_empty)


def _signs_in(blueprint: Blueprint, planned: Mapping[LaneName, int]) -> bool:
    """Return whether something of an identity provider is called in this part of a run."""
    providers = (section for section in blueprint.sections if section.service.identity_provider)
    return any(planned.get(section.lane) for section in providers)


def _tripwire(
    trip: Trip,
    record: RunRecord,
    per_lane: Mapping[LaneName, int],
    planned: Mapping[LaneName, int],
    steps: Sequence[Step],
) -> guards.Tripwire:
    """Return what stops a run that does too badly; `planned` has by lane what an earlier part of the run left."""
    anew = {one.lane for step in steps if step.turn.anew for one in step.sections}
    left = {lane: number + per_lane[lane] * (lane in anew) for lane, number in planned.items()}
    allowed = trip.blueprint.plan_file.plan.guard.stop_when_failed
    return guards.Tripwire(allowed, per_lane, trip.stop, record.require, left)


def _intake(
    trip: Trip,
    record: RunRecord,
    counted: Count,
    planned: Mapping[LaneName, int],
    tripwire: guards.Tripwire,
    refresh: Callable[[Sequence[Source]], Awaitable[str | None]],
    own: Own | None,
) -> Intake:
    """Return what is taken up of the sources; what is the run's `own` is left to the stage for it, if there is one."""
    return Intake(
        trip.selector.takes,
        counted.seen,
        _aside(trip, record),
        tripwire,
        trip.stop,
        partial(_came_out, trip, record.run),
        trip.began,
        refresh,
        own=nobody if own is None else own.covers,
        last=nobody if own is None else own.is_last_call,
        finished={lane for lane, number in counted.per_lane.items() if number and not planned[lane]},
    )


def _workshop(trip: Trip, record: RunRecord, steps: Sequence[Step], tripwire: guards.Tripwire) -> Workshop:
    """Return what makes the run's lanes, with the memory that they share and the paces that are known."""
    twice = {section.service.service for step in steps if step.turn.anew for section in step.sections}
    keep = partial(beginning.keep, record)
    memory = RunMemory(trip.journal, record.run, keep, tripwire, twice)
    memory.recall(trip.journal.confirmed(record.run) if twice else ())
    numbers = itertools.count(trip.journal.last_batch(record.run) + 1)
    known = paces.read(trip.blueprint.config_file.state_dir, time.time())
    return Workshop(
        trip.blueprint,
        trip.connections,
        memory,
        trip.stop,
        numbers,
        cut_off=record.cut_off or record.started,
        known=known,
        pacers=trip.pacers,
    )


async def _came_out(trip: Trip, run_id: str, stage: str, requirement: str) -> bool:
    """Return whether every target of a stage that is over, and every list of it, is as good as the next one needs."""
    await trip.journal.flush()
    tally = trip.journal.tally(run_id, stage)
    good = all(meets(requirement, one.outcome, one.verification, protected=one.protected) for one in tally)
    return good and stage not in discovered.broken(trip.blueprint)


async def _execute(trip: Trip, stages: Sequence[StageWork], intake: Intake, view: View) -> list[str]:
    """Run the stages beside the progress display; a second signal cuts them off."""
    with trip.ear.cutting():
        async with anyio.create_task_group() as beside:
            beside.start_soon(trip.watch, view)
            await run.execute(stages, intake)
            await trip.journal.flush()  # so that the last look at the progress sees everything
            beside.cancel_scope.cancel()
    if trip.ear.cut_off:
        view.cut_off = True
        await _sweep(view, stages, trip.selector)
    return list(intake.failed)


async def _sweep(view: View, stages: Sequence[StageWork], selector: Selector) -> None:
    """Give what a run that was cut off never took up a line in the report."""
    seen = Seen()
    await view.journal.flush()
    for identity in view.journal.identities(view.record.run):
        seen.note_done(*identity)
    left = run.left_over(stages, seen, selector.takes, view.stop.reason)
    while some := list(itertools.islice(left, SWEPT_TOGETHER)):
        view.journal.settle(view.record.run, some)
        await view.journal.flush()


def _twice(seen: Seen) -> list[str]:
    said = f"{plural(seen.twice, 'row')} named a target that was listed before; it is called once"
    return [said] if seen.twice else []
