"""What the hellos settle, and the checks that both sides share."""

from __future__ import annotations

import pytest

from tlsexit.alerts import DecodeError, HandshakeFailure
from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES
from tlsexit.handshake.extensions import BODIES, Extension
from tlsexit.handshake.negotiation import FinishedPair, Negotiation, check_not_weakened, read_bodies

AES, RC4 = SUITES[0x002F], SUITES[0x0005]


def test_security_parameters() -> None:
    """R2246-6.1-04: what the keys of both directions come from; the secret is not shown."""
    negotiation = Negotiation(suite=AES, client_version=0x0301, client_random=b"c" * 32, server_random=b"s" * 32)
    parameters = negotiation.security_parameters(b"the master secret")
    assert (parameters.client_random, parameters.server_random) == (b"c" * 32, b"s" * 32)
    assert parameters.master_secret == b"the master secret"
    assert "the master secret" not in repr(parameters)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("kind", [22, 23, 11, 16, 0xFF01])
def test_known_extensions_must_parse(role: Role, kind: int) -> None:
    """R2246-7.4.1.2-21: whether or not they are of any use here."""
    with pytest.raises(DecodeError):
        read_bodies((Extension(kind, b"\xff\xff\xff"),), BODIES[role])


@pytest.mark.parametrize("role", Role)
def test_unknown_extensions_may_hold_anything(role: Role) -> None:
    """R4366-2.3-03."""
    assert read_bodies((Extension(0x4A4A, b"\xff"), Extension(0xFFFF, b"")), BODIES[role]) == {}


@pytest.mark.parametrize("role", Role)
def test_what_extensions_say(role: Role) -> None:
    said = read_bodies((Extension(23, b""), Extension(0xFF01, b"\x02hi"), Extension(0x4A4A, b"")), BODIES[role])
    assert said == {23: b"", 0xFF01: b"hi"}


def test_a_renegotiation_keeps_encrypt_then_mac() -> None:
    """RFC 7366 §3.1: it may be gained and not be lost, except to a cipher that has no use for it."""
    before = FinishedPair(b"c" * 12, b"s" * 12, encrypt_then_mac=True)
    check_not_weakened(None, AES, False)
    check_not_weakened(before, AES, True)
    check_not_weakened(before, RC4, False)
    check_not_weakened(FinishedPair(b"", b""), AES, False)
    with pytest.raises(HandshakeFailure):
        check_not_weakened(before, AES, False)
