"""An exit server in a thread of the test, and exits behind it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tlsexit.adapters.remote import ExitServer

TIMEOUT: Final = 20.0


@contextmanager
def answering(exits: object, path: Path) -> Iterator[None]:
    """Answer at ``path`` with an exit until the test leaves the block."""
    ready, failed = threading.Event(), []
    stop: list[Callable[[], object]] = []

    async def run() -> None:
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(end.set))
        async with ExitServer(exits, path):
            ready.set()
            await end.wait()

    def work() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            failed.append(error)
            ready.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(TIMEOUT)
    try:
        assert not failed, failed
        yield
    finally:
        stop[0]()
        thread.join(TIMEOUT)
        assert not thread.is_alive()
        assert not failed, failed


@contextmanager
def raw(path: Path, serve: Callable[[socket.socket], Any]) -> Iterator[list[int]]:
    """A process that does with each connection what the test says; counts them."""
    count: list[int] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        server.settimeout(0.05)
        done = threading.Event()

        def accept() -> None:
            while not done.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                count.append(1)
                connection.settimeout(TIMEOUT)
                with connection:
                    serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield count
        finally:
            done.set()
            thread.join(TIMEOUT)


def receive(connection: socket.socket) -> bytes:
    """One frame's JSON; empty at the end."""
    head = _exactly(connection, 4)
    return _exactly(connection, int.from_bytes(head, "big")) if head else b""


def send(connection: socket.socket, data: bytes) -> None:
    """Send a frame."""
    connection.sendall(len(data).to_bytes(4, "big") + data)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            return b""
        data += piece
    return data
