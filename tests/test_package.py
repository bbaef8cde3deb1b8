"""What ``import tlsexit`` gives, and what it leaves for later."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import tlsexit


def test_every_public_name_is_there() -> None:
    for name in tlsexit.__all__:
        assert getattr(tlsexit, name) is not None
    assert set(tlsexit.__all__) <= set(dir(tlsexit))


def test_names_are_imported_from_where_type_checkers_find_them() -> None:
    """The block for type checkers, and what is looked up when a program runs, are one list."""
    tree = ast.parse(Path(tlsexit.__file__).read_text(encoding="utf-8"))
    found = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("tlsexit.")
        for alias in node.names
    }
    assert found == tlsexit._HOME
    assert sorted(found) == sorted(tlsexit.__all__)


def test_the_version_is_the_one_installed() -> None:
    assert tlsexit.__version__ == version("tlsexit")


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'TLS_1_3'"):
        tlsexit.TLS_1_3  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError):
        from tlsexit import TLS_1_3  # type: ignore[attr-defined]  # noqa: F401


def test_nothing_is_loaded_before_it_is_used() -> None:
    """A command waits for what it uses; and one name does not bring all others."""
    code = (
        "import sys, tlsexit\n"
        "print(*(name for name in ('cryptography', 'construct', 'asyncio') if name in sys.modules))\n"
        "tlsexit.Role\n"
        "print('tlsexit.constants' in sys.modules, 'tlsexit.connection' in sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.splitlines() == ["", "True False"]
