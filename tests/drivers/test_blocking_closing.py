"""TLS over blocking sockets: every kind of end, failures, time-outs."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from tests.support.pki import pki
from tests.support.scripted import ScriptedExit
from tests.support.sockets import CLIENT, PKI, SERVER, TIMEOUT, beside, client, echo, receive, served
from tlsexit.alerts import AlertDescription, AlertReceived, ExitFailed, LocalError, TlsError, TruncatedError
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.drivers.blocking import TlsSocket, connect, wrap_socket
from tlsexit.exits.answers import Failed
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import BuiltinPki

pytestmark = pytest.mark.timeout(30)


# ------------------------------------------------------------------------------------------------ time


def test_a_peer_that_says_nothing() -> None:
    """The time-out bounds the handshake, and the error is the socket's own."""
    with beside(lambda sock: time.sleep(0.3)) as (sock, _):
        sock.settimeout(0.1)
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            client(sock)
        assert time.monotonic() - start < 1
        assert sock.fileno() == -1


def test_a_peer_that_says_little_by_little() -> None:
    """The time-out bounds the handshake as a whole, not each byte of it."""

    def drip(sock: socket.socket) -> None:
        sock.sendall(b"\x16\3\1\x10\0\2\0\x0f\xff")
        for _ in range(200):
            sock.sendall(b"\0")
            time.sleep(0.01)

    with beside(drip) as (sock, peer):
        sock.settimeout(0.2)
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            client(sock)
        assert time.monotonic() - start < 1
    assert peer.errors  # the pipe was broken under it


def test_the_time_out_of_each_operation() -> None:
    """Afterwards it is each operation's; a connection that timed out can go on."""
    proceed = threading.Event()

    def slow(tls: TlsSocket) -> None:
        proceed.wait(TIMEOUT)
        tls.sendall(b"at last")

    with beside(served(slow)) as (sock, _), client(sock) as tls:
        assert tls.gettimeout() == TIMEOUT
        tls.settimeout(0.05)
        with pytest.raises(TimeoutError):
            tls.recv()
        tls.settimeout(TIMEOUT)
        proceed.set()
        assert receive(tls, 7) == b"at last"


# ------------------------------------------------------------------------------------------------ the end


def test_close_notify_is_the_end() -> None:
    """R2246-7.2.1-01, R2246-7.2.1-02: an empty read after the peer's, and only then."""
    ends: list[bytes] = []
    proceed = threading.Event()

    def late(tls: TlsSocket) -> None:
        proceed.wait(TIMEOUT)  # a close_notify that came at once could be seen while closing
        ends.append(tls.recv())

    with beside(served(late)) as (sock, peer):
        tls = client(sock)
        tls.close()
        tls.close()
        with pytest.raises(LocalError, match="closed by this end"):
            tls.recv()
        proceed.set()
        with pytest.raises(LocalError, match="closed"):
            tls.sendall(b"too late")
    assert ends == [b""]
    assert peer.errors == []


def test_truncation() -> None:
    """R2246-7.2.1-06: data that may be missing is an error, every time it is asked for."""

    def cut(sock: socket.socket) -> None:
        tls = wrap_socket(sock, SERVER, pki=PKI.builtin(Role.SERVER))
        tls.sendall(b"half of it")
        tls.abort()
        tls.abort()

    with beside(cut) as (sock, peer):
        tls = client(sock)
        assert receive(tls, 10) == b"half of it"
        for _ in range(2):
            with pytest.raises(TruncatedError):
                tls.recv()
        tls.close()
    assert peer.errors == []


def test_a_fatal_alert_in_the_middle() -> None:
    """R2246-7.2-02: raised by whatever reads or writes next."""

    def misbehave(sock: socket.socket) -> None:
        tls = wrap_socket(sock, SERVER, pki=PKI.builtin(Role.SERVER))
        assert tls.recv() == b"?"
        sock.sendall(b"\x17\3\1\0\x20" + bytes(32))
        with pytest.raises(AlertReceived):
            tls.recv()
        tls.abort()

    with beside(misbehave) as (sock, peer):
        tls = client(sock)
        tls.sendall(b"?")
        with pytest.raises(TlsError, match="bad_record_mac"):
            tls.recv()
        with pytest.raises(TlsError, match="bad_record_mac"):
            tls.sendall(b"more")
        tls.close()
    assert peer.errors == []


def test_unwrapping() -> None:
    """R2246-7.2.1-05: both close_notify are exchanged, then the socket is plain again and usable."""

    def upgrade_and_back(sock: socket.socket) -> None:
        tls = wrap_socket(sock, SERVER, pki=PKI.builtin(Role.SERVER))
        assert receive(tls, 6) == b"secret"
        assert tls.recv() == b""
        plain = tls.unwrap()
        plain.sendall(b"plain again")
        assert plain.recv(100) == b"so it is"

    with beside(upgrade_and_back) as (sock, peer):
        tls = client(sock)
        tls.sendall(b"secret")
        plain = tls.unwrap()
        assert plain is sock
        received = tls.connection.trailing_data()
        while len(received) < 11:
            received += plain.recv(100)
        assert received == b"plain again"
        plain.sendall(b"so it is")
        tls.close()  # the socket is no longer ours
        assert plain.fileno() != -1
    assert peer.errors == []


def test_unwrapping_from_a_peer_that_does_not_answer() -> None:
    """R2246-7.2.1-05: then the socket must not be used for anything else."""

    def hang_up(sock: socket.socket) -> None:
        wrap_socket(sock, SERVER, pki=PKI.builtin(Role.SERVER)).abort()

    with beside(hang_up) as (sock, _):
        tls = client(sock)
        with pytest.raises((TruncatedError, ConnectionError)):
            tls.unwrap()


def test_a_block_that_ends_in_an_exception() -> None:
    """The context manager closes in order all the same."""
    with beside(served(echo)) as (sock, peer):
        with pytest.raises(KeyError), client(sock):
            raise KeyError("mine")
        assert sock.fileno() == -1
    assert peer.errors == []


# ------------------------------------------------------------------------------------------------ failures


def test_a_handshake_that_fails_here() -> None:
    """The alert is sent, the error raised, the socket closed."""
    untrusting = BuiltinPki((), {"other": [pki(KeyType.EC).root.certificate]})
    with beside(served(echo)) as (sock, peer):
        with pytest.raises(ExitFailed) as caught:
            wrap_socket(sock, CLIENT, pki=untrusting)
        assert caught.value.description is AlertDescription.UNKNOWN_CA
        assert sock.fileno() == -1
    assert [str(error) for error in peer.errors] == ["the peer sent unknown_ca(48)"]


def test_a_handshake_that_fails_there() -> None:
    with beside(served(echo, exits=ScriptedExit({ExitPhase.GET_CERTIFICATE: Failed(49)}))) as (sock, peer):
        with pytest.raises(AlertReceived) as caught:
            client(sock)
        assert caught.value.description == 49
    assert isinstance(peer.errors[0], ExitFailed)


def test_a_task_that_cannot_start() -> None:
    """The socket is ours from the call on, so it is closed."""
    near, far = socket.socketpair()
    with far:
        with pytest.raises(ExitFailed, match="StartTask"):
            wrap_socket(near, CLIENT, exits=ScriptedExit({ExitPhase.START_TASK: Failed()}))
        assert near.fileno() == -1


def test_nobody_listens() -> None:
    with socket.socket() as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        address = placeholder.getsockname()
    with pytest.raises(OSError, match="refused"):
        connect(address, CLIENT, timeout=TIMEOUT)


def test_a_peer_that_hangs_up_while_we_write() -> None:
    """What it said before says more than a broken pipe."""

    def refuse(sock: socket.socket) -> None:
        sock.recv(5)
        sock.sendall(b"\x15\3\1\0\2\2\x28")

    with beside(refuse) as (sock, _), pytest.raises((AlertReceived, ConnectionError)):
        client(sock)
