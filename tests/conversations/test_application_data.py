"""Application data in the wrong place, empty, and in any number of records (RFC 2246 §7.4.9, §6.2, §10)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.conversation import carries_data, established, honest, opposite, refused
from tests.support.ends import DHE_RSA, RSA, RSA_RC4, client_end, handshake, server_end
from tests.support.forge import Forge
from tests.support.pair import End, pump
from tests.support.traces import server_trace, until
from tlsexit.alerts import AlertDescription, BadRecordMac, LocalError
from tlsexit.constants import ContentType, Role
from tlsexit.crypto.suites import SUITES
from tlsexit.events import ApplicationData, Closed
from tlsexit.exits.calls import EndSessionCall

TRACES = {role: honest(role, DHE_RSA, mutual=True) for role in Role}


@pytest.mark.parametrize(
    ("role", "name"),
    [
        pytest.param(role, step.name, id=f"{role.value}-before-{step.name}")
        for role, trace in TRACES.items()
        for step in trace
    ],
)
@pytest.mark.parametrize("data", [b"GET / HTTP/1.0\r\n\r\n", b"x"])
def test_data_before_the_handshake_is_complete(role: Role, name: str, data: bytes) -> None:
    """R2246-7.4.9-09: also between ChangeCipherSpec and Finished, when it is protected already."""
    forge = opposite(role, DHE_RSA, mutual=True).play(until(TRACES[role], name))
    forge.send_record(23, data)
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)
    assert forge.target.received == b""


def test_the_engine_sends_none_before_the_handshake_is_complete() -> None:
    """R2246-7.4.9-08: no false start; asking for it is the caller's mistake."""
    client = client_end(RSA)
    forge = Forge(client, RSA)
    for step in server_trace(RSA):
        with pytest.raises(LocalError, match="not complete"):
            client.connection.send(b"too soon")
        forge.send(step)
    carries_data(forge)


@pytest.mark.parametrize("suite", [RSA, RSA_RC4])
def test_empty_records_are_not_the_end(suite: int) -> None:
    """R5246-6.2.1-01, R4346-6.2.3.2-02: they say nothing, and the application hears nothing."""
    forge = established(Role.CLIENT, suite)
    events = len(forge.target.events)
    for _ in range(32):
        forge.send_record(23, b"")
    assert len(forge.target.events) == events
    carries_data(forge)


def test_too_many_empty_records() -> None:
    """Each costs a decryption and moves nothing, so 32 in a row are enough (as elsewhere)."""
    forge = established(Role.CLIENT)
    for _ in range(33):
        forge.send_record(23, b"")
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("suite", [RSA, RSA_RC4], ids=lambda suite: SUITES[suite].name)
@pytest.mark.parametrize("length", [1, 2, 2**14, 2**14 + 1, 100_000])
def test_any_length_both_ways(suite: int, length: int) -> None:
    """R2246-10-01, R2246-6.2.1-01: opaque, and in as many records as it takes."""
    client, server = client_end(suite), server_end(suite)
    handshake(client, server)
    data = bytes(i * 7 & 0xFF for i in range(length))
    client.connection.send(data)
    server.connection.send(data[::-1])
    pump(client, server)
    assert server.received == data
    assert client.received == data[::-1]
    assert all(0 < len(event.data) <= 2**14 for event in server.events if isinstance(event, ApplicationData))


def test_sending_nothing_sends_nothing() -> None:
    """No empty record goes out for an empty write."""
    client, server = client_end(), server_end()
    handshake(client, server)
    client.connection.send(b"")
    assert client.connection.data_to_send() == b""


# ------------------------------------------------------------------------------------------------ more than one sip

MUCH = bytes(i * 7 & 0xFF for i in range(10**6))


def written_at_once(suite: int) -> tuple[End, bytes]:
    """Return a server that is established, and what its client has to say: much data, and close_notify behind it."""
    client, server = client_end(suite), server_end(suite)
    handshake(client, server)
    client.connection.send(MUCH)
    client.connection.close()
    client.drive()
    return server, client.connection.data_to_send()


@pytest.mark.parametrize("suite", [RSA, RSA_RC4], ids=lambda suite: SUITES[suite].name)
def test_much_at_once_is_opened_as_it_is_taken(suite: int) -> None:
    """Nothing is lost, and what comes behind the data happens when the data has been taken."""
    server, wire = written_at_once(suite)
    server.connection.receive_data(wire)
    assert (server.connection.closed, server.connection.pending_exit) == (False, None)
    server.drive()
    assert server.received == MUCH
    assert isinstance(server.events[-1], Closed)
    assert isinstance(server.connection.pending_exit, EndSessionCall)
    assert server.connection.data_to_send()[0] == ContentType.ALERT


@given(cuts=st.lists(st.integers(1, 10**6), max_size=6))
@settings(max_examples=10, deadline=None)
def test_much_in_any_chunks(cuts: list[int]) -> None:
    """The same events as at once, whatever of them has been taken between two chunks."""
    server, wire = written_at_once(RSA)
    for start, stop in pairwise([0, *sorted(cuts), len(wire)]):
        server.connection.receive_data(wire[start:stop])
        if start % 2:
            server.drive()
    server.drive()
    assert server.received == MUCH
    assert server.connection.peer_closed
    assert server.connection.error is None


def test_a_broken_record_far_behind_spoils_nothing_before_it() -> None:
    """What was authentic is handed out, then the connection ends with the alert of the broken one."""
    server, wire = written_at_once(RSA)
    broken = bytearray(wire)
    broken[900_000] ^= 1
    server.connection.receive_data(bytes(broken))
    server.drive()
    assert MUCH.startswith(server.received)
    assert len(server.received) > 850_000
    assert isinstance(server.connection.error, BadRecordMac)
    assert server.connection.data_to_send()


def test_closing_before_all_has_been_taken() -> None:
    """R2246-7.2.1-03: what has not been opened is ignored; the peer's close_notify behind it still counts."""
    server, wire = written_at_once(RSA)
    server.connection.receive_data(wire)
    server.connection.close()
    server.drive()
    assert server.connection.peer_closed
    assert MUCH.startswith(server.received)
