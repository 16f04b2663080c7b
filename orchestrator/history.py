"""What the journal says about earlier runs: which did not finish, what of one is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from orchestrator.errors import InvalidInput, Refused
from orchestrator.journal import BACKENDS, SqliteJournal
from orchestrator.model import BAD, DONE, LaneName, Outcome, RunRecord, Tallied, Verification, meets
from orchestrator.seen import Seen
from orchestrator.service import Service
from orchestrator.settings import ConfigFile
from orchestrator.validation import suggestion

NOTHING: Mapping[LaneName, int] = {}
ORDERED = frozenset({Outcome.UNKNOWN, Outcome.STILL_ACTIVE})  # the call may have come, or come to something


def journal_path(config_file: ConfigFile) -> Path:
    """Return where the journal of a config is."""
    return config_file.state_dir / "journal.sqlite"


def open_journal(config_file: ConfigFile, *, reading: bool = False) -> SqliteJournal:
    """Open the journal of a config's state folder."""
    return BACKENDS["sqlite"](journal_path(config_file), reading=reading)


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
    return latest if latest is not None and latest.unfinished else None


def agree(record: RunRecord, digest: str, inputs: Mapping[str, str]) -> None:
    """Raise Refused when the plan or one of its sources is not what it was when the run began."""
    changed = [record.plan_path] if digest != record.digest else []
    changed += sorted(name for name in {*inputs, *record.inputs} if inputs.get(name) != record.inputs.get(name))
    if changed:
        said = f"{', '.join(changed)} changed since the run {record.run} began"
        raise Refused(f"{said}: what is left of it cannot be told any more; start a new run instead")


def whole(record: RunRecord, tally: Sequence[Tallied], services: Mapping[str, Service]) -> Counter[LaneName] | None:
    """Return the targets of a run by lane when it is done with every one that it planned; else None."""
    per_lane = Counter[LaneName]()
    for one in tally:
        if one.outcome not in DONE or _to_look_at(one.service, one.outcome, one.verification, services, record.require):
            return None
        per_lane[one.service, one.connection] += one.number
    return per_lane if 0 < per_lane.total() == record.planned else None


def recall(
    journal: SqliteJournal,
    run: str,
    services: Mapping[str, Service],
    seen: Seen,
    require: str = "accepted",
    planned: Mapping[LaneName, int] = NOTHING,
) -> Counter[LaneName]:
    """Note what needs no call any more: what is done, and what must not be sent twice and may have been.

    Returns how many targets that are, by lane; those of a lane that is done with all it `planned` are not noted one by
    one. What of it was never looked at, or in vain while the run requires more, is noted as such and not counted.

    A target that was in flight when the program ended is unknown until it is called again, where that may be, or else
    looked at.
    """
    journal.note_unknown(run, list(journal.in_flight(run)))
    counts = over(journal, run, services, require)
    finished = {lane for lane, number in planned.items() if number == counts[lane]}
    if not counts.keys() <= finished:
        _recall_each(journal, run, services, seen, require, finished)
    return Counter({lane: number for lane, number in counts.items() if number})


def over(
    journal: SqliteJournal, run: str, services: Mapping[str, Service], require: str = "accepted"
) -> Counter[LaneName]:
    """Return by lane how many targets need neither a call nor a look any more."""
    counts: Counter[LaneName] = Counter()
    for one in journal.tally(run):
        to_look_at = _to_look_at(one.service, one.outcome, one.verification, services, require)
        done = not to_look_at and _settled(one.outcome, services.get(one.service))
        counts[one.service, one.connection] += one.number if done else 0
    return counts


def _recall_each(
    journal: SqliteJournal,
    run: str,
    services: Mapping[str, Service],
    seen: Seen,
    require: str,
    finished: Collection[LaneName],
) -> None:
    """Note one by one what needs no call, what failed or was refused, and what is still to be looked at."""
    for service, connection, target, outcome in journal.outcomes(run):
        if (service, connection) not in finished and _settled(outcome, services.get(service)):
            seen.note_done(service, connection, target)
        elif outcome in BAD:
            seen.note_failed(service, connection, target)
    for service, connection, target in journal.refused(run):
        if service in services and services[service].end.batch is not None:
            seen.note_suspect(service, connection, target)
    for service, connection, target, outcome, verification, record in journal.unverified(run):
        if _to_look_at(service, outcome, verification, services, require):
            seen.note_unchecked(service, connection, target, record)


def _settled(outcome: str, service: Service | None) -> bool:
    """Return whether a target needs no call any more: it is done, or may be, and its call must not be repeated.

    Of a service that is not in the catalogue any more nobody knows whether it may be.
    """
    return outcome in DONE or (outcome in ORDERED and not (service and service.end.idempotent))


def _to_look_at(name: str, outcome: str, verification: str, services: Mapping[str, Service], require: str) -> bool:
    """Return whether a target that gets no further call is still to be looked at, where that is possible."""
    service = services.get(name)
    if service is None or service.verify is None:
        return False
    if outcome in ORDERED:
        return not service.end.idempotent
    in_vain = verification in (Verification.UNAVAILABLE, Verification.CONTRADICTED)
    return outcome in DONE and (
        verification == Verification.PENDING or (in_vain and not meets(require, outcome, verification))
    )
