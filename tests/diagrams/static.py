"""Which states a handler can lead to, read from its source: an upper bound that no walk can exceed.

A handler's states are those whose classes it names, or that are named in a function of the same package that it names.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import tlsexit.handshake
from tlsexit.handshake.table import Handler

FOLDER: Final = Path(tlsexit.handshake.__path__[0])
Function = tuple[str, str]
"""Module and name."""


def reachable(handler: Handler) -> frozenset[str]:
    """The names of the states that ``handler`` makes, by itself or through what it calls."""
    todo = [(handler.__module__.rpartition(".")[2], handler.__name__)]
    seen: set[Function] = set()
    found: set[str] = set()
    while todo:
        function = todo.pop()
        if function in seen or function not in functions():
            continue
        seen.add(function)
        made, called = functions()[function]
        found |= made
        todo += called
    return frozenset(found)


@cache
def functions() -> dict[Function, tuple[frozenset[str], tuple[Function, ...]]]:
    """Every function of the package: the states it makes, and the functions it names."""
    found = {}
    for path in FOLDER.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = _imports(tree)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                found[path.stem, node.name] = _look_at(node, path.stem, names)
    return found


def _imports(tree: ast.Module) -> dict[str, Function]:
    """What an imported name stands for: a function of a module, or a module (with an empty name)."""
    names = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tlsexit.handshake"):
            module = node.module.removeprefix("tlsexit.handshake").removeprefix(".")
            for alias in node.names:
                names[alias.asname or alias.name] = (module, alias.name) if module else (alias.name, "")
    return names


def _look_at(
    function: ast.FunctionDef, module: str, names: dict[str, Function]
) -> tuple[frozenset[str], tuple[Function, ...]]:
    made, called = set(), []
    for statement in function.body:
        for node in _without_tests(statement):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                source = names.get(node.value.id)
                if source == ("states", ""):
                    made.add(node.attr)
                elif source is not None and not source[1]:
                    called.append((source[0], node.attr))
            elif isinstance(node, ast.Name):
                called.append(names.get(node.id, (module, node.id)))
    return frozenset(made), tuple(called)


def _without_tests(node: ast.AST) -> Iterator[ast.AST]:
    """Walk through ``node``, but not into what only looks at a class: annotations and isinstance."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
        return
    if isinstance(node, ast.AnnAssign):
        children: list[ast.AST] = [] if node.value is None else [node.value]
    else:
        yield node
        children = list(ast.iter_child_nodes(node))
    for child in children:
        yield from _without_tests(child)
