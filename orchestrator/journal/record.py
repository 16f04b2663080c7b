"""One line per target: encoded once, kept by the journal, reported as it stands."""

from __future__ import annotations

from datetime import datetime

import orjson

from orchestrator.model import Outcome, Settled, Target, Verification
from orchestrator.units import timestamp

UNCHECKED = (Verification.UNAVAILABLE, "not checked: the program ended before it could")  # what pending is in a report
_PENDING = Verification.PENDING


def encode(run: str, settled: Settled) -> bytes:
    """Return one line of outcomes.jsonl, without its line end."""
    target = settled.target
    first = settled.first_sent
    pending = settled.verification is _PENDING
    return orjson.dumps(
        {
            "run": run,
            "stage": target.stage,
            "service": target.service,
            "connection": target.connection,
            "target": target.id,
            "outcome": settled.outcome,
            "verification": UNCHECKED[0] if pending else settled.verification,
            "reason": settled.reason or (UNCHECKED[1] if pending else ""),
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


def decode(line: str, target: Target) -> Settled:
    """Return what a line of outcomes.jsonl says of a target that is still to be looked at.

    Its reason is left out: most of it is why it could not be looked at before.
    """
    record = orjson.loads(line)
    return Settled(
        target,
        Outcome(record["outcome"]),
        "",
        record["http_status"],
        record["error_code"],
        record["error_message"],
        record["request_id"],
        record["attempts"],
        record["batch"],
        _seconds(record["first_sent"]),
        _seconds(record["settled"]) or 0.0,
        Verification.PENDING,
    )


def _seconds(moment: str | None) -> float | None:
    return None if moment is None else datetime.fromisoformat(moment).timestamp()
