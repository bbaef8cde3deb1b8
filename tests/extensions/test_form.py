"""Extensions as such (RFC 4366 §2): offered by profile, malformed, repeated, unknown, unasked for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.conversation import carries_data, refused
from tests.support.ends import DHE_RSA, ECDHE_RSA, RSA, client_end, server_end
from tests.support.forge import EMPTY_RENEGOTIATION_INFO, Forge
from tests.support.traces import client_trace, server_hello, server_trace, split
from tlsexit.alerts import AlertDescription
from tlsexit.constants import EMPTY_RENEGOTIATION_INFO_SCSV
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension

GREASE = tuple(0x0A0A + 0x1010 * step for step in range(16))
"""The reserved values of RFC 8701 §2 for suites, extensions and groups: nobody may stumble over them."""

KNOWN_BODIES = {
    ExtensionType.SERVER_NAME: b"\0\x0c\0\0\x09localhost",
    ExtensionType.MAX_FRAGMENT_LENGTH: b"\4",
    ExtensionType.TRUSTED_CA_KEYS: b"\0\1\0",
    ExtensionType.STATUS_REQUEST: b"\1\0\0\0\0",
    ExtensionType.SUPPORTED_GROUPS: b"\0\2\0\x17",
    ExtensionType.EC_POINT_FORMATS: b"\1\0",
    ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: b"\0\3\2h2",
    ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP: b"",
    ExtensionType.ENCRYPT_THEN_MAC: b"",
    ExtensionType.EXTENDED_MASTER_SECRET: b"",
    ExtensionType.SESSION_TICKET: b"",
    ExtensionType.RENEGOTIATION_INFO: b"\0",
}
"""A well-formed body of each kind, as a client sends it."""

MALFORMED: dict[ExtensionType, tuple[bytes, ...]] = {
    # empty; an empty list; a length too long, too short; a name of no bytes
    ExtensionType.SERVER_NAME: (b"", b"\0\0", b"\0\x0d\0\0\x09localhost", b"\0\x0b\0\0\x09localhost", b"\0\3\0\0\0"),
    ExtensionType.MAX_FRAGMENT_LENGTH: (b"", b"\1\1"),
    ExtensionType.TRUSTED_CA_KEYS: (b"", b"\0\1", b"\0\1\1", b"\0\3\2\0\0", b"\0\1\0\0"),
    ExtensionType.STATUS_REQUEST: (b"", b"\1", b"\1\0\0\0", b"\1\0\2\0\0\0\0", b"\1\0\0\0\0\0"),
    ExtensionType.SUPPORTED_GROUPS: (b"", b"\0\0", b"\0\3\0\x17\0", b"\0\4\0\x17", b"\0\2\0\x17\0"),
    ExtensionType.EC_POINT_FORMATS: (b"", b"\0", b"\2\0", b"\1\0\0"),
    ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: (b"", b"\0\0", b"\0\1\0", b"\0\4\2h2", b"\0\3\3h2", b"\2h2"),
    ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP: (b"\0",),
    ExtensionType.ENCRYPT_THEN_MAC: (b"\0",),
    ExtensionType.EXTENDED_MASTER_SECRET: (b"\0",),
    ExtensionType.NEXT_PROTOCOL_NEGOTIATION: (b"\0", b"\2h2"),
    ExtensionType.RENEGOTIATION_INFO: (b"", b"\1", b"\0\0"),
}

EVERYTHING: dict[str, Any] = {
    "server_name": "localhost",
    "max_fragment_length": 4096,
    "trusted_authorities": ((0, b""),),
    "status_request": True,
    "alpn": ("h2",),
    "signed_certificate_timestamps": True,
    "npn": ("h2",),
    "session_tickets": True,
}
"""A profile that offers every extension there is."""


def answer_to(*extensions: Extension, suite: int = ECDHE_RSA, **profile: Any) -> Forge:
    """A server's reaction to a hello with these extensions."""
    return Forge(server_end(suite, **profile), suite, {"extensions": extensions}).play(client_trace(suite))


def offered(**profile: Any) -> dict[int, bytes]:
    """The extensions in a client's hello."""
    suites = profile.pop("suites", (ECDHE_RSA,))
    forge = Forge(client_end(*suites, **profile), suites[0])
    assert forge.client_hello is not None
    return {item.extension_type: item.extension_data for item in forge.client_hello.extensions or ()}


# ------------------------------------------------------------------------------------------------ offered


@pytest.mark.parametrize(
    ("profile", "kind", "body"),
    [
        ({"server_name": "localhost"}, ExtensionType.SERVER_NAME, "000c0000096c6f63616c686f7374"),
        ({"max_fragment_length": 512}, ExtensionType.MAX_FRAGMENT_LENGTH, "01"),
        ({"max_fragment_length": 4096}, ExtensionType.MAX_FRAGMENT_LENGTH, "04"),
        ({"trusted_authorities": ((0, b""), (1, bytes(20)))}, ExtensionType.TRUSTED_CA_KEYS, "00160001" + "00" * 20),
        ({"trusted_authorities": ((2, b"\x30\0"),)}, ExtensionType.TRUSTED_CA_KEYS, "00050200023000"),
        ({"status_request": True}, ExtensionType.STATUS_REQUEST, "0100000000"),
        ({}, ExtensionType.SUPPORTED_GROUPS, "0008001d001700180019"),
        ({"groups": (24,)}, ExtensionType.SUPPORTED_GROUPS, "00020018"),
        ({}, ExtensionType.EC_POINT_FORMATS, "0100"),
        (
            {"alpn": ("h2", "http/1.1")},
            ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION,
            "000c02683208687474702f312e31",
        ),
        ({"signed_certificate_timestamps": True}, ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP, ""),
        ({}, ExtensionType.ENCRYPT_THEN_MAC, ""),
        ({}, ExtensionType.EXTENDED_MASTER_SECRET, ""),
        ({"session_tickets": True}, ExtensionType.SESSION_TICKET, ""),
        ({"npn": ("h2",)}, ExtensionType.NEXT_PROTOCOL_NEGOTIATION, ""),
        ({}, ExtensionType.RENEGOTIATION_INFO, "00"),
    ],
)
def test_what_a_profile_offers(profile: dict[str, Any], kind: ExtensionType, body: str) -> None:
    """Byte for byte as the RFC of each has it; R7627-5.2-01, R5746-3.4-01, R4366-3.2-01."""
    assert offered(**profile)[kind].hex() == body


def test_the_least_a_profile_offers() -> None:
    """R4492-4-01: a client without ECC suites sends neither of their extensions. R5746-3.4-01 is never left out."""
    bare = offered(suites=(RSA,), encrypt_then_mac=False, extended_master_secret=False)
    assert bare == {ExtensionType.RENEGOTIATION_INFO: b"\0"}
    assert ExtensionType.SUPPORTED_GROUPS in offered(suites=(RSA, ECDHE_RSA))


def test_everything_at_once() -> None:
    """R4366-2.3-02: each kind once."""
    forge = Forge(client_end(ECDHE_RSA, **EVERYTHING), ECDHE_RSA)
    assert forge.client_hello is not None
    kinds = [item.extension_type for item in forge.client_hello.extensions or ()]
    assert sorted(kinds) == sorted(ExtensionType)


@pytest.mark.parametrize("profile", [{}, EVERYTHING], ids=["plain", "everything"])
def test_no_extensions_at_all(profile: dict[str, Any]) -> None:
    """R4366-2.1-01: not even an empty list; RFC 5746 §3.4: its SCSV stands in for the extension."""
    forge = Forge(client_end(ECDHE_RSA, extensions=False, **profile), ECDHE_RSA)
    assert forge.client_hello is not None
    assert forge.client_hello.extensions is None
    assert forge.client_hello.cipher_suites == (ECDHE_RSA, EMPTY_RENEGOTIATION_INFO_SCSV)


# ------------------------------------------------------------------------------------------------ ignored


def test_a_server_that_ignores_everything() -> None:
    """R4366-2.3-01: a server need not answer anything; the connection is then one of RFC 2246 alone."""
    client = client_end(ECDHE_RSA, **EVERYTHING)
    forge = Forge(client, ECDHE_RSA, {"extensions": None}).play(server_trace(ECDHE_RSA))
    carries_data(forge)
    context = client.connection.context
    assert not context.secure_renegotiation
    assert not context.extended_master_secret
    assert context.alpn_protocol is None


@pytest.mark.parametrize("kind", KNOWN_BODIES, ids=lambda kind: kind.name)
def test_each_alone_in_a_hello(kind: ExtensionType) -> None:
    """R4366-2.3-02: none needs another beside it, and any may come first."""
    carries_data(answer_to(Extension(kind, KNOWN_BODIES[kind])))


def test_any_order() -> None:
    """R4366-2.3-02: "free order" in both hellos."""
    bodies = tuple(Extension(kind, body) for kind, body in KNOWN_BODIES.items())
    one, other = answer_to(*bodies), answer_to(*reversed(bodies))
    for forge in (one, other):
        carries_data(forge)
        assert forge.server_hello is not None
    answers = [{item.extension_type for item in forge.server_hello.extensions or ()} for forge in (one, other)]  # type: ignore[union-attr]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("value", [*GREASE, 4, 13, 15, 17, 21, 43, 51, 0x754F, 0xFF00, 0xFFFF])
def test_unknown_extensions_to_a_server(value: int) -> None:
    """R4366-2.3-03, RFC 8701 §3.1: GREASE, RFC 4366's that are left out, and what later versions send."""
    for body in (b"", b"\0", bytes(range(256))):
        carries_data(answer_to(EMPTY_RENEGOTIATION_INFO, Extension(value, body), suite=RSA))


def test_grease_everywhere() -> None:
    """RFC 8701 §3.1: reserved suites, groups, extensions and ALPN names between the good ones."""
    groups = b"".join(value.to_bytes(2, "big") for value in (*GREASE, 23))
    formats = bytes([0x0B, *range(3, 250), 0])
    names = b"".join(b"\2" + value.to_bytes(2, "big") for value in GREASE) + b"\2h2"
    extensions = (
        *(Extension(value, b"grease") for value in GREASE),
        Extension(ExtensionType.SUPPORTED_GROUPS, len(groups).to_bytes(2, "big") + groups),
        Extension(ExtensionType.EC_POINT_FORMATS, bytes([len(formats)]) + formats),
        Extension(ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION, (len(names)).to_bytes(2, "big") + names),
    )
    fields = {
        "extensions": extensions,
        "cipher_suites": (*GREASE, ECDHE_RSA),
        "compression_methods": (0, *range(1, 256))[:255],
    }
    server = server_end(ECDHE_RSA, alpn=("h2",))
    carries_data(Forge(server, ECDHE_RSA, fields).play(client_trace(ECDHE_RSA)))
    assert server.connection.context.alpn_protocol == "h2"


@pytest.mark.parametrize("value", GREASE)
def test_grease_from_a_server(value: int) -> None:
    """RFC 8701 §3.1: a server that picks a reserved value is refused like with any other that was not offered."""
    client = Forge(client_end(), RSA, {"extensions": (Extension(value, b""),)}).play((server_hello,))
    refused(client, AlertDescription.UNSUPPORTED_EXTENSION)
    refused(Forge(client_end(), RSA, {"cipher_suite": value}).play((server_hello,)), AlertDescription.ILLEGAL_PARAMETER)


# ------------------------------------------------------------------------------------------------ malformed


@pytest.mark.parametrize(
    ("kind", "body"),
    [(kind, body) for kind, bodies in MALFORMED.items() for body in bodies],
    ids=lambda item: item.name if isinstance(item, ExtensionType) else item.hex() or "empty",
)
def test_malformed_bodies_from_a_client(kind: ExtensionType, body: bytes) -> None:
    """R2246-7.4.1.2-21, R4366-2.1-01: refused although this server may have no use for the extension."""
    refused(answer_to(Extension(kind, body)), AlertDescription.DECODE_ERROR)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (ExtensionType.SERVER_NAME, KNOWN_BODIES[ExtensionType.SERVER_NAME]),
        (ExtensionType.MAX_FRAGMENT_LENGTH, b""),
        (ExtensionType.TRUSTED_CA_KEYS, b"\0\0"),
        (ExtensionType.STATUS_REQUEST, b"\1\0\0\0\0"),
        (ExtensionType.EC_POINT_FORMATS, b""),
        (ExtensionType.EC_POINT_FORMATS, b"\0"),
        (ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION, b""),
        (ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION, b"\0\0"),
        (ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP, b""),
        (ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP, b"\0\0"),
        (ExtensionType.ENCRYPT_THEN_MAC, b"\0"),
        (ExtensionType.EXTENDED_MASTER_SECRET, b"\0"),
        (ExtensionType.SESSION_TICKET, b"ticket"),
        (ExtensionType.RENEGOTIATION_INFO, b""),
    ],
    ids=lambda item: item.name if isinstance(item, ExtensionType) else item.hex() or "empty",
)
def test_malformed_bodies_from_a_server(kind: ExtensionType, body: bytes) -> None:
    """R4366-3.1-02, R4366-3.4-01: a server's answer has a form of its own, mostly empty."""
    client = client_end(ECDHE_RSA, **EVERYTHING)
    forge = Forge(client, ECDHE_RSA, {"extensions": (Extension(kind, body),)}).play((server_hello,))
    refused(forge, AlertDescription.DECODE_ERROR)


# ------------------------------------------------------------------------------------------------ repeated


@pytest.mark.parametrize("kind", KNOWN_BODIES, ids=lambda kind: kind.name)
def test_each_kind_twice_from_a_client(kind: ExtensionType) -> None:
    """R4366-2.3-02, next to each other and apart, the same body or another."""
    twice = Extension(kind, KNOWN_BODIES[kind])
    refused(answer_to(twice, twice), AlertDescription.ILLEGAL_PARAMETER)
    refused(answer_to(twice, Extension(0x0A0A, b""), twice), AlertDescription.ILLEGAL_PARAMETER)


@pytest.mark.parametrize("kind", KNOWN_BODIES, ids=lambda kind: kind.name)
def test_each_kind_twice_from_a_server(kind: ExtensionType) -> None:
    """R4366-2.3-02."""
    twice = Extension(kind, KNOWN_BODIES[kind])
    forge = Forge(client_end(ECDHE_RSA, **EVERYTHING), ECDHE_RSA, {"extensions": (twice, twice)}).play((server_hello,))
    refused(forge, AlertDescription.ILLEGAL_PARAMETER)


def test_a_hello_full_of_extensions() -> None:
    """R4366-2.3-02: sixteen thousand are read, and the one that comes again at their end is found.

    Comparing each with each would outlast the test's time-out by far.
    """
    many = tuple(Extension(0x1000 + value, b"") for value in range(16_000))
    trace = split(client_trace(RSA), "client_hello", 2**14)
    carries_data(Forge(server_end(), RSA, {"extensions": many}).play(trace))
    refused(Forge(server_end(), RSA, {"extensions": (*many, many[-1])}).play(trace), AlertDescription.ILLEGAL_PARAMETER)


# ------------------------------------------------------------------------------------------------ unasked for


@pytest.mark.parametrize("kind", [kind for kind in KNOWN_BODIES if kind is not ExtensionType.RENEGOTIATION_INFO])
def test_each_kind_unasked_for(kind: ExtensionType) -> None:
    """R4366-2.3-01: the profile offers no more than it must, and the server answers what it was not asked."""
    client = client_end(RSA, encrypt_then_mac=False, extended_master_secret=False)
    forge = Forge(client, RSA, {"extensions": (EMPTY_RENEGOTIATION_INFO, Extension(kind, b""))}).play((server_hello,))
    refused(forge, AlertDescription.UNSUPPORTED_EXTENSION)


def test_only_renegotiation_info_may_answer_an_scsv() -> None:
    """R4366-2.3-01: the sole exception (RFC 5746 §3.4)."""
    client = client_end(DHE_RSA, extensions=False)
    forge = Forge(client, DHE_RSA, {"extensions": (EMPTY_RENEGOTIATION_INFO,)}).play(server_trace(DHE_RSA))
    carries_data(forge)
    assert client.connection.context.secure_renegotiation
    client = client_end(DHE_RSA, extensions=False)
    fields = {"extensions": (EMPTY_RENEGOTIATION_INFO, Extension(ExtensionType.EXTENDED_MASTER_SECRET, b""))}
    refused(Forge(client, DHE_RSA, fields).play((server_hello,)), AlertDescription.UNSUPPORTED_EXTENSION)
