"""TLS over blocking sockets, on loopback: two threads, short time-outs."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.ends import DHE_RSA, RSA, server_end
from tests.support.pki import pki
from tests.support.scripted import AsyncScriptedExit, ScriptedExit
from tlsexit.alerts import AlertDescription, AlertReceived, ExitFailed, LocalError, TlsError, TruncatedError
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.drivers.blocking import TlsSocket, connect, wrap_socket
from tlsexit.exits.answers import Failed, Handled
from tlsexit.exits.context import Authentication
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import BuiltinPki, system_config
from tlsexit.profile import Profile, Verify
from tlsexit.tasks import Task

CLIENT = Profile.client(cipher_suites=(RSA,))
SERVER = Profile.server(cipher_suites=(RSA,), verify=Verify.NONE)
TIMEOUT = 5.0
PKI = pki()  # made before the threads are there

pytestmark = pytest.mark.timeout(30)


@dataclass
class Peer:
    """What the other thread did: it works on the second socket of a pair, and leaves what it raised."""

    errors: list[BaseException] = field(default_factory=list)


@contextmanager
def beside(work: Callable[[socket.socket], None]) -> Iterator[tuple[socket.socket, Peer]]:
    """Run ``work`` on one end of a socket pair in a thread; the test has the other end."""
    near, far = socket.socketpair()
    near.settimeout(TIMEOUT)
    far.settimeout(TIMEOUT)
    peer = Peer()

    def run() -> None:
        with far:
            try:
                work(far)
            except (TlsError, OSError) as error:
                peer.errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        with near:
            yield near, peer
    finally:
        thread.join(TIMEOUT)
        assert not thread.is_alive()


def served(handler: Callable[[TlsSocket], None], **options: Any) -> Callable[[socket.socket], None]:
    """A server's work: the handshake, then ``handler``, then close_notify."""

    def work(sock: socket.socket) -> None:
        with wrap_socket(sock, SERVER, pki=PKI.builtin(Role.SERVER), **options) as tls:
            handler(tls)

    return work


def client(sock: socket.socket, **options: Any) -> TlsSocket:
    return wrap_socket(sock, options.pop("profile", CLIENT), pki=PKI.builtin(Role.CLIENT), **options)


def echo(tls: TlsSocket) -> None:
    while data := tls.recv():
        tls.sendall(data)


def receive(tls: TlsSocket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = tls.recv(size - len(data))
        assert piece
        data += piece
    return data


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
    with beside(served(lambda tls: ends.append(tls.recv()))) as (sock, peer):
        tls = client(sock)
        tls.close()
        tls.close()
        with pytest.raises(LocalError, match="closed by this end"):
            tls.recv()
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
