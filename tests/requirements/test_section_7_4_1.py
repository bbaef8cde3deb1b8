"""Hellos: who begins, randoms, ids, suites and versions, and hellos on an established connection (RFC 2246 §7.4.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.conversation import carries_data, established, opposite, refused
from tests.support.ends import (
    DH_ANON,
    DHE_DSS,
    DHE_RSA,
    ECDHE_ECDSA,
    ECDHE_RSA,
    RSA,
    RSA_NULL,
    client_end,
    handshake,
    server_end,
)
from tests.support.forge import Forge
from tests.support.pki import pki
from tests.support.scripted import ScriptedExit
from tests.support.sessions import Sessions, old_session
from tests.support.traces import (
    ANY_MESSAGE,
    certificate_verify,
    client_hello,
    client_trace,
    message,
    put,
    resumed_trace,
    server_hello,
)
from tests.support.wiretap import md5_sha1, rsa_block, tapped_ends
from tlsexit.alerts import AlertDescription
from tlsexit.constants import Role
from tlsexit.crypto.keyops import sign
from tlsexit.crypto.suites import DEFAULT_SUITES, SUITES, KeyType
from tlsexit.exits.answers import Handled
from tlsexit.exits.calls import StartHandshakeResult
from tlsexit.exits.phases import ExitPhase
from tlsexit.handshake import states
from tlsexit.handshake.certificate import CertificateVerify
from tlsexit.handshake.enums import HandshakeType
from tlsexit.handshake.extensions import Extension
from tlsexit.profile import Verify

RSA_EXPORT = 0x0008  # TLS_RSA_EXPORT_WITH_DES40_CBC_SHA


# ------------------------------------------------------------------------------------------------ hellos


@pytest.mark.parametrize("kind", [11, 15, 16, 20])
def test_a_client_that_does_not_begin_with_its_hello(kind: int) -> None:
    """R2246-7.4.1.2-01."""
    forge = opposite(Role.CLIENT)
    forge.send(ANY_MESSAGE[HandshakeType(kind)])
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


def test_a_client_that_begins_with_something_else() -> None:
    """R2246-7.4.1.2-01, R2246-7.1-07: data, ChangeCipherSpec; and what our own client begins with."""
    for content_type, data in ((23, b"data"), (20, b"\1")):
        forge = opposite(Role.CLIENT)
        forge.send_record(content_type, data)
        refused(forge, AlertDescription.UNEXPECTED_MESSAGE)
    first = client_end(RSA).connection.data_to_send()
    assert (first[0], first[5]) == (22, 1)


def test_randoms_and_session_ids_are_unpredictable() -> None:
    """R2246-7.4.1.2-03, R2246-7.4.1.2-09, R2246-7.4.1.3-03, R2246-D.2-01: no value twice, no byte that stays."""
    hellos = []
    for _ in range(200):
        forge = Forge(server_end(RSA), RSA).play((client_hello,))
        assert forge.server_hello is not None
        hellos.append(forge.server_hello)
    randoms = [hello.random[4:] for hello in hellos]
    ids = [hello.session_id for hello in hellos]
    for values, length in ((randoms, 28), (ids, 32)):
        assert {len(value) for value in values} == {length}
        assert len(set(values)) == 200
        # 200 draws of 256 values give 139 different ones on average; 100 is beyond any bad luck
        assert all(len({value[at] for value in values}) > 100 for at in range(length))
        bits = sum(byte.bit_count() for value in values for byte in value)
        assert 0.48 < bits / (200 * length * 8) < 0.52


@pytest.mark.parametrize(
    ("has", "offered"),
    [
        (RSA, DHE_DSS),
        (RSA, ECDHE_ECDSA),
        (DHE_DSS, RSA),
        (DHE_DSS, DHE_RSA),
        (ECDHE_ECDSA, ECDHE_RSA),
        (RSA, DH_ANON),
        (RSA, RSA_NULL),
        (RSA, RSA_EXPORT),
    ],
)
def test_suites_that_the_server_cannot_complete(has: int, offered: int) -> None:
    """R2246-7.4.1.2-12, R2246-7.2.2-21, R2246-A.5-02, R2246-D.4-01: with its default suites and one kind of key."""
    kind = SUITES[has].key_exchange.certificate or KeyType.RSA
    server = server_end(*DEFAULT_SUITES, builtin=pki(kind).builtin(Role.SERVER))
    refused(Forge(server, offered).play((client_hello,)), AlertDescription.HANDSHAKE_FAILURE)


@pytest.mark.parametrize("count", [1, 100])
def test_extra_data_behind_the_compression_methods(count: int) -> None:
    """R2246-7.4.1.2-20: hashed and otherwise ignored, if it has the form of extensions (RFC 4366 §2.1)."""
    extra = tuple(Extension(0x2A00 + number, bytes(range(number))) for number in range(count))
    forge = Forge(server_end(RSA), RSA, {"extensions": extra}).play(client_trace(RSA))
    assert forge.server_hello is not None
    assert forge.server_hello.extensions is None
    carries_data(forge)


def test_what_a_client_offers_by_default() -> None:
    """R2246-A.5-01, R2246-A.5-02, R2246-A.5-03, R2246-D.4-01, R2246-9-01, R3749-6-01."""
    forge = Forge(client_end(*DEFAULT_SUITES), RSA)
    hello = forge.client_hello
    assert hello is not None
    assert hello.compression_methods == (0,)
    assert 0x0013 in hello.cipher_suites
    assert not {0x0000, 0x001C, 0x001D} & set(hello.cipher_suites)
    names = [SUITES[value].name for value in hello.cipher_suites]
    assert not [name for name in names if "anon" in name or "EXPORT" in name or "NULL" in name or "RC4" in name]


def test_a_server_offered_compression() -> None:
    """R3749-6-01: CRIME; a method that was offered first is passed over."""
    forge = Forge(server_end(RSA), RSA, {"compression_methods": (1, 0)}).play((client_hello,))
    assert forge.server_hello is not None
    assert forge.server_hello.compression_method == 0


@pytest.mark.parametrize("value", [0x0000, 0x001C, 0x001D])
def test_a_server_that_chooses_a_reserved_suite(value: int) -> None:
    """R2246-A.5-01, R2246-A.5-03."""
    forge = Forge(client_end(RSA), RSA, {"cipher_suite": value}).play((server_hello,))
    refused(forge, AlertDescription.ILLEGAL_PARAMETER)


def test_the_mandatory_suite() -> None:
    """R2246-9-01: TLS_DHE_DSS_WITH_3DES_EDE_CBC_SHA, with profiles that name no suite."""
    assert DHE_DSS == 0x0013
    server = server_end(*DEFAULT_SUITES, builtin=pki(KeyType.DSA).builtin(Role.SERVER))
    client = client_end(0x0013, builtin=pki(KeyType.DSA).builtin(Role.CLIENT))
    handshake(client, server)
    assert client.connection.context.cipher_suite == 0x0013


# ------------------------------------------------------------------------------------------------ renegotiation


def test_the_server_asks() -> None:
    """R2246-7.4.1.1-01, R2246-7.4.1.1-07: 00 00 00 00 under the keys in force; the tap leaves it out of the hashes."""
    both = {"renegotiation": True}
    tap = tapped_ends(RSA, client=both, server=both).handshake()
    tap.server.connection.renegotiate()
    tap.pump().exchange()
    request = tap.message(0)
    assert (request.raw, request.protected, request.sender) == (bytes(4), True, Role.SERVER)
    assert len(tap.finished) == 4


def test_the_client_does_not_answer() -> None:
    """R2246-7.4.1.1-05, R2246-7.4.1.1-06: the server may close; tlsexit goes on with the old parameters, and waits."""
    forge = established(Role.CLIENT, renegotiation=True)
    forge.target.connection.renegotiate()
    forge.listen()
    for _ in range(3):
        carries_data(forge)
    assert [type(item).__name__ for item in forge.messages].count("HelloRequest") == 1
    state = forge.target.connection.state
    assert isinstance(state, states.Established)
    assert state.requested


def test_a_hello_in_the_clear_on_an_established_connection() -> None:
    """R2246-7.4.1-01, R2246-7.1-04: what is not under the keys does not authenticate, ChangeCipherSpec neither."""
    for role, step in ((Role.CLIENT, client_hello), (Role.SERVER, ANY_MESSAGE[HandshakeType.HELLO_REQUEST])):
        forge = established(role, renegotiation=True)
        data = step.build(forge)
        forge.send_bytes(b"\x16\3\1" + len(data).to_bytes(2, "big") + data)
        refused(forge, AlertDescription.BAD_RECORD_MAC)
    forge = established(Role.CLIENT, renegotiation=True)
    forge.send_bytes(b"\x14\3\1\0\1\1")
    refused(forge, AlertDescription.BAD_RECORD_MAC)


def test_data_around_the_change_of_keys() -> None:
    """R4346-7.1-01, R4346-6.2.1-01: under the old keys up to ChangeCipherSpec, under the new ones behind Finished.

    What the caller writes in between waits; the tap has read every record under the keys of its time.
    """
    both = {"renegotiation": True}
    tap = tapped_ends(DHE_RSA, client=both, server=both).handshake()
    tap.client.connection.send(b"before ")
    tap.client.connection.renegotiate()
    tap.client.drive()
    tap.client.connection.send(b"behind the hello ")
    tap.server.connection.send(b"old keys ")
    tap.pump()
    tap.client.connection.send(b"after")
    tap.server.connection.send(b"new keys")
    tap.pump()
    assert tap.server.received == b"before behind the hello after"
    assert tap.client.received == b"old keys new keys"
    for role, last in ((Role.CLIENT, b"after"), (Role.SERVER, b"new keys")):
        data = [item for item in tap.sent(role) if item.content_type == 23]
        assert data[-1].content == last[1:]
        assert data[-1].sequence_number == 2  # Finished, then one byte and the rest


def mutual_in_the_second() -> ScriptedExit:
    def start(call: Any) -> Any:
        verify = Verify.REQUIRED if call.context.handshake_count == 2 else Verify.NONE
        return Handled(StartHandshakeResult(changes={"verify": verify}))

    return ScriptedExit({ExitPhase.START_HANDSHAKE: start})


def test_certificate_verify_in_a_renegotiation() -> None:
    """R2246-7.4.8-04, R2246-7.4.1.1-07: over the second handshake alone, HelloRequest left out."""
    server: dict[str, Any] = {"renegotiation": True, "exits": mutual_in_the_second()}
    tap = tapped_ends(RSA, client={"renegotiation": True}, server=server).handshake()
    tap.server.connection.renegotiate()
    tap.pump().exchange()
    verify = tap.message(15)
    block = rsa_block(tap.leaf(Role.CLIENT), verify.fields.vector(2))
    covered = tap.before(verify)
    assert covered[0] == 1
    assert block[-36:] == md5_sha1(covered)


@pytest.mark.parametrize("everything", [False, True])
def test_what_a_server_verifies_in_a_renegotiation(everything: bool) -> None:
    """R2246-7.4.8-04: a signature that covers the first handshake as well is none."""
    forge = Forge(server_end(RSA, renegotiation=True, exits=mutual_in_the_second()), RSA).play(client_trace(RSA))
    first, saved = forge.transcript, forge.verify_data
    forge.begin()
    forge.hello = {"extensions": (Extension(0xFF01, b"\x0c" + saved),)}
    trace = client_trace(RSA, certificate=True)
    if everything:

        def build(forge: Forge) -> bytes:
            whole = type(first)((*first.messages, *forge.transcript.messages))
            return message("", CertificateVerify(sign(forge.own_key, whole.digest()))).build(forge)

        trace = put(trace, "certificate_verify", replace(certificate_verify, build=build))
    forge.play(trace)
    if everything:
        refused(forge, AlertDescription.DECRYPT_ERROR)
    else:
        carries_data(forge)
        assert forge.target.connection.context.peer_trusted


# ------------------------------------------------------------------------------------------------ versions


@pytest.mark.parametrize("version", [0x0300, 0x02FF, 0x0002])
def test_a_client_below_what_the_server_supports(version: int) -> None:
    """R5246-E.1-02, R7507-3-01: protocol_version, with the fallback signal too."""
    for suites in ((RSA,), (RSA, 0x5600)):
        forge = Forge(server_end(RSA), RSA, {"client_version": version, "cipher_suites": suites})
        refused(forge.play((client_hello,)), AlertDescription.PROTOCOL_VERSION)


def test_the_fallback_signal_at_the_highest_version() -> None:
    """R7507-3-01: {3,1} is all this server has, so there was nothing to fall back from."""
    for suites in ((RSA, 0x5600), (0x5600, RSA)):
        forge = Forge(server_end(RSA), RSA, {"cipher_suites": suites})
        carries_data(forge.play(client_trace(RSA)))


def test_when_a_client_signals_a_fallback() -> None:
    """R7507-4-01: never by itself; in a retry behind the suites; never in a hello that resumes at the same version."""
    plain = Forge(client_end(RSA), RSA).client_hello
    retry = Forge(client_end(RSA, fallback_scsv=True), RSA).client_hello
    session = old_session()
    again = Forge(
        client_end(RSA, fallback_scsv=True, session=session, extended_master_secret=False), RSA, session=session
    ).client_hello
    assert plain is not None
    assert retry is not None
    assert again is not None
    assert 0x5600 not in plain.cipher_suites
    assert retry.cipher_suites == (RSA, 0x5600)
    assert again.session_id == session.session_id
    assert 0x5600 not in again.cipher_suites


# ------------------------------------------------------------------------------------------------ old sessions


def test_a_session_of_an_earlier_connection_and_of_the_same() -> None:
    """R2246-7.4.1.2-07: after the first is closed, and in a renegotiation, where the server takes it up again."""
    store = Sessions()
    server = server_end(RSA, renegotiation=True, config={"session_store": store})
    forge = Forge(server, RSA).play(client_trace(RSA))
    session = next(iter(store.kept.values()))
    saved = forge.verify_data
    forge.session = session
    forge.begin()
    forge.hello = {"extensions": (Extension(0xFF01, b"\x0c" + saved),)}
    carries_data(forge.play(resumed_trace(Role.CLIENT)))
    assert server.connection.context.resumed
    forge.send_alert(1, AlertDescription.CLOSE_NOTIFY)
    assert server.connection.closed
    later = Forge(server_end(RSA, config={"session_store": store}), RSA, session=session)
    carries_data(later.play(resumed_trace(Role.CLIENT)))
    assert later.target.connection.context.resumed
