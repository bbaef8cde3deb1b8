"""What a fault is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Edit:
    """``old`` becomes ``new`` in a module of tlsexit, where it must stand exactly once."""

    module: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A defect of the engine; ``configuration`` is one of ``tlsexit conform self`` in which it shows."""

    name: str
    title: str
    configuration: str
    requirements: tuple[str, ...]
    edits: tuple[Edit, ...]

    def __str__(self) -> str:
        return self.name


SERVER: Final = "server-everything"
CLIENT: Final = "client-everything"
MUTUAL: Final = "server-mutual"
PLAIN_CLIENT: Final = "client"
"""Offers fewer suites than there are."""


def fault(name: str, title: str, configuration: str, requirements: str, *edits: tuple[str, str, str]) -> Fault:
    """Return a fault; ``requirements`` are ids between blanks."""
    return Fault(name, title, configuration, tuple(requirements.split()), tuple(Edit(*edit) for edit in edits))
