"""Frozen values at the price of ordinary objects: a handshake makes some two hundred of them.

A frozen dataclass sets each field by ``object.__setattr__``, which looks its slot up by name. Here the slots' own
setters are called; and a value of many fields is filled while it still belongs to its twin, a class with the same slots
that is not frozen, where setting a field is one instruction. The same fields, the same signature, the same freeze, in
a half to a quarter of the time.
"""

from __future__ import annotations

import sys
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from functools import cache, update_wrapper
from typing import TYPE_CHECKING, Any, Final

__all__ = ["evolve", "quicken"]

_MANY: Final = 5
"""Fields from which on it pays to change the class of a value twice."""


def quicken(module: str) -> None:
    """Give the frozen, slotted dataclasses that ``module`` defines an ``__init__`` that does the same faster."""
    for cls in tuple(vars(sys.modules[module]).values()):
        if isinstance(cls, type) and cls.__module__ == module and _is_value(cls):
            cls.__init__ = _initializer(cls)  # type: ignore[misc]


if TYPE_CHECKING:
    # what follows means the same, and type checkers know this one
    from dataclasses import replace as evolve
else:

    def evolve(value, /, **changes):
        """Return ``dataclasses.replace(value, **changes)``.

        At a tenth of the cost for frozen, slotted dataclasses that check nothing when they are made.
        """
        cls = type(value)
        copier = _copier(cls)
        if copier is None:
            return replace(value, **changes)
        names, copied = copier
        made = copied(value)
        for name, content in changes.items():
            if name not in names:
                raise TypeError(f"{cls.__name__} has no field {name!r}")
            setattr(made, name, content)
        made.__class__ = cls
        return made

    @cache
    def _copier(cls):
        """Return the names of the fields, and what makes of a value an equal one that still belongs to the twin.

        None for what takes more: a class that checks its values, or somebody's own class derived from one of ours.
        """
        if not _is_value(cls) or hasattr(cls, "__post_init__"):
            return None
        names = frozenset(field.name for field in fields(cls))
        lines = ["def copied(value):", "    made = new(twin)"]
        lines += [f"    made.{name} = value.{name}" for name in names]
        known = {"new": object.__new__, "twin": _twin(cls)}
        return names, _compiled("copied", cls, [*lines, "    return made"], known)


def _is_value(cls: Any) -> bool:
    frozen: bool = is_dataclass(cls) and getattr(cls, "__dataclass_params__").frozen  # noqa: B009 (untyped)
    return frozen and "__slots__" in vars(cls)


@cache
def _twin(cls: Any) -> Any:
    """Return a class with the same slots that is not frozen: an instance may change from one to the other."""
    contents = {"__slots__": vars(cls)["__slots__"], "__setattr__": object.__setattr__}
    return type(cls)(f"_{cls.__name__}", cls.__bases__, contents)


def _compiled(function: str, cls: Any, lines: list[str], known: dict[str, Any]) -> Any:
    """Return the function that ``lines`` define; they are made of field names alone."""
    exec(compile("\n".join(lines), f"<value {cls.__name__}>", "exec"), known)
    return known[function]


def _setters(cls: Any) -> dict[str, Any]:
    """Return the setter of each field's slot, past the freeze."""
    return {field.name: getattr(cls, field.name).__set__ for field in fields(cls)}


def _initializer(cls: Any) -> Any:
    """Return an ``__init__`` with the signature of the one that the class has."""
    names: dict[str, Any] = {}
    ordinary: list[str] = ["self"]
    keywords: list[str] = []
    made: list[str] = []
    for field in fields(cls):
        (keywords if field.kw_only else ordinary).append(_parameter(field, names))
        if field.default_factory is not MISSING:
            names[f"make_{field.name}"] = field.default_factory
            made.append(f"    if {field.name} is default_{field.name}: {field.name} = make_{field.name}()")
    parameters = ", ".join([*ordinary, *(["*", *keywords] if keywords else [])])
    lines = [f"def __init__({parameters}):", *made, *_assignments(cls, names)]
    if hasattr(cls, "__post_init__"):
        lines.append("    self.__post_init__()")
    return update_wrapper(_compiled("__init__", cls, [*lines, "    pass"], names), cls.__init__)


def _assignments(cls: Any, names: dict[str, Any]) -> list[str]:
    """Return the lines that set all fields; what they need goes into ``names``."""
    setters = _setters(cls)
    names |= {f"set_{name}": setter for name, setter in setters.items()}
    one_by_one = [f"    set_{name}(self, {name})" for name in setters]
    if len(setters) < _MANY:
        return one_by_one
    names |= {"set_class": object.__dict__["__class__"].__set__, "twin": _twin(cls), "cls": cls}
    assigned = [
        "    set_class(self, twin)",
        *(f"    self.{name} = {name}" for name in setters),
        "    self.__class__ = cls",
    ]
    # a class derived from this one may have another layout, and is to stay the class of its values
    choices = ("    if type(self) is cls:", *(f"    {line}" for line in assigned), "    else:")
    return [*choices, *(f"    {line}" for line in one_by_one)]


def _parameter(field: Field[Any], names: dict[str, Any]) -> str:
    """Return how a field stands in the signature; its default goes into ``names``."""
    if field.default_factory is not MISSING:
        names[f"default_{field.name}"] = object()
    elif field.default is not MISSING:
        names[f"default_{field.name}"] = field.default
    else:
        return field.name
    return f"{field.name}=default_{field.name}"
