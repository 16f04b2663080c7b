"""One line per target: encoded once, kept by the journal, reported as it stands."""

from __future__ import annotations

import orjson

from orchestrator.model import Settled
from orchestrator.units import timestamp


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
