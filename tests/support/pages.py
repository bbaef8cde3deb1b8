"""The pages of the documentation: their blocks of code by language, and their console sessions played."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Final

from tests.support.command import run

DOCS: Final = Path(__file__).parents[2] / "docs"

PROMPT: Final = "$ "
REST: Final = "..."
"""A line that stands for any number of lines."""


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of code in a language, in their order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def play(session: str) -> None:
    """Run the commands of a console session in the current folder, and compare what they print."""
    commands = [item.splitlines() for item in session.split(PROMPT) if item]
    assert commands
    for command, *printed in commands:
        program, *arguments = shlex.split(command)
        assert program == "tlsexit"
        ran = run(*arguments)
        lines = (ran.out + ran.err).splitlines()
        if printed[-1:] == [REST]:
            printed.pop()
            lines = lines[: len(printed)]
        assert lines == printed, command
