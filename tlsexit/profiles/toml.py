"""Security profiles in TOML.

::

    [server.partners]
    cipher_suites = ["AES128-SHA", 53]
    verify = "required"
    root_ca_ids = ["ROOT1", "ROOT2"]
    depth = 2

A table is ``[server.ID]`` or ``[client.ID]``; its keys are the elements of :class:`~tlsexit.profile.Profile`.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.profile import Profile
from tlsexit.profiles.elements import ELEMENTS, ProfileError, converted, make_profile, shown, unknown

_FIELDS: Final = {element.field: element for element in ELEMENTS}
_AT_LINE: Final = re.compile(r"(.*) \(at line (\d+), column \d+\)")


def read_toml(text: str, file: str) -> dict[tuple[Role, str], Profile]:
    """Return the profiles in ``text``; ``file`` is its name for errors.

    Raises :class:`~tlsexit.profiles.ProfileError` with the line and what was expected there.
    """
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # besides what it documents, the parser fails over numbers of thousands of digits and thousands of brackets
        found = _AT_LINE.fullmatch(str(error))
        line = int(found[2]) if found else text.count("\n") + 1
        reason = found[1] if found else str(error)
        raise ProfileError(file, line, f"not TOML: {reason[0].lower()}{reason[1:]}") from error
    profiles = {}
    for side, tables in document.items():
        line = _line(text, side)
        try:
            direction = Role(side)
        except ValueError as error:
            raise ProfileError(file, line, f"[server.ID] or [client.ID] expected, not {shown(side)[1:-1]}") from error
        if not isinstance(tables, dict):
            raise ProfileError(file, line, f"{side} holds one table for each profile: [{side}.ID]")
        for id, table in tables.items():
            if not isinstance(table, dict):
                raise ProfileError(file, _line(text, side, id), f"[{side}.{id}] is a table, not {shown(table)}")
            profiles[direction, id] = _profile(direction, id, table, text, file)
    return profiles


def _profile(direction: Role, id: str, table: dict[str, Any], text: str, file: str) -> Profile:
    elements: dict[str, Any] = {"id": id}
    try:
        make_profile(direction, elements)
    except LocalError as error:
        raise ProfileError(file, _line(text, direction.value, id), str(error)) from error
    for name, value in table.items():
        element = _FIELDS.get(name)
        try:
            if element is None:
                raise unknown("element", name, _FIELDS)
            elements[name] = converted(element, name, value, direction)
        except LocalError as error:
            raise ProfileError(file, _line(text, direction.value, id, name), str(error)) from error
    return make_profile(direction, elements)


def _line(text: str, *path: str) -> int:
    """Return the line where the statement begins that brings in a table or a key.

    The parser keeps no positions, but the beginning of a document up to any statement is a document too: the shortest
    one with the path ends with that statement.
    """
    lines = text.split("\n")
    low, high = 0, len(lines)
    while high - low > 1:
        middle = (low + high) // 2
        if _has(_document(lines, middle)[1], path):
            high = middle
        else:
            low = middle
    return _document(lines, high - 1)[0] + 1


def _document(lines: list[str], count: int) -> tuple[int, dict[str, Any]]:
    """Return the longest document within the first ``count`` lines, as its number of lines and its content."""
    for number in range(count, 0, -1):
        try:
            return number, tomllib.loads("\n".join(lines[:number]) + "\n")
        except (ValueError, RecursionError):
            continue  # it ends inside a value
    return 0, {}


def _has(document: Any, path: tuple[str, ...]) -> bool:
    for name in path:
        if not isinstance(document, dict) or name not in document:
            return False
        document = document[name]
    return True
