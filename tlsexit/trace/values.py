"""What a decoded field can be, and its two forms: lines for a person, and plain values for JSON.

A number keeps its value beside its name, since a peer may send numbers without one. A secret never gets in here: only
its length does, as :class:`Hidden`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_SHOWN_BYTES: Final = 32
"""Longer octet strings are cut when shown to a person; JSON has them whole."""

_NAME_WIDTH: Final = 22


@dataclass(frozen=True, slots=True)
class Named:
    """A number with the name it has in some registry; None for a number without one. ``digits`` 0 is decimal."""

    number: int
    name: str | None
    digits: int = 0

    @classmethod
    def of(cls, number: int, names: Mapping[int, str], digits: int = 0) -> Named:
        """Return the number with its name among ``names``."""
        return cls(number, names.get(number), digits)

    def __str__(self) -> str:
        number = f"0x{self.number:0{self.digits}X}" if self.digits else str(self.number)
        return number if self.name is None else f"{self.name} ({number})"


@dataclass(frozen=True, slots=True)
class Octets:
    """Bytes that may be shown."""

    data: bytes

    def __str__(self) -> str:
        if not self.data:
            return "empty"
        shown = self.data[:_SHOWN_BYTES].hex()
        return shown if len(self.data) <= _SHOWN_BYTES else f"{shown}… ({count(len(self.data))})"


@dataclass(frozen=True, slots=True)
class Hidden:
    """Bytes of which only the number is shown: keys, ciphertexts of keys, tickets, application data."""

    length: int

    def __str__(self) -> str:
        return count(self.length)


@dataclass(frozen=True, slots=True)
class Structure:
    """Fields in the order of the wire."""

    fields: tuple[tuple[str, Value], ...]

    @classmethod
    def of(cls, **fields: Value) -> Structure:
        """Return a structure with these fields."""
        return cls(tuple(fields.items()))


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value behind a type number, as an extension is; ``keys`` are the names of both on the wire."""

    tag: Named
    value: Value
    keys: tuple[str, str]


Value = Named | Octets | Hidden | Structure | Tagged | str | int | tuple["Value", ...] | None
"""None stands for a body that is empty because its presence says all."""


def count(number: int) -> str:
    """Return a number of bytes in words."""
    return f"{number} byte{'' if number == 1 else 's'}"


def plain(value: Value) -> Any:
    """Return the form for JSON: numbers as ``{"value", "name"}``, bytes in hex, hidden ones as ``{"length"}``."""
    if isinstance(value, Named):
        return {"value": value.number, "name": value.name}
    if isinstance(value, Octets):
        return value.data.hex()
    if isinstance(value, Hidden):
        return {"length": value.length}
    if isinstance(value, Structure):
        return {name: plain(item) for name, item in value.fields}
    if isinstance(value, Tagged):
        return {value.keys[0]: plain(value.tag), value.keys[1]: plain(value.value)}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def lines(structure: Structure, indent: int = 0) -> Iterator[str]:
    """Yield the lines for a person, a field a line and what is nested under it."""
    for name, value in structure.fields:
        yield from _titled(name, value, indent)


def _titled(title: str, value: Value, indent: int) -> Iterator[str]:
    margin = " " * indent
    if isinstance(value, Structure) and value.fields:
        yield margin + title
        yield from lines(value, indent + 2)
    elif isinstance(value, tuple) and value:
        yield margin + title
        for item in value:
            yield from _item(item, indent + 2)
    elif isinstance(value, Tagged):
        yield margin + title
        yield from _item(value, indent + 2)
    else:
        yield f"{margin}{title:<{max(_NAME_WIDTH - indent, 1)}} {_text(value)}"


def _item(value: Value, indent: int) -> Iterator[str]:
    """Yield the lines of one of several values, which has no name of its own."""
    margin = " " * indent
    if isinstance(value, Tagged):
        if value.value is None:
            yield f"{margin}{value.tag}"
        else:
            yield from _titled(str(value.tag), value.value, indent)
    elif isinstance(value, Structure):
        # a dash where one structure ends and the next begins
        first = True
        for line in lines(value, indent + 2):
            yield f"{margin}- {line[indent + 2 :]}" if first else line
            first = False
    elif isinstance(value, tuple):
        for item in value:
            yield from _item(item, indent)
    else:
        yield margin + _text(value)


def _text(value: Value) -> str:
    return "empty" if value in (None, (), "") or value == Structure(()) else str(value)
