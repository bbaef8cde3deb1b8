"""The last words of both drivers, over TCP: what is unread, or arrives late, must not have a reset take them back."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn, cast

import pytest

from tests.support.listening import raw_listening
from tests.support.scripted import AsyncScriptedExit, ScriptedExit
from tests.support.sockets import PKI
from tests.support.streams import CLIENT, LOOPBACK, SERVER, serving
from tests.support.streams import connect as connect_streams
from tlsexit.alerts import TlsError
from tlsexit.constants import Role
from tlsexit.drivers import linger
from tlsexit.drivers.blocking import connect, wrap_socket
from tlsexit.drivers.linger import LINGER_SIZE
from tlsexit.exits.answers import Failed
from tlsexit.exits.application import Refused
from tlsexit.exits.phases import ExitPhase

pytestmark = pytest.mark.timeout(120)

TIMES: Final = int(os.environ.get("TLSEXIT_LINGER_TIMES", "5"))
"""How often each scene is played: a race is lost now and then only."""

PIECE: Final = b"\xa5" * 10_000
MORE: Final = PIECE * 20

HELLO: Final = bytes.fromhex("160301002d010000290301") + bytes(32) + bytes.fromhex("000002002f0100")
"""A ClientHello that will do: TLS_RSA_WITH_AES_128_CBC_SHA, no extensions."""

BOTH = pytest.mark.parametrize("driver", ["blocking", "asyncio"])


def fatal(description: int) -> bytes:
    """The record of a fatal alert."""
    return bytes((21, 3, 1, 0, 2, 2, description))


class StrictDirectory:
    """An application exit that wants nobody."""

    def directory(self, call: object) -> Refused:
        return Refused("nobody")


class Sipping:
    """A socket that gives one byte each time: what follows the handshake stays where it is."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def recv(self, size: int) -> bytes:
        return self._socket.recv(1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


@contextmanager
def beside(work: Callable[[asyncio.Event], Awaitable[None]]) -> Iterator[None]:
    """Run a coroutine in a thread; it gets an event that is set when the test leaves the block."""
    made: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        made.append((asyncio.get_running_loop(), asyncio.Event()))
        await work(made[0][1])

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    try:
        yield
    finally:
        while not made:
            thread.join(0.001)
        made[0][0].call_soon_threadsafe(made[0][1].set)
        thread.join(20)
        assert not thread.is_alive()


@contextmanager
def server(driver: str, **options: Any) -> Iterator[int]:
    """A server that closes when it has read one byte; yields its port."""
    if driver == "blocking":

        def serve(sock: socket.socket) -> None:
            with wrap_socket(sock, SERVER, pki=PKI.builtin(Role.SERVER), **options) as tls:
                tls.recv(1)

        with raw_listening(serve) as listener:
            yield listener.port
        return
    ports: list[int] = []
    listening = threading.Event()

    async def run(done: asyncio.Event) -> None:
        async def farewell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.close()

        async with serving(farewell, **options) as port:
            ports.append(port)
            listening.set()
            await done.wait()

    with beside(run):
        assert listening.wait(20)
        yield ports[0]


def insist(sock: socket.socket) -> bytes:
    """Go on sending when the other end has said its last words; return them, up to the end of the stream."""
    assert select.select([sock], [], [], 20)[0]
    for _ in range(10):
        threading.Event().wait(0.002)  # longer than the other end takes to close
        sock.sendall(PIECE)
    told = b""
    while piece := sock.recv(65536):
        told += piece
    return told


def attack(port: int, data: bytes) -> bytes:
    """Send bytes, then more, then still more; return what the server answers."""
    with socket.create_connection((LOOPBACK, port), 20) as sock:
        sock.sendall(data + MORE)
        return insist(sock)


# ------------------------------------------------------------------------------------------------ alerts of a server


@BOTH
@pytest.mark.parametrize(
    ("data", "alert"),
    [
        (HELLO[:9] + HELLO[9:].replace(b"\0\2\0\x2f", b"\0\3\0\x2f"), 50),  # decode_error
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 10),  # unexpected_message
        (b"\x17\3\1\0\1x", 10),  # unexpected_message
        (b"\x16\3\1\xff\xff", 22),  # record_overflow
        (HELLO + b"\x15\3\1\0\2\1\x5a" * 6, 10),  # warnings without end
    ],
    ids=["malformed hello", "http", "no handshake", "long record", "warnings"],
)
def test_a_server_says_why(driver: str, data: bytes, alert: int) -> None:
    with server(driver) as port:
        for _ in range(TIMES):
            assert attack(port, data).endswith(fatal(alert))


@BOTH
def test_an_exit_fails_before_anything_is_read(driver: str) -> None:
    """StartHandshake is asked before the hello is read."""
    with server(driver, exits=ScriptedExit({ExitPhase.START_HANDSHAKE: Failed()})) as port:
        for _ in range(TIMES):
            assert attack(port, HELLO) == fatal(80)


@BOTH
@pytest.mark.parametrize("refused", [False, True])
def test_a_server_closes_while_the_client_sends(driver: str, refused: bool) -> None:
    """Of its own will, or as the application's exit wants: what comes then is none of its business, but no offence."""
    with server(driver, application_exits=StrictDirectory() if refused else None) as port:
        for _ in range(TIMES):
            with socket.create_connection((LOOPBACK, port), 20) as sock:
                tls = wrap_socket(cast(socket.socket, Sipping(sock)), CLIENT, pki=PKI.builtin(Role.CLIENT))
                if not refused:
                    tls.sendall(MORE)
                assert insist(sock).startswith(b"\x15\3\1")


@pytest.mark.parametrize("data", [HELLO, b"GET / HTTP/1.1\r\n\r\n"])
def test_an_exit_that_takes_its_time(data: bytes) -> None:
    """Nothing is read while it is asked, but for what is only discarded."""
    exits = AsyncScriptedExit({ExitPhase.GET_CERTIFICATE: Failed(49)}, delay=0.01)
    with server("asyncio", exits=exits) as port:
        for _ in range(TIMES):
            assert attack(port, data).endswith(fatal(49 if data == HELLO else 10))


# ------------------------------------------------------------------------------------------------ alerts of a client


def call(driver: str, port: int) -> None:
    """Connect, with either driver."""
    if driver == "blocking":
        connect((LOOPBACK, port), CLIENT, pki=PKI.builtin(Role.CLIENT), timeout=20)
    else:
        asyncio.run(open_streams(port))


async def open_streams(port: int) -> None:
    await connect_streams(port)


@BOTH
@pytest.mark.parametrize(
    ("data", "alert"),
    [(b"220 mail.example ESMTP\r\n", 70), (b"\x16\3\1\0\5\x02\0\0\1\3", 50)],
    ids=["smtp", "malformed hello"],
)
def test_a_client_says_why(driver: str, data: bytes, alert: int) -> None:
    told: list[bytes] = []

    def shout(sock: socket.socket) -> None:
        assert sock.recv(65536).startswith(b"\x16\3\1")
        sock.sendall(data + MORE)
        told.append(insist(sock))

    with raw_listening(shout) as listener:
        for _ in range(TIMES):
            with pytest.raises(TlsError):
                call(driver, listener.port)
    assert listener.errors == []
    assert told == [fatal(alert)] * TIMES


# ------------------------------------------------------------------------------------------------ bounds


@BOTH
def test_whoever_sends_without_end_is_cut_off(driver: str) -> None:
    """Long before the time is up, that is with what the systems' buffers hold besides."""
    with server(driver) as port, socket.create_connection((LOOPBACK, port), 20) as sock:
        sock.sendall(b"nonsense")
        assert sock.recv(7) == fatal(70)
        with pytest.raises(ConnectionError):
            sock.sendall(bytes(LINGER_SIZE * 32))


def trickle(sock: socket.socket) -> NoReturn:
    """Send little, and never enough."""
    while True:
        sock.sendall(b"x")
        threading.Event().wait(0.005)


@BOTH
def test_whoever_holds_on_is_cut_off(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linger, "LINGER_TIME", 0.1)
    with server(driver) as port, socket.create_connection((LOOPBACK, port), 20) as sock:
        sock.sendall(b"nonsense")
        assert sock.recv(8) == fatal(70)
        with pytest.raises(ConnectionError):
            trickle(sock)


def test_a_reset_after_an_orderly_end_is_no_error() -> None:
    """The peer may hang up as it likes, once there is nothing more to tell it."""

    def hang_up(sock: socket.socket) -> None:
        wrap_socket(sock, SERVER, pki=PKI.builtin(Role.SERVER))
        assert select.select([sock], [], [], 20)[0]
        sock.close()  # over a close_notify that nobody has read

    async def client(port: int) -> None:
        _, writer = await connect_streams(port)
        writer.close()
        await writer.wait_closed()

    with raw_listening(hang_up) as listener:
        asyncio.run(client(listener.port))
    assert listener.errors == []
