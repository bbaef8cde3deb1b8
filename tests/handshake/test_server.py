"""The server's handlers: the order of what they do, and what they look at."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.ends import DH_ANON, DHE_RSA, ECDHE_RSA, RSA, server_end
from tests.support.forge import Forge
from tests.support.grammar import phases
from tests.support.pki import pki
from tests.support.scripted import ScriptedExit
from tests.support.traces import client_hello, client_trace
from tests.support.walk import Place, places
from tlsexit.alerts import AlertDescription, DecodeError, DecryptError
from tlsexit.constants import Role
from tlsexit.crypto.schedule import verify_data
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.answers import Handled
from tlsexit.exits.calls import Credentials, CryptDataCall, CryptOperation, GetCertificateCall
from tlsexit.exits.phases import ExitPhase
from tlsexit.handshake import states
from tlsexit.handshake.actions import InstallRead, Send
from tlsexit.handshake.certificate import Certificate
from tlsexit.handshake.finished import Finished
from tlsexit.handshake.flight import Step
from tlsexit.handshake.hello import ServerHello, ServerHelloDone
from tlsexit.handshake.inputs import Answered, ChangeCipherSpecReceived, Received
from tlsexit.handshake.keyexchange import ClientKeyExchange
from tlsexit.handshake.machine import step
from tlsexit.profile import Verify

SERVER = Role.SERVER


def place(kind: type[states.State], number: int = 0) -> Place:
    return places()[SERVER, kind][number]


def taken(where: Place, given: Any) -> Step:
    return step(SERVER, where.state, given, where.config)


def shape(result: Step) -> list[str]:
    return [type(item.message if isinstance(item, Send) else item).__name__ for item in result.actions]


def test_the_first_flight() -> None:
    """R2246-7.3-01: the version is settled, then hello, certificate, done."""
    where = place(states.AskGetServerCertificate)
    assert isinstance(where.pending, GetCertificateCall)
    result = taken(where, Answered(where.pending, where.pending.validate(pki().server.chain)))
    assert shape(result)[0] == "FixVersion"
    assert [type(item.message) for item in result.actions if isinstance(item, Send)] == [
        ServerHello,
        Certificate,
        ServerHelloDone,
    ]


@pytest.mark.parametrize(
    ("suite", "verify", "expected"),
    [
        (RSA, Verify.NONE, [2, 11, 14]),
        (RSA, Verify.REQUIRED, [2, 11, 13, 14]),
        (DHE_RSA, Verify.NONE, [2, 11, 12, 14]),
        (DHE_RSA, Verify.OPTIONAL, [2, 11, 12, 13, 14]),
        (ECDHE_RSA, Verify.REQUIRED, [2, 11, 12, 13, 14]),
        (DH_ANON, Verify.NONE, [2, 12, 14]),
        (DH_ANON, Verify.OPTIONAL, [2, 12, 14]),
    ],
)
def test_the_messages_of_the_first_flight(suite: int, verify: Verify, expected: list[int]) -> None:
    """R2246-7.3-01, R2246-7.4.2-02, R2246-7.4.3-02, R2246-7.4.4-02, R2246-7.4.4-03."""
    forge = Forge(server_end(suite, verify=verify), suite).play((client_hello,))
    assert [message.handshake_type for message in forge.messages] == expected


def test_the_order_of_the_questions() -> None:
    """The manual's: with DHE the signature comes between GetCertificate and GetCAList."""
    for suite, expected in ((RSA, "SCLKXD"), (DHE_RSA, "SCXLKD")):
        server = server_end(suite, verify=Verify.REQUIRED)
        Forge(server, suite).play(client_trace(suite, certificate=True))
        assert phases(server.seen) == expected


def test_what_is_signed() -> None:
    """R2246-7.4.3-05: both randoms and the parameters, as MD5 and SHA-1."""
    exits = ScriptedExit()
    forge = Forge(server_end(DHE_RSA, exits=exits), DHE_RSA).play((client_hello,))
    call = exits.last(ExitPhase.CRYPT_DATA)
    assert isinstance(call, CryptDataCall)
    assert (call.operation, call.algorithm) == (CryptOperation.SIGN, KeyType.RSA)
    body = next(message.body for message in forge.messages if message.handshake_type == 12)
    params = body[: -2 - 256]
    assert call.data == forge.params_digest(params)


def test_what_is_decrypted() -> None:
    """R2246-7.4.7.1-06: the ciphertext without its length."""
    exits = ScriptedExit()
    forge = Forge(server_end(RSA, exits=exits), RSA).play(client_trace(RSA))
    call = exits.last(ExitPhase.CRYPT_DATA)
    assert (call.operation, call.algorithm, len(call.data)) == (CryptOperation.DECRYPT, KeyType.RSA, 256)
    assert call.data in forge.transcript.messages[-3]


def test_candidates_are_in_the_order_of_choice() -> None:
    """GetCertificate shows the suites that both sides have; the leaf's key decides among them."""
    exits = ScriptedExit()
    server = server_end(RSA, DHE_RSA, 0x0032, exits=exits)
    Forge(server, DHE_RSA, {"cipher_suites": (0x0032, 0x0035, DHE_RSA, RSA)}).play((client_hello,))
    assert exits.last(ExitPhase.GET_CERTIFICATE).candidate_suites == (0x0032, DHE_RSA, RSA)
    assert server.connection.context.cipher_suite == DHE_RSA  # the built-in PKI has an RSA certificate only


def test_the_exit_chooses_the_suite_with_the_certificate() -> None:
    exits = ScriptedExit({ExitPhase.GET_CERTIFICATE: Handled(Credentials(pki().server.chain, cipher_suite=RSA))})
    server = server_end(DHE_RSA, RSA, exits=exits)
    Forge(server, RSA, {"cipher_suites": (DHE_RSA, RSA)}).play((client_hello,))
    assert server.connection.context.cipher_suite == RSA


def test_a_certificate_for_none_of_the_suites() -> None:
    """R2246-7.4.2-03, R2246-7.2.2-08."""
    exits = ScriptedExit({ExitPhase.GET_CERTIFICATE: Handled(pki(KeyType.DSA).server.chain)})
    forge = Forge(server_end(RSA, exits=exits), RSA).play((client_hello,))
    assert forge.fatal is AlertDescription.HANDSHAKE_FAILURE


def test_the_last_flight() -> None:
    """R2246-7.3-04, R2246-7.4.9-01, R2246-7.4.9-07: after the client's Finished, which the server's covers."""
    where = place(states.AwaitClientFinished)
    state = where.state
    assert isinstance(state, states.AwaitClientFinished)
    right = verify_data(state.master_secret, Role.CLIENT, state.transcript.digest())
    raw = b"\x14\0\0\x0c" + right
    result = taken(where, Received(Finished(right), raw))
    assert shape(result) == ["SendChangeCipherSpec", "InstallWrite", "Finished", "Ask"]
    sent = result.actions[2]
    assert isinstance(sent, Send)
    assert sent.message.verify_data == verify_data(state.master_secret, Role.SERVER, state.transcript.add(raw).digest())
    with pytest.raises(DecryptError):
        taken(where, Received(Finished(bytes(12)), b""))


def test_keys_change_on_change_cipher_spec_only() -> None:
    """R2246-6.1-05, R2246-7.1-05: the read side; the write side goes on as before."""
    result = taken(place(states.AwaitClientChangeCipherSpec), ChangeCipherSpecReceived())
    (action,) = result.actions
    assert isinstance(action, InstallRead)


def test_the_substitute_is_drawn_before_the_question() -> None:
    """R2246-7.4.7.1-04: so that nothing afterwards depends on how the decryption went."""
    where = next(item for item in places()[SERVER, states.AwaitClientKeyExchange] if _is_rsa(item))
    body = b"\1\0" + bytes(256)
    result = taken(where, Received(ClientKeyExchange(body), b""))
    assert isinstance(result.state, states.AskDecryptPreMasterSecret)
    assert result.state.substitute[:2] == b"\3\1"
    assert len(result.state.substitute) == 48
    with pytest.raises(DecodeError):
        taken(where, Received(ClientKeyExchange(b"\0\2\0\0"), b""))


def _is_rsa(where: Place) -> bool:
    return where.state.context.cipher_suite == RSA


def test_no_session_id_without_a_store() -> None:
    """R2246-7.4.1.3-06."""
    forge = Forge(server_end(RSA, config={"session_store": None}), RSA).play((client_hello,))
    hello = forge.messages[0]
    assert isinstance(hello, ServerHello)
    assert hello.session_id == b""
