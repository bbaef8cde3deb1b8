"""What RFC 2246 and the RFCs that extend it ask of an implementation, requirement by requirement.

``requirements.json`` holds the list. An id such as ``R2246-7.4.9-03`` names the RFC, the section and a number, and
never changes its meaning. Where the list was wrong, ``corrections.toml`` says what changed.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

REQUIREMENTS: Final = 350
"""How many there are; a lost entry must not go unnoticed."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One entry of the list.

    ``level`` is MUST, MUST NOT, SHOULD, SHOULD NOT or MAY, ``implied`` whether the RFC states it as a plain fact
    instead. ``applies_to`` is client, server, both, record-layer or crypto. ``observable`` is what a peer can see of
    it, None if that is nothing. ``expected_alert`` are the names of the alerts that may answer a violation, the best
    first. ``exit_phase`` is the phase of the exit that it touches, if any.
    """

    id: str
    rfc: str
    section: str
    level: str
    implied: bool
    applies_to: str
    statement: str
    observable: str | None
    probe: str
    expected_alert: tuple[str, ...]
    exit_phase: str | None
    notes: str | None

    @property
    def title(self) -> str:
        """Where it stands: ``RFC 2246 §7.4.9``."""
        return f"RFC {self.rfc} §{self.section}"

    @property
    def strict(self) -> bool:
        """Whether it is a MUST or MUST NOT."""
        return self.level.startswith("MUST")


@cache
def _document() -> dict[str, Any]:
    text = files(__package__).joinpath("requirements.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@cache
def requirements() -> tuple[Requirement, ...]:
    """Return every requirement, in the order of the list."""
    return tuple(
        Requirement(
            **{
                **item,
                "rfc": item["rfc"].removeprefix("RFC"),
                "expected_alert": tuple(item["expected_alert"] or ()),
            }
        )
        for item in _document()["requirements"]
    )


@cache
def by_id() -> Mapping[str, Requirement]:
    """Return the requirements by their ids."""
    return {item.id: item for item in requirements()}


@cache
def corrections() -> Mapping[str, str]:
    """Return what was wrong in the list before, by id."""
    return _notes("corrections.toml")


@cache
def unprobed() -> Mapping[str, str]:
    """Return why requirements have no probe: by id, or by id and role where only one role has none."""
    return _notes("unprobed.toml")


def _notes(name: str) -> Mapping[str, str]:
    loaded: dict[str, str] = tomllib.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))
    return loaded
