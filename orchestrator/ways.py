"""How the lanes of a forecast go: their batches, their pace, the looks that follow, and what these take."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator import discovered, waves
from orchestrator.batches import Packing, pack
from orchestrator.blueprint import Blueprint
from orchestrator.bounds import bounds_of, lane_key, reads_of, timing_of
from orchestrator.durations import ASSUMED, LookBack, Pace, pages
from orchestrator.listing import Listing
from orchestrator.model import Target
from orchestrator.paces import Learned
from orchestrator.sections import Section
from orchestrator.service import ReadBack, Service
from orchestrator.units import Rate
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
    called: float = 0.0  # seconds until all calls are through, with the looks between them
    worst_called: float = 0.0
    lag: float = 0.0
    examples: list[str] = field(default_factory=list)

    def note(self, targets: Iterator[Target], timing: Timing) -> Iterator[Target]:
        """Pass targets on, counted, with the longest time after which one of them can be looked at."""
        for target in targets:
            if len(self.examples) < EXAMPLES:
                self.examples.append(target.id)
            self.targets += 1
            self.looked_at += target.verify
            self.lag = max(self.lag, timing.lag_of(target))
            yield target

    def add(self, wave: Tally) -> None:
        """Add a wave, which begins when the one before it is over."""
        self.called = self.seconds + self.look_seconds + wave.called
        self.worst_called = self.worst + wave.worst_called
        for name in ("targets", "looked_at", "calls", "looks", "seconds", "look_seconds", "worst"):
            setattr(self, name, getattr(self, name) + getattr(wave, name))
        self.examples += wave.examples[: EXAMPLES - len(self.examples)]


def _portions(size: int | None) -> Iterator[int]:
    """Yield how many targets of a wave are called before they are looked at; of one without a size there is no end."""
    while size is None or size > 0:
        yield waves.PORTION if size is None else min(size, waves.PORTION)
        size = None if size is None else size - waves.PORTION


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
        tally.called = tally.seconds = self.pace.seconds(tally.calls)
        tally.worst_called = tally.worst = self.pace.worst(tally.calls)
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


class Ways:
    """Knows the way of each lane: a call takes `latency` seconds, or what is known of its lane, or what is assumed."""

    def __init__(
        self,
        blueprint: Blueprint,
        latency: float | None,
        known: Mapping[str, Learned],
        lengths: Mapping[tuple[str, str, str], int],
    ) -> None:
        self._blueprint = blueprint
        self._lengths = lengths
        self._said = latency
        self._known = known

    def of(self, service: Service, connection: str) -> Way:
        """Return the way of a lane."""
        batch = service.end.batch
        return Way(
            Packing(batch.size, batch.group_by) if batch else Packing(),
            self._pace(service, connection),
            self._look(service, connection, service.verify) if service.verify is not None else None,
            self._blueprint.plan_file.plan.reattempt if service.end.idempotent else 0,
        )

    def asks(self, sections: Sequence[Section], targets: int) -> Tally:
        """Return what it takes to ask, before a lane of a stage begins, since when its sessions are there."""
        tally = Tally()
        for section, source in discovered.aged(sections):
            pace = self._reads(section.service, section.connection, source.listing)
            listed = max(targets, self._listed(section.service, section.connection, source.listing_name))
            calls = pages(listed, source.listing.page_size)
            tally.add(Tally(looks=calls, look_seconds=pace.seconds(calls), worst=pace.worst(calls)))
        return tally

    def assumes(self, service: Service, connection: str) -> bool:
        """Return whether nobody knows how long the calls of a lane take."""
        return self._said is None and self._learned(service, connection).answer is None

    def _learned(self, service: Service, connection: str) -> Learned:
        return self._known.get(lane_key(service.service, connection), Learned())

    def _latency(self, service: Service, connection: str) -> float:
        return self._said or self._learned(service, connection).answer or ASSUMED

    def _pace(self, service: Service, connection: str) -> Pace:
        """Return how fast a lane goes: at its rate, or as its service let it in an earlier run where that is less."""
        bounds = bounds_of(self._blueprint.config_file.config, service, connection)
        learned = self._learned(service, connection).per_second
        if learned is not None and all(learned < rate.per_second for rate in bounds.rates):
            bounds = bounds._replace(rates=(Rate(learned, 1.0), *bounds.rates), burst=1)
        return Pace(bounds, self._latency(service, connection))

    def _look(self, service: Service, connection: str, read_back: ReadBack) -> LookBack:
        config = self._blueprint.config_file.config
        timing = timing_of(config, service, read_back)
        if read_back.listing is None:
            asked = Pace(reads_of(config, service, read_back.limits), self._latency(service, connection))
            return LookBack(asked, timing, by_listing=False)
        listing = service.listings[read_back.listing]
        listed = self._listed(service, connection, read_back.listing)
        return LookBack(self._reads(service, connection, listing), timing, True, listing.page_size, listed)

    def _reads(self, service: Service, connection: str, listing: Listing) -> Pace:
        """Return how fast a listing is read, page after page."""
        bounds = reads_of(self._blueprint.config_file.config, service, listing.limits)
        return Pace(bounds._replace(concurrency=1), self._latency(service, connection))

    def _listed(self, service: Service, connection: str, name: str) -> int:
        """Return how many things a listing is known to have."""
        place = (service.service, connection, name)
        known = discovered.discoveries(self._blueprint)
        found = [one.listed for _, s, one in known if (s.service.service, s.connection, one.listing_name) == place]
        return max((*found, self._lengths.get(place, 0)))
