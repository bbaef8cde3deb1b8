"""Contexts and areas."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest

from tests.support.pki import pki
from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.exits.context import (
    GLOBAL_AREA_SIZE,
    PUBLIC_AREA_SIZE,
    Area,
    Authentication,
    SessionContext,
    TaskContext,
    padded_global_area,
)
from tlsexit.profile import Profile


def test_sizes() -> None:
    """4096 bytes for each task, 64 bytes handed to the application."""
    assert (PUBLIC_AREA_SIZE, GLOBAL_AREA_SIZE) == (4096, 64)
    assert len(TaskContext(1).public_area) == 4096


@pytest.mark.parametrize("size", [0, 10])
@pytest.mark.parametrize(
    "resize",
    [
        lambda area: area.extend(b"more"),
        lambda area: area.append(1),
        lambda area: area.__iadd__(b"more"),
        lambda area: area.__setitem__(slice(0, 0), b"more"),
        lambda area: area.insert(0, 1),
    ],
)
def test_an_area_keeps_its_size(size: int, resize: Callable[[bytearray], object]) -> None:
    """An exit that writes beyond the end fails, and nobody else notices."""
    area = Area(size)
    with pytest.raises(BufferError):
        resize(area)
    assert bytes(area) == bytes(size)


def test_an_area_is_a_bytearray() -> None:
    """Written in place, compared, copied; a copy keeps its size too."""
    area = Area(4)
    area[1:3] = b"xy"
    assert area == b"\0xy\0"
    with pytest.raises(BufferError):
        area.clear()
    for twin in (copy.deepcopy(area), pickle.loads(pickle.dumps(area))):
        assert twin == area
        assert twin is not area
        with pytest.raises(BufferError):
            twin.clear()


def test_public_areas_are_not_shared() -> None:
    first, second = TaskContext(1), TaskContext(2)
    first.public_area[0] = 7
    assert second.public_area == bytes(4096)


def test_session_references_are_unique_within_their_task() -> None:
    task = TaskContext(1)
    assert len({task.next_session_reference() for _ in range(100)}) == 100


@pytest.mark.parametrize("value", [None, b"", b"short", bytearray(b"short"), memoryview(b"x" * 64)])
def test_the_global_area_is_padded(value: object) -> None:
    area = padded_global_area(value)
    assert len(area) == 64
    assert area.rstrip(b"\0") == bytes(value or b"").rstrip(b"\0")  # type: ignore[call-overload]


@pytest.mark.parametrize("value", [b"x" * 65, "text", 7, [1, 2]])
def test_what_is_no_global_area(value: object) -> None:
    """Longer is an error."""
    with pytest.raises(LocalError, match="global area"):
        padded_global_area(value)


def test_chains_as_objects() -> None:
    """An exit is given both forms."""
    context = SessionContext(
        task=TaskContext(1),
        reference=1,
        role=Role.CLIENT,
        profile=Profile.client(),
        own_chain=pki().client.chain,
        peer_chain=pki().intermediate_server.chain,
    )
    assert context.own_certificates == (pki().client.certificate,)
    assert len(context.peer_certificates) == 2
    assert context.peer_certificates[0] == pki().intermediate_server.certificate


def test_the_letters_of_the_manual() -> None:
    assert [item.value for item in Authentication] == ["A", "S", "B"]


def test_areas_and_passwords_are_not_shown() -> None:
    task = TaskContext(1, password=b"sesame", public_area=bytearray(b"in the area"))
    context = SessionContext(
        task=task, reference=1, role=Role.CLIENT, profile=Profile.client(), private_area=bytearray(b"private thing")
    )
    shown = repr(context)
    for secret in ("sesame", "in the area", "private thing"):
        assert secret not in shown
