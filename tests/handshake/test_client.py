"""The client's handlers: the order of what they do, and what they look at."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.conversation import opposite
from tests.support.ends import DH_ANON, DHE_RSA, RSA, client_end, server_end
from tests.support.forge import Forge
from tests.support.pair import pump
from tests.support.pki import pki
from tests.support.traces import server_trace, until
from tests.support.walk import Place, places
from tlsexit.alerts import DecryptError
from tlsexit.constants import ContentType, Role
from tlsexit.crypto.schedule import verify_data
from tlsexit.crypto.suites import KeyType
from tlsexit.events import MessageSeen
from tlsexit.exits.answers import Handled
from tlsexit.exits.calls import CheckCertificateCall, CryptDataCall, CryptOperation, GetCertificateCall
from tlsexit.exits.context import Authentication
from tlsexit.handshake import states
from tlsexit.handshake.actions import Ask, InstallRead, InstallWrite, LogSecret, Send, SendChangeCipherSpec
from tlsexit.handshake.finished import Finished
from tlsexit.handshake.flight import Step
from tlsexit.handshake.hello import ServerHelloDone
from tlsexit.handshake.inputs import Answered, ChangeCipherSpecReceived, Received
from tlsexit.handshake.machine import step
from tlsexit.handshake.transcript import Transcript

CLIENT = Role.CLIENT


def place(kind: type[states.State], number: int = 0) -> Place:
    return places()[CLIENT, kind][number]


def taken(where: Place, given: Any) -> Step:
    return step(CLIENT, where.state, given, where.config)


def shape(result: Step) -> list[str]:
    """The actions by name; messages by theirs."""
    return [type(item.message if isinstance(item, Send) else item).__name__ for item in result.actions]


def test_server_hello_done_is_answered_with_a_whole_flight() -> None:
    """R2246-7.3-02, R2246-7.4.7-01, R2246-7.4.9-01: key exchange, change of keys, and Finished under the new ones."""
    where = place(states.AwaitCertificateRequest)
    result = taken(where, Received(ServerHelloDone(), b"\x0e\0\0\0"))
    assert shape(result) == ["ClientKeyExchange", "LogSecret", "SendChangeCipherSpec", "InstallWrite", "Finished"]
    assert isinstance(result.state, states.AwaitServerChangeCipherSpec)


def test_the_flight_with_a_certificate_stops_at_the_signature() -> None:
    """R2246-7.3-02, R2246-7.4.6-01: Certificate and ClientKeyExchange go out; then CryptData is asked."""
    where = next(item for item in places()[CLIENT, states.AskGetClientCertificate])
    assert isinstance(where.pending, GetCertificateCall)
    credentials = where.pending.validate(pki().client.chain)
    result = taken(where, Answered(where.pending, credentials))
    assert shape(result) == ["Certificate", "ClientKeyExchange", "LogSecret", "Ask"]
    asked = result.actions[-1]
    assert isinstance(asked, Ask)
    assert isinstance(asked.call, CryptDataCall)
    assert (asked.call.operation, asked.call.algorithm) == (CryptOperation.SIGN, KeyType.RSA)
    # R2246-7.4.8-03: MD5 and SHA-1 over everything from ClientHello to ClientKeyExchange
    assert isinstance(result.state, states.AskSignCertificateVerify)
    assert asked.call.data == result.state.transcript.digest()
    assert result.state.transcript.messages[-2][:1] == b"\x0b"
    assert result.state.transcript.messages[-1][:1] == b"\x10"


def test_no_certificate_no_signature() -> None:
    """R2246-7.4.6-02, R2246-7.4.8-01."""
    where = place(states.AskGetClientCertificate)
    assert isinstance(where.pending, GetCertificateCall)
    result = taken(where, Answered(where.pending, where.pending.validate(())))
    assert shape(result) == [
        "Certificate",
        "ClientKeyExchange",
        "LogSecret",
        "SendChangeCipherSpec",
        "InstallWrite",
        "Finished",
    ]
    first = result.actions[0]
    assert isinstance(first, Send)
    assert first.raw == b"\x0b\0\0\3\0\0\0"


def test_keys_change_on_change_cipher_spec_only() -> None:
    """R2246-6.1-05, R2246-7.1-05."""
    where = place(states.AwaitServerChangeCipherSpec)
    result = taken(where, ChangeCipherSpecReceived())
    (action,) = result.actions
    assert isinstance(action, InstallRead)
    assert isinstance(where.state, states.AwaitServerChangeCipherSpec)
    assert action.keys is where.state.read_keys


def test_finished_is_checked_over_the_whole_transcript() -> None:
    """R2246-7.4.9-06, R2246-7.4.9-07: the client's own Finished included."""
    where = place(states.AwaitServerFinished)
    state = where.state
    assert isinstance(state, states.AwaitServerFinished)
    right = verify_data(state.master_secret, Role.SERVER, state.transcript.digest())
    done = taken(where, Received(Finished(right), b"\x14\0\0\x0c" + right))
    assert isinstance(done.state, states.AskHandshakeDone)
    assert done.state.finished.server == right
    shorter = Transcript(state.transcript.messages[:-1])
    wrong = verify_data(state.master_secret, Role.SERVER, shorter.digest())
    with pytest.raises(DecryptError):
        taken(where, Received(Finished(wrong), b"\x14\0\0\x0c" + wrong))


def test_check_certificate_sees_the_chain_as_it_came() -> None:
    forge = opposite(Role.SERVER)
    forge.target.exits = None
    forge.play(until(server_trace(RSA), "certificate"))
    data = forge.seal(22, server_trace(RSA)[1].build(forge))
    forge.target.connection.receive_data(data)
    call = forge.target.connection.pending_exit
    assert isinstance(call, CheckCertificateCall)
    assert call.chain == forge.own_chain
    assert call.chain_bytes == data[5 + 4 :]
    assert call.context.cipher_suite == RSA
    assert not call.context.peer_trusted
    forge.target.connection.answer(Handled())
    assert forge.target.connection.context.peer_trusted


@pytest.mark.parametrize(
    ("suite", "following"),
    [
        (RSA, states.AwaitServerCertificate),
        (DHE_RSA, states.AwaitServerCertificate),
        (DH_ANON, states.AwaitServerKeyExchange),
    ],
)
def test_what_the_suite_makes_the_client_wait_for(suite: int, following: type[states.State]) -> None:
    """R2246-7.4.2-01, R2246-7.4.2-02, R2246-7.4.3-01."""
    forge = Forge(client_end(suite), suite).play(server_trace(suite)[:1])
    assert isinstance(forge.target.connection.state, following)


def test_who_is_authenticated() -> None:
    """The letters of the manual: S for the server alone, B for both, A for nobody."""
    for suite, asked, expected in ((RSA, False, "S"), (RSA, True, "B"), (DH_ANON, False, "A")):
        client = client_end(suite)
        Forge(client, suite).play(server_trace(suite, request=asked))
        assert client.connection.context.authentication is Authentication(expected)


def test_the_transcript_is_the_servers_too() -> None:
    """R2246-7.4.9-06: both ends have the same messages, byte for byte."""
    client, server = client_end(DHE_RSA), server_end(DHE_RSA)
    pump(client, server)
    raw = [
        [item.raw for item in end.seen if isinstance(item, MessageSeen) and item.content_type == ContentType.HANDSHAKE]
        for end in (client, server)
    ]
    assert raw[0] == raw[1]


def test_secrets_of_actions_are_not_shown() -> None:
    where = place(states.AwaitCertificateRequest)
    result = taken(where, Received(ServerHelloDone(), b"\x0e\0\0\0"))
    (log,) = (item for item in result.actions if isinstance(item, LogSecret))
    (install,) = (item for item in result.actions if isinstance(item, InstallWrite))
    assert any(isinstance(item, SendChangeCipherSpec) for item in result.actions)
    for secret in (log.master_secret, install.keys.key, install.keys.mac_secret):
        assert repr(secret) not in repr(result)
