"""How many bytes are delivered, and drained, at a time: all, or as ``TLSEXIT_PIECE`` says.

With ``TLSEXIT_PIECE=1`` the conversations and the interoperability tests run byte by byte, in and out; whatever they
expect must hold all the same. ``TLSEXIT_SAMPLE=1`` tries a part of the matrix with the peers, in a quarter of the time.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any, Final

from tlsexit.connection import Connection

PIECE: Final = int(os.environ.get("TLSEXIT_PIECE", "0")) or None
"""Bytes at a time; None for everything at once."""


def pieces(data: bytes, size: int | None = PIECE) -> Iterator[bytes]:
    """Cut ``data`` into pieces of ``size`` bytes."""
    if size is None:
        if data:
            yield data
        return
    for start in range(0, len(data), size):
        yield data[start : start + size]


def drain(connection: Connection) -> bytes:
    """Take everything a connection has to send, piece by piece."""
    if PIECE is None:
        return connection.data_to_send()
    taken = b""
    while piece := connection.data_to_send(PIECE):
        taken += piece
    return taken


class PiecewiseSocket(socket.socket):
    """A socket that receives and sends a piece at a time."""

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        return super().recv(min(bufsize, PIECE or bufsize), flags)

    def send(self, data: Any, flags: int = 0, /) -> int:
        return super().send(memoryview(data)[: PIECE or None], flags)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        for piece in pieces(bytes(data)):
            super().sendall(piece, flags)


def piecewise(sock: socket.socket) -> socket.socket:
    """Return ``sock``, or what sends and receives through it piece by piece."""
    if PIECE is None:
        return sock
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    timeout = sock.gettimeout()
    result = PiecewiseSocket(fileno=sock.detach())
    result.settimeout(timeout)
    return result
