"""Plan, config and catalogue held against each other: every fault of all three at once, before anything is sent."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import validation
from orchestrator.catalogue import Catalogue
from orchestrator.discovery import Discovery
from orchestrator.errors import Fault, InvalidInput
from orchestrator.guards import Keep, protected
from orchestrator.model import Secret, Target
from orchestrator.plan import Group, Placed, Plan, PlanFile, Stage, Unsound
from orchestrator.service import CLOUDS, Service
from orchestrator.settings import ConfigFile, Connection, IamToken
from orchestrator.sources import STANDARD_INPUT, Inline, Items, Rows, Source, resolved, unfit
from orchestrator.targets import RowError, TargetBuilder
from orchestrator.validation import Place, suggestion
from orchestrator.wanted import OF_DISCOVERY, out_of_reach, unlistable, wanted

Resolve = Callable[[str], Secret]
Problems = list[tuple[Place, str]]

IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class Section:
    """One group of a plan, ready to be read: its stage, its service, its connection, its source."""

    stage: str
    service: Service
    connection: str
    source: Source
    builder: TargetBuilder


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A plan that holds together with the config and the catalogue."""

    plan_file: PlanFile
    config_file: ConfigFile
    catalogue: Catalogue
    sections: Sequence[Section]
    keeps: Sequence[Keep] = ()

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
    sections = _sections(groups, plan_file.path, config_file, catalogue, resolve, problems)
    keeps = _keeps(plan_file, config_file, catalogue, problems)
    problems += _guard_problems(plan_file.plan, sections)
    faults = [*plan_file.faults(problems), *config_file.faults(_config_problems(config_file, catalogue))]
    if faults:
        raise InvalidInput(faults)
    return Blueprint(plan_file, config_file, catalogue, sections, keeps)


def look_over(unsound: Unsound, config_file: ConfigFile, catalogue: Catalogue, resolve: Resolve) -> list[Fault]:
    """Return the faults of a plan that does not hold together by itself, and those that its sound groups have too."""
    problems: Problems = []
    _sections(unsound.groups, unsound.path, config_file, catalogue, resolve, problems)
    found = validation.at_lines(problems, unsound.text, str(unsound.path))
    return [
        *validation.together(unsound.faults, found),
        *config_file.faults(_config_problems(config_file, catalogue)),
    ]


def _in_standing_order(groups: Sequence[Placed], catalogue: Catalogue) -> list[Placed]:
    """Put who lets people in first: single sign-on would log them straight back in."""
    providers = {name for name, service in catalogue.services.items() if service.identity_provider}
    first = [placed for placed in groups if placed[2].service in providers]
    if not first or len(first) == len(groups):
        return list(groups)
    rest = [placed for placed in groups if placed[2].service not in providers]
    return [*((place, stage.model_copy(update={"name": IDENTITY}), one) for place, stage, one in first), *rest]


def _keeps(plan_file: PlanFile, config_file: ConfigFile, catalogue: Catalogue, problems: Problems) -> list[Keep]:
    """Read what the plan protects; what is protected of a service or a connection that there is not is a fault."""
    guard = plan_file.plan.guard
    keeps: list[Keep] = []
    known = {"service": catalogue.services, "connection": config_file.config.connections}
    try:
        for i, line, keep in protected(guard, plan_file.path.resolve().parent):
            keeps.append(keep)
            for name, glob in (("service", keep.service), ("connection", keep.connection)):
                if not fnmatch.filter(known[name], glob):
                    place: Place = ("guard", "protect", i, *([name] if line is None else []))
                    of = "" if line is None else f"line {line} of {(guard.protect or ())[i]}: "
                    hint = suggestion(glob, known[name])
                    problems.append((place, f"{of}there is no {name} {glob!r}, so that nothing is protected{hint}"))
        return keeps
    except OSError as error:
        problems.append((("guard", "protect"), f"{error.filename} cannot be read: {error.strerror}"))
    except ValueError:
        problems.append((("guard", "protect"), "a list is not UTF-8 text"))
    return []


def _guard_problems(plan: Plan, sections: Sequence[Section]) -> Iterator[tuple[Place, str]]:
    listed = [section for section in sections if isinstance(section.source, Discovery)]
    most = plan.guard.max_targets
    if most is not None and most.share is not None and not listed:
        yield ("guard", "max_targets"), "a share is one of what is discovered, and the plan discovers nothing"
    if plan.older_than is not None:
        for section in sections:
            if not isinstance(section.source, Discovery) or section.source.listing.began is None:
                said = (
                    f"nothing tells since when the {section.service.service} targets of {section.source.name} are there"
                )
                yield ("older_than",), said
            else:
                yield from ((("older_than",), said) for said in out_of_reach(plan.older_than, section.source.listing))


def base_url(service: Service, connection: Connection) -> str:
    """Return the URL that a service's paths are put behind; raise ValueError when the connection gives none."""
    endpoint = service.endpoint
    host, region, cloud = endpoint.cloud_host, connection.region, connection.cloud
    if host is not None and host in connection.endpoints:
        return connection.endpoints[host]
    if connection.endpoint is not None:
        return connection.endpoint
    if host is None:
        raise ValueError(f"has to give the endpoint of {service.service}, such as {endpoint.own}")
    if cloud is None or region is None:
        raise ValueError(f"has neither an endpoint nor a cloud and a region for {service.service}")
    if not endpoint.regions.get(cloud, ("",)):
        raise ValueError(f"is on {cloud}, where {service.service} is not offered; an endpoint would overrule that")
    if region in endpoint.url_by_region:
        return endpoint.url_by_region[region]
    return f"https://{endpoint.host_by_region.get(region, host)}.{region}.{CLOUDS[cloud]}"


def warnings(blueprint: Blueprint) -> Iterator[str]:
    """Return what is unusual, and may be right all the same; ask once the sources have been read."""
    said = set()
    for section in blueprint.sections:
        connection = blueprint.config_file.config.connections[section.connection]
        service, endpoint = section.service.service, section.service.endpoint
        known = endpoint.regions.get(connection.cloud, ()) if connection.cloud else ()
        if known and connection.region not in known:
            said.add(f"connection {section.connection}: {service} is not known to be offered in {connection.region}")
        for name, number in section.builder.unusual.items():
            said.add(f"{section.source.name}: the {name} of {number} {service} targets looks unusual")
    yield from sorted(said)


def _sections(
    groups: Sequence[Placed],
    plan_path: Path,
    config_file: ConfigFile,
    catalogue: Catalogue,
    resolve: Resolve,
    problems: Problems,
) -> list[Section]:
    reading = [place for place, _, group in groups if group.source == "-"]
    problems += [((*place, "from"), "standard input goes to one group, and one before has it") for place in reading[1:]]
    expected: dict[tuple[str, str], str | None] = {}
    for place, _, group in groups:
        if expected.setdefault((group.service, group.connection), group.expect) != group.expect:
            said = (
                f"{group.service} on {group.connection} is expected to be {expected[group.service, group.connection]}"
            )
            problems.append(((*place, "expect"), f"{said} before; one run asks once, with one expectation"))
    made = [
        _section(place, stage, group, plan_path, config_file, catalogue, resolve, problems)
        for place, stage, group in groups
    ]
    return [section for section in made if section is not None]


def _section(
    place: Place,
    stage: Stage,
    group: Group,
    plan_path: Path,
    config_file: ConfigFile,
    catalogue: Catalogue,
    resolve: Resolve,
    problems: Problems,
) -> Section | None:
    service = catalogue.services.get(group.service)
    connection = config_file.config.connections.get(group.connection)
    if service is None:
        hint = suggestion(group.service, catalogue.services)
        problems.append(((*place, "service"), f"{group.service!r} is not in the catalogue{hint}"))
    if connection is None:
        known = config_file.config.connections
        hint = suggestion(group.connection, known) or _listing(known)
        problems.append(((*place, "connection"), f"{config_file.source} has no connection {group.connection!r}{hint}"))
    if service is None:
        return None
    problems += _expectation(place, group, service)
    problems += _fit(place, group, service, connection) if connection else ()
    looked_at = service.verify is not None and (not service.verify.opt_in if group.verify is None else group.verify)
    if group.verify and service.verify is None:
        problems.append(((*place, "verify"), f"{service.service} has no way of looking whether a session is gone"))
    for i, name in enumerate(group.everything):
        if name not in service.fields or not service.fields[name].everything_without:
            problems.append(((*place, "everything", i), f"{name!r} is no such field of {service.service}"))
    builder = TargetBuilder(
        service,
        group.connection,
        stage=stage.name,
        expect=group.expect or "",
        verify=looked_at,
        everything=group.everything,
    )
    common = _common(place, group, builder, resolve, problems)
    if group.discover is not None:
        problems += [((*place, *below), said) for below, said in unlistable(group, service)]
        source: Source = wanted(stage.name, group, service, builder, common)
    else:
        problems += [((*place, name), "goes with discover") for name in OF_DISCOVERY if name in group.model_fields_set]
        source = _source(place, group, builder, common, plan_path, resolve, problems)
    return Section(stage.name, service, group.connection, source, builder) if connection else None


def _listing(known: Mapping[str, object]) -> str:
    return f"; there are {', '.join(known)}" if known else "; there are none"


def _fit(place: Place, group: Group, service: Service, connection: Connection) -> Problems:
    """Return what is wrong between a group, its service and its connection."""
    found: Problems = []
    if connection.auth.type not in service.auth:
        takes = ", ".join(service.auth)
        said = f"{group.connection!r} has auth {connection.auth.type}; {service.service} takes {takes}"
        found.append(((*place, "connection"), said))
    elif "{project_id}" in service.end.path and not has_project(connection):
        said = f"{group.connection!r} has no project_id, which {service.service} needs"
        found.append(((*place, "connection"), said))
    try:
        base_url(service, connection)
    except ValueError as error:
        found.append(((*place, "connection"), f"{group.connection!r} {error}"))
    return found


def has_project(connection: Connection) -> bool:
    """Return whether the project is known, or will be once there is a token for it."""
    auth = connection.auth
    return connection.project_id is not None or (isinstance(auth, IamToken) and auth.scope == "project")


def _expectation(place: Place, group: Group, service: Service) -> Problems:
    choice = " or ".join(service.expect)
    if service.expect and group.expect is None:
        return [(place, f"{service.service} needs `expect:`, which is {choice}")]
    if group.expect is not None and group.expect not in service.expect:
        said = f"can be {choice}" if service.expect else f"does not go with {service.service}"
        return [((*place, "expect"), said)]
    return []


def _common(place: Place, group: Group, builder: TargetBuilder, resolve: Resolve, problems: Problems) -> dict[str, Any]:
    common: dict[str, Any] = {}
    for name, value in group.common.items():
        if name not in builder.fields:
            hint = suggestion(name, builder.fields)
            problems.append(((*place, "with", name), f"{group.service} has no such field{hint}"))
            continue
        try:
            if value not in (None, ""):
                found = resolved({name: value}, builder.secret, resolve)[name]
                common[name] = builder.field(name, found, resolve)
        except ValueError as error:
            problems.append(((*place, "with", name), str(error)))
    return common


def _source(
    place: Place,
    group: Group,
    builder: TargetBuilder,
    common: dict[str, Any],
    plan_path: Path,
    resolve: Resolve,
    problems: Problems,
) -> Source:
    if group.source is not None:
        path = None if group.source == "-" else plan_path.resolve().parent / group.source
        problems += [((*place, "from"), said)] if path and (said := unfit(path)) else []
        return Rows(STANDARD_INPUT if path is None else str(path), path, builder, common)
    return _inline(place, group, builder, common, resolve, problems)


def _inline(
    place: Place,
    group: Group,
    builder: TargetBuilder,
    common: dict[str, Any],
    resolve: Resolve,
    problems: Problems,
) -> Inline:
    """Return the items of a group once every one of them was looked at; what was made of a secret is kept."""
    rows, targets = group.items or (), list[Target]()
    told = {name for name, value in group.common.items() if value not in (None, "")} - set(common)
    for i, row in enumerate(rows):
        try:
            whole = {**common, **row} if common else row
            if builder.secret:
                targets.append(builder.build(whole, resolve))
            else:
                builder.read(whole, resolve)
        except RowError as error:
            found = [(name, text) for name, text in error.problems if name not in told or name in row]
            problems += [((*place, "items", i, *([name] if name else [])), text) for name, text in found]
    return Inline(targets if builder.secret else Items(rows, builder, common))


def _config_problems(config_file: ConfigFile, catalogue: Catalogue) -> Problems:
    """Return what the config says about services and connections that do not exist."""
    config = config_file.config
    found: Problems = []
    for name in config.services:
        if name not in catalogue.services:
            found.append((("services", name), f"is not in the catalogue{suggestion(name, catalogue.services)}"))
    for name in config.limits:
        connection, slash, service = name.rpartition("/")
        if service not in catalogue.services:
            hint = suggestion(service, catalogue.services)
            found.append((("limits", name), f"{service!r} is not in the catalogue{hint}"))
        if slash and connection not in config.connections:
            hint = suggestion(connection, config.connections)
            found.append((("limits", name), f"there is no connection {connection!r}{hint}"))
    return found
