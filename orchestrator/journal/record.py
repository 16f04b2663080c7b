"""What the journal keeps: a run's own line, and one line per target, encoded once and reported as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

from orchestrator.model import Settled

DONE = frozenset({"ended", "already_ended", "accepted", "denied", "issued"})
PROTECTED = "protected"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run; times are seconds since the epoch, `ended` and `exit_code` are None while it is not over.

    `inputs` has the SHA-256 of every source by its name, `lanes` is filled in when the run is over.
    """

    run: str
    plan: str
    plan_path: str
    config_path: str | None
    digest: str
    lock_name: str
    require: str
    started: float
    variables: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    ended: float | None = None
    exit_code: int | None = None
    reason: str = ""


def timestamp(seconds: float | None) -> str | None:
    """Return `2026-11-22T19:30:00.123Z` for seconds since the epoch."""
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def encode(run: str, settled: Settled) -> bytes:
    """Return one line of outcomes.jsonl, without its line end."""
    target = settled.target
    first = settled.first_sent
    return orjson.dumps(
        {
            "run": run,
            "stage": target.stage,
            "service": target.service,
            "connection": target.connection,
            "target": target.id,
            "outcome": settled.outcome,
            "verification": settled.verification,
            "reason": settled.reason,
            "http_status": settled.http_status,
            "error_code": settled.error_code,
            "error_message": settled.error_message,
            "request_id": settled.request_id,
            "attempts": settled.attempts,
            "batch": settled.batch,
            "first_sent": timestamp(first),
            "settled": timestamp(settled.settled),
            "duration_ms": None if first is None else round((settled.settled - first) * 1000),
        }
    )
