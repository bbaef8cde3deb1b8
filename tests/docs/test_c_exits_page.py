"""docs/c-exits.md: its exit compiles and works, its commands print what they say, its table has every phase."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.c_exits import needs_compiler
from tests.support.pages import DOCS, blocks
from tests.support.shell import Shell
from tlsexit.adapters.clib import CExit
from tlsexit.exits.phases import ExitPhase

PAGE = "c-exits.md"


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_compiler()
    (source,) = blocks(PAGE, "c")
    (tmp_path / "pki_exit.c").write_text(source, encoding="ascii")
    with Shell(tmp_path) as shell:
        for session in blocks(PAGE, "console"):
            shell.play(session)
    (example,) = blocks(PAGE, "python")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(example, names)
    assert isinstance(names["exits"], CExit)


def test_every_phase_is_in_the_table() -> None:
    rows = re.findall(r"^\| (\w+) \|", (DOCS / PAGE).read_text(encoding="utf-8"), re.MULTILINE)
    assert set(rows) - {"phase"} == {phase.value for phase in ExitPhase}
