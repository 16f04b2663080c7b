"""Whether a run may begin, or go on: everything that is asked, or refused, before anything is sent."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing, suppress

from orchestrator import discovered, guards, history, ownership
from orchestrator.blueprint import Blueprint
from orchestrator.bounds import bounds_of, reads_of
from orchestrator.counting import Count
from orchestrator.errors import Fault, InvalidInput, NothingMatched, Refused
from orchestrator.guards import Aside
from orchestrator.journal import SqliteJournal
from orchestrator.model import LaneName, RunRecord, Target
from orchestrator.ownership import Own
from orchestrator.selection import Selector
from orchestrator.service import Service
from orchestrator.settings import Config
from orchestrator.sources import BROKEN
from orchestrator.units import is_utf8, joined

OWN_FILES = 64  # journal, reports, lists, the event loop, logins, and some to spare
LISTS = 4  # listings of a service that are read at once: each page after page

Ask = Callable[[str], bool] | None  # puts a yes-or-no question to a person, where there is one


def check_paths(paths: Mapping[str, str]) -> None:
    """Refuse paths whose bytes are no UTF-8: neither the journal nor a report could hold them."""
    said = "is not UTF-8 text, and the journal could not hold it; give that file or folder another name"
    if wrong := [Fault(name, f"the path {path!r} {said}") for name, path in paths.items() if not is_utf8(path)]:
        raise InvalidInput(wrong)


def check_files(blueprint: Blueprint) -> None:
    """Have as many files at hand as the lanes may have connections open; raise InvalidInput where that cannot be."""
    needed = OWN_FILES
    for (_, connection), service in blueprint.lanes().items():
        needed += bounds_of(blueprint.config_file.config, service, connection).concurrency
        needed += LISTS + _asks(blueprint.config_file.config, service)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return
    if hard != resource.RLIM_INFINITY and needed > hard:
        said = f"the lanes may need {needed} open files, and this process may have {hard}; lower their concurrency"
        raise InvalidInput.one("limits", f"{said}, or raise that limit (ulimit -Hn)")
    with suppress(ValueError, OSError):  # a system may have a bound of its own below that
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _asks(config: Config, service: Service) -> int:
    """Return how many calls at once ask a service about single targets."""
    read_back = service.verify
    if read_back is None or read_back.question is None:
        return 0
    return reads_of(config, service, read_back.limits).concurrency


def look_back(journal: SqliteJournal, blueprint: Blueprint, *, yes: bool, ask: Ask) -> None:
    """Refuse what ran just now; say so when the latest run did not finish: most often that one is what should go on."""
    _refuse_so_soon(journal, blueprint, [one.started for one in _recent(journal, blueprint) if not one.selectors])
    said = _unfinished(journal, blueprint)
    if not said or yes:
        return
    if ask is None:
        raise Refused(f"{said}; to start a new one, which calls every target again: add --yes")
    _sure(ask, f"{said}\nStart a new one, which calls every target again?")


def _unfinished(journal: SqliteJournal, blueprint: Blueprint) -> str:
    """Return that the latest run of the plan did not finish, and how to go on with it; the empty string if it did."""
    earlier = history.unfinished(journal, blueprint.plan_file.lock_name)
    if earlier is None:
        return ""
    return f"the run {earlier.run} of this plan did not finish; to go on with it: {earlier.resume_command}"


def check_interval(journal: SqliteJournal, blueprint: Blueprint, selector: Selector) -> None:
    """Raise Refused when one earlier run was to call every target that is wanted now, too short a time ago."""
    same = {one.started: Selector(one.selectors) for one in _recent(journal, blueprint)}
    wanted = False
    for section in blueprint.sections if same else ():
        try:
            for target in filter(selector.takes, section.source.targets()):
                wanted = True
                same = {started: earlier for started, earlier in same.items() if earlier.takes(target)}
                if not same:
                    return
        except BROKEN as error:
            said = f"changed while it was held against earlier runs: {error}"
            raise InvalidInput.one(section.source.name, said) from None
    if wanted:
        _refuse_so_soon(journal, blueprint, same)


def _recent(journal: SqliteJournal, blueprint: Blueprint) -> list[RunRecord]:
    """Return the runs of the plan that are not as long ago as its guard wants."""
    interval = blueprint.plan_file.plan.guard.min_interval
    if interval is None:
        return []
    since = time.time() - interval
    lock_name = blueprint.plan_file.lock_name
    return [record for record in journal.runs() if record.lock_name == lock_name and record.started > since]


def _refuse_so_soon(journal: SqliteJournal, blueprint: Blueprint, started: Collection[float]) -> None:
    try:
        guards.check_interval(blueprint.plan_file.plan.guard, max(started, default=None))
    except Refused as refused:
        raise Refused(joined(str(refused), _unfinished(journal, blueprint))) from None


def ask_again(
    blueprint: Blueprint,
    record: RunRecord,
    done: Collection[LaneName],
    *,
    yes: bool,
    ask: Ask,
    agreed: Collection[str] = (),
) -> list[str]:
    """Ask before a late resume, because by now a target may be another session of somebody who is welcome.

    Return the services that cannot tell; about those that are `agreed`, and lanes that are `done`, nobody is asked.
    """
    late, within = time.time() - record.started, blueprint.plan_file.plan.resume_within
    ageless = discovered.ageless(blueprint, done)
    if late <= within or set(ageless) <= set(agreed) or yes:
        return ageless
    began = f"the run {record.run} began {_spoken(late)} ago (resume_within: {_spoken(within)})"
    who = f"nothing tells since when the sessions of {', '.join(ageless)} in it are there"
    said = f"{began}, and {who}: people who have signed in again may be signed out"
    if ask is None:
        raise Refused(f"{said}; to go on all the same: add --yes")
    _sure(ask, f"{said}\nGo on all the same?")
    return ageless


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _sure(ask: Callable[[str], bool], question: str) -> None:
    if not ask(question):
        raise Refused("nothing was sent")


def something(blueprint: Blueprint, counted: Count, selector: Selector) -> None:
    """Raise NothingMatched when there is nothing to do and nothing to tell, unless the plan says that this is fine."""
    if counted.total or discovered.failures(blueprint):
        return
    if selector.texts:
        raise NothingMatched(f"nothing matches --only {' '.join(selector.texts)}")
    if not blueprint.plan_file.plan.allow_empty:
        raise NothingMatched("the plan's sources hold no target; say `allow_empty: true` if that is all right")


def check_targets(
    blueprint: Blueprint, counted: Count, own: Own, selector: Selector, aside: Aside, *, yes: bool
) -> None:
    """Raise Refused when what would be called is too much, or what the run itself works with."""

    def called(target: Target) -> bool:
        return selector.takes(target) and not aside.reason(target)

    ownership.check(blueprint, own, called, yes=yes)
    guards.check_size(blueprint.plan_file.plan.guard, counted.called, discovered.listed(blueprint))


def refusal(blueprint: Blueprint, counted: Count, own: Own, selector: Selector, aside: Aside) -> str:
    """Return why a run would be refused, if so."""
    try:
        check_targets(blueprint, counted, own, selector, aside, yes=False)
        _check_latest(blueprint, selector)
    except Refused as refused:
        return str(refused)
    return ""


def unfinished(blueprint: Blueprint) -> list[str]:
    """Return that a new run would have to say `--yes`, because the latest one of the plan did not finish."""
    with _journal(blueprint) as journal:
        said = _unfinished(journal, blueprint)
    return [f"{said}; to start a new one, which calls every target again, `run` needs --yes"] if said else []


def _check_latest(blueprint: Blueprint, selector: Selector) -> None:
    """Raise Refused when the plan ran too short a time ago."""
    with _journal(blueprint) as journal:
        check_interval(journal, blueprint, selector)


def _journal(blueprint: Blueprint) -> closing[SqliteJournal]:
    return closing(history.open_journal(blueprint.config_file, reading=True))
