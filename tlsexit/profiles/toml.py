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
from tlsexit.profiles.elements import ELEMENTS, ProfileError, converted, make_profile, role

_FIELDS: Final = {element.field: element for element in ELEMENTS}
_HEADER: Final = re.compile(r"\s*\[")
_AT_LINE: Final = re.compile(r"(.*) \(at line (\d+), column \d+\)")


def read_toml(text: str, file: str) -> dict[tuple[Role, str], Profile]:
    """Return the profiles in ``text``; ``file`` is its name for errors.

    Raises :class:`~tlsexit.profiles.ProfileError` with the line and what was expected there.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _AT_LINE.fullmatch(str(error))
        line = int(found[2]) if found else text.count("\n") + 1
        raise ProfileError(file, line, found[1] if found else str(error)) from error
    profiles = {}
    for side, tables in document.items():
        line = _line(text, side)
        try:
            direction = role(side)
        except ValueError as error:
            raise ProfileError(file, line, f"[server.ID] or [client.ID] expected, not {side}") from error
        if not isinstance(tables, dict):
            raise ProfileError(file, line, f"{side} holds one table for each profile: [{side}.ID]")
        for id, table in tables.items():
            if not isinstance(table, dict):
                raise ProfileError(file, line, f"[{side}.{id}] is a table, not {table!r}")
            profiles[direction, id] = _profile(direction, id, table, text, file)
    return profiles


def _profile(direction: Role, id: str, table: dict[str, Any], text: str, file: str) -> Profile:
    elements = {}
    for name, value in table.items():
        element = _FIELDS.get(name)
        try:
            if element is None:
                raise LocalError(f"the element {name} is unknown; there are {', '.join(_FIELDS)}")
            elements[name] = converted(element, name, value)
        except LocalError as error:
            raise ProfileError(file, _line(text, direction.value, id, name), str(error)) from error
    try:
        return make_profile(direction, {"id": id, **elements})
    except LocalError as error:
        raise ProfileError(file, _line(text, direction.value, id), str(error)) from error


def _line(text: str, *path: str) -> int:
    """Return the line of a table, or of a key in it; the parser keeps no positions, so it is looked for."""
    lines = text.splitlines()
    header = re.compile(r"\s*\[\s*" + r"\s*\.\s*".join(rf"[\"']?{re.escape(part)}[\"']?" for part in path[:2]))
    start = next((number for number, line in enumerate(lines) if header.match(line)), 0)
    if len(path) < 3:
        return start + 1
    key = re.compile(rf"\s*[\"']?{re.escape(path[2])}[\"']?\s*=")
    for number in range(start + 1, len(lines)):
        if _HEADER.match(lines[number]):
            break
        if key.match(lines[number]):
            return number + 1
    return start + 1
