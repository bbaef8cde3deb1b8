"""The unbuffered file over a TLS connection, under what ``makefile`` returns."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from tlsexit.drivers.tlssocket import TlsSocket


class RawTls(io.RawIOBase):
    """The unbuffered file under :meth:`TlsSocket.makefile`."""

    def __init__(self, tls: TlsSocket, *, readable: bool, writable: bool) -> None:
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
