"""TLS over blocking sockets when there is no good end: time-outs, cut-off writes, broken streams, interruptions."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

import pytest

from tests.support.ends import RSA
from tests.support.pki import pki
from tests.support.scripted import ScriptedExit
from tlsexit.alerts import BadRecordMac, ExitFailed, LocalError, TlsError, TruncatedError
from tlsexit.constants import Role
from tlsexit.drivers.blocking import TlsSocket, connect, wrap_socket
from tlsexit.drivers.drive import run
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import system_config
from tlsexit.profile import Profile, Verify
from tlsexit.tasks import Task

CLIENT = Profile.client(cipher_suites=(RSA,))
SERVER = Profile.server(cipher_suites=(RSA,), verify=Verify.NONE)
PKI = pki()
TIMEOUT = 5.0

pytestmark = pytest.mark.timeout(20)


@contextmanager
def pair(**options: Any) -> Iterator[tuple[TlsSocket, TlsSocket, socket.socket]]:
    """A client and a server that have met, both in the test's thread from now on, and the server's bare socket."""
    near, far = socket.socketpair()
    near.settimeout(TIMEOUT)
    far.settimeout(TIMEOUT)
    servers: list[TlsSocket] = []
    thread = Thread(target=lambda: servers.append(wrap_socket(far, SERVER, pki=PKI.builtin(Role.SERVER))), daemon=True)
    thread.start()
    client = wrap_socket(near, CLIENT, pki=PKI.builtin(Role.CLIENT), **options)
    thread.join(TIMEOUT)
    with near, far:
        yield client, servers[0], far
        client.abort()
        servers[0].abort()


def receive_all(tls: TlsSocket) -> bytes:
    data = b""
    while piece := tls.recv():
        data += piece
    return data


# ------------------------------------------------------------------------------------------------ reading


def test_what_arrived_before_the_peer_hung_up_is_read_first() -> None:
    """Data, close_notify and the end of the transport at once: our own close_notify has nowhere to go."""
    with pair() as (client, server, _):
        server.sendall(b"response")
        server.close()
        assert receive_all(client) == b"response"
        assert client.recv() == b""


def test_reading_after_closing() -> None:
    """R2246-7.2.1-06: what the peer had still to say is not known, so this is not the end of the data."""
    with pair() as (client, _, _):
        client.close()
        with pytest.raises(LocalError, match="closed by this end"):
            client.recv()
    with pair() as (client, server, _):
        server.close()
        assert client.recv() == b""
        client.close()
        assert client.recv() == b""


def test_sizes() -> None:
    with pair() as (client, server, _):
        server.sendall(b"0123456789")
        buffer = bytearray(4)
        with pytest.raises(ValueError, match="-1"):
            client.recv_into(buffer, -1)
        with pytest.raises(ValueError, match="-1"):
            client.recv(-1)
        assert client.pending() == 0
        assert client.recv(1) == b"0"  # 1/n-1
        assert client.pending() == 9
        assert client.recv_into(buffer) == 4
        assert client.pending() == 5
        assert bytes(buffer) == b"1234"


def test_a_time_out_bounds_the_whole_operation() -> None:
    """Each byte of a record comes in time; the record as a whole does not."""

    class Dripping:
        """A socket that gives one byte each time, and as much time to have passed as the clock says."""

        def __init__(self, sock: socket.socket) -> None:
            self._socket = sock
            self.waits: list[float] = []

        def recv(self, size: int) -> bytes:
            timeout = self._socket.gettimeout()
            assert timeout is not None
            self.waits.append(timeout)
            return self._socket.recv(1)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._socket, name)

    with pair() as (client, server, _):
        dripping = Dripping(client._socket)
        client._socket = dripping  # type: ignore[assignment]
        server.sendall(b"hello")
        assert client.recv() == b"h"
        assert dripping.waits[0] <= TIMEOUT
        assert all(later < sooner for sooner, later in zip(dripping.waits, dripping.waits[1:], strict=False))
        assert client.gettimeout() == TIMEOUT


def test_a_file_after_a_time_out() -> None:
    """A buffered reader has lost what it had read so far: it must not go on as if nothing had happened."""
    with pair() as (client, server, _):
        client.settimeout(0.05)
        server.sendall(b"A" * 10)
        file = client.makefile("rb")
        with pytest.raises(TimeoutError):
            file.read(20)
        server.sendall(b"B" * 20)
        with pytest.raises(OSError, match="timed out object"):
            file.read(20)
        assert client.recv(1) == b"B"  # the socket itself goes on


# ------------------------------------------------------------------------------------------------ writing


def test_a_write_that_was_cut_off() -> None:
    """The stream may end inside a record; whatever followed would be read as the rest of it."""
    with pair() as (client, server, far):
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.sendall(bytes(3_000_000))
        client.settimeout(TIMEOUT)
        for _ in range(2):
            with pytest.raises(LocalError, match="cut off"):
                client.sendall(b"more")
        server.sendall(b"still readable")
        assert client.recv() == b"s"
        with pytest.raises(LocalError, match="cut off"):
            client.unwrap()
        client.close()
        with pytest.raises(TruncatedError):
            receive_all(server)  # what there is, and no word of an orderly end
        assert far.fileno() != -1


# ------------------------------------------------------------------------------------------------ unwrapping


def test_unwrapping_after_a_failure() -> None:
    with pair() as (client, _, far):
        far.sendall(b"\x17\x03\x01\x00\x20" + bytes(32))
        with pytest.raises(BadRecordMac):
            client.recv()
        for _ in range(2):
            with pytest.raises(BadRecordMac):
                client.unwrap()


def test_unwrapping_a_broken_stream() -> None:
    """After our close_notify nothing else can come than the peer's; garbage is not it, and nobody waits for more."""
    with pair() as (client, _, far):
        far.sendall(b"\x17\x03\x01\x00\x20" + bytes(32))
        with pytest.raises(TruncatedError, match="broken"):
            client.unwrap()


def test_unwrapping_what_is_not_established() -> None:
    near, far = socket.socketpair()
    with near, far:
        tls = wrap_socket(near, CLIENT, pki=PKI.builtin(Role.CLIENT), do_handshake=False)
        with pytest.raises(LocalError, match="not complete"):
            tls.unwrap()
        tls.close()
        with pytest.raises(LocalError, match="closed"):
            tls.unwrap()


def test_unwrapping_can_be_tried_again() -> None:
    with pair() as (client, server, far):
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.unwrap()
        client.settimeout(TIMEOUT)
        server.unwrap()
        assert client.unwrap().gettimeout() == TIMEOUT
        assert far.fileno() != -1


# ------------------------------------------------------------------------------------------------ exits


def _serve(sock: socket.socket) -> None:
    with sock, suppress(OSError, TlsError):
        wrap_socket(sock, SERVER, pki=PKI.builtin(Role.SERVER))


def test_an_interrupted_exit_is_not_asked_again() -> None:
    """Ctrl-C while it checks a certificate: the handshake ends here, and the exit hears of that alone."""
    near, far = socket.socketpair()
    thread = Thread(target=_serve, args=(far,), daemon=True)
    thread.start()
    exits = ScriptedExit({ExitPhase.CHECK_CERTIFICATE: KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        wrap_socket(near, CLIENT, exits=exits, pki=PKI.builtin(Role.CLIENT))
    thread.join(TIMEOUT)
    names = [phase.value for phase in exits.phases]
    assert names == ["StartTask", "StartHandshake", "CheckCertificate", "HandshakeAlert", "EndTask"]
    assert near.fileno() == -1


@pytest.mark.parametrize("end", [TlsSocket.abort, TlsSocket.close])
def test_a_last_question_that_is_interrupted(end: Callable[[TlsSocket], None]) -> None:
    """It is not asked again; EndTask is asked all the same."""
    exits = ScriptedExit({ExitPhase.END_SESSION: KeyboardInterrupt()})
    with pair(exits=exits) as (client, _, _):
        with pytest.raises(KeyboardInterrupt):
            end(client)
        assert [phase.value for phase in exits.phases][-2:] == ["EndSession", "EndTask"]


def test_a_connection_that_cannot_be_made() -> None:
    """The task of the caller's has ended: the socket that was handed over is closed."""
    task = Task(system_config())
    run(task, None, PKI.builtin(Role.CLIENT))
    task.end()
    near, far = socket.socketpair()
    with far:
        with pytest.raises(LocalError, match="ended"):
            wrap_socket(near, CLIENT, task=task)
        assert near.fileno() == -1


def test_a_task_that_is_ended_too_early() -> None:
    """EndTask waits for the last session, whose socket then asks it."""
    exits = ScriptedExit()
    task = Task(system_config())
    run(task, exits, PKI.builtin(Role.CLIENT))
    with pair(exits=exits, task=task) as (client, _, _):
        task.end()
        run(task, exits, PKI.builtin(Role.CLIENT))
        assert exits.phases[-1] is ExitPhase.HANDSHAKE_DONE
        client.close()
        assert [phase.value for phase in exits.phases][-2:] == ["EndSession", "EndTask"]


# ------------------------------------------------------------------------------------------------ the host


def _accept(server: socket.socket) -> None:
    sock, _ = server.accept()
    with sock:
        sock.settimeout(TIMEOUT)
        with suppress(OSError, TlsError):
            wrap_socket(sock, SERVER, pki=PKI.builtin(Role.SERVER)).recv()


@pytest.mark.parametrize(
    ("host", "profile", "options", "expected"),
    [
        ("127.0.0.1", CLIENT, {}, "127.0.0.1"),
        ("127.0.0.1", Profile.client(cipher_suites=(RSA,), server_name="localhost"), {}, "localhost"),
        ("127.0.0.2", CLIENT, {"check_host": False}, None),
        ("127.0.0.2", CLIENT, {}, ExitFailed),
    ],
)
def test_the_host_is_checked(host: str, profile: Profile, options: dict[str, Any], expected: Any) -> None:
    """The certificate speaks for localhost and 127.0.0.1."""
    with socket.create_server((host, 0)) as server:
        thread = Thread(target=_accept, args=(server,), daemon=True)
        thread.start()
        address = server.getsockname()
        given = {"pki": PKI.builtin(Role.CLIENT), "timeout": TIMEOUT, **options}
        if expected is ExitFailed:
            with pytest.raises(ExitFailed, match="speak for"):
                connect(address, profile, **given)
        else:
            with connect(address, profile, **given) as tls:
                assert tls.context.server_name == expected
        thread.join(TIMEOUT)
