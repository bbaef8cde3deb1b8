"""Copies with some fields changed are those of the standard library."""

from __future__ import annotations

import inspect
import sys
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.ends import client_end, handshake, server_end
from tlsexit.exits.context import SessionContext
from tlsexit.handshake.negotiation import Negotiation
from tlsexit.profile import Profile
from tlsexit.session import Session
from tlsexit.values import evolve, quicken

NAMES = [field.name for field in fields(SessionContext)]


def context() -> SessionContext:
    """What a connection knows after a handshake."""
    client, server = client_end(), server_end()
    handshake(client, server)
    return client.connection.context


CONTEXT = context()


@given(st.dictionaries(st.sampled_from(NAMES), st.integers() | st.binary()))
def test_it_is_what_dataclasses_replace_makes(changes: dict[str, Any]) -> None:
    before = replace(CONTEXT)
    made = evolve(CONTEXT, **changes)
    assert made == replace(CONTEXT, **changes)
    assert type(made) is SessionContext
    assert before == CONTEXT


def test_a_copy_is_frozen_too() -> None:
    made = evolve(CONTEXT, resumed=True)
    with pytest.raises(AttributeError):
        made.resumed = False  # type: ignore[misc]


def test_an_unknown_field_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="no field 'colour'"):
        evolve(CONTEXT, colour="red")  # type: ignore[call-arg]


@dataclass(frozen=True, slots=True)
class Checked:
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("nothing is between them")


def test_what_checks_itself_is_checked() -> None:
    with pytest.raises(ValueError, match="nothing is between them"):
        evolve(Checked(1, 2), low=3)
    assert evolve(Checked(1, 2), low=0) == Checked(0, 2)


@pytest.mark.parametrize("cls", [SessionContext, Negotiation, Session])
def test_the_classes_it_is_used_for_check_nothing(cls: type[Any]) -> None:
    assert not hasattr(cls, "__post_init__")
    assert hasattr(Profile, "__post_init__")


# ------------------------------------------------------------------------------------------------ making values

QUICK = [
    cls
    for name, module in sorted(sys.modules.items())
    if name.startswith("tlsexit.")
    for cls in vars(module).values()
    if isinstance(cls, type) and cls.__module__ == name and hasattr(vars(cls).get("__init__"), "__wrapped__")
]


def test_most_of_what_a_handshake_makes_is_quick() -> None:
    names = {cls.__name__ for cls in QUICK}
    assert {"AwaitServerHello", "Send", "Answered", "SessionContext", "ClientHello", "Handled"} <= names


@pytest.mark.parametrize("cls", QUICK, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_the_signature_stays(cls: type[Any]) -> None:
    quick = inspect.signature(cls.__init__, follow_wrapped=False).parameters.values()
    slow = inspect.signature(cls.__init__.__wrapped__).parameters.values()
    assert [(p.name, p.kind) for p in quick] == [(p.name, p.kind) for p in slow]
    made = {field.name for field in fields(cls) if field.default_factory is not MISSING}
    assert [p.default for p in quick if p.name not in made] == [p.default for p in slow if p.name not in made]


@pytest.mark.parametrize("cls", QUICK, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
@pytest.mark.parametrize("contents", [{}, {"__slots__": ()}, {"__slots__": ("more",)}], ids=["dict", "same", "more"])
def test_a_derived_class_has_values_of_its_own(cls: type[Any], contents: dict[str, Any]) -> None:
    """Whatever its layout: an exit may answer with them."""
    if hasattr(cls, "__post_init__"):
        return
    derived = type("Derived", (cls,), dict(contents))
    given = {item.name: f"the {item.name}" for item in fields(cls)}
    made: Any = derived(**given)
    assert {name: getattr(made, name) for name in given} == given
    if not given:
        return
    with pytest.raises(AttributeError):
        setattr(made, next(iter(given)), "another")
    changed = evolve(made, **dict.fromkeys(list(given)[:1], "another"))
    assert (type(made), type(changed)) == (derived, derived)
    assert {name: getattr(changed, name) for name in given} == {**given, next(iter(given)): "another"}


@dataclass(frozen=True, slots=True)
class Base:
    first: int


@dataclass(frozen=True, slots=True)
class Whole(Base):
    second: int = 2
    third: list[int] = field(default_factory=list)
    fourth: int = field(default=4, kw_only=True)

    def __post_init__(self) -> None:
        if self.first < 0:
            raise ValueError("less than nothing")


SLOW = Whole.__init__
quicken(__name__)


@given(first=st.integers(), others=st.dictionaries(st.sampled_from(["second", "third", "fourth"]), st.integers()))
def test_it_makes_what_the_dataclass_makes(first: int, others: dict[str, Any]) -> None:
    slow = object.__new__(Whole)
    try:
        SLOW(slow, first, **others)
    except ValueError:
        with pytest.raises(ValueError, match="less than nothing"):
            Whole(first, **others)
        return
    quick = Whole(first, **others)
    assert quick == slow
    with pytest.raises(AttributeError):
        quick.second = 3  # type: ignore[misc]


def test_each_gets_a_default_of_its_own() -> None:
    assert Whole(1).third is not Whole(1).third


@pytest.mark.parametrize("arguments", [(), (1, 2, [], 4), (1, 2, [], 4, 5)])
def test_wrong_arguments_are_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        Whole(*arguments)
