"""Copies of frozen values with some fields changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["evolve"]

if TYPE_CHECKING:
    # what follows means the same, and type checkers know this one
    from dataclasses import replace as evolve
else:
    from dataclasses import fields
    from functools import cache
    from operator import attrgetter

    def evolve(value, /, **changes):
        """Return ``dataclasses.replace(value, **changes)``, at a third of the cost: a handshake makes ten contexts.

        For frozen, slotted dataclasses of two fields or more that check nothing when they are made; any other is a
        TypeError.
        """
        cls = type(value)
        places, contents = _shape(cls)
        made = object.__new__(cls)
        for place, content in zip(places.values(), contents(value)):  # noqa: B905 (keywords cost, here too)
            place(made, content)
        try:
            for name, content in changes.items():
                places[name](made, content)
        except KeyError as error:
            raise TypeError(f"{cls.__name__} has no field {error}") from None
        return made

    @cache
    def _shape(cls):
        """Return the setter of each field's slot, past the freeze, and what gets all fields at once."""
        names = [field.name for field in fields(cls)]
        if hasattr(cls, "__post_init__") or len(names) < 2:
            raise TypeError(f"{cls.__name__} is not a plain value")
        return {name: getattr(cls, name).__set__ for name in names}, attrgetter(*names)
