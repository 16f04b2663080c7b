"""What a run would do and how long it would take; told with the services' listings read, and nothing changed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator import admission, discovered, ownership, paces
from orchestrator.app import Pacers
from orchestrator.blueprint import Blueprint
from orchestrator.connections import Connections
from orchestrator.counting import Count, count
from orchestrator.endpoints import base_url
from orchestrator.guards import Aside
from orchestrator.model import LaneName, Target
from orchestrator.outlook import Forecast, LaneForecast, Listed, StageForecast
from orchestrator.ownership import NOTHING, Own
from orchestrator.paces import Learned
from orchestrator.run import fresh
from orchestrator.sections import Section
from orchestrator.seen import Seen
from orchestrator.selection import Selector
from orchestrator.stages import Step, steps_of
from orchestrator.stop import Stop
from orchestrator.waves import wave_sizes
from orchestrator.ways import Tally, Ways


async def foresee(
    blueprint: Blueprint, selector: Selector, latency: float | None = None, deadline: float | None = None
) -> Forecast:
    """Return what a run would do, once the services have listed what they have.

    `latency` is what a call takes, in seconds; else what earlier runs remember of each lane, else what is assumed.
    Raises InvalidInput for bad sources, NothingMatched when there is no target.
    """
    count(blueprint.sections, selector)  # every fault of every source is told before anybody is asked
    deadline = deadline or blueprint.plan_file.plan.deadline
    found = await _discover(blueprint, deadline)
    return predict(blueprint, selector, latency=latency, deadline=deadline, found=found)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was found when the services were asked, which took so many seconds: how long pages took, who the run is.

    `lengths` has how many things there are in the listings in which sessions are looked up.
    """

    seconds: float = 0.0
    heard: Mapping[str, Learned] = field(default_factory=dict)
    own: Own = NOTHING
    lengths: Mapping[tuple[str, str, str], int] = field(default_factory=dict)


NOBODY_ASKED = Asked()


async def _discover(blueprint: Blueprint, deadline: float | None) -> Asked:
    """Ask the services for what they list, and who the run is, as a run would."""
    known = blueprint.connections()
    asked = {section.connection for _, section, _ in discovered.discoveries(blueprint)} | ownership.working(blueprint)
    if not asked:
        return Asked()
    began = time.monotonic()
    async with Connections(blueprint.config_file, {name: known[name] for name in asked}) as connections:
        stop = Stop(None if deadline is None else began + deadline)
        pacers: Pacers = {}
        heard = await discovered.ask(blueprint, connections, stop, now=time.time(), pacers=pacers)
        took = time.monotonic() - began
        own = await ownership.of(blueprint, connections, stop)
        return Asked(took, heard, own, await discovered.lengths(blueprint, connections, stop, asked, pacers))


def predict(
    blueprint: Blueprint,
    selector: Selector,
    *,
    latency: float | None = None,
    deadline: float | None = None,
    found: Asked = NOBODY_ASKED,
) -> Forecast:
    """Return what a run would do with what is listed by now."""
    plan = blueprint.plan_file.plan
    aside = Aside(blueprint.keeps, time.time() - (plan.older_than or 0.0), aged=plan.older_than is not None)
    counted = count(blueprint.sections, selector, aside)
    admission.something(blueprint, counted, selector)
    known = {**found.heard, **paces.read(blueprint.config_file.state_dir, time.time())}
    oracle = Oracle(blueprint, selector, aside, counted, Ways(blueprint, latency, known, found.lengths), found.own)
    stages = oracle.stages(steps_of(blueprint))
    return Forecast(
        plan.name,
        stages,
        counted.total,
        counted.set_aside,
        oracle.seen.twice,
        listed=_listed(blueprint),
        listing_seconds=found.seconds,
        deadline=deadline,
        refusal=admission.refusal(blueprint, counted, found.own, selector, aside),
        inputs=counted.digests,
        notes=[*discovered.empty(blueprint), *discovered.bounded(blueprint), *admission.unfinished(blueprint)],
    )


@dataclass(slots=True)
class Oracle:
    """Says what each lane of each stage would do, and when."""

    blueprint: Blueprint
    selector: Selector
    aside: Aside
    counted: Count
    ways: Ways
    own: Own
    seen: Seen = field(default_factory=Seen)

    def stages(self, steps: Sequence[Step]) -> tuple[StageForecast, ...]:
        """Return the stages, each after those that it needs; a lane that two of them share works for one at a time."""
        stages: dict[str, StageForecast] = {}
        free: dict[str, tuple[float, float]] = {}
        turns = {step.name: step.turn for step in steps}
        for step in steps:
            turn = step.turn
            needed = [stages[name].through(looked_at=turn.looks_at(turns[name])) for name in turn.needs]
            begins, late = (max(ends) + turn.rest for ends in zip((0.0, 0.0), *needed, strict=True))
            lanes = []
            for sections in _by_lane(step.sections).values():
                lane = self._lane(step, sections)
                since, since_late = free.get(lane.lane, (0.0, 0.0))
                asks = self.ways.asks(sections, lane.targets) if turn.needs and lane.targets else Tally()
                lane = lane.at(max(begins, since) + asks.look_seconds, max(late, since_late) + asks.worst)
                free[lane.lane] = lane.ends, lane.worst_ends
                lanes += [lane] if lane.targets else []
            stages[step.name] = StageForecast(step.name, begins, late, tuple(lanes), turn.rest)
        return tuple(stage for stage in stages.values() if stage.lanes)

    def _lane(self, step: Step, sections: Sequence[Section]) -> LaneForecast:
        service, connection = sections[0].service, sections[0].connection
        way, ramp = self.ways.of(service, connection), self.blueprint.plan_file.plan.guard.ramp
        sizes = wave_sizes(ramp, self.counted.per_lane[service.service, connection])
        tally = way.waves(self._targets(step, sections), sizes)
        return LaneForecast(
            step.name,
            f"{service.service}@{connection}",
            tally.targets,
            tally.calls,
            str(way.pace),
            way.pace.per_second,
            tally.seconds,
            service.end.method,
            base_url(service, self.blueprint.connections()[connection]) + service.end.path,
            tuple(tally.examples),
            bound=way.pace.bound,
            latency=way.pace.latency,
            assumed=self.ways.assumes(service, connection),
            looks=tally.looks,
            look_seconds=tally.look_seconds,
            worst_seconds=tally.worst,
            called_seconds=tally.called,
            worst_called_seconds=tally.worst_called,
        )

    def _targets(self, step: Step, sections: Sequence[Section]) -> Iterator[Target]:
        """Yield what a lane calls in a stage: nothing twice, nothing that is set aside."""
        sources = [section.source for section in sections]
        last = self.blueprint.plan_file.plan.guard.own == "last"

        def takes(target: Target) -> bool:
            return self.selector.takes(target) and (not last or self.own.covers(target) is step.turn.own)

        taken = filter(None, fresh(sources, takes, Seen() if step.turn.anew else self.seen, []))
        return (target for target in taken if not self.aside.reason(target))


def _by_lane(sections: Sequence[Section]) -> dict[LaneName, list[Section]]:
    lanes: dict[LaneName, list[Section]] = {}
    for section in sections:
        lanes.setdefault(section.lane, []).append(section)
    return lanes


def _listed(blueprint: Blueprint) -> tuple[Listed, ...]:
    found = (source for _, _, source in discovered.discoveries(blueprint))
    return tuple(Listed(source.name, source.listed, len(source.rows), source.failure) for source in found)
