"""What the journal says about earlier runs: which did not finish, what of one is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from orchestrator.errors import InvalidInput, Refused
from orchestrator.journal import BACKENDS, SqliteJournal
from orchestrator.model import DONE, Outcome, RunRecord, Verification, meets
from orchestrator.seen import Seen
from orchestrator.service import Service
from orchestrator.settings import ConfigFile
from orchestrator.validation import suggestion

UNFINISHED = frozenset({None, 5, 130, 143})


def journal_path(config_file: ConfigFile) -> Path:
    """Return where the journal of a config is."""
    return config_file.state_dir / "journal.sqlite"


def open_journal(config_file: ConfigFile) -> SqliteJournal:
    """Open the journal of a config's state folder."""
    return BACKENDS["sqlite"](journal_path(config_file))


def find(journal: SqliteJournal, name: str) -> RunRecord:
    """Return the run of an id, of the beginning of one, or the `latest`; raise InvalidInput when there is none."""
    records = journal.runs()
    if name == "latest" and records:
        return records[-1]
    matching = [record for record in records if record.run == name] or [r for r in records if r.run.startswith(name)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise InvalidInput.one("run", f"{name!r} is the beginning of {len(matching)} runs; write more of it")
    hint = suggestion(name, [record.run for record in records])
    raise InvalidInput.one("run", f"there is no run {name!r} in the journal{hint}; `orchestrator runs` lists them")


def unfinished(journal: SqliteJournal, lock_name: str) -> RunRecord | None:
    """Return the latest run of a plan if it stopped before its end."""
    latest = journal.latest(lock_name)
    return latest if latest is not None and latest.exit_code in UNFINISHED else None


def agree(record: RunRecord, digest: str, inputs: Mapping[str, str]) -> None:
    """Raise Refused when the plan or one of its sources is not what it was when the run began."""
    changed = [record.plan_path] if digest != record.digest else []
    changed += sorted(name for name in {*inputs, *record.inputs} if inputs.get(name) != record.inputs.get(name))
    if changed:
        said = f"{', '.join(changed)} changed since the run {record.run} began"
        raise Refused(f"{said}: what is left of it cannot be told any more; start a new run instead")


def recall(
    journal: SqliteJournal, run: str, services: Mapping[str, Service], seen: Seen, require: str = "accepted"
) -> Counter[tuple[str, str]]:
    """Note what needs no call any more: what is done, and what must not be sent twice and may have been.

    Returns how many targets that are, by lane. What of it was never looked at, or in vain while the run requires more,
    is noted as such and not counted.

    A target that was in flight when the program ended is unknown until it is called again, where that may be.
    """
    settled: Counter[tuple[str, str]] = Counter()
    repeatable = _Repeatable(services)
    for service, connection, target, outcome in journal.outcomes(run):
        if outcome in DONE or (outcome == Outcome.UNKNOWN and not repeatable[service]):
            seen.note_done(service, connection, target)
            settled[service, connection] += 1
    readable = {name for name, service in services.items() if service.verify is not None}
    for service, connection, target, outcome, verification, record in journal.unverified(run):
        good = verification != Verification.PENDING and meets(require, outcome, verification)
        if outcome in DONE and service in readable and not good:
            seen.note_unchecked(service, connection, target, record)
            settled[service, connection] -= 1
    cut_off = list(journal.in_flight(run))
    for item in cut_off:
        if not repeatable[item.target.service]:
            seen.note_done(item.target.service, item.target.connection, item.target.id)
            settled[item.target.service, item.target.connection] += 1
    journal.note_unknown(run, cut_off)
    return settled


class _Repeatable(dict[str, bool]):
    """Whether a service's calls may be repeated; of one that is not in the catalogue any more nobody knows."""

    def __init__(self, services: Mapping[str, Service]) -> None:
        super().__init__()
        self._services = services

    def __missing__(self, name: str) -> bool:
        service = self._services.get(name)
        return self.setdefault(name, service is not None and service.end.idempotent)
