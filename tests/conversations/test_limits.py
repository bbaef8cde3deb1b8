"""Sizes and numbers: messages and records too long, empty, unknown, interleaved, and more than was asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.conversation import carries_data, established, honest, opposite, refused
from tests.support.ends import RSA, RSA_NULL, RSA_RC4, client_end, server_end
from tests.support.forge import EMPTY_RENEGOTIATION_INFO, Forge
from tests.support.pair import make_end
from tests.support.pki import pki
from tests.support.records import header
from tests.support.scripted import ScriptedExit
from tests.support.traces import (
    client_hello,
    client_trace,
    hello_request,
    message,
    pieces_of,
    put,
    server_trace,
    split,
    until,
)
from tlsexit.alerts import AlertDescription, LocalError
from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES
from tlsexit.exits.answers import Handled
from tlsexit.handshake import states
from tlsexit.handshake.certificate import CertificateRequest
from tlsexit.handshake.extensions import Extension
from tlsexit.policy import system_config
from tlsexit.profile import Profile
from tlsexit.tasks import Task

TRACES = {role: honest(role, RSA, mutual=True) for role in Role}
PLACES = [
    pytest.param(role, step.name, id=f"{role.value}-before-{step.name}")
    for role, trace in TRACES.items()
    for step in trace
]

# ------------------------------------------------------------------------------------------------ handshake messages


@pytest.mark.parametrize("length", [131_397, 2**23, 2**24 - 1])
@pytest.mark.parametrize("role", Role)
def test_an_announced_length_beyond_the_bound(role: Role, length: int) -> None:
    """R2246-7.4-05, R2246-4.4-01: refused from the header on, before anything is kept for it."""
    forge = opposite(role)
    kind = 1 if role is Role.CLIENT else 2
    forge.send_record(22, bytes([kind]) + length.to_bytes(3, "big"))
    refused(forge, AlertDescription.ILLEGAL_PARAMETER)


@pytest.mark.parametrize("role", Role)
def test_an_announced_length_at_the_bound(role: Role) -> None:
    """R2246-7.4-05: the longest ClientHello may come."""
    forge = opposite(role)
    forge.send_record(22, bytes([1 if role is Role.CLIENT else 2]) + (131_396).to_bytes(3, "big"))
    assert not forge.target.connection.closed


def test_the_longest_hello() -> None:
    """R2246-4.3-03: every vector as long as its ceiling."""
    unknown = Extension(0x0A0A, bytes(2**16 - 1 - 4 - 5))
    hello = {
        "session_id": bytes(32),
        "cipher_suites": (*(0x0A0A,) * 32766, RSA),
        "compression_methods": (*range(1, 255), 0),
        "extensions": (unknown, EMPTY_RENEGOTIATION_INFO),
    }
    forge = Forge(server_end(RSA), RSA, hello).play(split(client_trace(RSA), "client_hello", 2**14))
    assert len(forge.transcript.messages[0]) == 4 + 131_396
    carries_data(forge)


def test_a_bound_of_ones_own() -> None:
    """The configuration says how much."""
    forge = Forge(server_end(config={"max_handshake_message": 100}), RSA)
    forge.send(client_hello)
    assert not forge.target.connection.closed
    forge.send_record(22, b"\x10\0\0\x65")
    refused(forge, AlertDescription.ILLEGAL_PARAMETER)


def test_a_message_longer_than_a_record() -> None:
    """R2246-6.2.1-06: it takes several, and any cut will do."""
    name = pki().root.certificate.subject.public_bytes()
    names = tuple(name for _ in range(60_000 // (len(name) + 2)))
    big = message("certificate_request", CertificateRequest((1,), names))
    big = replace(big, cut=lambda data: pieces_of(data, 2**14))
    forge = Forge(client_end(RSA), RSA).play(put(server_trace(RSA, request=True), "certificate_request", big))
    carries_data(forge)


def test_a_hello_with_thousands_of_suites() -> None:
    """R2246-4.4-01, R2246-7.4.1.2-13: 60000 bytes of suites nobody knows, within the bound on messages."""
    suites = (RSA, *range(0x6000, 0x6000 + 30_000))
    forge = Forge(server_end(RSA), RSA, {"cipher_suites": suites})
    forge.send(replace(client_hello, cut=lambda data: pieces_of(data, 2**14)))
    assert forge.server_hello is not None


@pytest.mark.parametrize(("role", "name"), PLACES)
def test_an_empty_handshake_record(role: Role, name: str) -> None:
    """R2246-6.2-01: nothing sends one, and each costs this side a decryption."""
    forge = opposite(role, RSA, mutual=True).play(until(TRACES[role], name))
    forge.send_record(22, b"")
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


# ------------------------------------------------------------------------------------------------ records


@pytest.mark.parametrize("length", [2**14 + 1, 2**14 + 2048, 2**16 - 1])
@pytest.mark.parametrize("role", Role)
def test_a_plain_record_that_is_too_long(role: Role, length: int) -> None:
    """R2246-6.2.1-02, R2246-7.2.2-06: refused from the header on."""
    forge = opposite(role)
    forge.send_bytes(header(22, length))
    refused(forge, AlertDescription.RECORD_OVERFLOW)


@pytest.mark.parametrize("role", Role)
def test_a_protected_record_that_is_too_long(role: Role) -> None:
    """R2246-6.2.3-01, R2246-7.2.2-06."""
    forge = established(role)
    forge.send_bytes(header(23, 2**14 + 2049))
    refused(forge, AlertDescription.RECORD_OVERFLOW)


@pytest.mark.parametrize("suite", [RSA, RSA_RC4, RSA_NULL], ids=lambda suite: SUITES[suite].name)
def test_too_much_plaintext_in_a_record(suite: int) -> None:
    """R2246-6.2.1-01, R2246-6.2.1-03: 2^14 bytes are the most, and they are accepted."""
    forge = established(Role.CLIENT, suite)
    forge.send_record(23, bytes(2**14))
    assert len(forge.target.received) == 2**14
    forge.send_record(23, bytes(2**14 + 1))
    refused(forge, AlertDescription.RECORD_OVERFLOW)


# a first byte of 128 or more belongs to a hello in SSL 2.0 format
@pytest.mark.parametrize("content_type", [0, 19, 24, 25, 127])
@pytest.mark.parametrize(("role", "name"), PLACES)
def test_records_of_unknown_type_are_ignored(role: Role, name: str, content_type: int) -> None:
    """R2246-6-01, R2246-6-02: decrypted, counted, and then as if they had not been."""
    forge = opposite(role, RSA, mutual=True).play(until(TRACES[role], name))
    forge.send_record(content_type, b"what is this?")
    carries_data(forge.play(TRACES[role][len(until(TRACES[role], name)) :]))


@pytest.mark.parametrize("role", Role)
def test_a_flood_of_records_of_unknown_type(role: Role) -> None:
    """Within bounds: each costs a decryption."""
    forge = established(role)
    for _ in range(32):
        forge.send_record(24, b"beat")
    assert not forge.target.connection.closed
    forge.send_record(24, b"beat")
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("role", Role)
def test_a_record_that_does_not_authenticate(role: Role) -> None:
    """R2246-7.2.2-04, R2246-6-03: nothing of it is delivered, whatever its type."""
    for content_type in (20, 21, 22, 23, 24):
        forge = established(role)
        record = bytearray(forge.seal(content_type, b"\1\0 some content"))
        record[-1] ^= 1
        forge.send_bytes(bytes(record))
        refused(forge, AlertDescription.BAD_RECORD_MAC)
        assert forge.target.received == b""


@pytest.mark.parametrize("edit", ["replay", "drop", "swap"])
@pytest.mark.parametrize("suite", [RSA, RSA_RC4, RSA_NULL], ids=lambda suite: SUITES[suite].name)
def test_records_replayed_lost_or_exchanged(suite: int, edit: str) -> None:
    """R2246-6.2.3-03: the sequence number is in the MAC."""
    forge = established(Role.CLIENT, suite)
    first, second = forge.seal(23, b"first"), forge.seal(23, b"other")
    forge.send_bytes({"replay": first + first, "drop": second, "swap": second + first}[edit])
    refused(forge, AlertDescription.BAD_RECORD_MAC)
    assert forge.target.received in (b"", b"first")


def test_an_alert_between_the_halves_of_a_message() -> None:
    """R2246-6.2.1-10: records of different types may be interleaved."""
    forge = Forge(server_end(RSA), RSA)
    hello = client_hello.build(forge)
    forge.transcript = forge.transcript.add(hello)
    forge.send_record(22, hello[:20])
    forge.send_alert(1, 200)
    forge.send_record(22, hello[20:])
    carries_data(forge.play(client_trace(RSA)[1:]))


@pytest.mark.parametrize("role", Role)
def test_data_between_the_halves_of_a_message(role: Role) -> None:
    """R2246-6.2.1-10, on an established connection."""
    forge = established(role)
    step = client_hello if role is Role.CLIENT else hello_request
    data = step.build(forge)
    forge.send_record(22, data[:2])
    forge.send_record(23, b"in between")
    forge.send_record(22, data[2:])
    assert forge.target.received == b"in between"
    assert forge.warnings == [AlertDescription.NO_RENEGOTIATION]


# ------------------------------------------------------------------------------------------------ what is not TLS


@pytest.mark.parametrize("line", [b"GET / HTTP/1.1\r\n", b"POST /x HTTP/1.0\r\n", b"HEAD / HTTP/1.1\r\n"])
@pytest.mark.parametrize("size", [1, 100])
def test_plain_http(line: bytes, size: int) -> None:
    """The error says what happened; the client gets an alert it will not understand."""
    forge = Forge(server_end(), RSA)
    for start in range(0, len(line), size):
        forge.send_bytes(line[start : start + size])
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)
    assert "HTTP" in str(forge.target.connection.error)


@pytest.mark.parametrize("data", [b"SSH-2.0-OpenSSH_9.6\r\n", b"\0" * 20, b"\xff" * 20, b"EHLO example\r\n"])
@pytest.mark.parametrize("role", Role)
def test_other_protocols(role: Role, data: bytes) -> None:
    """Refused by the version in what would be a record header (R2246-6.2.1-08)."""
    forge = opposite(role)
    forge.send_bytes(data)
    refused(forge, AlertDescription.PROTOCOL_VERSION)


# ------------------------------------------------------------------------------------------------ the caller's side


def test_reading_on_while_an_exit_is_asked() -> None:
    """Input waits within bounds; beyond them it is the caller who must answer first."""
    server = server_end(exits=ScriptedExit(), config={"max_buffered_input": 1000})
    forge = Forge(server, RSA)
    hello = forge.seal(22, client_hello.build(forge))
    server.connection.receive_data(hello)
    assert isinstance(server.connection.state, states.AskGetServerCertificate)
    server.connection.receive_data(bytes(1000))
    with pytest.raises(LocalError, match="GetCertificate is pending"):
        server.connection.receive_data(b"!")
    assert isinstance(server.connection.state, states.AskGetServerCertificate)


def test_what_waited_is_read_after_the_answer() -> None:
    """Nothing is lost, and nothing is looked at too early."""
    server = server_end(exits=ScriptedExit())
    forge = Forge(server, RSA)
    server.connection.receive_data(forge.seal(22, client_hello.build(forge)) + b"\x14\3\1\0\1\1")
    assert isinstance(server.connection.state, states.AskGetServerCertificate)
    server.drive()
    forge.listen()
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


def test_feeding_a_connection_that_was_not_started() -> None:
    """The caller's mistake."""
    task = Task(system_config())
    task.answer(Handled())
    connection = task.connection(Profile.server())
    with pytest.raises(LocalError, match="start the connection"):
        connection.receive_data(b"")
    started = make_end(Profile.server()).connection
    with pytest.raises(LocalError, match="already"):
        started.start()
