"""Pre-shared key suites (RFC 4279, RFC 4785, RFC 5489): hint, identity, key, and the exit's question for it."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any, Final

import pytest

from tests.support.conversation import alert_call, refused
from tests.support.ends import RSA, certificates, check_phases, client_end, handshake, server_end
from tests.support.forge import Forge, Step
from tests.support.grammar import phases
from tests.support.keys import IDENTITY, PRE_SHARED_KEY, builtin, client_for, server_for
from tests.support.pair import End, pump
from tests.support.scripted import ScriptedExit
from tests.support.traces import raw_message, server_hello, server_hello_done
from tlsexit.alerts import AlertDescription, AlertReceived
from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES, Premaster
from tlsexit.events import MessageSeen
from tlsexit.exits.answers import Failed, Handled, NotHandled
from tlsexit.exits.calls import GetPreSharedKeyCall, PreSharedKey
from tlsexit.exits.phases import ExitPhase
from tlsexit.handshake.certificate import CertificateRequest
from tlsexit.handshake.keyexchange import ClientKeyExchange, ServerKeyExchange
from tlsexit.profile import Verify

PSK, DHE_PSK, RSA_PSK, ECDHE_PSK = 0x008C, 0x0090, 0x0094, 0xC035
KINDS: Final = (PSK, DHE_PSK, RSA_PSK, ECDHE_PSK)
every_kind = pytest.mark.parametrize("suite", KINDS, ids=lambda suite: SUITES[suite].key_exchange.name)

GET_KEY = ExitPhase.GET_PRE_SHARED_KEY


class KeyExit(ScriptedExit):
    """An exit that is asked for pre-shared keys as well."""

    def __init__(self, answer: Any) -> None:
        super().__init__({GET_KEY: answer})

    @property
    def question(self) -> GetPreSharedKeyCall:
        """What it was asked."""
        call = self.last(GET_KEY)
        assert isinstance(call, GetPreSharedKeyCall)
        return call


def sent(end: End, kind: type[Any]) -> list[Any]:
    """The messages of one kind that the end has sent."""
    return [
        item.message for item in end.seen if isinstance(item, MessageSeen) and item.sent and type(item.message) is kind
    ]


# ------------------------------------------------------------------------------------------------ the good case


@every_kind
@pytest.mark.parametrize("size", [None, 1])
def test_the_exit_knows_the_key(suite: int, size: int | None) -> None:
    """RFC 4279 §2: the client's exit is shown the hint, the server's the identity; neither is the other's business."""
    key = PreSharedKey(b"someone", b"between the two of us")
    asked = KeyExit(Handled(key)), KeyExit(Handled(PreSharedKey(b"not looked at", key.key)))
    client = client_for(suite, exits=asked[0], keys={})
    server = server_for(suite, exits=asked[1], keys={}, psk_identity_hint=b"hint")
    handshake(client, server, size=size)
    assert (asked[0].question.hint, asked[0].question.identity) == (b"hint", None)
    assert asked[1].question.identity == b"someone"
    for end in (client, server):
        assert end.connection.context.psk_identity == b"someone"
        check_phases(end)
    rsa = SUITES[suite].key_exchange.premaster is Premaster.RSA_PSK
    assert phases(client.seen) == ("SKPD" if rsa else "SPD")
    assert phases(server.seen) == ("SCPXD" if rsa else "SPD")


@every_kind
@pytest.mark.parametrize("length", [1, 16, 64, 65, 300])
def test_keys_of_any_length(suite: int, length: int) -> None:
    """RFC 4279 §5.3: up to 64 bytes at least; the zeros in their place are as many."""
    keys = {b"": bytes(range(1, length % 255 + 1)) * (length // 255 + 1)}
    handshake(client_for(suite, keys=keys), server_for(suite, keys=keys))


@every_kind
def test_identities_and_hints_of_any_length(suite: int) -> None:
    """RFC 4279 §5.3: up to 128 bytes at least, text or not; here the field's full size."""
    for identity in (b"", b"\0\xff", "identité".encode(), bytes(2**16 - 1)):
        keys = {identity: PRE_SHARED_KEY}
        client = client_for(suite, keys=keys)
        server = server_for(suite, keys=keys, psk_identity_hint=identity)
        handshake(client, server)
        assert server.connection.context.psk_identity == identity


@every_kind
@pytest.mark.parametrize("hint", [b"", b"two", b"three"])
def test_the_hint(suite: int, hint: bytes) -> None:
    """RFC 4279 §5.2: a client that has a key by the name of the hint uses it, and the first one otherwise."""
    keys = {b"one": b"1" * 16, b"two": b"2" * 16}
    client, server = client_for(suite, keys=keys), server_for(suite, keys=keys, psk_identity_hint=hint)
    handshake(client, server)
    assert server.connection.context.psk_identity == (b"two" if hint == b"two" else b"one")
    # RFC 4279 §2: with PSK and RSA_PSK the message is sent for the hint alone
    always = SUITES[suite].key_exchange.server_key_exchange
    assert len(sent(server, ServerKeyExchange)) == (1 if always or hint else 0)


# ------------------------------------------------------------------------------------------------ refused


@every_kind
def test_an_identity_that_nobody_knows(suite: int) -> None:
    """RFC 4279 §2: unknown_psk_identity(115)."""
    client, server = client_for(suite), server_for(suite, keys={b"another": PRE_SHARED_KEY})
    pump(client, server)
    assert "unknown_psk_identity(115)" in str(server.connection.error)
    assert isinstance(client.connection.error, AlertReceived)
    assert client.connection.error.description == AlertDescription.UNKNOWN_PSK_IDENTITY
    call = alert_call(server)
    assert call is not None
    assert (call.description, call.remote) == (AlertDescription.UNKNOWN_PSK_IDENTITY, False)
    check_phases(client)
    check_phases(server)


@every_kind
def test_an_identity_that_may_exist(suite: int) -> None:
    """RFC 4279 §2: "wishes to hide the fact that the PSK identity was not known": it ends as a wrong key ends."""
    ends = []
    for keys in ({b"another": PRE_SHARED_KEY}, {IDENTITY: b"another key"}):
        client = client_for(suite)
        pki = builtin(Role.SERVER, certificates(suite).kind, keys=keys, hide_psk_identities=True)
        server = server_end(suite, builtin=pki)
        pump(client, server)
        assert isinstance(client.connection.error, AlertReceived)
        assert client.connection.error.description == AlertDescription.BAD_RECORD_MAC
        ends.append((str(server.connection.error), server.connection.exit_failure, phases(server.seen)))
        assert server.connection.context.psk_identity is None
    assert ends[0] == ends[1]


@every_kind
@pytest.mark.parametrize("other", [PRE_SHARED_KEY + b"\0", PRE_SHARED_KEY[:-1], b"x"])
@pytest.mark.parametrize("extended", [False, True])
def test_another_key(suite: int, other: bytes, extended: bool) -> None:
    """RFC 4279 §2: shows when the server reads Finished, like any wrong premaster secret."""
    client = client_for(suite, extended_master_secret=extended)
    server = server_for(suite, keys={IDENTITY: other})
    pump(client, server)
    assert "bad_record_mac" in str(server.connection.error)
    assert client.connection.closed
    assert not any("HandshakeCompleted" in repr(event) for end in (client, server) for event in end.events)


@every_kind
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    ("answer", "alert"),
    [
        (Failed(115), 115),
        (Failed(AlertDescription.ACCESS_DENIED), 49),
        (Failed(113), 80),
        (Failed(), 80),
        (Handled(None), 80),
        (Handled(b"key"), 80),
        (Handled(PreSharedKey(b"id", b"")), 80),
        (Handled(PreSharedKey(b"id", bytes(2**16))), 80),
        (Handled(PreSharedKey(bytes(2**16), b"key")), 80),
        (Handled(PreSharedKey("id", "key")), 80),  # type: ignore[arg-type]
        (Handled(PreSharedKey("id", b"key")), 80),  # type: ignore[arg-type]
        (RuntimeError("no key store"), 80),
    ],
)
def test_answers_without_a_key(role: Role, suite: int, answer: Any, alert: int) -> None:
    """Whatever goes wrong in the exit ends the handshake with one alert, at either end."""
    exits = KeyExit(answer)
    client = client_for(suite, exits=exits if role is Role.CLIENT else None)
    server = server_for(suite, exits=exits if role is Role.SERVER else None)
    pump(client, server)
    failed, other = (client, server) if role is Role.CLIENT else (server, client)
    assert f"({alert})" in str(failed.connection.error)
    assert isinstance(other.connection.error, AlertReceived)
    assert other.connection.error.description == alert
    assert "no key store" not in str(failed.connection.error)
    check_phases(failed)


def test_the_key_is_in_no_text() -> None:
    """Secrets stay out of what may be logged."""
    exits = KeyExit(Handled(PreSharedKey(b"id", b"a deadly secret")))
    client = client_for(PSK, exits=exits)
    server = server_for(PSK, keys={b"id": b"a deadly secret"})
    handshake(client, server)
    texts = [repr(item) for end in (client, server) for item in (*end.seen, *end.events, end.connection.state)]
    assert not any("deadly" in text for text in texts)


def test_an_exit_that_leaves_it_to_the_built_in_pki() -> None:
    client, server = client_for(PSK, exits=KeyExit(NotHandled())), server_for(PSK, exits=KeyExit(NotHandled()))
    handshake(client, server)
    assert server.connection.context.psk_identity == IDENTITY


def test_no_key_at_all() -> None:
    """A client whose key store is empty has made a mistake of its own."""
    client, server = client_for(PSK, keys={}), server_for(PSK)
    pump(client, server)
    assert "internal_error(80)" in str(client.connection.error)


# ------------------------------------------------------------------------------------------------ the messages


@every_kind
def test_the_identity_comes_first(suite: int) -> None:
    """RFC 4279 §2 to §4, RFC 5489 §2: then what the key exchange would send without it."""
    keys = {IDENTITY: PRE_SHARED_KEY}
    client, server = client_for(suite, keys=keys), server_for(suite, keys=keys)
    handshake(client, server)
    (message,) = sent(client, ClientKeyExchange)
    assert message.body.startswith(len(IDENTITY).to_bytes(2, "big") + IDENTITY)
    rest = message.body[2 + len(IDENTITY) :]
    expected = {PSK: 0, DHE_PSK: 2 + 256, RSA_PSK: 2 + 256, ECDHE_PSK: 1 + 32}[suite]
    assert abs(len(rest) - expected) <= (1 if suite == DHE_PSK else 0)


@every_kind
@pytest.mark.parametrize("verify", [Verify.REQUIRED, Verify.OPTIONAL])
def test_no_certificate_is_asked_of_the_client(suite: int, verify: Verify) -> None:
    """RFC 4279 §2 to §4: the key authenticates the client, which satisfies a server that requires it."""
    client, server = client_for(suite), server_for(suite, verify=verify)
    handshake(client, server)
    assert sent(server, CertificateRequest) == []


def test_a_client_that_insists_on_showing_its_certificate() -> None:
    """``enforced`` is about the certificate."""
    client, server = client_for(PSK, verify=Verify.ENFORCED), server_for(PSK)
    pump(client, server)
    assert "handshake_failure" in str(client.connection.error)


def test_a_certificate_request_in_a_psk_suite() -> None:
    """RFC 4279 §2 to §4: not among the messages."""
    forge = Forge(client_for(PSK), PSK).play((server_hello, raw_message(13, b"\1\1\0\0")))
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize(
    "step", [raw_message(11, b"\0\0\0"), raw_message(22, b"\1\0\0\1!")], ids=["Certificate", "CertificateStatus"]
)
def test_messages_that_plain_psk_does_not_have(step: Step) -> None:
    """RFC 4279 §2."""
    refused(Forge(client_for(PSK), PSK).play((server_hello, step)), AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\1", b"\0\1ab", b"\0\0\0"])
def test_hints_that_do_not_parse(body: bytes) -> None:
    """R2246-7.2.2-17."""
    forge = Forge(client_for(PSK), PSK).play((server_hello, raw_message(12, body)))
    refused(forge, AlertDescription.DECODE_ERROR)


def test_two_hints() -> None:
    """R2246-7.4-04."""
    hint = raw_message(12, b"\0\1h")
    refused(Forge(client_for(PSK), PSK).play((server_hello, hint, hint)), AlertDescription.UNEXPECTED_MESSAGE)


def test_an_empty_hint() -> None:
    """RFC 4279 §2: not forbidden, and no hint."""
    exits = KeyExit(Failed(AlertDescription.ACCESS_DENIED))
    forge = Forge(client_for(PSK, exits=exits), PSK).play((server_hello, raw_message(12, b"\0\0"), server_hello_done))
    assert exits.question.hint == b""
    refused(forge, AlertDescription.ACCESS_DENIED)


@pytest.mark.parametrize(
    ("suite", "body"),
    [
        (PSK, b""),
        (PSK, b"\0\2x"),
        (PSK, b"\0\1xx"),
        (DHE_PSK, b"\0\1x"),
        (DHE_PSK, b"\0\1x\0\0"),
        (ECDHE_PSK, b"\0\1x\0"),
        (RSA_PSK, b"\0\1x"),
        (RSA_PSK, b"\0\1x\0\3abc"),
    ],
)
def test_client_messages_that_do_not_parse(suite: int, body: bytes) -> None:
    """R2246-7.2.2-17; a ciphertext of a length that the key cannot have made is one of them (§7.4.7.1)."""
    client = client_for(suite)
    server = server_for(suite, exits=KeyExit(Handled(PreSharedKey(b"x", PRE_SHARED_KEY))))
    server.connection.receive_data(client.connection.data_to_send())
    server.drive()
    message = b"\x10" + len(body).to_bytes(3, "big") + body
    server.connection.receive_data(b"\x16\3\1" + len(message).to_bytes(2, "big") + message)
    server.drive()
    assert "decode_error(50)" in str(server.connection.error)


# ------------------------------------------------------------------------------------------------ beside other suites


def test_a_server_with_both_and_no_certificate() -> None:
    """The exit's empty chain means: take the suite that needs none (GetCertificate is asked all the same)."""
    client = client_end(RSA, PSK, builtin=builtin(Role.CLIENT))
    server = server_end(RSA, PSK, builtin=builtin(Role.SERVER, identities=[]))
    handshake(client, server)
    assert client.connection.context.cipher_suite == PSK
    assert phases(server.seen) == "SCPD"
    check_phases(server)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
def test_names_in_openssl() -> None:
    """The suites of RFC 4279 and its successors are those that OpenSSL calls so."""
    command = ["openssl", "ciphers", "-V", "PSK:kRSAPSK:kDHEPSK:kECDHEPSK:eNULL:@SECLEVEL=0"]
    listed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    for suite in KINDS:
        assert f"0x{suite >> 8:02X},0x{suite & 255:02X} - {SUITES[suite].openssl_name} " in listed
