"""Values as code that rebuilds them, and back: how a finding is written down."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any


class Run(bytes):
    """One byte over and over; prints short."""

    def __repr__(self) -> str:
        return f"{bytes(self[:1])!r} * {len(self)}"


class Repeated(tuple[Any, ...]):
    """One value over and over; prints short."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"({as_code(self[0])},) * {len(self)}"


def as_code(value: Any) -> str:
    """Return a Python expression for ``value``: messages, mutations, scripts and what they consist of.

    Unlike ``repr``, it keeps fields that a dataclass hides, and leaves out those that have their default.
    """
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if is_dataclass(value) and not isinstance(value, type):
        given = []
        for field in fields(value):
            content = getattr(value, field.name)
            if field.init and not _is_default(field, content):
                given.append(f"{field.name}={as_code(content)}")
        return f"{type(value).__name__}({', '.join(given)})"
    if isinstance(value, tuple) and not isinstance(value, Repeated):
        return f"({', '.join(map(as_code, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(as_code, value))}]"
    if isinstance(value, bytes) and len(value) > 64 and len(set(value)) == 1:
        return repr(Run(value))
    return repr(value)


def _is_default(field: Any, content: Any) -> bool:
    return bool(content == field.default) and type(content) is type(field.default)
