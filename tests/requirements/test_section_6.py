"""The record protocol as the peer sees it (RFC 2246 §6): states, fragments, protection, keys."""

from __future__ import annotations

import pytest
from cryptography import x509

from tests.support.conversation import carries_data, established, honest, opposite, refused
from tests.support.ends import DHE_RSA, RSA, RSA_NULL, RSA_RC4, client_end, handshake, server_end
from tests.support.pki import END, HOSTS, START, pki
from tests.support.reference import with_reference
from tests.support.traces import server_trace, until
from tests.support.wiretap import tapped_ends
from tlsexit.alerts import AlertDescription, AlertLevel
from tlsexit.constants import Role
from tlsexit.events import WarningReceived
from tlsexit.policy import BuiltinPki
from tlsexit.profile import Verify

TRIPLE_DES = 0x000A  # TLS_RSA_WITH_3DES_EDE_CBC_SHA

SUITES = [RSA, TRIPLE_DES, RSA_RC4, RSA_NULL]


# ------------------------------------------------------------------------------------------------ §6


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("role", Role)
def test_nothing_reaches_the_application_before_its_mac_is_checked(role: Role, suite: int) -> None:
    """R2246-6-03, R2246-7.2.2-04, R2246-6.2.3.1-05: a changed bit of content or MAC, and no data is delivered."""
    for position in (-1, -20 if suite in (RSA_RC4, RSA_NULL) else -30, 5):
        forge = established(role, suite, encrypt_then_mac=False)
        data = bytearray(forge.seal(23, b"pay 100 to the bearer"))
        data[position] ^= 1
        forge.send_bytes(bytes(data))
        assert forge.target.received == b""
        refused(forge, AlertDescription.BAD_RECORD_MAC)


# ------------------------------------------------------------------------------------------------ §6.1


@pytest.mark.parametrize("suite", [RSA, RSA_RC4, RSA_NULL])
@pytest.mark.parametrize("role", Role)
def test_a_reflected_record(role: Role, suite: int) -> None:
    """R2246-6.1-04: what one end wrote does not authenticate when it comes back."""
    forge = established(role, suite)
    forge.target.connection.send(b"x")
    data = forge.target.connection.data_to_send()
    forge.hear(data)
    forge.send_bytes(data)
    refused(forge, AlertDescription.BAD_RECORD_MAC)


def test_before_the_keys_everything_is_in_the_clear() -> None:
    """R2246-6.1-01, R2246-6.2.2-01: the first records hold the messages as they are, neither more nor less."""
    client = client_end(RSA)
    first = client.connection.data_to_send()
    message = first[5:]
    assert first[:5] == bytes([22, 3, 1]) + len(message).to_bytes(2, "big")
    assert message[:4] == b"\1" + (len(message) - 4).to_bytes(3, "big")


@pytest.mark.parametrize("suite", [RSA, RSA_RC4])
def test_each_direction_changes_on_its_own(suite: int) -> None:
    """R2246-6.1-05, R2246-7.1-01, R2246-7.1-06, R2246-7.4.9-01: with its own ChangeCipherSpec, and from then on."""
    tap = tapped_ends(suite).handshake()
    for role in Role:
        sent = tap.sent(role)
        change = next(index for index, item in enumerate(sent) if item.content_type == 20)
        assert not any(item.protected for item in sent[: change + 1])
        assert all(item.protected for item in sent[change + 1 :])
        assert (sent[change].version, sent[change].length, sent[change].content) == (0x0301, 1, b"\x01")
        assert sent[change + 1].content[:4] == b"\x14\0\0\x0c"
        assert sent[change + 1].sequence_number == 0


def test_a_warning_in_the_clear_between_both_changes() -> None:
    """R2246-6.1-05: the client has changed its write state only, so what it reads is still plain."""
    forge = opposite(Role.SERVER).play(until(server_trace(RSA), "change_cipher_spec"))
    forge.send_alert(AlertLevel.WARNING, AlertDescription.UNRECOGNIZED_NAME)
    assert forge.target.events == [WarningReceived(AlertDescription.UNRECOGNIZED_NAME)]
    carries_data(forge.play(server_trace(RSA)[-2:]))


@pytest.mark.parametrize("suite", [RSA, DHE_RSA, RSA_RC4])
def test_sequence_numbers_start_again_with_new_keys(suite: int) -> None:
    """R2246-6.1-06, R2246-7.1-04, R2246-6.2.3.2-07: the tap counts from zero, and takes the IV anew, at each change."""
    both = {"renegotiation": True}
    tap = tapped_ends(suite, client=both, server=both).handshake().exchange().renegotiate().exchange()
    for role in Role:
        changes = tap.sent(role, 20)
        assert [item.protected for item in changes] == [False, True]
        following = [tap.sent(role)[tap.sent(role).index(item) + 1] for item in changes]
        assert [item.sequence_number for item in following] == [0, 0]


def test_each_direction_counts_for_itself() -> None:
    """R2246-6.1-07: fifty records one way, none the other way, then one."""
    tap = tapped_ends(RSA_RC4).handshake()
    for _ in range(50):
        tap.client.connection.send(b"ping")
        tap.pump()
    tap.server.connection.send(b"pong")
    tap.pump()
    assert tap.sent(Role.CLIENT)[-1].sequence_number == 50
    assert tap.sent(Role.SERVER)[-1].sequence_number == 1
    assert (tap.client.received, tap.server.received) == (b"pong", b"ping" * 50)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("role", Role)
def test_records_of_every_kind_are_counted(role: Role, suite: int) -> None:
    """R2246-6.1-09, R2246-6.2.3.2-10: alerts, empty records and data share one sequence, one chain, one key stream."""
    forge, reference = with_reference(role, suite)
    for content_type, content in ((21, b"\1\x70"), (23, b""), (23, b"one"), (21, b"\1\x5a"), (23, b""), (23, b"two")):
        forge.send_bytes(reference.seal(content_type, content))
    assert forge.target.received == b"onetwo"
    reference.mac(23, 0x0301, b"")  # uses up a number without sending anything
    forge.send_bytes(reference.seal(23, b"three"))
    assert forge.target.received == b"onetwo"
    refused(forge, AlertDescription.BAD_RECORD_MAC)


# ------------------------------------------------------------------------------------------------ §6.2.1


@pytest.mark.parametrize("suite", [RSA, RSA_RC4])
def test_no_record_is_too_long_or_empty(suite: int) -> None:
    """R2246-6.2.1-01, R2246-6.2-01, R2246-6.2.3-01, R2246-10-01: 100 000 bytes in one write."""
    tap = tapped_ends(suite).handshake().exchange(bytes(100_000), bytes(100_000))
    for item in tap.records:
        assert 1 <= len(item.content) <= 2**14
        assert item.length <= 2**14 + 2048
    assert max(len(item.content) for item in tap.records) == 2**14


@pytest.mark.parametrize("role", Role)
def test_a_protected_record_that_is_too_long(role: Role) -> None:
    """R2246-7.2.2-06, R2246-6.2.3-01: 2^14+2048 bytes are the most, and 2^14+1024 (here: 2^14) inside."""
    forge = established(role)
    forge.send_bytes(b"\x17\3\1\x48\x01")
    refused(forge, AlertDescription.RECORD_OVERFLOW)
    for length in (2**14 + 1, 2**14 + 1025):
        forge = established(role, RSA_RC4)
        forge.send_record(23, bytes(length))
        assert forge.target.received == b""
        refused(forge, AlertDescription.RECORD_OVERFLOW)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("role", Role)
def test_a_full_record_with_the_longest_padding(role: Role, suite: int) -> None:
    """R2246-6.2.1-03, R2246-6.2.3.2-04: 2^14 bytes are legal, and so are 255 bytes of padding behind them."""
    forge, reference = with_reference(role, suite)
    size = reference.keys.suite.cipher.block_size
    padding = None if not size else max(n for n in range(256) if (2**14 + 20 + n + 1) % size == 0)
    forge.send_bytes(reference.seal(23, bytes(2**14), padding_length=padding))
    assert forge.target.received == bytes(2**14)
    carries = reference.seal(23, b"more")
    forge.send_bytes(carries)
    assert forge.target.received.endswith(b"more")


@pytest.mark.parametrize("role", Role)
def test_a_whole_flight_in_one_record(role: Role) -> None:
    """R2246-6.2.1-04: all messages up to ChangeCipherSpec share a record."""
    forge = opposite(role, DHE_RSA, mutual=True)
    trace = honest(role, DHE_RSA, mutual=True)
    if role is Role.CLIENT:
        forge.play(trace[:1])
        trace = trace[1:]
    flight = b""
    for step in until(trace, "change_cipher_spec"):
        data = step.build(forge)
        forge.transcript = forge.transcript.add(data)
        if step.after is not None:
            step.after(forge)
        flight += data
    forge.send_record(22, flight)
    carries_data(forge.play(trace[-2:]))


def big_leaf(role: Role, size: int) -> BuiltinPki:
    """A built-in PKI whose own certificate has an extension of ``size`` bytes."""
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), bytes(size))
    kind = pki()
    issued = kind.root.issue(
        "localhost",
        key=kind.server.key,
        role=role,
        hosts=HOSTS,
        not_before=START,
        not_after=END,
        extensions=[(extension, False)],
    )
    return BuiltinPki([issued.identity("own")], {"root": [kind.root.certificate]})


@pytest.mark.parametrize("size", [None, 1000])
def test_a_chain_of_40_kilobytes_both_ways(size: int | None) -> None:
    """R2246-6.2.1-06: cut into records of 2^14 bytes by the sender, put together by the receiver."""
    client = client_end(RSA, builtin=big_leaf(Role.CLIENT, 40_000))
    server = server_end(RSA, builtin=big_leaf(Role.SERVER, 40_000), verify=Verify.REQUIRED)
    handshake(client, server, size=size)
    assert len(server.connection.context.peer_chain[0]) > 40_000
    assert len(client.connection.context.peer_chain[0]) > 40_000
    tap = tapped_ends(RSA, server={"builtin": big_leaf(Role.SERVER, 40_000)}).handshake()
    assert [len(item.content) for item in tap.sent(Role.SERVER, 22)].count(2**14) == 2


def test_every_record_says_3_1() -> None:
    """R2246-6.2.1-07, R2246-E-01: alerts and ChangeCipherSpec too, and the first hello already."""
    tap = tapped_ends(RSA).handshake().exchange()
    tap.client.connection.close()
    tap.client.drive()
    tap.pump()
    assert {item.content_type for item in tap.records} == {20, 21, 22, 23}
    assert {item.version for item in tap.records} == {0x0301}


@pytest.mark.parametrize("version", [0x0300, 0x0302, 0x0303])
@pytest.mark.parametrize("role", Role)
def test_another_version_after_negotiation(role: Role, version: int) -> None:
    """R2246-6.2.1-08: in the record behind the hellos, and in data under a correct MAC."""
    forge = opposite(role, mutual=True).play(honest(role)[:1])
    message = honest(role, mutual=True)[1].build(forge)
    forge.send_record(22, message, version)
    refused(forge, AlertDescription.PROTOCOL_VERSION)
    forge = established(role)
    forge.send_record(23, b"data", version)
    refused(forge, AlertDescription.PROTOCOL_VERSION)


@pytest.mark.parametrize("role", Role)
def test_a_warning_inside_a_message(role: Role) -> None:
    """R2246-6.2.1-10, R2246-7.4.9-06: between records of one flight and fragments of one message, and not hashed."""
    name = "client_key_exchange" if role is Role.CLIENT else "certificate"
    trace = honest(role)
    forge = opposite(role).play(until(trace, name))
    step = next(item for item in trace if item.name == name)
    data = step.build(forge)
    forge.transcript = forge.transcript.add(data)
    forge.send_alert(AlertLevel.WARNING, AlertDescription.UNRECOGNIZED_NAME)
    forge.send_record(22, data[:7])
    forge.send_alert(AlertLevel.WARNING, AlertDescription.UNRECOGNIZED_NAME)
    forge.send_record(22, data[7:])
    if step.after is not None:
        step.after(forge)
    assert forge.target.events == [WarningReceived(AlertDescription.UNRECOGNIZED_NAME)] * 2
    carries_data(forge.play(trace[trace.index(step) + 1 :]))
