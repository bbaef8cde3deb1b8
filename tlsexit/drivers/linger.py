"""The lingering close: what a peer was told last must not be taken back by a reset.

A TCP socket that is closed over input that nobody has read, or that gets more afterwards, answers with a reset (RFC
1122 §4.2.2.13). The peer may then read that instead of the alert, or fail in writing and never read at all. So this end
closes its own direction, then reads and discards until the peer hangs up too; for so long and so much at most that it
is no way to keep a connection.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

LINGER_TIME: Final = 2.0
"""Seconds that a peer gets to take in the end: some round trips of a slow path, and a lost segment sent again."""

LINGER_SIZE: Final = 2**20
"""Bytes that are discarded: more than is under way on most paths, so whoever sends more is not listening."""

_READ_SIZE: Final = 2**16


def linger(sock: socket.socket, seconds: float, heard: Callable[[bytes], bool], *, expected: bool) -> None:
    """End the output of a socket and discard its input until the peer hangs up; the caller closes it then.

    ``seconds`` bounds that, no longer than :data:`LINGER_TIME`. ``heard`` gets what is discarded, and says whether
    nothing more is due. Unless input is ``expected``, there is no waiting before there has been some to discard.
    """
    end = time.monotonic() + min(seconds, LINGER_TIME)
    size = 0
    left = 0.0
    with suppress(OSError):  # the peer may be gone, or have nothing more to say
        sock.shutdown(socket.SHUT_WR)
        if expected:
            left = end - time.monotonic()
        while size < LINGER_SIZE:
            sock.settimeout(max(0.0, left))
            data = sock.recv(_READ_SIZE)
            if not data:
                return
            size += len(data)
            left = 0.0 if heard(data) else end - time.monotonic()


class Lingering:
    """The same for a raw transport of asyncio's, which is closed in the end: by the peer, the time, or the size.

    ``seconds`` bounds the time, no longer than :data:`LINGER_TIME`, once all output has been written; how long that may
    take is for the caller to bound.
    """

    def __init__(self, transport: asyncio.Transport, seconds: float) -> None:
        self._transport = transport
        self._seconds = min(seconds, LINGER_TIME)
        self._size = 0
        self._written = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def written(self) -> bool:
        """Whether all output has been seen to be on its way: how the transport ends then tells nothing."""
        return self._written

    def begin(self) -> None:
        """End the output, and read, whoever has stopped that."""
        try:
            self._transport.write_eof()
        except OSError:
            # the peer is gone already
            self._transport.close()
            return
        self._transport.resume_reading()
        self._wait()

    def discard(self, size: int, *, last: bool) -> None:
        """Count input that is discarded; ``last`` says that nothing more is due."""
        self._size += size
        if last or self._size >= LINGER_SIZE:
            self._transport.close()

    def stop(self) -> None:
        """The transport has ended."""
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        self._written = self._transport.get_write_buffer_size() == 0
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._on_time)

    def _on_time(self) -> None:
        if self._written:
            self._transport.close()
        else:
            self._wait()
