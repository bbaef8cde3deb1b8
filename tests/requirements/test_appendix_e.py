"""The ClientHello in SSL 2.0 format, to a server and from a client that was told to (RFC 2246 appendix E)."""

from __future__ import annotations

import pytest

from tests.support.conversation import carries_data, refused
from tests.support.ends import DHE_RSA, RSA, client_end, server_end
from tests.support.forge import Forge
from tests.support.traces import client_trace, wire
from tlsexit.alerts import AlertDescription
from tlsexit.constants import EMPTY_RENEGOTIATION_INFO_SCSV
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.hello import ClientHello

SPECS = b"\0\0\x2f"
CHALLENGE = bytes(range(0x40, 0x60))


def v2_hello(
    specs: bytes = SPECS,
    session_id: bytes = b"",
    challenge: bytes = CHALLENGE,
    *,
    kind: int = 1,
    version: int = 0x0301,
    lengths: tuple[int, int, int] | None = None,
) -> bytes:
    """The message from msg_type on (appendix E.1); ``lengths`` are what its length fields say, if not the truth."""
    says = lengths or (len(specs), len(session_id), len(challenge))
    head = bytes([kind]) + version.to_bytes(2, "big")
    return head + b"".join(item.to_bytes(2, "big") for item in says) + specs + session_id + challenge


def on_the_wire(message: bytes) -> bytes:
    """With the two-byte length whose top bit is 1."""
    return (0x8000 | len(message)).to_bytes(2, "big") + message


def opened(message: bytes, challenge: bytes = CHALLENGE, suite: int = RSA, *suites: int) -> Forge:
    """A forge that has opened with this message and keeps the transcript that the appendix prescribes."""
    forge = Forge(server_end(suite, *suites), suite)
    forge.transcript = forge.transcript.add(message)
    random = challenge.rjust(32, b"\0")[-32:]
    forge.client_hello = ClientHello(int.from_bytes(message[1:3], "big"), random, b"", (suite,), (0,), None)
    forge.send(wire(on_the_wire(message)))
    return forge


def completed(forge: Forge) -> None:
    """The rest of the handshake succeeds: randoms and transcript are the same at both ends."""
    carries_data(forge.play(client_trace(forge.suite)[1:]))


@pytest.mark.parametrize("suite", [RSA, DHE_RSA])
def test_the_format_is_understood(suite: int) -> None:
    """R2246-E-06, R5246-E.2-01, R2246-E.1-01: a TLS 1.0 handshake whose hashes begin with msg_type."""
    forge = opened(v2_hello(b"\0" + suite.to_bytes(2, "big")), CHALLENGE, suite)
    assert forge.server_hello is not None
    assert forge.server_hello.server_version == 0x0301
    assert forge.server_hello.compression_method == 0
    assert forge.server_hello.extensions is None
    completed(forge)


def test_hashed_with_its_length_it_is_refused() -> None:
    """R5246-E.2-01: the two bytes before msg_type are not hashed."""
    message = v2_hello()
    forge = opened(message)
    forge.transcript = type(forge.transcript)((on_the_wire(message), *forge.transcript.messages[1:]))
    refused(forge.play(client_trace(RSA)[1:]), AlertDescription.DECRYPT_ERROR)


def test_specs_of_both_kinds() -> None:
    """R2246-E-07: SSL 2.0's are passed over, TLS suites and the renegotiation signal are recognised."""
    specs = bytes.fromhex("0700c0 010080 00000a 0000ff")
    forge = opened(v2_hello(specs), CHALLENGE, 0x000A, RSA)
    assert forge.server_hello is not None
    assert forge.server_hello.cipher_suite == 0x000A
    assert [item.extension_type for item in forge.server_hello.extensions or ()] == [ExtensionType.RENEGOTIATION_INFO]
    completed(forge)
    assert EMPTY_RENEGOTIATION_INFO_SCSV == 0x00FF


@pytest.mark.parametrize("version", [0x0301, 0x0302, 0x0303, 0x0304])
def test_the_version_is_the_highest_of_the_client(version: int) -> None:
    """R2246-E.1-01, R2246-7.4.1.3-01: {3,1} is negotiated."""
    forge = opened(v2_hello(version=version))
    assert forge.server_hello is not None
    assert forge.server_hello.server_version == 0x0301
    completed(forge)


@pytest.mark.parametrize("version", [0x0002, 0x0300])
def test_a_client_that_knows_no_tls(version: int) -> None:
    """R2246-E.1-01, R2246-7.2.2-20."""
    refused(opened(v2_hello(version=version)), AlertDescription.PROTOCOL_VERSION)


@pytest.mark.parametrize("kind", [0, 2, 4, 6])
def test_other_messages_of_ssl_2(kind: int) -> None:
    """R2246-E.1-01: taken for what it is not, a record of another version."""
    refused(opened(v2_hello(kind=kind)), AlertDescription.PROTOCOL_VERSION)


@pytest.mark.parametrize(
    ("specs", "says"),
    [(b"", 0), (SPECS + b"\0", 4), (SPECS, 2), (SPECS, 6), (SPECS, 0xFFFF), (b"", 3)],
    ids=["none", "four", "two", "more", "many", "missing"],
)
def test_impossible_lengths_of_the_specs(specs: bytes, says: int) -> None:
    """R2246-E.1-02: not zero, a multiple of three, and no byte behind the message is read."""
    forge = opened(v2_hello(specs, lengths=(says, 0, 32)))
    assert forge.fatal in (AlertDescription.DECODE_ERROR, AlertDescription.ILLEGAL_PARAMETER)
    refused(forge, forge.fatal)


def test_a_session_id_of_16_bytes() -> None:
    """R2246-E.1-03: unknown, so a full handshake."""
    forge = opened(v2_hello(session_id=bytes(16)))
    assert forge.server_hello is not None
    completed(forge)


@pytest.mark.parametrize("length", [1, 15, 17, 32])
def test_session_ids_of_other_lengths(length: int) -> None:
    """R2246-E.1-03."""
    forge = opened(v2_hello(session_id=bytes(length)))
    assert forge.fatal in (AlertDescription.DECODE_ERROR, AlertDescription.ILLEGAL_PARAMETER)


@pytest.mark.parametrize("length", [16, 17, 31, 32])
def test_the_challenge_is_right_justified(length: int) -> None:
    """R2246-E.1-04: leading zeros; only then do both ends derive the same keys."""
    challenge = bytes(range(1, length + 1))
    completed(opened(v2_hello(challenge=challenge), challenge))


def test_the_challenge_is_not_left_justified() -> None:
    """R2246-E.1-04, a check of the one above: with zeros behind it, nothing fits."""
    challenge = bytes(range(1, 17))
    forge = opened(v2_hello(challenge=challenge), challenge + bytes(16))
    refused(forge.play(client_trace(RSA)[1:]), AlertDescription.BAD_RECORD_MAC)


@pytest.mark.parametrize("length", [33, 48, 64])
def test_a_long_challenge(length: int) -> None:
    """R2246-E.1-04: "the last 32 bytes" of it count; the format of SSL 2.0 itself has 32 at most."""
    challenge = bytes(range(1, length + 1))
    completed(opened(v2_hello(challenge=challenge), challenge))


@pytest.mark.parametrize("length", [0, 1, 15])
def test_a_short_challenge(length: int) -> None:
    """R2246-E.1-05: a server may refuse fewer than 16 bytes."""
    forge = opened(v2_hello(challenge=bytes(length)))
    assert forge.fatal in (AlertDescription.ILLEGAL_PARAMETER, AlertDescription.DECODE_ERROR)


def test_only_ssl_2_specs() -> None:
    """R2246-E.1-06: an alert in TLS format, never a SERVER-HELLO of SSL 2.0."""
    refused(opened(v2_hello(bytes.fromhex("010080 020080 0700c0"))), AlertDescription.HANDSHAKE_FAILURE)


def test_only_as_the_very_first_message() -> None:
    """R4346-E.1-01: a second one is no record."""
    message = v2_hello()
    forge = opened(message)
    forge.send(wire(on_the_wire(message)))
    assert forge.fatal is not None
    refused(forge, forge.fatal)


def test_wrapped_in_a_record() -> None:
    """R4346-E.1-01: the format is sent bare."""
    forge = Forge(server_end(RSA), RSA)
    forge.send_record(22, v2_hello())
    assert forge.fatal in (
        AlertDescription.UNEXPECTED_MESSAGE,
        AlertDescription.DECODE_ERROR,
        AlertDescription.ILLEGAL_PARAMETER,
    )


def test_a_header_of_three_bytes() -> None:
    """R4346-E.1-01: the top bit is 1; the form with padding is not TLS."""
    message = v2_hello()
    forge = Forge(server_end(RSA), RSA)
    forge.send(wire(len(message).to_bytes(2, "big") + b"\0" + message))
    assert forge.fatal is not None
    refused(forge, AlertDescription.PROTOCOL_VERSION)


def test_a_profile_that_wants_none_of_it() -> None:
    """R2246-E-06: "should" for those who wish it; RFC 6176 leaves it to the server."""
    forge = Forge(server_end(RSA, accept_v2_client_hello=False), RSA)
    forge.send(wire(on_the_wire(v2_hello())))
    refused(forge, AlertDescription.PROTOCOL_VERSION)


def test_what_a_client_sends() -> None:
    """R2246-E-05, R2246-E.1-04, R4346-E.1-01: a record as a rule; 80 xx 01 03 01 if the profile says so."""
    assert client_end(RSA).connection.data_to_send()[:3] == b"\x16\3\1"
    data = client_end(RSA, v2_client_hello=True).connection.data_to_send()
    length = int.from_bytes(data[:2], "big") & 0x7FFF
    assert data[0] & 0x80
    assert data[2:5] == b"\1\3\1"
    assert length == len(data) - 2
    specs, session_id, challenge = (int.from_bytes(data[at : at + 2], "big") for at in (5, 7, 9))
    assert (session_id, challenge) == (0, 32)
    assert specs % 3 == 0
    assert b"\0\0\x2f" in data[11 : 11 + specs]


def test_what_a_client_makes_of_the_answer() -> None:
    """R5246-E.2-01: with the same transcript as the server."""
    client, server = client_end(RSA, v2_client_hello=True, extensions=False), server_end(RSA)
    server.connection.receive_data(client.connection.data_to_send())
    server.drive()
    for _ in range(4):
        client.connection.receive_data(server.connection.data_to_send())
        client.drive()
        server.connection.receive_data(client.connection.data_to_send())
        server.drive()
    assert client.connection.established
    assert server.connection.established
