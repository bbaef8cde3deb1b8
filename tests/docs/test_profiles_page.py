"""docs/profiles.md: its examples work, and its table has every element."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import run
from tests.support.pages import DOCS, blocks, play
from tlsexit.cli import codes
from tlsexit.constants import Role
from tlsexit.profile import CHANGEABLE
from tlsexit.profiles import read_cftssl, read_toml
from tlsexit.profiles.elements import ELEMENTS

PAGE = "profiles.md"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the files that the page speaks of."""
    monkeypatch.chdir(tmp_path)
    (commands,) = blocks(PAGE, "cftssl")
    (tmp_path / "partners.txt").write_text(commands, encoding="utf-8")
    (tmp_path / "wrong.toml").write_text("[server.a]\n\ndepht = 2\n", encoding="utf-8")
    return tmp_path


def test_both_forms_say_the_same() -> None:
    (toml,), (commands,) = blocks(PAGE, "toml"), blocks(PAGE, "cftssl")
    found = read_toml(toml, "f")
    assert read_cftssl(commands, "f") == found
    assert set(found) == {(Role.SERVER, "partners"), (Role.CLIENT, "partners")}


def test_the_check(folder: Path) -> None:
    play(blocks(PAGE, "console")[0])


def test_the_commands_have_these_options(folder: Path) -> None:
    """They go as far as the key store, which is not there."""
    for command in blocks(PAGE, "console")[1].splitlines():
        ran = run(*command.removeprefix("$ tlsexit ").split())
        assert (ran.status, ran.problem) == (codes.USAGE, "store: is no key store; make one with `tlsexit pki create`")


def test_the_example_in_python(folder: Path) -> None:
    (example,) = blocks(PAGE, "python")
    names: dict[str, Any] = {}
    exec(example, names)
    assert names["profile"].parm == "PART42"
    assert len(names["everything"]) == 2


def test_the_table_has_every_element_of_the_command() -> None:
    """With its keyword, and whether StartHandshake may change it."""
    page = (DOCS / PAGE).read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (yes|no) \|", page, re.MULTILINE)
    expected = [(item.field, item.keyword, "yes" if item.field in CHANGEABLE else "no") for item in ELEMENTS]
    assert rows == [row for row in expected if row[1]]
