"""The catalogue: every service description there is, the package's own and the ones a config adds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Generic, TypeVar

from orchestrator import validation
from orchestrator.errors import Fault, InvalidInput
from orchestrator.reading import Include, Reading, Rule
from orchestrator.service import Listing, Service, SharedRules
from orchestrator.validation import Place, suggestion

Entry = TypeVar("Entry", Service, SharedRules)


@dataclass(frozen=True, slots=True)
class Read(Generic[Entry]):
    """One file of the catalogue as read: where it came from, its text for the lines of faults, what it says."""

    source: str
    text: str
    entry: Entry


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Descriptions by service name, and the rules that they share by the name they are included by."""

    services: Mapping[str, Service]
    shared: Mapping[str, SharedRules]

    def rules(self, reading: Reading | Listing) -> list[Rule]:
        """Return a reading's rules in their order, with what it includes put in place."""
        found: list[Rule] = []
        for entry in reading.otherwise:
            found += self.shared[entry.include].otherwise if isinstance(entry, Include) else [entry]
        return found


def load(folders: Sequence[Path] = (), known: Sequence[Fault] = ()) -> Catalogue:
    """Read the package's catalogue and the `folders` beside it; raise InvalidInput with every fault of every file.

    `known` are faults found before, which are told together with the new ones.
    """
    services: dict[str, Read[Service]] = {}
    shared: dict[str, Read[SharedRules]] = {}
    faults: list[Fault] = [*known]
    for source, name, text in [*_own(), *_added(folders, faults)]:
        try:
            if name.startswith("_"):
                _add(shared, "rules", Read(source, text, validation.read(SharedRules, text, source)))
            else:
                _add(services, "service", Read(source, text, validation.read(Service, text, source)))
        except InvalidInput as error:
            faults += error.faults
    faults += _unusable(services.values(), shared)
    if faults:
        raise InvalidInput(sorted(faults, key=Fault.order))
    return Catalogue(
        {name: read.entry for name, read in sorted(services.items())},
        {name: read.entry for name, read in shared.items()},
    )


def unfit(folder: Path) -> str:
    """Return what is wrong with a folder that should hold descriptions, or nothing."""
    if not folder.is_dir():
        return f"{folder} {'is not a folder' if folder.exists() else 'does not exist'}"
    return "" if any(folder.glob("*.yaml")) else f"{folder} has no service descriptions (*.yaml)"


def _own() -> list[tuple[str, str, str]]:
    folder = resources.files("orchestrator").joinpath("services")
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".yaml")), key=lambda item: item.name)
    return [(f"catalogue {item.name}", item.name, item.read_text(encoding="utf-8")) for item in files]


def _added(folders: Sequence[Path], faults: list[Fault]) -> list[tuple[str, str, str]]:
    found = []
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            try:
                found.append((str(path), path.name, validation.read_text(path)))
            except InvalidInput as error:
                faults += error.faults
    return found


def _add(known: dict[str, Read[Entry]], key: str, read: Read[Entry]) -> None:
    name = str(getattr(read.entry, key))
    if name in known:
        said = f"{name!r} is described already, in {known[name].source}"
        raise InvalidInput(validation.at_lines([((key,), said)], read.text, read.source))
    known[name] = read


def _unusable(services: Iterable[Read[Service]], shared: Mapping[str, object]) -> Iterator[Fault]:
    for read in services:
        service = read.entry
        found = list(_not_included((), service, shared))
        for name, reading in service.expect.items():
            found += _not_included(("expect", name), reading, shared)
        for name, listing in service.listings.items():
            found += _not_included(("listings", name), listing, shared)
        if service.verify is not None and service.verify.question is not None:
            found += _not_included(("verify", "question"), service.verify.question, shared)
        yield from validation.at_lines(found, read.text, read.source)


def _not_included(
    place: Place, reading: Reading | Listing, shared: Mapping[str, object]
) -> Iterator[tuple[Place, str]]:
    for i, entry in enumerate(reading.otherwise):
        if isinstance(entry, Include) and entry.include not in shared:
            hint = suggestion(entry.include, shared) or f"; there are {', '.join(sorted(shared))}"
            yield (*place, "otherwise", i, "include"), f"there are no shared rules {entry.include!r}{hint}"
