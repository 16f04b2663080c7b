"""Puts the program together: the only place that builds its live objects."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from orchestrator import blueprint as blueprints
from orchestrator import catalogue, plan, settings
from orchestrator.auth import Admission
from orchestrator.backoff import Backoff
from orchestrator.batches import Packing
from orchestrator.blueprint import Blueprint
from orchestrator.bounds import Bounds, bounds_of, lane_key, reads_of, timing_of
from orchestrator.calling import Operation
from orchestrator.catalogue import Catalogue
from orchestrator.checks import FollowUp, Unseen, Watched
from orchestrator.classify import Classify, compile_reading
from orchestrator.collector import Resting
from orchestrator.connections import Connections
from orchestrator.connector import HttpConnector
from orchestrator.endpoints import base_url
from orchestrator.errors import Fault, InvalidInput
from orchestrator.lane import Lane, Memory
from orchestrator.lister import Lister, parameters
from orchestrator.listing import Listing
from orchestrator.model import LaneName, Verdict
from orchestrator.paces import Learned
from orchestrator.pacing import Pacer
from orchestrator.pages import compile_listing
from orchestrator.plan import PlanFile
from orchestrator.reading import Condition, Reading, Rule
from orchestrator.references import References, as_written
from orchestrator.render import Place, Render, compile_operation, plain
from orchestrator.run import LaneWork, StageWork
from orchestrator.sections import Section
from orchestrator.service import ReadBack, Service
from orchestrator.settings import ConfigFile, Connection
from orchestrator.sights import ByQuestion, InListing, Look, Notes
from orchestrator.slots import first_pace
from orchestrator.sources import BROKEN
from orchestrator.stages import Step
from orchestrator.stop import Stop
from orchestrator.templates import holes
from orchestrator.transport import Lines
from orchestrator.verify import Verifier
from orchestrator.waves import wave_sizes

DEAD_KEY = "the gateway refuses the access key, which the plan deactivates"


def prepare(plan_path: Path, variables: dict[str, str], config_file: ConfigFile, *, offline: bool = False) -> Blueprint:
    """Read a plan and hold it against config and catalogue; raise InvalidInput with every fault.

    Offline, references to secrets are taken as they are written instead of being read.
    """
    resolve = as_written if offline else References(plan_path.resolve().parent).resolve
    with Resting():
        known = load_catalogue(config_file)
        try:
            plan_file = plan.read(plan_path, variables)
        except plan.Unsound as unsound:
            raise InvalidInput(blueprints.look_over(unsound, config_file, known, resolve)) from None
        try:
            return blueprints.draw(plan_file, config_file, known, resolve)
        except InvalidInput as error:
            faults = [] if offline else unlinked(plan_file, config_file)
            raise InvalidInput([*error.faults, *faults]) from None


def unlinked(plan_file: PlanFile, config_file: ConfigFile) -> Sequence[Fault]:
    """Return what is wrong with the credentials and the trust of the connections that a plan uses."""
    known = config_file.config.connections
    used = {group.connection for _, _, group in plan_file.plan.groups()} & known.keys()
    try:
        Connections(config_file, {name: known[name] for name in sorted(used)})
    except InvalidInput as error:
        return error.faults
    return ()


def load_catalogue(config_file: ConfigFile) -> Catalogue:
    """Return the package's catalogue with the folders that a config adds."""
    folders = [config_file.folder / folder for folder in config_file.config.catalogue]
    wrong = [(("catalogue", i), said) for i, folder in enumerate(folders) if (said := catalogue.unfit(folder))]
    return catalogue.load(folders, config_file.faults(wrong))


Pacers = dict[tuple[str, str, str], Pacer]  # by service, connection and listing


class Workshop:
    """Builds the lanes of one run."""

    def __init__(
        self,
        blueprint: Blueprint,
        connections: Connections,
        memory: Memory,
        stop: Stop,
        numbers: Iterator[int],
        *,
        cut_off: float | None = None,
        known: Mapping[str, Learned] | None = None,
        pacers: Pacers,
    ) -> None:
        self.lanes: dict[LaneName, Lane] = {}
        self._blueprint = blueprint
        self._connections = connections
        self._memory = memory
        self._stop = stop
        self._numbers = numbers
        self._cut_off = cut_off
        self._known = known or {}
        self._pacers = pacers  # of listings: whoever reads one keeps to the same rate
        self._follow_ups: dict[LaneName, FollowUp] = {}
        self._listers: dict[tuple[str, str, str], Lister] = {}

    def build(self, steps: Sequence[Step], totals: Mapping[LaneName, int]) -> list[StageWork]:
        """Return the stages with their lanes, of which `totals` has the number of targets."""
        return [StageWork(step.name, self._works(step.sections, totals), step.turn) for step in steps]

    def _works(self, sections: Sequence[Section], totals: Mapping[LaneName, int]) -> list[LaneWork]:
        guard = self._blueprint.plan_file.plan.guard
        works: dict[LaneName, LaneWork] = {}
        for section in sections:
            name = section.lane
            if name not in self.lanes:
                self.lanes[name] = self._lane(section.service, section.connection, self._memory_of(section))
            sizes = tuple(wave_sizes(guard.ramp, totals.get(name, 0)))
            work = works.setdefault(name, LaneWork(self.lanes[name], follow_up=self._follow_ups.get(name), waves=sizes))
            work.sources.append(section.source)
        return list(works.values())

    def _memory_of(self, section: Section) -> Memory:
        """Return where a lane notes what it does; one whose targets can be looked at afterwards is watched."""
        service, name = section.service, section.lane
        if service.verify is None:
            required = self._blueprint.plan_file.plan.require == "verified"
            return Unseen(self._memory) if required else self._memory
        watched = Watched(self._memory)
        timing = timing_of(self._blueprint.config_file.config, service, service.verify)
        verifier = Verifier(self._look(service, section.connection, service.verify), timing, self._stop)
        again = self._blueprint.plan_file.plan.reattempt if service.end.idempotent else 0
        self._follow_ups[name] = FollowUp(watched, verifier, again)
        return watched

    def _look(self, service: Service, connection: str, read_back: ReadBack) -> Look:
        if read_back.listing is not None:
            lister = self.lister(service, connection, read_back.listing)
            return InListing(lister, service.listings[read_back.listing], read_back, service.key, self._cut_off)
        question = read_back.question
        if question is None:
            raise AssertionError("a read-back is one or the other")
        bounds = reads_of(self._blueprint.config_file.config, service, read_back.limits)
        classify = compile_reading(question, self._blueprint.catalogue.rules(question), service.service)
        readings = dict.fromkeys(service.expect or [""], classify)
        pacer = self._pacer(bounds)  # one for all looks, however often it looks

        def make(notes: Notes) -> Lane:
            connector = self._calls(service, connection, question.ask, readings, bounds)
            return self._new_lane(service, connection, connector, pacer, notes, bounds)

        said = {name for _, name in holes(question.ask.model_dump())}
        return ByQuestion(make, [name for name in service.key if name in said])

    def lister(self, service: Service, connection: str, name: str) -> Lister:
        """Return what reads one of a service's listings on a connection; whoever reads that one shares its rate."""
        known = (service.service, connection, name)
        if known not in self._listers:
            listing = service.listings[name]
            lane = self._listing_lane(service, connection, name)
            others = self._translators(service, connection, listing)
            self._listers[known] = Lister(lane, listing, service.key, translators=others)
        return self._listers[known]

    def _translators(self, service: Service, connection: str, listing: Listing) -> dict[str, Lister]:
        """Return what reads the listings that translate the filters of this one."""
        return {
            name: Lister(self._listing_lane(service, connection, by.listing), service.listings[by.listing], [by.field])
            for name, by in listing.by.items()
        }

    def _listing_lane(self, service: Service, connection: str, name: str) -> Lane:
        place, listing = (service.service, connection, name), service.listings[name]
        bounds = reads_of(self._blueprint.config_file.config, service, listing.limits)
        operation = Operation(method=listing.method, path=listing.path, query=parameters(listing), idempotent=True)
        classify = compile_listing(listing, self._blueprint.catalogue.rules(listing), service.service)
        connector = self._calls(service, connection, operation, {"": classify}, bounds)
        pacer = self._pacers.get(place) or self._pacers.setdefault(place, self._pacer(bounds))
        return self._new_lane(service, connection, connector, pacer, Notes(), bounds)

    def _lane(self, service: Service, connection: str, memory: Memory) -> Lane:
        bounds = bounds_of(self._blueprint.config_file.config, service, connection)
        connector = self._connector(service, connection, bounds)
        pacer = self._pacer(bounds, self._known.get(lane_key(service.service, connection), Learned()).per_second)
        batch = service.end.batch
        packing = Packing(batch.size, batch.group_by) if batch else Packing()
        return self._new_lane(service, connection, connector, pacer, memory, bounds, packing, self._numbers)

    def _new_lane(
        self,
        service: Service,
        connection: str,
        connector: HttpConnector,
        pacer: Pacer,
        memory: Memory,
        bounds: Bounds,
        packing: Packing | None = None,
        numbers: Iterator[int] | None = None,
    ) -> Lane:
        """Return a lane; one that only lists or looks numbers its calls by itself."""
        return Lane(
            service.service,
            connection,
            connector,
            pacer,
            memory,
            self._stop,
            packing=packing or Packing(),
            numbers=numbers or itertools.count(1),
            attempts=bounds.attempts,
            concurrency=bounds.concurrency,
            backoff=Backoff(bounds.backoff, bounds.backoff_cap),
            lines=self._lines(service, connection),
        )

    def _pacer(self, bounds: Bounds, learned: float | None = None) -> Pacer:
        """Return a pacer; one without a rate begins at what an earlier run learned, or at what its slots allow."""
        start = learned if bounds.rates or learned else first_pace(bounds.concurrency)
        return Pacer(bounds.rates, start=start, burst=bounds.burst)

    def heard(self) -> dict[str, Learned]:
        """Return by lane how long the pages took that were read of its listings."""
        pages = {lane_key(service, connection): one for (service, connection, _), one in self._listers.items()}
        return {name: Learned(answer=one.answer) for name, one in pages.items() if one.answer is not None}

    def learned(self) -> dict[str, Learned]:
        """Return by lane what was learned of its service, where it answered."""
        learners = {lane_key(*name): lane.pacer.learner for name, lane in self.lanes.items()}
        return {name: Learned(one.learned, one.answer) for name, one in learners.items() if one.answer is not None}

    def _connector(self, service: Service, name: str, bounds: Bounds) -> HttpConnector:
        dead = service.dead_key is not None and self._ends_key_of(name)
        known = readings(service, self._blueprint.catalogue, self._blueprint.config_file.config, dead_key=dead)
        return self._calls(service, name, service.end, known, bounds)

    def _ends_key_of(self, connection: str) -> bool:
        """Return whether the plan ends the access key that a connection calls with."""
        mine = self._connections.linked[connection].credential.own().get("access_key", set())
        ending = [section for section in self._blueprint.sections if "access_key" in section.service.own.values()]
        with contextlib.suppress(*BROKEN):  # who reads a source for its targets tells of it
            return bool(mine) and any(
                plain(target.fields[name]) in mine
                for section in ending
                for name, kind in section.service.own.items()
                if kind == "access_key"
                for target in section.source.targets()
                if name in target.fields
            )
        return False

    def _calls(
        self, service: Service, name: str, operation: Operation, known: Mapping[str, Classify], bounds: Bounds
    ) -> HttpConnector:
        connection = self._blueprint.config_file.config.connections[name]
        linked = self._connections.linked[name]
        methods = [operation.method, *([operation.on_405] if operation.on_405 else [])]
        operations = [operation.model_copy(update={"method": method}) for method in methods]
        url = base_url(service, connection)
        return HttpConnector(
            [rendering(one, url, connection) for one in operations],
            known,
            linked.credential,
            Admission(linked.credential, linked.standing),
            linked.transport,
            idempotent=operation.idempotent,
            seconds=bounds.timeout,
        )

    def _lines(self, service: Service, name: str) -> Lines:
        """Return the connections to where the calls of a service go."""
        url = base_url(service, self._blueprint.config_file.config.connections[name])
        return self._connections.linked[name].transport.lines(url)


def rendering(operation: Operation, url: str, connection: Connection) -> Callable[[str], Render]:
    """Return what compiles an operation on a connection, given the project that its credential turns out to be for."""

    def compiled(project_id: str) -> Render:
        place = Place(url, connection.project_id or project_id, connection.region or "")
        if "{project_id}" in operation.path and not place.project_id:
            raise LookupError("the token names no project; give the connection its project_id")
        return compile_operation(operation, place)

    return compiled


def readings(
    service: Service, known: Catalogue, config: settings.Config, *, dead_key: bool = False
) -> dict[str, Classify]:
    """Return a service's classifiers by what a group expects ('' where there is nothing to choose).

    With `dead_key` the plan deactivates the access key of the calls, and that this one is refused is a denial.
    """
    said = config.services.get(service.service)
    first = [_declared(condition) for condition in said.already_ended] if said else []
    named: dict[str, Reading] = dict(service.expect) or {"": service}
    dead = _dead(service) if dead_key else []
    return {
        name: compile_reading(
            reading, [*first, *(dead if name == "denied" else ()), *known.rules(reading)], service.service
        )
        for name, reading in named.items()
    }


def _dead(service: Service) -> list[Rule]:
    said = service.dead_key.model_dump(exclude_unset=True) if service.dead_key else {}
    return [Rule.model_validate({**said, "then": Verdict.DENIED, "note": DEAD_KEY})] if said else []


def _declared(condition: Condition) -> Rule:
    said = condition.model_dump(exclude_unset=True)
    return Rule.model_validate({**said, "then": Verdict.ABSENT, "note": "already ended, says the config"})
