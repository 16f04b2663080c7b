"""What a run would do and how long it would take, told without a call: targets, batches, calls, the bottleneck."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.app import limits_of
from orchestrator.batches import Packing, pack
from orchestrator.blueprint import Blueprint, Section, base_url
from orchestrator.counting import count
from orchestrator.errors import NothingMatched
from orchestrator.model import Target
from orchestrator.run import fresh
from orchestrator.seen import Seen
from orchestrator.selection import Selector

EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class LaneForecast:
    """One lane of one stage; `seconds` is what its calls take at its rate, `per_second` that rate in calls."""

    stage: str
    lane: str
    targets: int
    calls: int
    per_second: float
    seconds: float
    method: str
    url: str
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """A plan's forecast: stages follow each other, the lanes of a stage run side by side."""

    plan: str
    lanes: tuple[LaneForecast, ...]
    listed_twice: int

    @property
    def seconds(self) -> float:
        """Return how long the run takes: the slowest lane of every stage, one after the other."""
        stages = itertools.groupby(self.lanes, key=lambda lane: lane.stage)
        return sum(max(lane.seconds for lane in lanes) for _, lanes in stages)

    @property
    def bottleneck(self) -> LaneForecast | None:
        """Return the lane that takes longest, None where there is no target."""
        return max(self.lanes, key=lambda lane: lane.seconds, default=None)

    def to_json(self) -> dict[str, Any]:
        """Return the forecast as plain values."""
        return {
            "plan": self.plan,
            "targets": sum(lane.targets for lane in self.lanes),
            "calls": sum(lane.calls for lane in self.lanes),
            "seconds": round(self.seconds, 3),
            "bottleneck": self.bottleneck.lane if self.bottleneck else None,
            "listed_twice": self.listed_twice,
            "lanes": [asdict(lane) for lane in self.lanes],
        }

    def text(self) -> str:
        """Return the forecast for people."""
        facts = self.to_json()
        lines = [f"{self.plan}: {facts['targets']} targets in {facts['calls']} calls; nothing was sent."]
        for lane in self.lanes:
            lines.append(f"  stage {lane.stage}, {lane.lane}: {lane.targets} targets, {lane.calls} calls")
            lines.append(f"    {lane.method} {lane.url} at {lane.per_second:g}/s: {spoken(lane.seconds)}")
            lines.append(f"    {', '.join(lane.examples)}{', ...' if lane.targets > len(lane.examples) else ''}")
        if self.listed_twice:
            lines.append(f"{self.listed_twice} rows are listed twice and would be called once.")
        if self.bottleneck:
            lines.append(f"It takes {spoken(self.seconds)} at these rates, bound by {self.bottleneck.lane}.")
        return "\n".join(lines)


def predict(blueprint: Blueprint, selector: Selector) -> Forecast:
    """Return what a run would do; raise InvalidInput for bad sources, NothingMatched when there is no target."""
    count(blueprint.sections, selector)
    seen = Seen()
    lanes: list[LaneForecast] = []
    for _, of_stage in itertools.groupby(blueprint.sections, key=lambda section: section.stage):
        by_lane: dict[tuple[str, str], list[Section]] = {}
        for section in of_stage:
            by_lane.setdefault((section.service.service, section.connection), []).append(section)
        lanes += [_lane(blueprint, sections, selector, seen) for sections in by_lane.values()]
    lanes = [lane for lane in lanes if lane.targets]
    if not lanes and not blueprint.plan_file.plan.allow_empty:
        raise NothingMatched("no target matches")
    return Forecast(blueprint.plan_file.plan.name, tuple(lanes), seen.twice)


def spoken(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {round(seconds / 60)} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


def _lane(blueprint: Blueprint, sections: list[Section], selector: Selector, seen: Seen) -> LaneForecast:
    service, connection = sections[0].service, sections[0].connection
    batch = service.end.batch
    packing = Packing(batch.size, batch.group_by) if batch else Packing()
    examples: list[str] = []
    targets = fresh([section.source for section in sections], selector.takes, seen, [])
    sizes = [len(packed.targets) for packed in pack(_sampled(targets, examples), packing, itertools.count())]
    rates = limits_of(blueprint.config_file.config, service, connection).rate or ()
    per_second = min(rate.per_second for rate in rates)
    url = base_url(service, blueprint.connections()[connection]) + service.end.path
    return LaneForecast(
        sections[0].stage,
        f"{service.service}@{connection}",
        sum(sizes),
        len(sizes),
        per_second,
        len(sizes) / per_second,
        service.end.method,
        url,
        tuple(examples),
    )


def _sampled(targets: Iterator[Target], examples: list[str]) -> Iterator[Target]:
    for target in targets:
        if len(examples) < EXAMPLES:
            examples.append(target.id)
        yield target
