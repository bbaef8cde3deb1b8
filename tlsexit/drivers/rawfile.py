"""The unbuffered file over a TLS connection, under what ``makefile`` returns."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class Stream(Protocol):
    """What a file is made of: the two methods of a socket that carry bytes."""

    def recv_into(self, buffer: memoryview) -> int: ...

    def send(self, data: memoryview) -> int: ...


class RawTls(io.RawIOBase):
    """The unbuffered file under :meth:`tlsexit.drivers.tlssocket.TlsSocket.makefile`."""

    def __init__(self, tls: Stream, *, readable: bool, writable: bool) -> None:
        self._tls = tls
        self._readable = readable
        self._writable = writable
        self._timed_out = False

    def readable(self) -> bool:
        return self._readable

    def writable(self) -> bool:
        return self._writable

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        if self._timed_out:
            # as with the files of other sockets: a buffered reader above may have lost what it had read
            raise OSError("cannot read from timed out object")
        try:
            return self._tls.recv_into(memoryview(buffer))
        except TimeoutError:
            self._timed_out = True
            raise

    def write(self, data: ReadableBuffer, /) -> int:
        return self._tls.send(memoryview(data))
