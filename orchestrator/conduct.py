"""The life of one run, from the lock to the report: begin or go on, execute, conclude."""

from __future__ import annotations

import itertools
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from orchestrator import guards, history, listings, ownership, residual, run
from orchestrator.app import Workshop
from orchestrator.blueprint import Blueprint, warnings
from orchestrator.connections import Connections
from orchestrator.counting import Count, count
from orchestrator.errors import Fault, InvalidInput, NothingMatched, OrchestratorError, Refused
from orchestrator.guards import Aside
from orchestrator.journal import BACKENDS, SqliteJournal, lock
from orchestrator.logs import Log
from orchestrator.model import RunRecord, Secret, Target, meets
from orchestrator.ownership import Own
from orchestrator.pacing import Stop
from orchestrator.private import private_folder, write_secret
from orchestrator.run import Intake, RunMemory, StageWork
from orchestrator.seen import Seen
from orchestrator.selection import Selector
from orchestrator.settings import ConfigFile
from orchestrator.units import is_utf8
from orchestrator.view import View, Watch

if TYPE_CHECKING:
    from orchestrator.ending import Finished
    from orchestrator.sealing import Sealed

_log = Log()

SWEPT_TOGETHER = 1000
ONE_WISH = 0.3  # seconds; a wrapper that passes a signal on beside the terminal does not mean it twice
SIGNALS = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated"), signal.SIGHUP: (143, "hung up")}


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says about a run. `ask` puts a yes-or-no question to a person, where there is one."""

    report_dir: Path | None = None
    deadline: float | None = None
    selector: Selector = field(default_factory=lambda: Selector(()))
    yes: bool = False
    ask: Callable[[str], bool] | None = None
    sealed: Sealed | None = None


def open_journal(config_file: ConfigFile) -> SqliteJournal:
    """Open the journal of a config's state folder."""
    return BACKENDS["sqlite"](config_file.state_dir / "journal.sqlite")


async def start(blueprint: Blueprint, options: Options, watch: Watch) -> Finished:
    """Start a new run of a plan."""
    _check_paths(blueprint, options)
    read = count(blueprint.sections, options.selector)  # every fault of every source is told before anybody is asked
    if options.sealed:
        options.sealed.agree(blueprint, read.digests, options.selector)
    for warning in warnings(blueprint):
        _log.warning("unusual", what=warning)
    connections = Connections(blueprint.config_file, blueprint.connections())
    stop = _stop(blueprint, options)
    with _ready(blueprint) as journal:
        if options.sealed:
            options.sealed.unused(journal)
        _look_back(journal, blueprint, options)
        async with connections:
            await listings.ask(blueprint, connections, stop)
            if options.sealed:
                options.sealed.settle(blueprint, options.selector)
            counted = count(blueprint.sections, options.selector, Aside(blueprint.keeps, None))
            _something(blueprint, counted, options)
            own = await ownership.of(blueprint, connections, stop)
            ownership.check(blueprint, own)
            guards.check_size(blueprint.plan_file.plan.guard, counted.called, *listings.sizes(blueprint))
            record = _new_record(blueprint, options, counted)
            _make_folder(record)
            journal.add(record)
            return await _carry_out(blueprint, record, journal, connections, stop, options, watch, counted, own)


async def resume(blueprint: Blueprint, record: RunRecord, options: Options, watch: Watch) -> Finished:
    """Go on with a run that stopped: what failed and what was never started, never what is done."""
    history.agree(record, blueprint.plan_file.digest, count(blueprint.sections, options.selector).digests)
    connections = Connections(blueprint.config_file, blueprint.connections())
    stop = _stop(blueprint, options)
    with _ready(blueprint) as journal:
        _ask_again(blueprint, record, options)
        unlisted = listings.restore(blueprint, journal, record.run)
        async with connections:
            await listings.ask(blueprint, connections, stop, unlisted)
            own = await ownership.of(blueprint, connections, stop)
            counted = count(blueprint.sections, options.selector)
            journal.reopen(record.run)
            record = replace(record, ended=None, exit_code=None, reason="", notes=())
            return await _carry_out(blueprint, record, journal, connections, stop, options, watch, counted, own)


def _stop(blueprint: Blueprint, options: Options) -> Stop:
    limit = options.deadline or blueprint.plan_file.plan.deadline
    return Stop(None if limit is None else time.monotonic() + limit)


def _check_paths(blueprint: Blueprint, options: Options) -> None:
    """Refuse paths whose bytes are no UTF-8: neither the journal nor a report could hold them."""
    config_file = blueprint.config_file
    paths = {
        "plan": blueprint.plan_file.path,
        "config": config_file.path,
        "report_dir": options.report_dir or config_file.report_dir,
    }
    whole = {name: str(path.resolve()) for name, path in paths.items() if path}
    said = "is not UTF-8 text, and the journal could not hold it; give that file or folder another name"
    if wrong := [Fault(name, f"the path {path!r} {said}") for name, path in whole.items() if not is_utf8(path)]:
        raise InvalidInput(wrong)


def _something(blueprint: Blueprint, counted: Count, options: Options) -> None:
    """Raise NothingMatched when there is nothing to do and nothing to tell, unless the plan says that this is fine."""
    if counted.total or listings.failures(blueprint):
        return
    if options.selector.texts:
        raise NothingMatched(f"nothing matches --only {' '.join(options.selector.texts)}")
    if not blueprint.plan_file.plan.allow_empty:
        raise NothingMatched("the plan's sources hold no target; say `allow_empty: true` if that is all right")


@contextmanager
def _ready(blueprint: Blueprint) -> Iterator[SqliteJournal]:
    """Hold the plan's lock and have the journal open."""
    state_dir = blueprint.config_file.state_dir
    with lock.held(state_dir / "locks", blueprint.plan_file.lock_name):
        journal = open_journal(blueprint.config_file)
        try:
            yield journal
        finally:
            journal.close()


def _look_back(journal: SqliteJournal, blueprint: Blueprint, options: Options) -> None:
    """Say so when the latest run of the plan did not finish: most often that one is what should go on."""
    earlier = history.unfinished(journal, blueprint.plan_file.lock_name)
    latest = journal.latest(blueprint.plan_file.lock_name)
    guards.check_interval(blueprint.plan_file.plan.guard, latest.started if latest else None)
    if earlier is None or options.yes:
        return
    said = f"the run {earlier.run} of this plan did not finish; to go on with it: {earlier.resume_command}"
    if options.ask is None:
        raise Refused(f"{said}; to start a new one, which calls every target again: add --yes")
    if not options.ask(f"{said}\nStart a new one, which calls every target again?"):
        raise Refused("nothing was sent")


def _ask_again(blueprint: Blueprint, record: RunRecord, options: Options) -> None:
    """Ask before a late resume, because by now a target may be another session of somebody who is welcome."""
    late, within = time.time() - record.started, blueprint.plan_file.plan.resume_within
    ageless = listings.ageless(blueprint)
    if late <= within or not ageless or options.yes:
        return
    began = f"the run {record.run} began {late / 60:.0f} minutes ago (resume_within: {within / 60:.0f})"
    who = f"{', '.join(ageless)} cannot tell since when a session is there"
    said = f"{began}, and {who}: people who have signed in again may be signed out"
    if options.ask is None:
        raise Refused(f"{said}; to go on all the same: add --yes")
    if not options.ask(f"{said}\nGo on all the same?"):
        raise Refused("nothing was sent")


def _new_record(blueprint: Blueprint, options: Options, counted: Count) -> RunRecord:
    plan_file, config_file = blueprint.plan_file, blueprint.config_file
    started = time.time()
    name = f"{datetime.fromtimestamp(started, UTC):%Y%m%dT%H%M%SZ}-{plan_file.plan.name}-{secrets.token_hex(2)}"
    report_dir = options.report_dir or config_file.report_dir
    return RunRecord(
        run=name,
        plan=plan_file.plan.name,
        plan_path=str(plan_file.path.resolve()),
        config_path=str(config_file.path.resolve()) if config_file.path else None,
        digest=plan_file.digest,
        require=plan_file.plan.require,
        started=started,
        lock_name=plan_file.lock_name,
        folder=str(report_dir.resolve() / name),
        selectors=options.selector.texts,
        planned=counted.total,
        variables=plan_file.variables,
        inputs=counted.digests,
        seal=options.sealed.seal.sha256 if options.sealed else "",
        subject=plan_file.plan.subject or "",
        residual=residual.declared(blueprint, counted.per_lane),
        cut_off=started - (plan_file.plan.older_than or 0.0),
        ageless=listings.ageless(blueprint),
    )


def _make_folder(record: RunRecord) -> None:
    """Make the report's folder now: that it cannot be made is better known before anything is sent."""
    try:
        private_folder(Path(record.folder))
    except OSError as error:
        said = f"the report's folder {record.folder} cannot be made: {error.strerror}"
        raise InvalidInput.one("report_dir", said) from None


async def _carry_out(
    blueprint: Blueprint,
    record: RunRecord,
    journal: SqliteJournal,
    connections: Connections,
    stop: Stop,
    options: Options,
    watch: Watch,
    counted: Count,
    own: Own,
) -> Finished:
    listings.keep(blueprint, journal, record.run)
    plan = blueprint.plan_file.plan
    journal.start()
    tripwire = guards.Tripwire(plan.guard.stop_when_failed, counted.per_lane, stop)
    intake = Intake(
        options.selector.takes,
        Seen(),
        Aside(blueprint.keeps, record.cut_off or record.started),
        tripwire,
        stop,
        partial(_came_out, journal, record.run),
        own.covers,
    )
    before = history.recall(journal, record.run, blueprint.catalogue.services, intake.seen)
    planned = {lane: number - before[lane] for lane, number in counted.per_lane.items()}
    memory = RunMemory(journal, record.run, lambda target, secret: _keep(record, target, secret), tripwire)
    numbers = itertools.count(journal.last_batch(record.run) + 1)
    workshop = Workshop(blueprint, connections, memory, stop, numbers)
    stages = workshop.build(counted.per_lane)
    tripwire.lanes.update(workshop.lanes)
    view = View(record, list(workshop.lanes.values()), planned, journal, stop)
    failed = await _execute(stages, intake, view, watch)
    if view.cut_off:
        await _sweep(view, stages, options.selector)
    failed += listings.failures(blueprint)
    notes = [*failed, *_twice(intake.seen)]
    from orchestrator.ending import conclude  # with all the report's formats: nothing needs them before

    return await conclude(view, notes, bool(failed), plan.allow_empty)


async def _came_out(journal: SqliteJournal, run_id: str, stage: str, requirement: str) -> bool:
    """Return whether every target of a stage that is over is as good as the next one needs it."""
    await journal.flush()
    tally = journal.tally(run_id, stage)
    return all(meets(requirement, one.outcome, one.verification, protected=one.protected) for one in tally)


async def _execute(stages: Sequence[StageWork], intake: Intake, view: View, watch: Watch) -> list[str]:
    """Run the stages beside the progress display and the ear for signals; a second signal cancels them."""
    try:
        async with anyio.create_task_group() as beside:
            beside.start_soon(watch, view)
            beside.start_soon(_listen, view, beside.cancel_scope)
            await run.execute(stages, intake)
            await view.journal.flush()  # so that the last look at the progress sees everything
            beside.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise _leaf(group) from None
    return list(intake.failed)


def _leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the one error of a group that a person can act on, else the group."""
    known = group.subgroup(OrchestratorError)
    while known is not None and isinstance(known, BaseExceptionGroup):
        first = known.exceptions[0]
        if not isinstance(first, BaseExceptionGroup):
            return first
        known = first
    return group


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


async def _listen(view: View, scope: anyio.CancelScope) -> None:
    """Take the first signal as the wish to stop well, and a second as the wish to stop now."""
    first = None
    with anyio.open_signal_receiver(*SIGNALS) as received:
        async for number in received:
            code, word = SIGNALS[signal.Signals(number)]
            if first is not None and time.monotonic() - first > ONE_WISH:
                view.cut_off = True
                scope.cancel()
            first = first or time.monotonic()
            view.stop.set(f"{word} by {signal.Signals(number).name}", code)


def _twice(seen: Seen) -> list[str]:
    return [f"{seen.twice} rows named a target that was listed before; it is called once"] if seen.twice else []


def _keep(record: RunRecord, target: Target, secret: Secret) -> str:
    name = f"{target.service}-{target.connection}-{target.id}"
    return str(write_secret(Path(record.folder) / "links", name, secret.reveal()))
