"""docs/puppet.md: its example prints what the page says, and every function it names is there."""

from __future__ import annotations

import re

import pytest

from tests.support.pages import DOCS, blocks
from tlsexit import puppet
from tlsexit.puppet import steps

PAGE = "puppet.md"


def test_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    (example,), (printed,) = blocks(PAGE, "python"), blocks(PAGE, "text")
    exec(example, {})
    assert capsys.readouterr().out == printed


def test_the_table_names_what_exists() -> None:
    table = [line for line in (DOCS / PAGE).read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    names = re.findall(r"`([a-z_]+)(?:\(|`)", "\n".join(table))
    assert {"drop", "hang_up", "seal"} <= set(names)
    for name in names:
        assert hasattr(puppet, name) or hasattr(steps, name), name
