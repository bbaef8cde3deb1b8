"""Two ends of a socket pair: one for the test, one for a thread beside it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.ends import RSA
from tests.support.pki import pki
from tlsexit.alerts import TlsError
from tlsexit.constants import Role
from tlsexit.drivers.blocking import TlsSocket, wrap_socket
from tlsexit.profile import Profile, Verify

CLIENT = Profile.client(cipher_suites=(RSA,))
SERVER = Profile.server(cipher_suites=(RSA,), verify=Verify.NONE)
TIMEOUT = 5.0
PKI = pki()  # made before the threads are there


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
        with wrap_socket(sock, options.pop("profile", SERVER), pki=PKI.builtin(Role.SERVER), **options) as tls:
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
