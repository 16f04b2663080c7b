"""The catalogue: every service description there is, the package's own and the ones a config adds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TypeVar

from orchestrator import validation
from orchestrator.errors import Fault, InvalidInput
from orchestrator.service import Include, Reading, Rule, Service, SharedRules

Entry = TypeVar("Entry", Service, SharedRules)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Descriptions by service name, and the rules that they share by the name they are included by."""

    services: Mapping[str, Service]
    shared: Mapping[str, SharedRules]

    def rules(self, reading: Reading) -> list[Rule]:
        """Return a reading's rules in their order, with what it includes put in place."""
        found: list[Rule] = []
        for entry in reading.otherwise:
            found += self.shared[entry.include].otherwise if isinstance(entry, Include) else [entry]
        return found


def load(folders: Sequence[Path] = ()) -> Catalogue:
    """Read the package's catalogue and the `folders` beside it; raise InvalidInput with every fault of every file."""
    services: dict[str, tuple[str, Service]] = {}
    shared: dict[str, tuple[str, SharedRules]] = {}
    faults: list[Fault] = []
    for source, name, text in [*_own(), *_added(folders, faults)]:
        try:
            if name.startswith("_"):
                _add(shared, "rules", validation.read(SharedRules, text, source), source)
            else:
                _add(services, "service", validation.read(Service, text, source), source)
        except InvalidInput as error:
            faults += error.faults
    faults += _unusable(services.values(), shared)
    if faults:
        raise InvalidInput(sorted(faults, key=Fault.order))
    return Catalogue(
        {name: service for name, (_, service) in sorted(services.items())},
        {name: rules for name, (_, rules) in shared.items()},
    )


def _own() -> list[tuple[str, str, str]]:
    folder = resources.files("orchestrator").joinpath("services")
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".yaml")), key=lambda item: item.name)
    return [(f"catalogue {item.name}", item.name, item.read_text(encoding="utf-8")) for item in files]


def _added(folders: Sequence[Path], faults: list[Fault]) -> list[tuple[str, str, str]]:
    found = []
    for folder in folders:
        files = sorted(folder.glob("*.yaml"))
        if not files:
            faults.append(Fault(str(folder), "has no service descriptions (*.yaml)"))
        for path in files:
            try:
                found.append((str(path), path.name, validation.read_text(path)))
            except InvalidInput as error:
                faults += error.faults
    return found


def _add(known: dict[str, tuple[str, Entry]], key: str, entry: Entry, source: str) -> None:
    name = str(getattr(entry, key))
    if name in known:
        raise InvalidInput.one(source, f"{name!r} is described already, in {known[name][0]}", 1, key)
    known[name] = (source, entry)


def _unusable(services: Iterable[tuple[str, Service]], shared: Mapping[str, object]) -> list[Fault]:
    faults = []
    for source, service in services:
        not_yet = [name for name in ("discover", "verify") if getattr(service, name) is not None]
        faults += [Fault(source, "is not available in this version yet", path=name) for name in not_yet]
        for reading in [service, *service.expect.values()]:
            names = [entry.include for entry in reading.otherwise if isinstance(entry, Include)]
            faults += [
                Fault(source, f"includes {name!r}, which is none of {', '.join(sorted(shared))}", path="otherwise")
                for name in names
                if name not in shared
            ]
    return faults
