"""Write ``docs/exit-failures.md``: ``python -m tests.exits.injection``."""

from __future__ import annotations

from pathlib import Path

TARGET = Path(__file__).parents[3] / "docs" / "exit-failures.md"


def page() -> str:
    return ""
