"""A forecast as it is told: lanes, stages, the bottleneck, the worst case; in text and in JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from orchestrator.units import plural, written_duration


@dataclass(frozen=True, slots=True)
class LaneForecast:
    """One lane of one stage; `seconds` is what its calls take, `look_seconds` the looks after them and between them.

    After `called_seconds` all calls are through: only looks follow. `pace` says what gives the calls their pace: the
    rates that hold, or the slots; in the long run that is `per_second`.

    `begins` is when it starts, in seconds from the start of the run; the worst is when every attempt is used up.
    A call takes `latency` seconds; `assumed` says that nobody knows that.
    """

    stage: str
    lane: str
    targets: int
    calls: int
    pace: str
    per_second: float
    seconds: float
    method: str
    url: str
    examples: tuple[str, ...]
    bound: str = "rate"
    latency: float = 0.0
    assumed: bool = False
    looks: int = 0
    look_seconds: float = 0.0
    begins: float = 0.0
    worst_begins: float = 0.0
    worst_seconds: float = 0.0
    called_seconds: float = 0.0
    worst_called_seconds: float = 0.0

    @property
    def called(self) -> float:
        """Return when all calls of the lane are through, if all goes well."""
        return self.begins + self.called_seconds

    @property
    def worst_called(self) -> float:
        """Return when all calls of the lane are through, with every attempt used up."""
        return self.worst_begins + self.worst_called_seconds

    @property
    def ends(self) -> float:
        """Return when the lane is through, if all goes well."""
        return self.begins + self.seconds + self.look_seconds

    @property
    def worst_ends(self) -> float:
        """Return when the lane is through, if everything is tried as often and as long as it may be."""
        return self.worst_begins + self.worst_seconds

    @property
    def busy(self) -> float:
        """Return how long the lane works."""
        return self.seconds + self.look_seconds

    def at(self, begins: float, worst_begins: float) -> LaneForecast:
        """Return the same lane with its beginning."""
        return replace(self, begins=begins, worst_begins=worst_begins)


@dataclass(frozen=True, slots=True)
class StageForecast:
    """One stage, in seconds from the start of the run, after so long a rest; its lanes run side by side."""

    name: str
    begins: float
    worst_begins: float
    lanes: Sequence[LaneForecast]
    rest: float = 0.0

    @property
    def ends(self) -> float:
        """Return when the stage is over, if all goes well."""
        return max((lane.ends for lane in self.lanes), default=self.begins)

    @property
    def worst_ends(self) -> float:
        """Return when the stage is over, with every attempt used up."""
        return max((lane.worst_ends for lane in self.lanes), default=self.worst_begins)

    def through(self, *, looked_at: bool) -> tuple[float, float]:
        """Return when a stage that needs this one can begin, if all goes well and at the worst.

        That is after the calls, or when what was called has been `looked_at` too.
        """
        if looked_at:
            return self.ends, self.worst_ends
        called = max((lane.called for lane in self.lanes), default=self.begins)
        return called, max((lane.worst_called for lane in self.lanes), default=self.worst_begins)

    @property
    def bottleneck(self) -> LaneForecast:
        """Return the lane that the stage waits for."""
        return max(self.lanes, key=lambda lane: lane.ends)


@dataclass(frozen=True, slots=True)
class Listed:
    """What came of one listing: how many things it has, how many of them are wanted, why it is not whole if so."""

    name: str
    listed: int
    wanted: int
    failure: str

    def __str__(self) -> str:
        return f"{self.name}: {self.failure or f'{self.listed} listed, {self.wanted} of them wanted'}"


@dataclass(frozen=True, slots=True)
class Forecast:
    """A plan's forecast. `refusal` says why a run would be refused, `deadline` what ends it in seconds.

    `inputs` has the SHA-256 of every list, `notes` what a run would note of what the services listed.
    """

    plan: str
    stages: Sequence[StageForecast]
    targets: int
    set_aside: Mapping[str, int]
    listed_twice: int
    listed: Sequence[Listed] = ()
    listing_seconds: float = 0.0
    deadline: float | None = None
    refusal: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def lanes(self) -> list[LaneForecast]:
        """Return the lanes of all stages."""
        return [lane for stage in self.stages for lane in stage.lanes]

    @property
    def calls(self) -> int:
        """Return how many calls end something; looks are not among them."""
        return sum(lane.calls for lane in self.lanes)

    @property
    def seconds(self) -> float:
        """Return how long the run takes if every call is answered at the first attempt."""
        return max((stage.ends for stage in self.stages), default=0.0)

    @property
    def worst_seconds(self) -> float:
        """Return how long it takes if every attempt is used up; the deadline ends it earlier."""
        worst = max((stage.worst_ends for stage in self.stages), default=0.0)
        return worst if self.deadline is None else min(worst, self.deadline)

    @property
    def bottleneck(self) -> LaneForecast | None:
        """Return the lane that works longest, None where there is no target."""
        return max(self.lanes, key=lambda lane: lane.busy, default=None)

    @property
    def whole(self) -> bool:
        """Return whether every listing was read to its end."""
        return not any(one.failure for one in self.listed)

    @property
    def exit_code(self) -> int:
        """Return what a preview ends with: what a run would be refused for comes first."""
        return 4 if self.refusal else 0 if self.whole else 3

    def to_json(self) -> dict[str, Any]:
        """Return the forecast as plain values."""
        return {
            "plan": self.plan,
            "targets": self.targets,
            "set_aside": dict(self.set_aside),
            "calls": self.calls,
            "looks": sum(lane.looks for lane in self.lanes),
            "seconds": round(self.seconds, 3),
            "worst_seconds": round(self.worst_seconds, 3),
            "deadline": self.deadline,
            "bottleneck": self.bottleneck.lane if self.bottleneck else None,
            "listed_twice": self.listed_twice,
            "listing_seconds": round(self.listing_seconds, 3),
            "listings": [asdict(one) for one in self.listed],
            "notes": list(self.notes),
            "refusal": self.refusal or None,
            "stages": [_stage(stage) for stage in self.stages],
            "lanes": [_rounded(asdict(lane)) for lane in self.lanes],
        }

    def counts(self) -> dict[str, Any]:
        """Return what is sealed of it: how many targets and calls, in all and by lane."""
        lanes = [
            {"stage": one.stage, "lane": one.lane, "targets": one.targets, "calls": one.calls} for one in self.lanes
        ]
        return {"targets": self.targets, "calls": self.calls, "lanes": lanes}

    def text(self) -> str:
        """Return the forecast for people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.plan}: {plural(self.targets, 'target')} in {plural(self.calls, 'call')}; nothing was ended."
        yield from (f"  {one}" for one in self.listed)
        for stage in self.stages:
            for lane in stage.lanes:
                yield from _told(lane)
            if len(self.stages) > 1:
                took = f"{_rested(stage)}{spoken(stage.ends - stage.begins)}"
                yield f"  stage {stage.name}: {took}, bound by {stage.bottleneck.lane}"
        if self.set_aside:
            why = ", ".join(f"{number:,} {reason}" for reason, number in self.set_aside.items())
            yield f"{plural(sum(self.set_aside.values()), 'target')} would be set aside: {why}."
        if self.listed_twice:
            yield f"{plural(self.listed_twice, 'row')} named a target that was listed before, and would be called once."
        if self.bottleneck:
            yield f"It takes {spoken(self.seconds)} at these rates, bound by {self._bound(self.bottleneck)}."
            yield f"At the worst, with every attempt used up: {spoken(self.worst_seconds)}{self._limit()}."
            yield from self._assumption()
        if self.deadline is not None and self.seconds > self.deadline:
            yield f"It cannot finish: the deadline ends it after {spoken(self.deadline).removeprefix('about ')}."
        if self.listed:
            yield f"Reading the lists took {spoken(self.listing_seconds)}; a run reads them again before it begins."
        yield from self.notes
        if self.refusal:
            yield f"A run would be refused: {self.refusal}"

    def _bound(self, bottleneck: LaneForecast) -> str:
        """Return what the run waits for longest: a lane, or the rest before a stage."""
        longest = max(self.stages, key=lambda stage: stage.rest)
        rests = longest.rest > bottleneck.busy
        return f"the rest before stage {longest.name}" if rests else bottleneck.lane

    def _assumption(self) -> Iterator[str]:
        if unknown := {lane.lane: lane.latency for lane in self.lanes if lane.assumed}:
            taken = f"{max(unknown.values()) * 1000:.0f} ms"
            yield f"How long {', '.join(unknown)} takes to answer was never measured: {taken} is assumed (--latency)."

    def _limit(self) -> str:
        return "" if self.deadline is None or self.worst_seconds < self.deadline else ", when the deadline ends it"


def spoken(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    if seconds < 600:
        return f"about {seconds / 60:.1f} min"
    return f"about {round(seconds / 60)} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


def _told(lane: LaneForecast) -> Iterator[str]:
    yield f"  stage {lane.stage}, {lane.lane}: {plural(lane.targets, 'target')}, {plural(lane.calls, 'call')}"
    yield f"    {lane.method} {lane.url} at {lane.pace}: {spoken(lane.seconds)}"
    if lane.looks:
        yield f"    looked at afterwards, in {plural(lane.looks, 'call')}: {spoken(lane.look_seconds)}"
    yield f"    {', '.join(lane.examples)}{', ...' if lane.targets > len(lane.examples) else ''}"


def _rested(stage: StageForecast) -> str:
    return f"after a rest of {written_duration(stage.rest)}, " if stage.rest else ""


def _stage(stage: StageForecast) -> dict[str, Any]:
    return _rounded(
        {
            "name": stage.name,
            "rest": stage.rest,
            "begins": stage.begins,
            "ends": stage.ends,
            "worst_ends": stage.worst_ends,
            "bottleneck": stage.bottleneck.lane,
        }
    )


def _rounded(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in facts.items()}
