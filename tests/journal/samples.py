"""Runs, targets and outcomes to put into a journal."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.model import Batch, Outcome, RunRecord, Settled, Target

RUN = "20261122T193000Z-plan-0001"
SERVICE, CONNECTION = "dcs.webcli", "prod"


def a_run(run: str = RUN, lock_name: str = "plan", started: float = 1000.0) -> RunRecord:
    return RunRecord(
        run,
        "plan",
        "/plans/plan.yaml",
        "/plans/config.yaml",
        "digest",
        "accepted",
        started,
        lock_name=lock_name,
        folder="/reports/plan",
        selectors=["stage=a", "service=b"],
        planned=7,
        variables={"message": 'good "night"', "empty": ""},
        inputs={"rows.csv": "0" * 64},
        subject="alice",
        residual={"services": [{"service": SERVICE, "planned": 7}], "untouched": []},
        cut_off=started,
        ageless=[SERVICE],
    )


def a_target(name: object, service: str = SERVICE) -> Target:
    return Target(service, CONNECTION, str(name), {"instance_id": str(name)}, stage="applications")


def batches(*names: object, number: int = 1) -> list[Batch]:
    return [Batch([a_target(name)], number + offset) for offset, name in enumerate(names)]


def settled(names: Iterable[object], outcome: Outcome = Outcome.ENDED, batch: int | None = None) -> list[Settled]:
    return [
        Settled(a_target(name), outcome, "because", 204, first_sent=1000.5, settled=1001.25, attempts=1, batch=batch)
        for name in names
    ]
