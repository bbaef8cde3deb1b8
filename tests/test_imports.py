"""The shape of the package, read from its sources: who may import whom, and how long a file may get.

The protocol core stays pure and inspectable only while arrows point one way: a lower layer never knows a higher one,
and nothing below the rim can reach a socket, a clock or a source of randomness. The test reads every import
statement, those inside functions and ``if TYPE_CHECKING:`` blocks included.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tlsexit"
LONGEST_FILE = 500

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"constants", "alerts", "wire", "values"}),
    frozenset({"crypto", "dnfilter"}),
    frozenset({"profile", "session", "exits", "events", "config", "records"}),
    frozenset({"handshake"}),
    frozenset({"connection", "channel", "failures"}),
    frozenset({"tasks", "bindings"}),
    frozenset({"policy", "profiles", "stores", "keystore"}),
    frozenset({"drivers", "adapters"}),
    frozenset({"__init__"}),
    frozenset({"trace", "puppet", "fuzzing", "conformance", "diagrams", "cli", "__main__"}),
)
"""Units (modules and subpackages of tlsexit) from the lowest to the highest; imports go downwards or sideways."""

EXCEPTIONS: dict[str, frozenset[str]] = {
    "records": frozenset({"handshake"}),
    "handshake": frozenset({"records"}),  # only the connection knows both
    "policy": frozenset({"records", "handshake", "connection", "tasks", "events"}),  # it answers calls, nothing else
    "stores": frozenset({"records", "handshake", "connection", "channel", "tasks", "events", "config", "policy"}),
    "keystore": frozenset({"records", "handshake", "connection", "channel", "tasks", "events", "config", "session"}),
}
"""Unit -> units that it must not import although its layer would allow it."""

EFFECTS = frozenset(
    {"asyncio", "os", "random", "secrets", "select", "selectors", "socket", "ssl", "subprocess", "threading", "time"}
)
"""Modules of the standard library that reach the outside world; only the rim may."""

RIM = frozenset({"policy", "stores", "keystore", "drivers", "adapters"}) | LAYERS[-1]


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a source."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def sources() -> list[Path]:
    """Every source file of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def unit(path: Path) -> str:
    """The module or subpackage of tlsexit that ``path`` belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line number and absolute dotted name of each module that ``path`` imports."""
    package = ("tlsexit", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) + 1 - node.level]] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            # "from tlsexit import alerts" names a unit in its second half
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)


def imported_unit(name: str) -> str | None:
    """The unit of tlsexit behind a dotted name; ``__init__`` for the package's own names; None for other packages."""
    parts = name.split(".")
    if parts[0] != "tlsexit":
        return None
    if len(parts) > 1 and ((PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").is_file()):
        return parts[1]
    return "__init__"


def layer(name: str) -> int:
    """Height of a unit; a unit nobody placed is an error, so that a new one gets a place on purpose."""
    for height, units in enumerate(LAYERS):
        if name in units:
            return height
    pytest.fail(f"tlsexit/{name} has no place in LAYERS")


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards(path: Path) -> None:
    importer = unit(path)
    for line, name in imported(path):
        target = imported_unit(name)
        if target is None or target == importer:
            continue
        assert layer(target) <= layer(importer), f"{path.name}:{line}: {importer} imports {target}, which is above it"
        assert target not in EXCEPTIONS.get(importer, ()), f"{path.name}:{line}: {importer} must not know {target}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_rim_reaches_the_outside_world(path: Path) -> None:
    importer = unit(path)
    for line, name in imported(path):
        module = name.split(".")[0]
        if importer not in RIM:
            assert module not in EFFECTS, f"{path.name}:{line}: {importer} imports {module}"
        if importer != "fuzzing":
            assert module != "hypothesis", f"{path.name}:{line}: only fuzzing may need Hypothesis"


CIRCLES: tuple[frozenset[str], ...] = (
    frozenset(f"tlsexit.conformance.{name}" for name in ("actions", "expect", "model", "talk")),
)
"""Modules that may know one another, though never while they are loaded."""


def test_no_import_circle() -> None:
    """What a module imports, for its types or inside a function too, never leads back to it."""
    found = circles(imports_between_modules(imported))
    unknown = [circle for circle in found if not any(circle <= known for known in CIRCLES)]
    assert not unknown, f"modules that import one another: {[sorted(circle) for circle in unknown]}"


def test_no_circle_while_loading() -> None:
    """Modules that a module loads while it is itself being loaded never lead back to it, without exception."""
    found = circles(imports_between_modules(loaded_at_import))
    assert not found, f"modules that load one another: {[sorted(circle) for circle in found]}"


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"a", "d"}}
    assert circles(graph) == {frozenset({"b", "c"})}


def imports_between_modules(read: Callable[[Path], Iterable[tuple[int, str]]]) -> dict[str, set[str]]:
    """Each module of the package, and which others it imports, as ``read`` finds them in its source."""
    modules = {".".join(("tlsexit", *p.relative_to(PACKAGE).with_suffix("").parts)): p for p in sources()}
    graph: dict[str, set[str]] = {}
    for name, path in modules.items():
        # a name of a package may be a module of it or something that its __init__ defines
        resolved = {
            t if t in modules else f"{t}.__init__" if f"{t}.__init__" in modules else t.rpartition(".")[0]
            for _, t in read(path)
        }
        graph[name] = {t if t in modules else f"{t}.__init__" for t in resolved} & modules.keys() - {name}
    return graph


def circles(graph: dict[str, set[str]]) -> set[frozenset[str]]:
    """The sets of nodes, of two at least, that can all be reached from one another."""

    def reach(start: str) -> frozenset[str]:
        seen: set[str] = set()
        ahead = [start]
        while ahead:
            new = graph[ahead.pop()] - seen
            seen |= new
            ahead += new
        return frozenset(seen)

    reached = {name: reach(name) for name in graph}
    return {
        frozenset(other for other in reached[name] if name in reached[other]) for name in graph if name in reached[name]
    }


def loaded_at_import(path: Path) -> Iterator[tuple[int, str]]:
    """As :func:`imported`, without the imports inside functions and under ``if TYPE_CHECKING:``."""
    tree = parsed(path)
    deferred: set[int] = set()
    for node in ast.walk(tree):
        late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
            isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        )
        if late:
            deferred.update(inner.lineno for inner in ast.walk(node) if isinstance(inner, ast.Import | ast.ImportFrom))
    yield from ((line, name) for line, name in imported(path) if line not in deferred)


@pytest.mark.parametrize("folder", ["tlsexit", "tests", "benchmarks"])
def test_no_file_is_too_long(folder: str) -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    }
    assert not long, f"longer than {LONGEST_FILE} lines: {long}"
