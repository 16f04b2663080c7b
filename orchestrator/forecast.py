"""What a run would do and how long it would take; told with the services' listings read, and nothing changed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from orchestrator import admission, listings, ownership, run
from orchestrator.app import LaneName
from orchestrator.batches import Packing, pack
from orchestrator.blueprint import Blueprint
from orchestrator.bounds import limits_of, reads_of, timing_of
from orchestrator.connections import Connections
from orchestrator.counting import Count, count
from orchestrator.durations import LATENCY, LookBack, Pace
from orchestrator.endpoints import base_url
from orchestrator.errors import NothingMatched
from orchestrator.guards import Aside, waves
from orchestrator.model import Target
from orchestrator.outlook import Forecast, LaneForecast, Listed, StageForecast
from orchestrator.ownership import NOTHING, Own
from orchestrator.pacing import Stop
from orchestrator.run import fresh
from orchestrator.sections import Section
from orchestrator.seen import Seen
from orchestrator.selection import Selector
from orchestrator.service import ReadBack, Service
from orchestrator.stages import Step, steps_of
from orchestrator.verify import Timing

EXAMPLES = 3


@dataclass(slots=True)
class Tally:
    """What was counted of a lane, or of one of its waves; `examples` are the first few targets by name."""

    targets: int = 0
    looked_at: int = 0
    calls: int = 0
    looks: int = 0
    seconds: float = 0.0
    look_seconds: float = 0.0
    worst: float = 0.0
    lag: float = 0.0
    examples: list[str] = field(default_factory=list)

    def note(self, targets: Iterator[Target], timing: Timing) -> Iterator[Target]:
        """Pass targets on, counted, with the longest time after which one of them can be looked at."""
        for target in targets:
            if len(self.examples) < EXAMPLES:
                self.examples.append(target.id)
            self.targets += 1
            self.looked_at += target.verify
            self.lag = max(self.lag, timing.lag_of((target,)))
            yield target

    def add(self, wave: Tally) -> None:
        """Add a wave, which begins when the one before it is over."""
        for name in ("targets", "looked_at", "calls", "looks", "seconds", "look_seconds", "worst"):
            setattr(self, name, getattr(self, name) + getattr(wave, name))
        self.examples += wave.examples[: EXAMPLES - len(self.examples)]


def _portions(size: int | None) -> Iterator[int]:
    """Yield how many targets of a wave are called before they are looked at; of one without a size there is no end."""
    while size is None or size > 0:
        yield run.PORTION if size is None else min(size, run.PORTION)
        size = None if size is None else size - run.PORTION


@dataclass(frozen=True, slots=True)
class Way:
    """How a lane goes about its targets: its batches, its pace, how it looks afterwards, how often it ends again."""

    packing: Packing
    pace: Pace
    look: LookBack | None
    again: int

    def wave(self, targets: Iterator[Target]) -> Tally:
        """Return what one wave of targets takes, or a portion of it."""
        tally = Tally()
        counted = tally.note(targets, self.look.timing if self.look else Timing())
        tally.calls = sum(1 for _ in pack(counted, self.packing, itertools.count()))
        tally.seconds = self.pace.seconds(tally.calls)
        tally.worst = self.pace.worst(tally.calls)
        if self.look is not None and tally.looked_at:
            tally.looks = self.look.calls(tally.looked_at)
            tally.look_seconds = self.look.seconds(tally.looked_at, tally.lag)
            tally.worst = (1 + self.again) * (tally.worst + self.look.worst(tally.looked_at, tally.lag))
        return tally

    def waves(self, targets: Iterator[Target], sizes: Iterable[int | None]) -> Tally:
        """Return what all waves take; what is looked at afterwards is called a portion at a time."""
        tally = Tally()
        for size in sizes:
            for number in _portions(size) if self.look else (size,):
                part = self.wave(itertools.islice(targets, number))
                tally.add(part)
                if number is None or part.targets < number:
                    break
        return tally


async def foresee(
    blueprint: Blueprint, selector: Selector, latency: float = LATENCY, deadline: float | None = None
) -> Forecast:
    """Return what a run would do, once the services have listed what they have.

    Raises InvalidInput for bad sources, NothingMatched when there is no target.
    """
    count(blueprint.sections, selector)  # every fault of every source is told before anybody is asked
    deadline = deadline or blueprint.plan_file.plan.deadline
    listing_seconds, own = await _discover(blueprint, deadline)
    return predict(blueprint, selector, latency=latency, deadline=deadline, listing_seconds=listing_seconds, own=own)


async def _discover(blueprint: Blueprint, deadline: float | None) -> tuple[float, Own]:
    """Ask the services for what they list, and who the run is, as a run would; return how many seconds that took."""
    known = blueprint.connections()
    asked = {section.connection for _, section, _ in listings.discoveries(blueprint)} | ownership.working(blueprint)
    if not asked:
        return 0.0, NOTHING
    began = time.monotonic()
    async with Connections(blueprint.config_file, {name: known[name] for name in asked}) as connections:
        stop = Stop(None if deadline is None else began + deadline)
        await listings.ask(blueprint, connections, stop, now=time.time())
        took = time.monotonic() - began
        return took, await ownership.of(blueprint, connections, stop)


def predict(
    blueprint: Blueprint,
    selector: Selector,
    *,
    latency: float = LATENCY,
    deadline: float | None = None,
    listing_seconds: float = 0.0,
    own: Own = NOTHING,
) -> Forecast:
    """Return what a run would do with what is listed by now."""
    plan = blueprint.plan_file.plan
    aside = Aside(blueprint.keeps, time.time() - (plan.older_than or 0.0))
    counted = count(blueprint.sections, selector, aside)
    if not (counted.total or listings.failures(blueprint) or plan.allow_empty):
        raise NothingMatched("no target matches")
    oracle = Oracle(blueprint, selector, aside, counted, latency, own)
    stages = oracle.stages(steps_of(blueprint))
    return Forecast(
        plan.name,
        stages,
        counted.total,
        counted.set_aside,
        oracle.seen.twice,
        listed=_listed(blueprint),
        listing_seconds=listing_seconds,
        deadline=deadline,
        refusal=admission.refusal(blueprint, counted, own, selector, aside),
        inputs=counted.digests,
        notes=[*listings.empty(blueprint), *listings.bounded(blueprint)],
    )


@dataclass(slots=True)
class Oracle:
    """Says what each lane of each stage would do, and when."""

    blueprint: Blueprint
    selector: Selector
    aside: Aside
    counted: Count
    latency: float
    own: Own
    seen: Seen = field(default_factory=Seen)

    def stages(self, steps: Sequence[Step]) -> tuple[StageForecast, ...]:
        """Return the stages, each after those that it needs; a lane that two of them share works for one at a time."""
        over: dict[str, tuple[float, float]] = {}
        free: dict[str, tuple[float, float]] = {}
        stages = []
        for step in steps:
            needed = [over[name] for name in step.needs]
            begins, late = (max((one[i] for one in needed), default=0.0) + step.rest for i in (0, 1))
            lanes = []
            for sections in _by_lane(step.sections).values():
                lane = self._lane(step, sections)
                since, since_late = free.get(lane.lane, (0.0, 0.0))
                lane = lane.at(max(begins, since), max(late, since_late))
                free[lane.lane] = lane.ends, lane.worst_ends
                lanes += [lane] if lane.targets else []
            ends = max((lane.ends for lane in lanes), default=begins)
            over[step.name] = ends, max((lane.worst_ends for lane in lanes), default=late)
            stages.append(StageForecast(step.name, begins, ends, over[step.name][1], tuple(lanes)))
        return tuple(stage for stage in stages if stage.lanes)

    def _lane(self, step: Step, sections: Sequence[Section]) -> LaneForecast:
        service, connection = sections[0].service, sections[0].connection
        way, ramp = self._way(service, connection), self.blueprint.plan_file.plan.guard.ramp
        sizes = waves(ramp, self.counted.per_lane[service.service, connection])
        tally = way.waves(self._targets(step, sections), sizes)
        return LaneForecast(
            step.name,
            f"{service.service}@{connection}",
            tally.targets,
            tally.calls,
            way.pace.per_second,
            tally.seconds,
            service.end.method,
            base_url(service, self.blueprint.connections()[connection]) + service.end.path,
            tuple(tally.examples),
            bound=way.pace.bound,
            looks=tally.looks,
            look_seconds=tally.look_seconds,
            worst_seconds=tally.worst,
        )

    def _targets(self, step: Step, sections: Sequence[Section]) -> Iterator[Target]:
        """Yield what a lane calls in a stage: nothing twice, nothing that is set aside."""
        sources = [section.source for section in sections]
        last = self.blueprint.plan_file.plan.guard.own == "last"

        def takes(target: Target) -> bool:
            return self.selector.takes(target) and (not last or self.own.covers(target) is step.own)

        taken = filter(None, fresh(sources, takes, Seen() if step.anew else self.seen, []))
        return (target for target in taken if not self.aside.reason(target))

    def _way(self, service: Service, connection: str) -> Way:
        batch, config = service.end.batch, self.blueprint.config_file.config
        return Way(
            Packing(batch.size, batch.group_by) if batch else Packing(),
            Pace(limits_of(config, service, connection), self.latency),
            self._look(service, connection, service.verify) if service.verify is not None else None,
            self.blueprint.plan_file.plan.reattempt if service.end.idempotent else 0,
        )

    def _look(self, service: Service, connection: str, read_back: ReadBack) -> LookBack:
        config = self.blueprint.config_file.config
        timing = timing_of(config, service, read_back)
        if read_back.listing is None:
            return LookBack(Pace(reads_of(config, service, read_back.limits), self.latency), timing, by_listing=False)
        listing = service.listings[read_back.listing]
        one_by_one = reads_of(config, service, listing.limits).model_copy(update={"concurrency": 1})
        listed = self._listed(service, connection, read_back.listing)
        return LookBack(Pace(one_by_one, self.latency), timing, True, listing.page_size, listed)

    def _listed(self, service: Service, connection: str, name: str) -> int:
        """Return how many things a listing is known to have."""
        place = (service.service, connection, name)
        known = listings.discoveries(self.blueprint)
        found = [one.listed for _, s, one in known if (s.service.service, s.connection, one.listing_name) == place]
        return max(found, default=0)


def _by_lane(sections: Sequence[Section]) -> dict[LaneName, list[Section]]:
    lanes: dict[LaneName, list[Section]] = {}
    for section in sections:
        lanes.setdefault((section.service.service, section.connection), []).append(section)
    return lanes


def _listed(blueprint: Blueprint) -> tuple[Listed, ...]:
    found = (source for _, _, source in listings.discoveries(blueprint))
    return tuple(Listed(source.name, source.listed, len(source.rows), source.failure) for source in found)
