"""Legal messages in odd records, and records where none should be (RFC 2246 §6.2.1, §7.1, §7.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.conversation import carries_data, ended_by_peer, established, honest, opposite, refused
from tests.support.ends import DHE_RSA, RSA, RSA_NULL, RSA_RC4, client_end, server_end
from tests.support.forge import Forge, Step, Trace
from tests.support.pair import pump
from tests.support.traces import finished, hello_request, split
from tlsexit.alerts import AlertDescription, AlertLevel
from tlsexit.constants import ContentType, Role
from tlsexit.crypto.suites import SUITES
from tlsexit.events import WarningReceived

UNEXPECTED = AlertDescription.UNEXPECTED_MESSAGE
suites = pytest.mark.parametrize("suite", [RSA, RSA_RC4, RSA_NULL], ids=lambda suite: SUITES[suite].name)


def before_the_key_change(trace: Trace) -> tuple[Trace, Trace]:
    """The handshake messages before ChangeCipherSpec, and what follows."""
    at = [step.name for step in trace].index("change_cipher_spec")
    return trace[:at], trace[at:]


class Repacked:
    """Sends messages one by one, but in records that are cut without regard to where a message ends."""

    def __init__(self, forge: Forge, sizes: list[int]) -> None:
        self.forge = forge
        self.sizes = sizes
        self.rest = b""

    def send(self, step: Step, *, last: bool) -> None:
        """Send as many whole records as there are bytes for; of the last message everything."""
        data = step.build(self.forge)
        self.forge.transcript = self.forge.transcript.add(data)
        self.rest += data
        while self.rest and (last or len(self.rest) >= self.sizes[0]):
            size = self.sizes.pop(0)
            self.sizes.append(size)
            self.forge.send_record(ContentType.HANDSHAKE, self.rest[:size])
            self.rest = self.rest[size:]
        if step.after is not None:
            step.after(self.forge)


# ------------------------------------------------------------------------------------------------ any records will do


@given(sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=20))
def test_a_servers_flight_in_any_records(sizes: list[int]) -> None:
    """R2246-6.2.1-04, R2246-6.2.1-05, R2246-6.2.1-06: coalesced, straddling, split; the boundaries mean nothing."""
    forge = opposite(Role.SERVER, DHE_RSA)
    flight, rest = before_the_key_change(honest(Role.SERVER, DHE_RSA))
    packed = Repacked(forge, sizes)
    for step in flight:
        packed.send(step, last=step is flight[-1])
    carries_data(forge.play(rest))


@given(sizes=st.lists(st.integers(1, 600), min_size=1, max_size=20))
def test_a_clients_flight_in_any_records(sizes: list[int]) -> None:
    """The same for Certificate, ClientKeyExchange and CertificateVerify."""
    forge = opposite(Role.CLIENT, DHE_RSA, mutual=True)
    flight, rest = before_the_key_change(honest(Role.CLIENT, DHE_RSA, mutual=True))
    forge.send(flight[0])
    packed = Repacked(forge, sizes)
    for step in flight[1:]:
        packed.send(step, last=step is flight[-1])
    carries_data(forge.play(rest))


@pytest.mark.parametrize("role", Role)
def test_one_message_over_hundreds_of_records(role: Role) -> None:
    """R2246-6.2.1-05: they are not empty, so there is no bound on their number but the message's own."""
    trace = split(honest(role, RSA, mutual=True), "certificate", 2)
    forge = opposite(role, RSA, mutual=True).play(trace)
    carries_data(forge)


@suites
@pytest.mark.parametrize("role", Role)
def test_finished_byte_by_byte_under_the_new_keys(role: Role, suite: int) -> None:
    """R2246-7.4.9-01: sixteen records for it, the first of which is the first under the keys."""
    carries_data(opposite(role, suite).play(split(honest(role, suite), "finished", 1)))


# ------------------------------------------------------------------------------------------------ around the key change


@pytest.mark.parametrize("extra", [b"\0", b"\0\0\0", b"\x0e\0", b"\x14\0\0\x0c", b"\1\0\1\0"])
@pytest.mark.parametrize("role", Role)
def test_a_message_that_begins_before_the_key_change(role: Role, extra: bytes) -> None:
    """R2246-7.1-08: bytes that came in the clear must not become part of a message under the keys."""
    flight, rest = before_the_key_change(honest(role))
    forge = opposite(role).play(flight)
    forge.send_record(ContentType.HANDSHAKE, extra)
    forge.play(rest)
    refused(forge, UNEXPECTED)


@pytest.mark.parametrize("extra", [b"\x14\0\0\x0c" + bytes(12), b"\x0e\0\0\0", b"\x10\0\0\2\0\0"])
@pytest.mark.parametrize("role", Role)
def test_a_whole_message_too_many_behind_finished(role: Role, extra: bytes) -> None:
    """R2246-7.4-02: in the same record as Finished, and still refused."""
    trace = honest(role)
    forge = opposite(role).play(trace[:-1])
    forge.send_record(ContentType.HANDSHAKE, finished.build(forge) + extra)
    refused(forge, UNEXPECTED)


def test_a_hello_request_behind_finished() -> None:
    """R2246-7.4.1.1-01: at any time, so in the record of Finished too."""
    forge = opposite(Role.SERVER).play(honest(Role.SERVER)[:-1])
    forge.send_record(ContentType.HANDSHAKE, finished.build(forge) + hello_request.build(forge))
    assert forge.warnings == [AlertDescription.NO_RENEGOTIATION]
    assert forge.target.connection.established


@pytest.mark.parametrize("role", Role)
def test_half_a_message_behind_finished(role: Role) -> None:
    """It may become a whole one; data does not wait for it."""
    forge = opposite(role).play(honest(role)[:-1])
    forge.send_record(ContentType.HANDSHAKE, finished.build(forge) + b"\0\0")
    forge.send_record(ContentType.APPLICATION_DATA, b"data")
    assert forge.target.received == b"data"
    forge.send_record(ContentType.CHANGE_CIPHER_SPEC, b"\1")
    refused(forge, UNEXPECTED)


@suites
@pytest.mark.parametrize("content_type", [20, 21, 22, 23, 24, 99])
@pytest.mark.parametrize("role", Role)
def test_plaintext_after_encryption(role: Role, content_type: int, suite: int) -> None:
    """R2246-6-02, R2246-6-03: whatever the type, known or not, what has no MAC is refused."""
    forge = established(role, suite)
    body = {20: b"\1", 21: b"\1\0", 22: bytes(4)}.get(content_type, b"in the clear")
    forge.send_bytes(bytes([content_type, 3, 1]) + len(body).to_bytes(2, "big") + body)
    refused(forge, AlertDescription.BAD_RECORD_MAC)


@suites
def test_records_of_unknown_type_count(suite: int) -> None:
    """R2246-6-02: in the sequence number and the chain of IVs; a lost one is noticed by the next record."""
    forge = established(Role.CLIENT, suite)
    for content_type in (24, 99, 0):
        forge.send_record(content_type, b"ignored")
        carries_data(forge)
    forge.seal(24, b"lost on the way")
    forge.send_record(ContentType.APPLICATION_DATA, b"behind it")
    refused(forge, AlertDescription.BAD_RECORD_MAC)


@pytest.mark.parametrize("count", [32, 33])
def test_the_bound_on_unknown_types(count: int) -> None:
    """R2246-6-01: ignored, 32 of them in a row; data between them starts the count anew."""
    forge = established(Role.CLIENT)
    for _ in range(2):
        for _ in range(32):
            forge.send_record(24, b"x")
        forge.send_record(ContentType.APPLICATION_DATA, b"data")
    assert forge.target.received == b"datadata"
    for _ in range(count):
        forge.send_record(24, b"x")
    if count == 32:
        carries_data(forge)
    else:
        refused(forge, UNEXPECTED)


# ------------------------------------------------------------------------------------------------ alerts


def test_alerts_in_one_record() -> None:
    """R2246-6.2.1-04: one after the other, up to the one that ends it."""
    forge = established(Role.CLIENT)
    forge.send_record(ContentType.ALERT, b"\1\x5a\1\x64\1\x29")
    assert forge.target.events[-3:] == [WarningReceived(90), WarningReceived(100), WarningReceived(41)]
    forge.send_record(ContentType.ALERT, b"\1\x5a\2\x28\2\x32")
    ended_by_peer(forge, AlertDescription.HANDSHAKE_FAILURE)


def test_close_notify_twice_in_one_record() -> None:
    """R2246-7.2.1-03: "any data received after a closure alert is ignored"."""
    forge = established(Role.CLIENT)
    forge.send_record(ContentType.ALERT, b"\1\0\1\0")
    assert forge.warnings == [AlertDescription.CLOSE_NOTIFY]
    assert forge.target.connection.error is None
    assert forge.target.connection.peer_closed


@pytest.mark.parametrize("between", [ContentType.APPLICATION_DATA, 24])
def test_another_record_between_the_halves_of_an_alert(between: int) -> None:
    """R2246-6.2.1-10: each type has a stream of its own."""
    forge = established(Role.CLIENT)
    forge.send_record(ContentType.ALERT, b"\2")
    forge.send_record(between, b"data")
    forge.send_record(ContentType.ALERT, b"\x30")
    ended_by_peer(forge, AlertDescription.UNKNOWN_CA)


def test_an_alert_that_is_never_completed() -> None:
    """Half an alert is nothing yet, and the transport's end is a truncation."""
    forge = established(Role.CLIENT)
    forge.send_record(ContentType.ALERT, b"\1")
    carries_data(forge)
    forge.target.connection.receive_eof()
    forge.target.drive()
    assert "without close_notify" in str(forge.target.connection.error)


@pytest.mark.parametrize("role", Role)
def test_what_follows_close_notify(role: Role) -> None:
    """R2246-7.2.1-03, R2246-7.2.1-05: ignored, whatever it is, and left to the transport's next user."""
    forge = established(role)
    closing = forge.seal(ContentType.ALERT, b"\1\0")
    behind = (
        forge.seal(ContentType.APPLICATION_DATA, b"too late") + forge.seal(ContentType.ALERT, b"\2\x28") + b"rubbish"
    )
    forge.send_bytes(closing + behind)
    connection = forge.target.connection
    assert (connection.error, connection.peer_closed) == (None, True)
    assert forge.target.received == b""
    assert connection.trailing_data() == behind


@pytest.mark.parametrize("level", [AlertLevel.WARNING, AlertLevel.FATAL])
def test_an_alert_in_the_clear_under_keys(level: AlertLevel) -> None:
    """R2246-6-03: nobody in the middle can end or disturb a connection by name."""
    for role in Role:
        forge = established(role)
        forge.send_bytes(bytes([21, 3, 1, 0, 2, level, 0]))
        refused(forge, AlertDescription.BAD_RECORD_MAC)
        assert not forge.target.connection.peer_closed


# ------------------------------------------------------------------------------------------------ both ends at once


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_chunks_of_a_whole_conversation(size: int) -> None:
    """R2246-6.2.1-05: data and close_notify too."""
    client, server = client_end(DHE_RSA), server_end(DHE_RSA)
    pump(client, server, size=size)
    client.connection.send(bytes(3000))
    client.connection.close()
    client.drive()
    pump(client, server, size=size)
    assert server.received == bytes(3000)
    assert server.connection.peer_closed
