"""Plan, config and catalogue held against each other: every fault of all three at once, before anything is sent."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from orchestrator import validation
from orchestrator.catalogue import Catalogue
from orchestrator.discovery import Discovery
from orchestrator.errors import Fault, InvalidInput
from orchestrator.guards import Keep, protected
from orchestrator.model import LaneName
from orchestrator.plan import Placed, Plan, PlanFile, Unsound
from orchestrator.sections import Problems, Resolve, Section, Sections
from orchestrator.selection import Selector
from orchestrator.service import Service
from orchestrator.settings import ConfigFile, Connection
from orchestrator.validation import Place, choices
from orchestrator.wanted import out_of_reach

IDENTITY = "identity"
GUARDED = ("guard", "protect")
OF_A_TABLE = (",", ";", '"')


class Blueprint(NamedTuple):
    """A plan that holds together with the config and the catalogue."""

    plan_file: PlanFile
    config_file: ConfigFile
    catalogue: Catalogue
    sections: Sequence[Section]
    keeps: Sequence[Keep] = ()

    def within(self, selector: Selector) -> Blueprint:
        """Return what of it has to do with a selection: nobody is asked for the rest."""
        sections = [one for one in self.sections if selector.reaches(one.stage, one.service.service, one.connection)]
        return self._replace(sections=sections)

    def lanes(self) -> dict[LaneName, Service]:
        """Return the lanes that the plan uses, with their services."""
        return {section.lane: section.service for section in self.sections}

    def connections(self) -> dict[str, Connection]:
        """Return the connections that the plan uses."""
        known = self.config_file.config.connections
        return {section.connection: known[section.connection] for section in self.sections}


def draw(plan_file: PlanFile, config_file: ConfigFile, catalogue: Catalogue, resolve: Resolve) -> Blueprint:
    """Return the blueprint of a run; `resolve` turns the plan's secret references into values.

    Raises InvalidInput with every fault that the three have with each other.
    """
    problems: Problems = []
    groups = list(plan_file.plan.groups())
    if plan_file.plan.stages is None:
        groups = _in_standing_order(groups, catalogue)
    sections = Sections(plan_file.path, config_file, catalogue, resolve, problems).of(groups)
    keeps = _keeps(plan_file, config_file, catalogue, problems)
    problems += _guard_problems(plan_file.plan, sections)
    faults = [*plan_file.faults(problems), *config_file.faults(_config_problems(config_file, catalogue))]
    if faults:
        raise InvalidInput(faults)
    return Blueprint(plan_file, config_file, catalogue, sections, keeps)


def look_over(unsound: Unsound, config_file: ConfigFile, catalogue: Catalogue, resolve: Resolve) -> list[Fault]:
    """Return the faults of a plan that does not hold together by itself, and those that its sound groups have too."""
    problems: Problems = []
    Sections(unsound.path, config_file, catalogue, resolve, problems).of(unsound.groups)
    found = validation.at_lines(problems, unsound.text, str(unsound.path))
    return [
        *validation.together(unsound.faults, found),
        *config_file.faults(_config_problems(config_file, catalogue)),
    ]


def _in_standing_order(groups: Sequence[Placed], catalogue: Catalogue) -> list[Placed]:
    """Put who lets people in first: single sign-on would log them straight back in."""
    known = catalogue.services
    providers = {
        group.service for _, _, group in groups if group.service in known and known[group.service].identity_provider
    }
    first = [placed for placed in groups if placed[2].service in providers]
    if not first or len(first) == len(groups):
        return list(groups)
    rest = [placed for placed in groups if placed[2].service not in providers]
    return [*((place, stage.model_copy(update={"name": IDENTITY}), one) for place, stage, one in first), *rest]


def _keeps(plan_file: PlanFile, config_file: ConfigFile, catalogue: Catalogue, problems: Problems) -> list[Keep]:
    """Read what the plan protects; what would protect nobody, for a slip or an empty list, is a fault."""
    entries = plan_file.plan.guard.protect or ()
    known = {"service": catalogue.services, "connection": config_file.config.connections}
    try:
        found = list(protected(plan_file.plan.guard, plan_file.path.resolve().parent))
    except OSError as error:
        name = Path(error.filename).name
        hint = f"; for a glob of targets write {{target: '{name}'}}" if set(name) & set("*?[") else ""
        problems.append((GUARDED, f"{error.filename} cannot be read: {error.strerror}{hint}"))
        return []
    except ValueError as error:
        problems.append((GUARDED, str(error)))
        return []
    for i, line, keep in found:
        of = "" if line is None else f"line {line} of {entries[i]}: "
        problems += [
            ((*GUARDED, i, *place), of + said) for place, said in _misses(keep, known, listed=line is not None)
        ]
    for i in {*range(len(entries))} - {i for i, _, _ in found}:
        problems.append(((*GUARDED, i), f"{entries[i]} names nobody, so that nothing is protected"))
    return [keep for _, _, keep in found]


def _misses(keep: Keep, known: Mapping[str, Collection[str]], *, listed: bool) -> Iterator[tuple[Place, str]]:
    """Yield what is wrong with something protected; `listed` says that it is a line of a list."""
    for name, glob in (("service", keep.service), ("connection", keep.connection)):
        if not fnmatch.filter(known[name], glob):
            said = f"there is no {name} {glob!r}, so that nothing is protected{choices(glob, known[name])}"
            yield () if listed else (name,), said
    if listed and (sign := next((sign for sign in OF_A_TABLE if any(sign in glob for glob in keep.targets)), None)):
        yield (), f"holds {sign!r}; a list of what is protected has globs with spaces between, and is no table"


def _guard_problems(plan: Plan, sections: Sequence[Section]) -> Iterator[tuple[Place, str]]:
    listed = [section for section in sections if isinstance(section.source, Discovery)]
    most = plan.guard.max_targets
    if most is not None and most.share is not None and not listed:
        yield ("guard", "max_targets"), "a share is one of what is discovered, and the plan discovers nothing"
    if plan.older_than is not None:
        for section in sections:
            if not isinstance(section.source, Discovery) or section.source.listing.began is None:
                of = f"the {section.service.service} targets of {section.source.name}"
                yield ("older_than",), f"goes by what a listing tells, and none tells it of {of} before they are called"
            else:
                yield from ((("older_than",), said) for said in out_of_reach(plan.older_than, section.source.listing))


def warnings(blueprint: Blueprint) -> Iterator[str]:
    """Return what is unusual, and may be right all the same; ask once the sources have been read."""
    said = set()
    verified = blueprint.plan_file.plan.require == "verified"
    for section in blueprint.sections:
        if verified and not section.builder.verify and not section.service.expect:
            name = section.service.service
            said.add(f"{section.source.name}: nothing looks at {name} afterwards, and `require: verified` wants that")
        connection = blueprint.config_file.config.connections[section.connection]
        service, endpoint = section.service.service, section.service.endpoint
        known = endpoint.regions.get(connection.cloud, ()) if connection.cloud else ()
        if known and connection.region not in known:
            said.add(f"connection {section.connection}: {service} is not known to be offered in {connection.region}")
        for name, number in section.builder.unusual.items():
            said.add(f"{section.source.name}: the {name} of {number} {service} targets looks unusual")
    yield from sorted(said)


def _config_problems(config_file: ConfigFile, catalogue: Catalogue) -> Problems:
    """Return what the config says about services and connections that do not exist."""
    config = config_file.config
    found: Problems = []
    for name in config.services:
        if name not in catalogue.services:
            found.append((("services", name), f"is not in the catalogue{choices(name, catalogue.services)}"))
    for name in config.limits:
        connection, slash, service = name.rpartition("/")
        if service not in catalogue.services:
            hint = choices(service, catalogue.services)
            found.append((("limits", name), f"{service!r} is not in the catalogue{hint}"))
        if slash and connection not in config.connections:
            hint = choices(connection, config.connections)
            found.append((("limits", name), f"there is no connection {connection!r}{hint}"))
    return found
