"""The server's choices: suites and curves in common, and what of an offer no choice can mend."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tlsexit.alerts import HandshakeFailure, IllegalParameter, PeerError, ProtocolVersionError
from tlsexit.constants import EMPTY_RENEGOTIATION_INFO_SCSV
from tlsexit.handshake.choice import common_groups, common_suites, read_client_hello
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import EC_POINT_FORMATS, SUPPORTED_GROUPS, Extension, extension
from tlsexit.handshake.hello import ClientHello
from tlsexit.handshake.negotiation import FinishedPair
from tlsexit.profile import Profile, Verify

HELLO = ClientHello(0x0301, bytes(32), b"", (0xC013, 0x0033, 0x002F), (0,), None)
SERVER = Profile.server(verify=Verify.NONE, cipher_suites=(0x002F, 0x0033, 0xC013))


def groups(*values: int) -> Extension:
    return extension(ExtensionType.SUPPORTED_GROUPS, SUPPORTED_GROUPS, values)


def suites(hello: ClientHello, profile: Profile = SERVER) -> list[int]:
    return [suite.value for suite in common_suites(read_client_hello(hello, None, profile), profile)]


def test_the_clients_order_or_the_servers() -> None:
    """R2246-7.4.1.2-11."""
    assert suites(HELLO) == [0xC013, 0x0033, 0x002F]
    assert suites(HELLO, replace(SERVER, server_preference=True)) == [0x002F, 0x0033, 0xC013]


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        ((0x0033, 0x0033), [0x0033]),
        ((0x0A0A, 0x002F, 0xFFFF), [0x002F]),
        ((0x0035,), []),
        ((0x0000, 0x00FF, 0x5600), []),
    ],
)
def test_what_is_in_common(offered: tuple[int, ...], expected: list[int]) -> None:
    """R2246-7.4.1.2-13, R2246-A.5-01."""
    assert suites(replace(HELLO, cipher_suites=offered)) == expected


@pytest.mark.parametrize(
    ("extensions", "expected"),
    [
        ((groups(23),), True),
        ((groups(0x6399, 29),), True),
        ((groups(22, 26),), False),
        ((extension(ExtensionType.EC_POINT_FORMATS, EC_POINT_FORMATS, (0, 1)),), True),
        ((extension(ExtensionType.EC_POINT_FORMATS, EC_POINT_FORMATS, (1, 2)),), False),
    ],
)
def test_elliptic_suites_need_a_curve_in_common(extensions: tuple[Extension, ...], expected: bool) -> None:
    """R4492-4-01."""
    assert (0xC013 in suites(replace(HELLO, extensions=extensions))) is expected


def test_which_curves_are_in_common() -> None:
    """The server's favourite first; a client that names none takes any."""
    offer = read_client_hello(replace(HELLO, extensions=(groups(25, 23, 99),)), None, SERVER)
    assert common_groups(offer, SERVER) == (23, 25)
    assert common_groups(read_client_hello(HELLO, None, SERVER), SERVER) == SERVER.groups


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_version": 0x0300}, ProtocolVersionError),
        ({"client_version": 0x0002}, ProtocolVersionError),
        ({"compression_methods": (1,)}, IllegalParameter),
        ({"extensions": (Extension(0xFF01, b"\1x"),)}, HandshakeFailure),
    ],
)
def test_what_no_choice_can_mend(changes: dict[str, object], error: type[PeerError]) -> None:
    """R2246-7.2.2-20, R2246-7.4.1.2-14, R5746-3.6-01."""
    with pytest.raises(error):
        read_client_hello(replace(HELLO, **changes), None, SERVER)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "secure"),
    [
        ({}, False),
        ({"extensions": (Extension(0xFF01, b"\0"),)}, True),
        ({"cipher_suites": (0x002F, EMPTY_RENEGOTIATION_INFO_SCSV)}, True),
    ],
)
def test_who_signals_secure_renegotiation(changes: dict[str, object], secure: bool) -> None:
    """R5746-3.6-01."""
    hello = replace(HELLO, **changes)  # type: ignore[arg-type]
    assert read_client_hello(hello, None, SERVER).secure_renegotiation is secure


def test_a_renegotiation_names_the_handshake_before() -> None:
    """R5746-3.7-01."""
    previous = FinishedPair(b"c" * 12, b"s" * 12)
    good = replace(HELLO, extensions=(Extension(0xFF01, b"\x0c" + b"c" * 12),))
    assert read_client_hello(good, previous, SERVER).secure_renegotiation
    for wrong in (b"\0", b"\x0c" + b"s" * 12, b"\x18" + b"c" * 12 + b"s" * 12):
        with pytest.raises(HandshakeFailure):
            read_client_hello(replace(HELLO, extensions=(Extension(0xFF01, wrong),)), previous, SERVER)
    with pytest.raises(HandshakeFailure):
        read_client_hello(HELLO, previous, SERVER)
    with pytest.raises(HandshakeFailure):
        read_client_hello(replace(good, cipher_suites=(0x002F, EMPTY_RENEGOTIATION_INFO_SCSV)), previous, SERVER)
