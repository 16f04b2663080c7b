"""What is noted of a run when it begins: its name, what it depends on, where its report lies."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.blueprint import Blueprint
from orchestrator.errors import InvalidInput
from orchestrator.model import RunRecord, Secret, Target
from orchestrator.private import private_folder, write_secret
from orchestrator.trip import Options


def paths(blueprint: Blueprint, options: Options) -> dict[str, str]:
    """Return the paths that the journal and the report will hold, by what they are."""
    config_file = blueprint.config_file
    paths = {
        "plan": blueprint.plan_file.path,
        "config": config_file.path,
        "report_dir": options.report_dir or config_file.report_dir,
    }
    return {name: str(path.resolve()) for name, path in paths.items() if path}


def new_record(blueprint: Blueprint, options: Options, started: float) -> RunRecord:
    """Return what is known of a run when it begins; what it is to do is known when the services have listed it."""
    plan_file, config_file = blueprint.plan_file, blueprint.config_file
    name = f"{datetime.fromtimestamp(started, UTC):%Y%m%dT%H%M%SZ}-{plan_file.plan.name}-{secrets.token_hex(2)}"
    report_dir = options.report_dir or config_file.report_dir
    return RunRecord(
        run=name,
        plan=plan_file.plan.name,
        plan_path=str(plan_file.path.resolve()),
        config_path=str(config_file.path.resolve()) if config_file.path else None,
        digest=plan_file.digest,
        require=plan_file.plan.require,
        started=started,
        lock_name=plan_file.lock_name,
        folder=str(report_dir.resolve() / name),
        selectors=options.selector.texts,
        variables=plan_file.variables,
        seal=options.sealed.seal.sha256 if options.sealed else "",
        subject=plan_file.plan.subject or "",
        cut_off=started - (plan_file.plan.older_than or 0.0),
    )


def inputs(blueprint: Blueprint, record: RunRecord, digests: Mapping[str, str]) -> Mapping[str, str]:
    """Return the digests that a resume must find again: of every source, and of all that was sealed."""
    if not record.seal:
        return digests
    from orchestrator import sealing  # no other run needs it

    return {**digests, **sealing.digests(blueprint)}


def make_folder(record: RunRecord) -> None:
    """Make the report's folder now: that it cannot be made is better known before anything is sent."""
    try:
        private_folder(Path(record.folder))
    except OSError as error:
        said = f"the report's folder {record.folder} cannot be made: {error.strerror}"
        raise InvalidInput.one("report_dir", said) from None


def keep(record: RunRecord, target: Target, secret: Secret) -> str:
    """Put a secret that a service issued where only its owner reads it, beside the report; return where that is."""
    name = f"{target.service}-{target.connection}-{target.id}"
    return str(write_secret(Path(record.folder) / "links", name, secret.reveal()))
