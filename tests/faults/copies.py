"""A second copy of the package with an edit in it, beside the healthy one in the same process."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Sequence
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from tests.faults.catalogue import Fault
from tlsexit.conformance.pki import workshop

if TYPE_CHECKING:
    from tlsexit.conformance.engine import EngineTarget

PACKAGE = Path(__file__).parents[2] / "tlsexit"
ROOT = PACKAGE.parent


class DoesNotApply(Exception):
    """The source has changed, and the fault's edit does not fit it any more."""


def load(fault: Fault) -> ModuleType:
    """Return the top of a copy of ``tlsexit`` that has the fault; the same one at every call.

    Import from it with :func:`importlib.import_module` and its ``__name__``. Raises :class:`DoesNotApply`.
    """
    name = f"tlsexit_{fault.name.replace('-', '_')}"
    if name not in sys.modules:
        edited = edit(fault)
        sys.meta_path.insert(0, _Finder(name, edited, _reached(frozenset(edited))))
    return importlib.import_module(name)


def target(fault: Fault) -> EngineTarget:
    """Return the faulty engine as a target in this process, in the role that shows the fault.

    It trusts the authorities of :func:`~tlsexit.conformance.pki.workshop`, as the healthy one does.
    """
    copy = load(fault)
    engine = importlib.import_module(f"{copy.__name__}.conformance.engine")
    made: EngineTarget = engine.EngineTarget(fault.configuration, workshop())
    return made


def edit(fault: Fault) -> dict[str, str]:
    """Return the sources that the fault changes, changed, by module name."""
    sources: dict[str, str] = {}
    for change in fault.edits:
        name = f"tlsexit.{change.module}"
        source = sources.get(name) or _files()[name].read_text(encoding="utf-8")
        found = source.count(change.old)
        if found != 1:
            raise DoesNotApply(f"{fault.name}: {change.module} has {change.old!r} {found} times")
        sources[name] = source.replace(change.old, change.new)
    return sources


# ------------------------------------------------------------------------------------------------ which modules


@cache
def _files() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def _importers() -> dict[str, set[str]]:
    """Return who imports each module."""
    importers: dict[str, set[str]] = {name: set() for name in _files()}
    for name, path in _files().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            wanted: list[str] = []
            if isinstance(node, ast.Import):
                wanted = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                wanted = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for target in wanted:
                if target in importers:
                    importers[target].add(name)
    return importers


@cache
def _reached(edited: frozenset[str]) -> frozenset[str]:
    """Return the modules that an edit reaches: those that import an edited one, directly or through others.

    A package counts as soon as a module in it does, since its ``__init__`` is what leads there.
    """
    reached: set[str] = set()
    waiting = list(edited)
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        waiting += _importers()[name]
        parent = name.rpartition(".")[0]
        if parent:
            waiting.append(parent)
    return frozenset(reached)


# ------------------------------------------------------------------------------------------------ importing them


class _Finder(MetaPathFinder):
    """Imports ``alias.x`` as a copy of ``tlsexit.x`` where the edit reaches, and as ``tlsexit.x`` itself elsewhere."""

    def __init__(self, alias: str, edited: dict[str, str], reached: frozenset[str]) -> None:
        self._alias = alias
        self._edited = edited
        self._reached = reached

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top, _, rest = fullname.partition(".")
        if top != self._alias:
            return None
        original = f"tlsexit.{rest}" if rest else "tlsexit"
        if original not in _files():
            return None
        if original not in self._reached:
            return spec_from_loader(fullname, _Shared(original))
        file = _files()[original]
        package = file.name == "__init__.py"
        source = self._edited.get(original) or file.read_text(encoding="utf-8")
        return spec_from_loader(fullname, _Copy(self._alias, source, file), is_package=package)


class _Shared(Loader):
    """Puts the healthy module in the copy's place."""

    def __init__(self, original: str) -> None:
        self._original = original

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(self._original)


class _Copy(Loader):
    """Runs a source whose imports lead into the copy."""

    def __init__(self, alias: str, source: str, file: Path) -> None:
        self._alias = alias
        self._source = source
        self._file = file

    def exec_module(self, module: ModuleType) -> None:
        tree = ast.parse(self._source, str(self._file))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
                node.module = self._renamed(node.module)
            elif isinstance(node, ast.Import):
                for item in node.names:
                    item.name = self._renamed(item.name)
        exec(compile(tree, str(self._file), "exec"), module.__dict__)

    def _renamed(self, name: str) -> str:
        top, dot, rest = name.partition(".")
        return f"{self._alias}{dot}{rest}" if top == "tlsexit" else name
