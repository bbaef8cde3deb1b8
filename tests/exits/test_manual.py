"""The manual for exit authors: every example runs, every phase has one, and no link leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tlsexit.exits.answers import REFUSAL_ALERTS
from tlsexit.exits.phases import ExitPhase

DOCS = Path(__file__).parents[2] / "docs"
MANUAL = DOCS / "exits.md"
TEXT = MANUAL.read_text(encoding="utf-8")
PAGES = ("exits.md", "phases.md", "exit-failures.md")


def blocks() -> list[tuple[int, str]]:
    """The examples, each with the number of its first line."""
    return [
        (TEXT.count("\n", 0, found.start()) + 2, found[1])
        for found in re.finditer(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    ]


@pytest.mark.timeout(60)
def test_every_example_runs() -> None:
    """As one program, from top to bottom."""
    namespace: dict[str, Any] = {"__name__": "manual"}
    for line, source in blocks():
        exec(compile("\n" * (line - 1) + source, str(MANUAL), "exec"), namespace)
    assert namespace["there"] is not None


def test_every_phase_has_an_example() -> None:
    code = "\n".join(source for _, source in blocks())
    for phase in ExitPhase:
        assert f"def {phase.method}(self, call)" in code, phase
        assert f"| {phase.value} | `{phase.method}` |" in TEXT


def test_every_reason_is_listed() -> None:
    for alert in REFUSAL_ALERTS:
        assert f"{alert.value} {alert.name.lower()}" in TEXT


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        found = (DOCS / path).resolve() if path else DOCS / page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, target
