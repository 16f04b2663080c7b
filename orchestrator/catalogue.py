"""The catalogue: every service description there is, the package's own and the ones a config adds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from orchestrator import validation
from orchestrator.errors import Fault, InvalidInput
from orchestrator.listing import Listing
from orchestrator.reading import Include, Reading, Rule
from orchestrator.service import Service, SharedRules
from orchestrator.validation import Place, choices

Entry = TypeVar("Entry", Service, SharedRules)
OWN = Path(__file__).with_name("services")  # a file is named like the service that it describes
NO_OWN: Mapping[str, Path] = {}


class Read(NamedTuple, Generic[Entry]):
    """One file of the catalogue as read: where it came from, its text for the lines of faults, what it says."""

    source: str
    text: str
    entry: Entry


class Catalogue(NamedTuple):
    """Descriptions by service name, and the rules that they share by the name they are included by."""

    services: Mapping[str, Service]
    shared: Mapping[str, SharedRules]

    def rules(self, reading: Reading | Listing) -> list[Rule]:
        """Return a reading's rules in their order, with what it includes put in place."""
        found: list[Rule] = []
        for entry in reading.otherwise:
            found += self.shared[entry.include].otherwise if isinstance(entry, Include) else [entry]
        return found


class _Services(Mapping[str, Service]):
    """Services by name; one of the package's own is read when it is asked for: its tests have read them all."""

    def __init__(self, added: Mapping[str, Read[Service]], own: Mapping[str, Path]) -> None:
        self._read = {name: read.entry for name, read in added.items()}
        self._own = own
        self._names = sorted({*own, *added})

    def __getitem__(self, name: str) -> Service:
        if name not in self._read:
            path = self._own[name]
            self._read[name] = validation.read(Service, path.read_text(encoding="utf-8"), _source(path))
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def load(folders: Sequence[Path] = (), known: Sequence[Fault] = ()) -> Catalogue:
    """Read the catalogue of the package and the `folders` beside it; raise InvalidInput with every fault of every file.

    `known` are faults found before, which are told together with the new ones.
    """
    own = {path.stem: path for path in sorted(OWN.glob("[!_]*.yaml"))}
    services: dict[str, Read[Service]] = {}
    shared: dict[str, Read[SharedRules]] = {}
    faults: list[Fault] = [*known]
    for source, name, text in [*_own_rules(), *_added(folders, faults)]:
        try:
            if name.startswith("_"):
                _add(shared, "rules", Read(source, text, validation.read(SharedRules, text, source)))
            else:
                _add(services, "service", Read(source, text, validation.read(Service, text, source)), own)
        except InvalidInput as error:
            faults += error.faults
    faults += _unusable(services.values(), shared)
    if faults:
        raise InvalidInput(sorted(faults, key=Fault.order))
    return Catalogue(_Services(services, own), {name: read.entry for name, read in shared.items()})


def unfit(folder: Path) -> str:
    """Return what is wrong with a folder that should hold descriptions, or nothing."""
    if not folder.is_dir():
        return f"{folder} {'is not a folder' if folder.exists() else 'does not exist'}"
    return "" if any(folder.glob("*.yaml")) else f"{folder} has no service descriptions (*.yaml)"


def _source(path: Path) -> str:
    return f"catalogue {path.name}"


def _own_rules() -> list[tuple[str, str, str]]:
    return [(_source(path), path.name, path.read_text(encoding="utf-8")) for path in sorted(OWN.glob("_*.yaml"))]


def _added(folders: Sequence[Path], faults: list[Fault]) -> list[tuple[str, str, str]]:
    found = []
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            try:
                found.append((str(path), path.name, validation.read_text(path)))
            except InvalidInput as error:
                faults += error.faults
    return found


def _add(known: dict[str, Read[Entry]], key: str, read: Read[Entry], own: Mapping[str, Path] = NO_OWN) -> None:
    name = str(getattr(read.entry, key))
    if name in known or name in own:
        said = f"{name!r} is described already, in {known[name].source if name in known else _source(own[name])}"
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
            hint = choices(entry.include, sorted(shared))
            yield (*place, "otherwise", i, "include"), f"there are no shared rules {entry.include!r}{hint}"
