"""Renegotiation while data flows both ways (RFC 2246 §6.2.1, §7.4.9): nothing lost, doubled or out of order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.conversation import carries_data, established, refused
from tests.support.ends import (
    DHE_RSA,
    ECDHE_RSA,
    RSA,
    RSA_NULL,
    RSA_RC4,
    check_phases,
    client_end,
    handshake,
    server_end,
)
from tests.support.forge import Forge, Step
from tests.support.pair import End, pump
from tests.support.traces import client_trace, record
from tlsexit.alerts import AlertDescription, LocalError
from tlsexit.constants import ContentType, Role
from tlsexit.events import ApplicationData, HandshakeCompleted
from tlsexit.handshake import states
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension
from tlsexit.profile import Verify


def joined(*suites: int, client: dict[str, Any] | None = None, server: dict[str, Any] | None = None) -> tuple[End, End]:
    """Two ends that allow renegotiation, with their first handshake complete."""
    one = client_end(*suites, renegotiation=True, **(client or {}))
    other = server_end(*suites, renegotiation=True, **(server or {}))
    handshake(one, other)
    return one, other


def records_of(data: bytes) -> Iterator[bytes]:
    """One record at a time."""
    while data:
        size = 5 + int.from_bytes(data[3:5], "big")
        yield data[:size]
        data = data[size:]


class Line:
    """A connection on which both ends send a little data after each record that arrives at either."""

    def __init__(self, client: End, server: End) -> None:
        self.ends = (client, server)
        self.sent = {client.connection.role: b"", server.connection.role: b""}
        self.counter = 0

    def chatter(self) -> None:
        """A few more bytes from each end."""
        for end in self.ends:
            self.counter += 1
            data = b"<%d>" % self.counter
            end.connection.send(data)
            self.sent[end.connection.role] += data

    def run(self, *, chatty: int = 60) -> None:
        """Carry one record this way, one that way, until nothing moves."""
        queues: dict[Role, list[bytes]] = {Role.CLIENT: [], Role.SERVER: []}
        moved = True
        while moved:
            moved = False
            for source, target in (self.ends, self.ends[::-1]):
                queue = queues[source.connection.role]
                queue += records_of(source.connection.data_to_send())
                if queue:
                    moved = True
                    target.connection.receive_data(queue.pop(0))
                    target.drive()
                    if self.counter < chatty:
                        self.chatter()


# ------------------------------------------------------------------------------------------------ both ends


@pytest.mark.parametrize("suite", [RSA, DHE_RSA, ECDHE_RSA, RSA_RC4, RSA_NULL], ids=hex)
@pytest.mark.parametrize("verify", [Verify.NONE, Verify.REQUIRED])
@pytest.mark.parametrize("opener", Role)
def test_data_between_all_messages(opener: Role, verify: Verify, suite: int) -> None:
    """R2246-7.4.1-01, R4346-6.2.1-01: at every moment of the handshake, in both directions, under old and new keys."""
    client, server = joined(suite, server={"verify": verify})
    line = Line(client, server)
    (client if opener is Role.CLIENT else server).connection.renegotiate()
    client.drive()
    line.chatter()
    line.run()
    for end in (client, server):
        assert end.connection.context.handshake_count == 2
        assert isinstance(end.connection.state, states.Established)
        assert end.received == line.sent[end.connection.role.peer]
        check_phases(end)


@pytest.mark.parametrize("opener", Role)
def test_much_data_ahead(opener: Role) -> None:
    """R4346-6.2.1-01: what was sent before is in many records, and they all come first."""
    client, server = joined(RSA)
    for end in (client, server):
        end.connection.send(bytes(100_000))
    (client if opener is Role.CLIENT else server).connection.renegotiate()
    client.drive()
    for end in (client, server):
        end.connection.send(b"behind")
    pump(client, server)
    for end in (client, server):
        assert end.connection.context.handshake_count == 2
        assert end.received == bytes(100_000) + b"behind"


@pytest.mark.parametrize("rounds", [1, 3])
def test_both_at_once(rounds: int) -> None:
    """R2246-7.4.1.1-03: HelloRequest and ClientHello cross; one handshake comes of it."""
    client, server = joined(RSA)
    for index in range(rounds):
        server.connection.renegotiate()
        client.connection.renegotiate()
        client.drive()
        pump(client, server)
        for end in (client, server):
            assert end.connection.context.handshake_count == 2 + index
            assert isinstance(end.connection.state, states.Established)
    server.connection.send(b"still here")
    pump(client, server)
    assert client.received == b"still here"


def test_data_waits_for_the_new_keys() -> None:
    """R2246-7.4.9-08: nothing is sent between our ChangeCipherSpec and the peer's Finished."""
    client, server = joined(RSA)
    client.connection.renegotiate()
    client.drive()
    server.connection.receive_data(client.connection.data_to_send())
    server.drive()
    client.connection.receive_data(server.connection.data_to_send())
    client.drive()
    client.connection.data_to_send()
    client.connection.send(b"too early")
    client.connection.send(b"")
    assert client.connection.data_to_send() == b""


def test_data_that_waited_goes_out_at_once() -> None:
    """R2246-7.4.9-08: as soon as the handshake is complete, without another call."""
    client, server = joined(RSA)
    client.connection.renegotiate()
    client.drive()
    server.connection.receive_data(client.connection.data_to_send())
    server.drive()
    client.connection.receive_data(server.connection.data_to_send())
    client.drive()
    client.connection.send(b"first, ")
    client.connection.send(b"second")
    pump(client, server)
    assert server.received == b"first, second"


def test_data_that_waits_has_a_bound() -> None:
    """What does not fit is refused as a whole, and does not count against what comes later."""
    client, server = joined(RSA, client={"config": {"max_buffered_input": 100}})
    client.connection.renegotiate()
    client.drive()
    server.connection.receive_data(client.connection.data_to_send())
    server.drive()
    flight = server.connection.data_to_send()
    client.connection.receive_data(flight)
    client.drive()
    for _ in range(3):
        with pytest.raises(LocalError, match="not complete"):
            client.connection.send(bytes(101))
    client.connection.send(bytes(60))
    with pytest.raises(LocalError, match="not complete"):
        client.connection.send(bytes(41))
    client.connection.send(bytes(40))
    pump(client, server)
    assert server.received == bytes(100)


def test_an_end_in_the_middle_loses_what_waits() -> None:
    """Data that was accepted and never sent is not passed over in silence."""
    client, server = joined(RSA)
    client.connection.renegotiate()
    client.drive()
    server.connection.receive_data(client.connection.data_to_send())
    server.drive()
    client.connection.receive_data(server.connection.data_to_send())
    client.drive()
    client.connection.send(b"waiting")
    client.connection.close()
    client.drive()
    assert isinstance(client.connection.error, LocalError)
    pump(client, server)
    assert server.connection.peer_closed
    check_phases(client)
    check_phases(server)


# ------------------------------------------------------------------------------------------------ a forged client


def again(**profile: Any) -> Forge:
    """An established forged client, about to handshake once more."""
    forge = established(Role.CLIENT, renegotiation=True, **profile)
    saved = forge.verify_data
    forge.begin()
    forge.hello = {"extensions": (Extension(ExtensionType.RENEGOTIATION_INFO, b"\x0c" + saved),)}
    return forge


DATA = record(ContentType.APPLICATION_DATA, b"data", "data")


@pytest.mark.parametrize("name", ["client_key_exchange", "change_cipher_spec"])
def test_data_from_a_client_before_its_key_change(name: str) -> None:
    """R2246-7.4.1-01: protected by the old keys, so it may come."""
    trace = client_trace(RSA)
    at = [step.name for step in trace].index(name)
    forge = again().play((*trace[:at], DATA, *trace[at:]))
    assert forge.target.received == b"data"
    carries_data(forge)


def test_data_between_key_change_and_finished() -> None:
    """R2246-7.4.9-09: under keys that nothing has confirmed yet."""
    trace = client_trace(RSA)
    refused(again().play((*trace[:-1], DATA)), AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("split_at", [1, 4, 5, 20])
def test_data_inside_a_message(split_at: int) -> None:
    """R2246-6.2.1-05: records of different types may alternate, even between two parts of one message."""
    forge = again()
    trace = client_trace(RSA)

    def halves(forge: Forge) -> bytes:
        data = trace[0].build(forge)
        forge.transcript = forge.transcript.add(data)
        parts = (22, data[:split_at]), (23, b"in between"), (22, data[split_at:])
        return b"".join(forge.seal(kind, part) for kind, part in parts)

    forge.play((Step("client_hello", halves, None), *trace[1:]))
    assert forge.target.received == b"in between"
    assert forge.target.connection.context.handshake_count == 2
    carries_data(forge)


def test_the_application_hears_in_order() -> None:
    """Events: first handshake, data, second handshake, data."""
    client, server = joined(RSA)
    client.connection.send(b"before")
    client.connection.renegotiate()
    client.drive()
    pump(client, server)
    client.connection.send(b"after")
    pump(client, server)
    heard: list[bytes] = []
    for event in server.events:
        if isinstance(event, HandshakeCompleted):
            heard += [b"handshake", b""]
        elif isinstance(event, ApplicationData):
            heard[-1] += event.data  # 1/n-1 splitting makes two events of one write
    assert heard == [b"handshake", b"before", b"handshake", b"after"]
