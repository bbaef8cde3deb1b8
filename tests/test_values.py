"""Copies with some fields changed are those of the standard library."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.ends import client_end, handshake, server_end
from tlsexit.exits.context import SessionContext
from tlsexit.handshake.negotiation import Negotiation
from tlsexit.profile import Profile
from tlsexit.session import Session
from tlsexit.values import evolve

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


def test_what_checks_itself_is_refused() -> None:
    """Its check would be left out."""
    with pytest.raises(TypeError, match="not a plain value"):
        evolve(Checked(1, 2), low=3)


@pytest.mark.parametrize("cls", [SessionContext, Negotiation, Session])
def test_the_classes_it_is_used_for_check_nothing(cls: type[Any]) -> None:
    assert not hasattr(cls, "__post_init__")
    assert hasattr(Profile, "__post_init__")
