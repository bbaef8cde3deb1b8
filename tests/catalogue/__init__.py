"""Which test answers for each requirement of :mod:`tlsexit.conformance.catalogue`.

A test cites, in its docstring or beside an assertion, the ids (``R2246-7.4.9-03``) it would fail for if they were
broken, always in full. What no test can answer for has its reason in ``reasons.toml``. ``python -m tests.catalogue``
writes it all up as ``docs/requirements.md``.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]

ID: Final = re.compile(r"\bR\d{4}-[\w.]+-\d\d\b")
SHORTHAND: Final = re.compile(rf"{ID.pattern}(?:,? (?:to |and )?)-\d\d\b")
"""``R2246-7.1-01, -02``: reads well, but only the first of them is found."""


@cache
def reasons() -> dict[str, str]:
    """Why there is no test, by id."""
    loaded: dict[str, str] = tomllib.loads((HERE / "reasons.toml").read_text(encoding="utf-8"))
    return loaded


@cache
def citations() -> dict[str, tuple[str, ...]]:
    """The tests that cite each id, as ``tests/policy/test_x509.py::test_expired``; ids nobody cites are left out."""
    found: dict[str, list[str]] = {}
    for path in test_files():
        source = path.read_text(encoding="utf-8")
        for name, text in _tests_in(source):
            for id in dict.fromkeys(ID.findall(text)):
                found.setdefault(id, []).append(f"{path.relative_to(ROOT).as_posix()}::{name}")
    return {id: tuple(tests) for id, tests in found.items()}


def test_files() -> list[Path]:
    """Every file with tests, this package's own aside."""
    return sorted(path for path in (ROOT / "tests").rglob("test_*.py") if path.name != "test_catalogue.py")


def sources() -> list[Path]:
    """Every Python file that may name requirements: the tests and what they test."""
    return sorted(
        path
        for folder in ("tests", "tlsexit")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "test_catalogue.py" and HERE not in path.parents
    )


def _tests_in(source: str) -> Iterator[tuple[str, str]]:
    """Yield name and text of each test function, its decorators included."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
            first = min([node.lineno, *(item.lineno for item in node.decorator_list)])
            yield node.name, "\n".join(lines[first - 1 : node.end_lineno])
