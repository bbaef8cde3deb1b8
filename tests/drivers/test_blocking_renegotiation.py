"""A new handshake over blocking sockets, started by either end (RFC 2246 §7.4.1.1, RFC 5746)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from tests.support.ends import RSA, client_end
from tests.support.sockets import CLIENT, SERVER, beside, client, echo, receive, served
from tlsexit.alerts import LocalError
from tlsexit.drivers.blocking import TlsSocket
from tlsexit.handshake.states import Established

pytestmark = pytest.mark.timeout(30)

ALLOWING = {"profile": replace(CLIENT, renegotiation=True)}
ALLOWING_SERVER = {"profile": replace(SERVER, renegotiation=True)}


def counting(tls: TlsSocket) -> None:
    """Answer each line with how many handshakes there have been."""
    for _ in range(2):
        receive(tls, 5)
        tls.sendall(b"%d" % tls.context.handshake_count)


def test_a_client_starts() -> None:
    with beside(served(counting, **ALLOWING_SERVER)) as (sock, peer), client(sock, **ALLOWING) as tls:
        for count in (1, 2):
            tls.sendall(b"data\n")
            assert receive(tls, 1) == b"%d" % count
            assert tls.renegotiate() if count == 1 else True
            assert tls.context.handshake_count == 2
    assert peer.errors == []


def test_a_server_starts() -> None:
    """What the client had sent before is read after."""

    def serve(tls: TlsSocket) -> None:
        assert tls.renegotiate()
        assert receive(tls, 5) == b"early"
        tls.sendall(b"%d" % tls.context.handshake_count)

    with beside(served(serve, **ALLOWING_SERVER)) as (sock, peer), client(sock, **ALLOWING) as tls:
        tls.sendall(b"early")
        assert receive(tls, 1) == b"2"
    assert peer.errors == []


def test_a_client_is_refused() -> None:
    """R2246-7.2.2-25: the connection goes on as it was."""
    with beside(served(counting)) as (sock, peer), client(sock, **ALLOWING) as tls:
        assert not tls.renegotiate()
        for _ in range(2):
            tls.sendall(b"data\n")
            assert receive(tls, 1) == b"1"
    assert peer.errors == []


def test_a_server_is_refused() -> None:
    def serve(tls: TlsSocket) -> None:
        assert not tls.renegotiate()
        tls.sendall(b"all the same")

    with beside(served(serve, **ALLOWING_SERVER)) as (sock, peer), client(sock) as tls:
        assert receive(tls, 12) == b"all the same"
    assert peer.errors == []


def test_not_without_leave() -> None:
    with beside(served(echo)) as (sock, _), client(sock) as tls, pytest.raises(LocalError, match="does not allow"):
        tls.renegotiate()


def test_an_answer_in_the_middle_of_it() -> None:
    """What a server sends while a client's renegotiation is under way arrives, however much it is and though it closes
    right after: no application data may go between ChangeCipherSpec and the end (R2246-7.4.9-01), so it waits."""
    answer = bytes(range(256)) * 2**12  # more than a connection holds back

    def serve(tls: TlsSocket) -> None:
        assert receive(tls, 7) == b"request"
        tls.sendall(answer)

    with beside(served(serve, **ALLOWING_SERVER)) as (sock, peer):
        end = client_end(RSA, renegotiation=True)
        connection = end.connection
        while not connection.closed:
            if waiting := connection.data_to_send():
                sock.sendall(waiting)
            connection.receive_data(sock.recv(2**16))
            end.drive()
            if connection.established and connection.context.handshake_count == 1 and end.received == b"":
                if not isinstance(connection.state, Established):
                    continue
                connection.renegotiate()
                end.drive()
                connection.send(b"request")
        assert end.received == answer
        assert connection.context.handshake_count == 2
        assert connection.error is None
    assert peer.errors == []


def test_data_instead_of_a_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that never answers HelloRequest cannot fill the server's memory meanwhile."""
    monkeypatch.setattr("tlsexit.drivers.tlssocket._READ_AHEAD", 2**16)
    refusals: list[LocalError] = []

    def serve(tls: TlsSocket) -> None:
        with pytest.raises(LocalError, match="without end") as refused:
            tls.renegotiate()
        refusals.append(refused.value)
        assert tls.pending() < 2**20
        tls.abort()

    with beside(served(serve, **ALLOWING_SERVER)) as (sock, _):
        end = client_end(RSA, renegotiation=True)
        connection = end.connection
        while not connection.established:
            sock.sendall(connection.data_to_send())
            connection.receive_data(sock.recv(2**16))
            end.drive()
        with suppress(OSError):
            for _ in range(100):
                connection.send(bytes(2**14))
                sock.sendall(connection.data_to_send())
    assert len(refusals) == 1
