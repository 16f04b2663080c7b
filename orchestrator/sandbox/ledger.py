"""What the sandbox saw: calls, arrivals per second, calls in flight, logout calls per target, failed logins."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

_LOG_LENGTH = 100_000


@dataclass(slots=True)
class Peak:
    """The most arrivals that there were within any one second."""

    last_second: deque[float] = field(default_factory=deque)
    highest: int = 0

    def arrive(self, at: float) -> None:
        """Note one arrival; the window holds the arrivals of the second that ends with this one."""
        window = self.last_second
        window.append(at)
        while window[0] <= at - 1.0:
            window.popleft()
        self.highest = max(self.highest, len(window))


@dataclass(slots=True)
class Traffic:
    """The traffic of one service; `arrivals` are monotonic times, stamped before anything else is done."""

    arrivals: deque[float] = field(default_factory=lambda: deque(maxlen=_LOG_LENGTH))
    peak: Peak = field(default_factory=Peak)
    peaks: defaultdict[str, Peak] = field(default_factory=lambda: defaultdict(Peak))
    in_flight: int = 0
    peak_in_flight: int = 0
    throttled: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)
    handled: Counter[str] = field(default_factory=Counter)

    def arrive(self, operation: str, at: float) -> None:
        """Note one arrival."""
        self.arrivals.append(at)
        self.peak.arrive(at)
        self.peaks[operation].arrive(at)
        self.operations[operation] += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

    def summary(self) -> dict[str, object]:
        """Return the numbers for the snapshot."""
        return {
            "calls": self.operations.total(),
            "operations": dict(self.operations),
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "throttled": self.throttled,
            "peak_per_second": self.peak.highest,
            "peaks": {operation: peak.highest for operation, peak in self.peaks.items()},
            "peak_in_flight": self.peak_in_flight,
        }


@dataclass(slots=True)
class Ledger:
    """The traffic of every service that was called, and the failed logins per credential."""

    services: defaultdict[str, Traffic] = field(default_factory=lambda: defaultdict(Traffic))
    auth_failures: Counter[str] = field(default_factory=Counter)
    empty_logoffs: int = 0

    def of(self, service: str) -> Traffic:
        """Return the traffic of one service."""
        return self.services[service]

    def arrive(self, service: str, operation: str) -> Traffic:
        """Stamp an arrival; the very first thing that is done for a request."""
        at = time.monotonic()
        traffic = self.services[service]
        traffic.arrive(operation, at)
        return traffic

    def counts(self, of: str) -> dict[str, dict[str, int]]:
        """Return per service and target how many logout calls were `received` or `handled`."""
        tallies: Iterable[tuple[str, Counter[str]]] = (
            (name, getattr(traffic, of)) for name, traffic in self.services.items()
        )
        return {name: dict(tally) for name, tally in tallies if tally}
