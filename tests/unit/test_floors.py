"""The floors of the package: a module imports only from lower floors, so that everything flows one way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import orchestrator

ROOT = Path(orchestrator.__file__).parent
HERE = "FLOORS in tests/unit/test_floors.py"

# A module imports from the floors above it in this table, and from those that stand to its left on its own.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("orchestrator", "model", "errors", "logs"),
    (
        "collector",
        "units",
        "private",
        "yamltext",
        "validation",
        "templates",
        "reading",
        *("calling", "listing"),
        "service",
        "guardrails",
        "plan",
    ),
    (
        "announced",
        "backoff",
        "render",
        "cookies",
        *("facts", "conditions", "classify"),
        "pages",
        "targets",
        "rows",
        "batches",
        "conclusion",
        "splitting",
        "amending",
    ),
    ("catalogue", "references", "auth", "replies", "wire", "certificates", "transport", "journal", "report", "paces"),
    ("connector",),
    (
        *("climbing", "answers", "waits", "vain", "refill", "windows", "looks", "learning"),
        *("stop", "pacing"),
        "intents",
        "settling",
        "slots",
        "approach",
        "lane",
    ),
    (
        "sources",
        "paging",
        "lister",
        "discovery",
        "dated",
        "sights",
        "verify",
        "checks",
        "guards",
        "memory",
        "seen",
        *("turn", "waves", "run"),
    ),
    (
        *("environment", "settings"),
        "selection",
        "connections",
        *("endpoints", "wanted", "sections", "blueprint", "stages"),
        "bounds",
        "app",
        "counting",
        "history",
        "discovered",
        *("probes", "residual"),
        "ownership",
        "admission",
        "sealfile",
        "sealing",
        "signals",
        *("story", "view", "trip", "beginning", "ending", "conduct"),
        "durations",
        "outlook",
        "ways",
        "forecast",
        *("comparison", "diagnosis", "questions", "doctor"),
    ),
    ("sandbox", "demo", "cli", "__main__"),
)
# These never import one another, so that each can be replaced alone.
APART = frozenset({"catalogue", "references", "auth", "transport", "journal", "report", "paces"})
# These import nothing else than themselves and what is named.
ONLY = {"sandbox": frozenset({"model", "errors"})}

ORDER = {name: (floor, place) for floor, names in enumerate(FLOORS) for place, name in enumerate(names)}
MODULES = sorted(ROOT.rglob("*.py"))


def unit(dotted: str) -> str:
    """Return what a module belongs to: `orchestrator.auth.aksk` to `auth`, the package itself to `orchestrator`."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def named(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST, module: str, *, package: bool) -> Iterator[str]:
    """Yield every module of the package that is imported anywhere in a tree, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "orchestrator")
        elif isinstance(node, ast.ImportFrom):
            source = origin(node, module, package=package)
            if source == "orchestrator":
                yield from (inner(alias.name) for alias in node.names)
            elif source.startswith("orchestrator."):
                yield source


def origin(node: ast.ImportFrom, module: str, *, package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    base = parts[: len(parts) - node.level + package]
    return ".".join([*base, *([node.module] if node.module else [])])


def inner(name: str) -> str:
    """Return the module that `from orchestrator import name` reads: a module of that name, or the package itself."""
    is_module = (ROOT / name).is_dir() or (ROOT / f"{name}.py").is_file()
    return f"orchestrator.{name}" if is_module else "orchestrator"


def allowed(importer: str, target: str) -> bool:
    if importer == target:
        return True
    if importer in ONLY:
        return target in ONLY[importer]
    if importer in APART and target in APART:
        return False
    return ORDER[target] < ORDER[importer]


def broken(source: str, module: str, *, package: bool = False) -> list[str]:
    """Return what is wrong with the imports of a module, each in a sentence."""
    importer = unit(module)
    if importer not in ORDER:
        return [f"{module} stands on no floor; add {importer!r} to {HERE}"]
    targets = sorted(set(imported(ast.parse(source), module, package=package)))
    unknown = [
        f"{module} imports {one}, which stands on no floor; see {HERE}" for one in targets if unit(one) not in ORDER
    ]
    known = (one for one in targets if unit(one) in ORDER)
    return unknown + [
        f"{module} must not import {one}; see {HERE}" for one in known if not allowed(importer, unit(one))
    ]


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_imports_only_from_lower_floors(path: Path) -> None:
    assert not broken(path.read_text(encoding="utf-8"), named(path), package=path.name == "__init__.py")


def test_no_name_stands_on_two_floors() -> None:
    assert len(ORDER) == sum(map(len, FLOORS))


@pytest.mark.parametrize(
    ("module", "source", "fault"),
    [
        pytest.param("orchestrator.lane", "from orchestrator.model import Batch", "", id="lower"),
        pytest.param("orchestrator.lane", "from orchestrator import pacing", "", id="to-the-left"),
        pytest.param("orchestrator.pacing", "from orchestrator.lane import Lane", "must not import", id="to-the-right"),
        pytest.param("orchestrator.model", "import orchestrator.cli.main", "must not import", id="higher"),
        pytest.param("orchestrator.auth.aksk", "from orchestrator.auth.x import y", "", id="its-own-family"),
        pytest.param("orchestrator.auth.aksk", "from .x import y\nfrom ..model import Z", "", id="relative"),
        pytest.param("orchestrator.auth.aksk", "from ..journal import y", "must not import", id="relative-edge"),
        pytest.param("orchestrator.report.csv", "from orchestrator.journal import x", "must not import", id="edges"),
        pytest.param("orchestrator.sandbox.a", "from orchestrator.units import x", "must not import", id="sandbox"),
        pytest.param("orchestrator.sandbox.a", "from orchestrator.errors import x", "", id="sandbox-may"),
        pytest.param(
            "orchestrator.model", "def f():\n    import orchestrator.run", "must not import", id="in-a-function"
        ),
        pytest.param("orchestrator.transport", "from orchestrator import __version__", "", id="version"),
        pytest.param("orchestrator.helpers", "", "add 'helpers' to FLOORS", id="unknown-module"),
        pytest.param("orchestrator.cli", "import orchestrator.helpers", "stands on no floor", id="unknown-import"),
    ],
)
def test_the_rule_itself(module: str, source: str, fault: str) -> None:
    found = broken(source, module)
    assert bool(found) == bool(fault)
    assert fault in "".join(found)
