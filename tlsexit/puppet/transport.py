"""The line between a puppet and the implementation at its other end: a socket, or an engine in the same process."""

from __future__ import annotations

import socket
from typing import Final, Protocol

from tlsexit.connection import Connection
from tlsexit.drivers.drive import Pki, run

_READ_SIZE: Final = 2**16


class Transport(Protocol):
    """A two-way stream of bytes. None of its methods raises for what the other end does."""

    reset: bool
    """Whether the other end broke the stream off (TCP RST) rather than closing it."""

    def send(self, data: bytes) -> None:
        """Send; what can no longer arrive is dropped, since the answer to what came before may still be readable."""

    def receive(self, timeout: float) -> bytes | None:
        """Return what has come, waiting at most ``timeout`` seconds for it; ``b""`` if nothing, None after the end."""

    def close(self) -> None:
        """Close both directions."""


class SocketTransport:
    """A connected stream socket; it belongs to the transport from now on.

    ``send_timeout`` bounds, in seconds, the wait for a peer that does not read.
    """

    def __init__(self, sock: socket.socket, *, send_timeout: float = 5.0) -> None:
        self._socket = sock
        self._send_timeout = send_timeout
        self._broken = False
        self.reset = False

    def send(self, data: bytes) -> None:
        if self._broken:
            return
        try:
            self._socket.settimeout(self._send_timeout)
            self._socket.sendall(data)
        except OSError:
            self._broken = True

    def receive(self, timeout: float) -> bytes | None:
        try:
            self._socket.settimeout(max(timeout, 0.0))
            return self._socket.recv(_READ_SIZE) or None
        except (TimeoutError, BlockingIOError):
            return b""
        except OSError:
            self.reset = True
            return None

    def close(self) -> None:
        self._broken = True
        self._socket.close()


class Engine(Protocol):
    """An implementation without I/O, in this process."""

    @property
    def closed(self) -> bool:
        """Whether it takes no more input; what it has said may still be there to be taken."""

    def receive(self, data: bytes) -> None:
        """Take bytes from its peer and work them off."""

    def receive_eof(self) -> None:
        """Its peer has closed."""

    def take(self) -> bytes:
        """Return and forget what it has to send."""


class EngineTransport:
    """An engine at the other end. It answers at once, so nothing is ever waited for."""

    reset = False

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def send(self, data: bytes) -> None:
        if data and not self.engine.closed:
            self.engine.receive(data)

    def receive(self, timeout: float) -> bytes | None:
        data = self.engine.take()
        return data if data or not self.engine.closed else None

    def close(self) -> None:
        if not self.engine.closed:
            self.engine.receive_eof()


class ConnectionEngine:
    """A tlsexit :class:`~tlsexit.connection.Connection` as an engine, its exits answered at once.

    The application's side of it is left to the caller: ``connection.next_event()`` and ``connection.send()``.
    """

    def __init__(self, connection: Connection, exits: object, pki: Pki) -> None:
        self.connection = connection
        self._exits = exits
        self._pki = pki
        self.drive()

    @property
    def closed(self) -> bool:
        return self.connection.closed

    def receive(self, data: bytes) -> None:
        self.connection.receive_data(data)
        self.drive()

    def receive_eof(self) -> None:
        self.connection.receive_eof()
        self.drive()

    def take(self) -> bytes:
        return self.connection.data_to_send()

    def drive(self) -> None:
        """Have every pending question answered."""
        run(self.connection, self._exits, self._pki)
