"""Wishes for renegotiation refused and granted, and renegotiation_info (RFC 2246 §7.4.1.1, RFC 5746)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.conversation import carries_data, established, honest, opposite, refused
from tests.support.ends import DHE_RSA, RSA, check_phases, client_end, handshake, server_end
from tests.support.forge import EMPTY_RENEGOTIATION_INFO, Forge
from tests.support.grammar import phases
from tests.support.pair import End, pump
from tests.support.scripted import ScriptedExit
from tests.support.sessions import Sessions
from tests.support.traces import (
    client_hello,
    client_trace,
    hello_request,
    insert,
    raw_message,
    server_hello,
    server_trace,
)
from tlsexit.alerts import AlertDescription, LocalError
from tlsexit.constants import EMPTY_RENEGOTIATION_INFO_SCSV, Role
from tlsexit.events import HandshakeCompleted, WarningReceived
from tlsexit.exits.answers import Handled
from tlsexit.exits.calls import StartHandshakeResult
from tlsexit.exits.phases import ExitPhase
from tlsexit.handshake import states
from tlsexit.handshake.extensions import Extension, find
from tlsexit.profile import Verify

RENEGOTIATION_INFO = 0xFF01


def info(data: bytes) -> Extension:
    return Extension(RENEGOTIATION_INFO, bytes([len(data)]) + data)


# ------------------------------------------------------------------------------------------------ refused


def test_hello_request_is_declined() -> None:
    """R2246-7.2.2-24, R2246-7.4.1.1-04: a warning, and the connection goes on."""
    forge = established(Role.SERVER)
    forge.send(hello_request)
    assert forge.warnings == [AlertDescription.NO_RENEGOTIATION]
    assert forge.fatal is None
    carries_data(forge)


def test_a_second_client_hello_is_declined() -> None:
    """R2246-7.2.2-24, CVE-2009-3555: refused whatever it says about the first."""
    forge = established(Role.CLIENT)
    forge.send(client_hello)
    assert forge.warnings == [AlertDescription.NO_RENEGOTIATION]
    carries_data(forge)


@pytest.mark.parametrize("role", Role)
def test_a_flood_of_wishes(role: Role) -> None:
    """Each costs an alert: five are answered, the sixth ends it."""
    forge = established(role)
    step = client_hello if role is Role.CLIENT else hello_request
    for count in range(1, 6):
        forge.send(step)
        assert forge.warnings == [AlertDescription.NO_RENEGOTIATION] * count
    forge.send(step)
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("role", Role)
def test_wishes_between_data_are_no_flood(role: Role) -> None:
    """The bound is on wishes in a row."""
    forge = established(role)
    for _ in range(3):
        for _ in range(5):
            forge.send(client_hello if role is Role.CLIENT else hello_request)
        carries_data(forge)


@pytest.mark.parametrize("name", [step.name for step in server_trace(DHE_RSA, request=True)])
def test_hello_request_during_the_handshake_is_ignored(name: str) -> None:
    """R2246-7.4.1.1-03, R2246-7.4.1.1-07: at any time, without an answer, and out of the hashes."""
    trace = insert(honest(Role.SERVER, DHE_RSA, mutual=True), hello_request, before=name)
    forge = opposite(Role.SERVER, DHE_RSA).play(trace)
    assert forge.alerts == []
    carries_data(forge)


def test_a_flood_of_hello_requests_during_the_handshake() -> None:
    """R2246-7.4.1.1-03: ignored before each message, and more often, but it costs time too."""
    forge = opposite(Role.SERVER)
    for _ in range(32):
        forge.send(hello_request)
    assert not forge.target.connection.closed
    forge.send(hello_request)
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


def test_hello_request_with_a_body() -> None:
    """R2246-7.4.1.1-08."""
    forge = established(Role.SERVER)
    forge.send(raw_message(0, b"!"))
    refused(forge, AlertDescription.DECODE_ERROR)


@pytest.mark.parametrize("when", ["before", "after"])
def test_hello_request_to_a_server(when: str) -> None:
    """R2246-7.4-02: it is a server's message."""
    forge = established(Role.CLIENT) if when == "after" else opposite(Role.CLIENT)
    forge.send(hello_request)
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("kind", [2, 11, 12, 13, 14, 15, 16, 20])
@pytest.mark.parametrize("role", Role)
def test_other_messages_on_an_established_connection(role: Role, kind: int) -> None:
    """R2246-7.4-02, R2246-7.4-04: the handshake is over."""
    bodies = {
        2: b"\3\1" + bytes(32) + b"\0\0\x2f\0",
        11: bytes(3),
        13: b"\1\1\0\0",
        14: b"",
        15: b"\0\0",
        20: bytes(12),
    }
    forge = established(role)
    forge.send(raw_message(kind, bodies.get(kind, bytes(8))))
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


# ------------------------------------------------------------------------------------------------ renegotiation_info


@pytest.mark.parametrize("extensions", [(EMPTY_RENEGOTIATION_INFO,), None])
def test_the_server_says_that_it_knows(extensions: tuple[Extension, ...] | None) -> None:
    """R5746-3.6-01: in answer to the extension or to the signalling suite, even if it never renegotiates."""
    suites = (RSA,) if extensions else (RSA, EMPTY_RENEGOTIATION_INFO_SCSV)
    hello = {"extensions": extensions, "cipher_suites": suites}
    forge = Forge(server_end(RSA), RSA, hello).play(client_trace(RSA))
    assert forge.server_hello is not None
    assert forge.server_hello.extensions == (EMPTY_RENEGOTIATION_INFO,)
    assert forge.target.connection.context.secure_renegotiation
    carries_data(forge)


def test_the_client_says_that_it_knows() -> None:
    """R5746-3.4-01: FF 01 00 01 00."""
    forge = Forge(client_end(RSA), RSA)
    assert forge.client_hello is not None
    assert find(forge.client_hello.extensions, RENEGOTIATION_INFO) == b"\0"


@pytest.mark.parametrize("role", Role)
def test_a_first_handshake_that_names_an_earlier_one(role: Role) -> None:
    """R5746-3.4-01, R5746-3.6-01: somebody has put two connections together."""
    end = client_end(RSA) if role is Role.SERVER else server_end(RSA)
    forge = Forge(end, RSA, {"extensions": (info(bytes(12)),)})
    forge.send(server_hello if role is Role.SERVER else client_hello)
    refused(forge, AlertDescription.HANDSHAKE_FAILURE)


@pytest.mark.parametrize("body", [b"", b"\1", b"\0\0"])
@pytest.mark.parametrize("role", Role)
def test_renegotiation_info_that_does_not_parse(role: Role, body: bytes) -> None:
    """RFC 5746 §3.2."""
    end = client_end(RSA) if role is Role.SERVER else server_end(RSA)
    forge = Forge(end, RSA, {"extensions": (Extension(RENEGOTIATION_INFO, body),)})
    forge.send(server_hello if role is Role.SERVER else client_hello)
    refused(forge, AlertDescription.DECODE_ERROR)


@pytest.mark.parametrize("role", Role)
def test_a_peer_that_does_not_know(role: Role) -> None:
    """R5746-4.4-01: still welcome, but there will be no renegotiation with it, wanted or not."""
    end = client_end(RSA, renegotiation=True) if role is Role.SERVER else server_end(RSA, renegotiation=True)
    forge = Forge(end, RSA, {"extensions": None}).play(honest(role))
    assert not end.connection.context.secure_renegotiation
    with pytest.raises(LocalError, match="5746"):
        end.connection.renegotiate()
    forge.send(hello_request if role is Role.SERVER else client_hello)
    assert forge.warnings == [AlertDescription.NO_RENEGOTIATION]
    carries_data(forge)


# ------------------------------------------------------------------------------------------------ granted


def joined(suite: int = RSA, **both: Any) -> tuple[End, End]:
    """Two engines that allow renegotiation, with their first handshake complete."""
    client = client_end(suite, **{"renegotiation": True, **both})
    server = server_end(suite, **{"renegotiation": True, **both})
    handshake(client, server)
    return client, server


def exchange_data(client: End, server: End) -> None:
    before = client.received, server.received
    client.connection.send(b"question")
    server.connection.send(b"answer")
    pump(client, server)
    assert (client.received, server.received) == (before[0] + b"answer", before[1] + b"question")


@pytest.mark.parametrize("opener", Role)
@pytest.mark.parametrize("suite", [RSA, DHE_RSA])
@pytest.mark.parametrize("size", [None, 1])
def test_a_renegotiation(opener: Role, suite: int, size: int | None) -> None:
    """R2246-7.4.1.1-02, R2246-7.4.1.2-02, R5746-3.5-01, R5746-3.7-01: new keys, and the exit hears it all again."""
    client, server = joined(suite)
    (client if opener is Role.CLIENT else server).connection.renegotiate()
    client.drive()
    pump(client, server, size=size)
    for end in (client, server):
        assert isinstance(end.connection.state, states.Established)
        assert end.connection.context.handshake_count == 2
        assert len([event for event in end.events if isinstance(event, HandshakeCompleted)]) == 2
        check_phases(end)
    assert phases(client.seen) == "SKDSKD"
    assert phases(server.seen) == "SCXDSCXD"
    exchange_data(client, server)
    client.connection.close()
    client.drive()
    pump(client, server)
    assert phases(client.seen) == "SKDSKDE"
    assert phases(server.seen) == "SCXDSCXDE"


def test_the_second_handshake_is_protected_and_bound_to_the_first() -> None:
    """R2246-7.4.1-01, R2246-7.1-04, R5746-3.5-01: under the old keys, naming the old Finished."""
    client, server = joined()
    state = client.connection.state
    assert isinstance(state, states.Established)
    client.connection.renegotiate()
    client.drive()
    pump(client, server)
    hellos = [item for item in server.seen if type(getattr(item, "message", None)).__name__ == "ClientHello"]
    second: Any = hellos[1]
    assert second.protected
    assert find(second.message.extensions, RENEGOTIATION_INFO) == b"\x0c" + state.finished.client
    replies = [item for item in client.seen if type(getattr(item, "message", None)).__name__ == "ServerHello"]
    reply: Any = replies[1]
    assert find(reply.message.extensions, RENEGOTIATION_INFO) == b"\x18" + state.finished.client + state.finished.server


def test_data_during_a_renegotiation() -> None:
    """R4346-6.2.1-01: data that was on its way when the other side began is delivered, on both sides."""
    client, server = joined()
    server.connection.send(b"crossing")
    client.connection.renegotiate()
    client.drive()
    client.connection.send(b"also crossing")
    pump(client, server)
    assert client.received == b"crossing"
    assert server.received == b"also crossing"
    assert client.connection.context.handshake_count == 2
    exchange_data(client, server)


def test_only_the_client_wants_to() -> None:
    """R2246-7.2.2-25: refused with a warning, the old parameters stay."""
    client, server = client_end(RSA, renegotiation=True), server_end(RSA)
    handshake(client, server)
    client.connection.renegotiate()
    client.drive()
    pump(client, server)
    assert client.events[-1] == WarningReceived(AlertDescription.NO_RENEGOTIATION)
    assert isinstance(client.connection.state, states.Established)
    assert client.connection.context.handshake_count == 1
    exchange_data(client, server)
    client.connection.close()
    client.drive()
    pump(client, server)
    check_phases(client)
    check_phases(server)


def test_only_the_server_wants_to() -> None:
    """R2246-7.4.1.1-04: the client's no_renegotiation, and it may ask again."""
    client, server = client_end(RSA), server_end(RSA, renegotiation=True)
    handshake(client, server)
    for _ in range(2):
        server.connection.renegotiate()
        with pytest.raises(LocalError, match="not been answered"):
            server.connection.renegotiate()  # R2246-7.4.1.1-06
        pump(client, server)
        assert server.events[-1] == WarningReceived(AlertDescription.NO_RENEGOTIATION)
    exchange_data(client, server)


def test_a_profile_that_forbids_it() -> None:
    """Off by default, for the caller too."""
    client, server = client_end(RSA), server_end(RSA)
    with pytest.raises(LocalError, match="established"):
        client.connection.renegotiate()
    handshake(client, server)
    for end in (client, server):
        with pytest.raises(LocalError, match="profile"):
            end.connection.renegotiate()
    exchange_data(client, server)


def test_not_without_end() -> None:
    """Each costs a handshake, so their number is bounded: refused with a warning from then on."""
    client, server = joined()
    for _ in range(8):
        client.connection.renegotiate()
        client.drive()
        pump(client, server)
    assert client.connection.context.handshake_count == 9
    with pytest.raises(LocalError, match="8 times"):
        client.connection.renegotiate()
    exchange_data(client, server)


@pytest.mark.parametrize(
    ("extensions", "suites"),
    [
        pytest.param((EMPTY_RENEGOTIATION_INFO,), (RSA,), id="empty"),
        pytest.param(None, (RSA,), id="missing"),
        pytest.param((info(bytes(12)),), (RSA,), id="wrong"),
        pytest.param(None, (RSA, EMPTY_RENEGOTIATION_INFO_SCSV), id="signalling suite"),
    ],
)
def test_a_client_that_does_not_name_the_first_handshake(
    extensions: tuple[Extension, ...] | None, suites: tuple[int, ...]
) -> None:
    """R5746-3.7-01, CVE-2009-3555: the prefix injection."""
    forge = established(Role.CLIENT, renegotiation=True)
    forge.begin()
    forge.hello = {"extensions": extensions, "cipher_suites": suites}
    forge.send(client_hello)
    refused(forge, AlertDescription.HANDSHAKE_FAILURE)
    assert phases(forge.target.seen) == "SCXDSA"


def test_a_client_with_the_right_data_and_the_signalling_suite() -> None:
    """R5746-3.7-01: the suite must not be there."""
    forge = established(Role.CLIENT, renegotiation=True)
    saved = forge.verify_data
    forge.begin()
    forge.hello = {"extensions": (info(saved),), "cipher_suites": (RSA, EMPTY_RENEGOTIATION_INFO_SCSV)}
    forge.send(client_hello)
    refused(forge, AlertDescription.HANDSHAKE_FAILURE)


@pytest.mark.parametrize("data", [None, b"", bytes(24), bytes(12)])
def test_a_server_that_does_not_name_the_first_handshake(data: bytes | None) -> None:
    """R5746-3.5-01."""
    forge = established(Role.SERVER, renegotiation=True)
    forge.begin()
    forge.send(hello_request)
    forge.hello = {"extensions": None if data is None else (info(data),)}
    forge.send(server_hello)
    refused(forge, AlertDescription.HANDSHAKE_FAILURE)


def test_a_renegotiation_may_ask_for_a_certificate() -> None:
    """What renegotiation was mostly for: the first handshake does not authenticate the client, the second does."""

    def start(call: Any) -> Any:
        verify = Verify.REQUIRED if call.context.handshake_count == 2 else Verify.NONE
        return Handled(StartHandshakeResult(changes={"verify": verify}))

    server = server_end(RSA, renegotiation=True, exits=ScriptedExit({ExitPhase.START_HANDSHAKE: start}))
    client = client_end(RSA, renegotiation=True)
    handshake(client, server)
    server.connection.renegotiate()
    pump(client, server)
    assert server.connection.context.peer_trusted
    assert phases(server.seen) == "SCXDSCLKXD"
    assert phases(client.seen) == "SKDSKCXD"
    exchange_data(client, server)


def test_a_renegotiation_that_fails() -> None:
    """A handshake that fails is one that fails: HandshakeAlert, and never EndSession as well."""
    client, _ = joined()
    client.connection.renegotiate()
    client.drive()
    client.connection.receive_eof()
    client.drive()
    assert phases(client.seen) == "SKDSA"
    check_phases(client)


def test_no_resumption_of_a_session_whose_renegotiation_failed() -> None:
    """R2246-7.2-03: the connection's session may not be used again after a fatal alert."""
    sessions = Sessions()
    server = server_end(RSA, renegotiation=True, config={"session_store": sessions})
    forge = Forge(server, RSA).play(client_trace(RSA))
    assert forge.server_hello is not None
    first = forge.server_hello.session_id
    assert first in sessions.kept
    forge.begin()
    forge.hello = {"extensions": None}
    forge.send(client_hello)
    refused(forge, AlertDescription.HANDSHAKE_FAILURE)
    assert first not in sessions.kept
