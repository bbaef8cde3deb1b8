"""What applications are told: the fields and their sizes."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from tlsexit.alerts import LocalError
from tlsexit.exits.application import ApplicationExits, TransportSecurity


def test_a_session_that_is_not_secured() -> None:
    """What an application tells its exits of a plain connection, so that they need not care."""
    assert TransportSecurity().fields() == {
        "secured": False,
        "role": "",
        "authentication": "A",
        "cipher_suite": b"\0\0",
        "profile_id": "",
        "parm": "",
        "peer_ca_id": "",
        "user_certificate_id": "",
        "peer_chain_file": "",
        "global_area": bytes(64),
    }


@pytest.mark.parametrize(
    ("name", "most"), [("profile_id", 32), ("parm", 64), ("peer_ca_id", 256), ("user_certificate_id", 256)]
)
def test_sizes(name: str, most: int) -> None:
    fields: dict[str, Any] = {name: "x" * most}
    assert getattr(TransportSecurity(**fields), name) == "x" * most
    fields = {name: "x" * (most + 1)}
    with pytest.raises(LocalError, match=f"{name} has at most {most} characters"):
        TransportSecurity(**fields)


@pytest.mark.parametrize("fields", [{"cipher_suite": 2**16}, {"cipher_suite": -1}, {"global_area": bytes(63)}])
def test_two_bytes_and_sixty_four(fields: dict[str, Any]) -> None:
    with pytest.raises(LocalError):
        TransportSecurity(**fields)


def test_nothing_can_be_changed() -> None:
    """The global area is handed on read-only."""
    security = TransportSecurity()
    with pytest.raises(FrozenInstanceError):
        security.global_area = b""  # type: ignore[misc]
    with pytest.raises(TypeError):
        security.global_area[0] = 1  # type: ignore[index]
    assert b"secret" not in repr(TransportSecurity(global_area=b"secret".ljust(64, b"\0"))).encode()


def test_the_base_class_lets_everything_through() -> None:
    exits: Any = ApplicationExits()
    assert exits.directory(None) is exits.file(None) is exits.end_of_transfer(None) is None
