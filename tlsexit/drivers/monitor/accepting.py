"""Listening sockets whose connections are accepted here and served elsewhere."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from typing import Any, Final, Self

_BATCH: Final = 32
"""Connections accepted before anything else gets its turn."""

_PAUSE: Final = 1.0
"""Seconds without accepting after the process or the system has run out of files or memory."""

_SHORTAGE: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Listener:
    """The sockets of one address, which may be several: a host name can have more than one."""

    def __init__(
        self,
        sockets: list[socket.socket],
        on_socket: Callable[[socket.socket], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        self._sockets = sockets
        self._on_socket = on_socket
        self._on_trouble = on_trouble
        self._wanted = False
        self._reading = False
        self._pause: asyncio.TimerHandle | None = None

    @classmethod
    async def open(
        cls,
        host: str | None,
        port: int,
        on_socket: Callable[[socket.socket], None],
        on_trouble: Callable[[str], None],
        *,
        backlog: int = 100,
        **options: Any,
    ) -> Self:
        """Bind and listen, with the ``options`` of ``loop.create_server``. Raises ``OSError``."""
        loop = asyncio.get_running_loop()
        # asyncio knows how to bind; it never gets to accept
        server = await loop.create_server(asyncio.Protocol, host, port, start_serving=False, **options)
        sockets = [socket.socket(fileno=os.dup(item.fileno())) for item in server.sockets]
        server.close()
        try:
            for sock in sockets:
                sock.setblocking(False)
                sock.listen(backlog)
        except OSError:
            for sock in sockets:
                sock.close()
            raise
        return cls(sockets, on_socket, on_trouble)

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where it listens."""
        return tuple(sock.getsockname()[:2] for sock in self._sockets)

    def accept(self, wanted: bool) -> None:
        """Accept connections from now on, or leave them to wait in the system's queue."""
        self._wanted = wanted
        self._update()

    def close(self) -> None:
        """Stop listening."""
        self.accept(False)
        if self._pause is not None:
            self._pause.cancel()
        for sock in self._sockets:
            sock.close()

    def _update(self) -> None:
        reading = self._wanted and self._pause is None
        if reading is self._reading:
            return
        self._reading = reading
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            if reading:
                loop.add_reader(sock, self._on_readable, sock)
            else:
                loop.remove_reader(sock)

    def _on_readable(self, sock: socket.socket) -> None:
        for _ in range(_BATCH):
            if not self._reading:
                return
            try:
                accepted, _ = sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _SHORTAGE:
                    raise
                self._on_trouble(f"cannot accept connections for now: {os.strerror(error.errno)}")
                self._pause = asyncio.get_running_loop().call_later(_PAUSE, self._resume)
                self._update()
                return
            accepted.setblocking(False)
            self._on_socket(accepted)

    def _resume(self) -> None:
        self._pause = None
        self._update()


def address(sock: socket.socket) -> str:
    """Return the address of a connection's other end as text."""
    try:
        name = sock.getpeername()
    except OSError:
        return "somewhere"  # gone already
    if not isinstance(name, tuple):
        return "somewhere"
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
