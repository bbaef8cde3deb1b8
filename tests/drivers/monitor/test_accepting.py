"""Listening sockets whose connections are accepted: when they are wanted, and when there is room for files."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import Any

import pytest

from tlsexit.drivers.monitor import accepting
from tlsexit.drivers.monitor.accepting import Listener, address


class Taker:
    """Takes connections and complaints."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []
        self.troubles: list[str] = []

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.sockets) < count:
                await asyncio.sleep(0.01)

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


async def opened(taker: Taker, **options: Any) -> tuple[Listener, int]:
    listener = await Listener.open("127.0.0.1", 0, taker.sockets.append, taker.troubles.append, **options)
    ((host, port),) = listener.addresses
    assert host == "127.0.0.1"
    return listener, port


def test_connections_wait_until_they_are_wanted() -> None:
    async def work() -> None:
        taker = Taker()
        listener, port = await opened(taker)
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            await asyncio.sleep(0.1)
            assert not taker.sockets
            listener.accept(True)
            await taker.until(1)
            assert not taker.sockets[0].getblocking()
            assert address(taker.sockets[0]) == "127.0.0.1:%d" % client.getsockname()[1]  # noqa: UP031
        listener.accept(False)
        with socket.create_connection(("127.0.0.1", port), 10):
            await asyncio.sleep(0.1)
            assert len(taker.sockets) == 1
            listener.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 10).close()
        taker.close()

    asyncio.run(work())


def test_when_there_are_too_many_files_it_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "_PAUSE", 0.2)
    real = socket.socket.accept
    shortage = [OSError(errno.EMFILE, os.strerror(errno.EMFILE)), OSError(errno.ENFILE, os.strerror(errno.ENFILE))]

    def accept(self: socket.socket) -> Any:
        if shortage:
            raise shortage.pop(0)
        return real(self)

    monkeypatch.setattr(socket.socket, "accept", accept)

    async def work() -> None:
        taker = Taker()
        listener, port = await opened(taker)
        listener.accept(True)
        with socket.create_connection(("127.0.0.1", port), 10):
            await taker.until(1)
        assert taker.troubles == [
            "cannot accept connections for now: Too many open files",
            "cannot accept connections for now: Too many open files in system",
        ]
        listener.close()
        taker.close()

    asyncio.run(work())


def test_an_address_that_is_taken() -> None:
    async def work() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="address already in use"):
            await Listener.open("127.0.0.1", taken.getsockname()[1], lambda sock: None, lambda text: None)

    asyncio.run(work())


def test_addresses_of_all_kinds() -> None:
    with socket.socket() as unconnected:
        assert address(unconnected) == "somewhere"
    one, other = socket.socketpair()
    with one, other:
        assert address(one) == "somewhere"
    if socket.has_ipv6:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
        with server, socket.create_connection(server.getsockname()[:2]) as client:
            assert address(client) == f"[::1]:{server.getsockname()[1]}"
