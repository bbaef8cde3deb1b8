"""The page about fuzzing: its commands run, its examples compile, its table is complete."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.support.command import run
from tests.support.pages import DOCS, blocks
from tlsexit.fuzzing.findings import SEVERITY

PAGE = "fuzzing.md"


@pytest.mark.interop
@pytest.mark.slow
def test_from_a_server_to_a_finding_that_can_be_played_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make, fuzz, replay = (shlex.split(block.removeprefix("$ tlsexit ")) for block in blocks(PAGE, "console"))
    assert run(*make).status == 0
    assert run(*fuzz).status == 1
    found = sorted((tmp_path / "findings").iterdir())
    assert any("R2246-6.2-01" in file.name for file in found)
    assert "R2246-6.2-01" in (tmp_path / "report.html").read_text(encoding="utf-8")
    again = run(*(word.replace("findings/FILE", str(found[0])) for word in replay))
    assert again.status == 1
    assert "ClientHello" in again.out


def test_the_examples_in_python_parse() -> None:
    for block in blocks(PAGE, "python"):
        compile(block, PAGE, "exec")


def test_every_flaw_is_in_the_table() -> None:
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    for flaw, severity in SEVERITY.items():
        assert f"| {flaw.value} | {severity} |" in text
