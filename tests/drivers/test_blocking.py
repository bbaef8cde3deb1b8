"""TLS over blocking sockets: data, files, exits, facts."""

from __future__ import annotations

import io
import socket
import threading
from typing import Any

import pytest

from tests.support.ends import DHE_RSA, RSA, server_end
from tests.support.scripted import AsyncScriptedExit, ScriptedExit
from tests.support.sockets import CLIENT, PKI, SERVER, TIMEOUT, beside, client, echo, receive, served
from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.drivers.blocking import TlsSocket, connect, wrap_socket
from tlsexit.exits.answers import Handled
from tlsexit.exits.context import Authentication
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import system_config
from tlsexit.profile import Profile, Verify
from tlsexit.tasks import Task

pytestmark = pytest.mark.timeout(30)


# ------------------------------------------------------------------------------------------------ data


@pytest.mark.parametrize("size", [1, 1000, 2**14, 2**14 + 1, 3_000_000])
def test_data_both_ways(size: int) -> None:
    """R2246-10-01: any amount, in pieces bounded in memory."""
    data = bytes(i & 0xFF for i in range(size))
    with beside(served(lambda tls: tls.sendall(receive(tls, size)[::-1]))) as (sock, peer), client(sock) as tls:
        tls.sendall(data)
        assert receive(tls, size) == data[::-1]
    assert peer.errors == []


def test_receiving_in_portions() -> None:
    """At most as much as was asked for; nothing is lost between."""
    with beside(served(lambda tls: tls.sendall(b"0123456789"))) as (sock, _), client(sock) as tls:
        assert tls.recv(0) == b""
        assert tls.recv(1) == b"0"
        assert receive(tls, 3) == b"123"
        buffer = bytearray(20)
        assert tls.recv_into(buffer, 2) == 2
        assert buffer[:2] == b"45"
        assert tls.recv_into(memoryview(buffer)[10:]) == 4
        assert buffer[10:14] == b"6789"
        assert tls.recv() == b""
        assert tls.recv() == b""  # the end stays the end


@pytest.mark.parametrize(
    "data", [b"bytes", bytearray(b"bytes"), memoryview(b"bytes"), memoryview(b"\0\1\2\3").cast("H")]
)
def test_what_can_be_sent(data: bytes | bytearray | memoryview) -> None:
    with beside(served(echo)) as (sock, _), client(sock) as tls:
        expected = bytes(memoryview(data).cast("B"))
        assert tls.send(data) == len(expected)
        assert receive(tls, len(expected)) == expected


def test_sending_nothing() -> None:
    with beside(served(echo)) as (sock, _), client(sock) as tls:
        tls.sendall(b"")
        assert tls.send(b"") == 0


def test_a_peer_that_says_all_at_once() -> None:
    """Its data and its close_notify may arrive with its Finished."""

    def work(sock: socket.socket) -> None:
        server = server_end(RSA)
        while not server.connection.closed:
            server.connection.receive_data(sock.recv(2**16))
            server.drive()
            if server.connection.established:
                server.connection.send(b"hello")
                server.connection.close()
            sock.sendall(server.connection.data_to_send())

    with beside(work) as (sock, peer), client(sock) as tls:
        assert receive(tls, 5) == b"hello"
        assert tls.recv() == b""
    assert peer.errors == []


# ------------------------------------------------------------------------------------------------ files


def test_lines_through_a_file() -> None:
    def shout(tls: TlsSocket) -> None:
        with tls.makefile("rwb") as stream:
            for line in stream:
                stream.write(line.upper())
                stream.flush()

    with beside(served(shout)) as (sock, peer), client(sock) as tls:
        stream = tls.makefile("rwb")
        for word in (b"one\n", b"two\n"):
            stream.write(word)
            stream.flush()
            assert stream.readline() == word.upper()
        stream.close()
        tls.sendall(b"three\n")  # closing the file leaves the connection open
        assert receive(tls, 6) == b"THREE\n"
    assert peer.errors == []


def test_kinds_of_files() -> None:
    with beside(served(lambda tls: tls.sendall(b"x" * 10))) as (sock, _), client(sock) as tls:
        raw = tls.makefile("rb", 0)
        assert isinstance(raw, io.RawIOBase)
        assert not raw.writable()
        assert raw.read(1) == b"x"
        buffered = tls.makefile("rb", 2)
        assert isinstance(buffered, io.BufferedReader)
        assert buffered.read() == b"x" * 9
        writer = tls.makefile("wb")
        assert isinstance(writer, io.BufferedWriter)
        assert not writer.readable()
        for mode in ("r", "w", "rt", "b", "x", ""):
            with pytest.raises(LocalError, match="rb, wb or rwb"):
                tls.makefile(mode)
        writer.detach()


# ------------------------------------------------------------------------------------------------ exits and facts


@pytest.mark.parametrize("shape", [ScriptedExit, AsyncScriptedExit])
def test_exits(shape: type[ScriptedExit]) -> None:
    """Every phase of a task and its session, in order; ``async`` methods are run to their end."""
    ours, theirs = shape({ExitPhase.HANDSHAKE_DONE: Handled(b"area")}), shape()
    with beside(served(echo, exits=theirs)) as (sock, _), client(sock, exits=ours) as tls:
        assert tls.global_area == b"area".ljust(64, b"\0")
    assert [phase.value for phase in ours.phases] == [
        "StartTask",
        "StartHandshake",
        "CheckCertificate",
        "HandshakeDone",
        "EndSession",
        "EndTask",
    ]
    assert [phase.value for phase in theirs.phases] == [
        "StartTask",
        "StartHandshake",
        "GetCertificate",
        "CryptData",
        "HandshakeDone",
        "EndSession",
        "EndTask",
    ]


def test_a_task_of_the_callers() -> None:
    """It serves several sockets, and only the caller ends it."""
    exits = ScriptedExit()
    task = Task(system_config())
    task.answer(Handled())
    for _ in range(2):
        with beside(served(echo)) as (sock, _), client(sock, exits=exits, task=task):
            pass
    assert ExitPhase.END_TASK not in exits.phases
    assert exits.phases.count(ExitPhase.END_SESSION) == 2


def test_facts() -> None:
    with beside(served(echo)) as (sock, _), client(sock) as tls:
        assert tls.cipher() == "TLS_RSA_WITH_AES_128_CBC_SHA"
        assert tls.fileno() == sock.fileno()
        assert tls.context.authentication is Authentication.SERVER
        assert tls.global_area == bytes(64)
        assert tls.session is not None
        assert tls.connection.established


def test_a_handshake_on_request() -> None:
    """``do_handshake=False``: nothing is sent before it is asked for."""
    with beside(served(echo)) as (sock, peer):
        tls = client(sock, do_handshake=False)
        assert tls.cipher() is None
        with pytest.raises(LocalError, match="not complete"):
            tls.sendall(b"too early")
        tls.do_handshake()
        with pytest.raises(LocalError, match="started already"):
            tls.do_handshake()
        tls.close()
    assert peer.errors == []


def test_closing_before_the_handshake() -> None:
    """Nothing had begun; the task ends and the socket is closed."""
    exits = ScriptedExit()
    near, far = socket.socketpair()
    with far:
        client(near, exits=exits, do_handshake=False).close()
        assert far.recv(100) == b""
    assert [phase.value for phase in exits.phases] == ["StartTask", "EndTask"]


def test_connecting_over_tcp() -> None:
    """R2246-7.3-05: with addresses for the exit, and a session to offer next time."""
    exits = ScriptedExit()
    config = system_config()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT)

        def serve() -> None:
            for _ in range(2):
                accepted, _ = listener.accept()
                accepted.settimeout(TIMEOUT)
                with wrap_socket(accepted, SERVER, pki=PKI.builtin(Role.SERVER), config=config) as tls:
                    echo(tls)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        address = listener.getsockname()
        options: dict[str, Any] = {"exits": exits, "pki": PKI.builtin(Role.CLIENT), "timeout": TIMEOUT}
        with connect(address, CLIENT, **options) as tls:
            assert tls.getpeername() == address
            assert tls.gettimeout() == TIMEOUT
            session = tls.session
        with connect(address, CLIENT, session=session, **options) as tls:
            assert tls.context.resumed
            tls.sendall(b"again")
            assert receive(tls, 5) == b"again"
        thread.join(TIMEOUT)
    shown = exits.last(ExitPhase.START_HANDSHAKE).context
    assert shown.remote_address == address
    assert shown.local_address[0] == "127.0.0.1"


def test_mutual_authentication() -> None:
    """With ephemeral keys, and a client certificate."""

    def work(sock: socket.socket) -> None:
        profile = Profile.server(cipher_suites=(DHE_RSA,), verify=Verify.REQUIRED)
        with wrap_socket(sock, profile, pki=PKI.builtin(Role.SERVER)) as tls:
            tls.sendall(str(tls.context.authentication).encode())

    with beside(work) as (sock, peer), client(sock, profile=Profile.client(cipher_suites=(DHE_RSA,))) as tls:
        assert tls.makefile("rb").read() == b"Authentication.BOTH"
    assert peer.errors == []
