"""Growth of one asyncio server process with the connections that it holds."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

from benchmarks.contenders.base import Handshake
from benchmarks.contenders.openssl import context
from benchmarks.contenders.ours import builtin_pki, profiles
from benchmarks.curve import Curve
from benchmarks.material import HOST, material
from tlsexit.alerts import TruncatedError
from tlsexit.constants import Role

LEVELS = (1, 10, 100, 1000, 10_000)
ECHOES = 300
SPARE_DESCRIPTORS = 100


@dataclass(frozen=True, slots=True)
class State:
    """What the server process says of itself: seconds of CPU so far, bytes resident, connections held."""

    cpu: float
    resident: int
    held: int


def curves(*, quick: bool) -> Iterator[Curve]:
    """Open connections level by level and yield what one more costs, in CPU and memory, and an echo over one of them.

    The clients are OpenSSL's, which resume one session: what grows is the server, and it shall not wait for them.
    """
    levels = [level for level in LEVELS if level <= (1000 if quick else allowed())]
    material()  # before the fork, so that both sides have the same
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        found = _climb(ours, levels)
    finally:
        process.join(30)
        if process.is_alive():
            process.kill()
    yield from found


def allowed() -> int:
    """Raise the limit of descriptors as far as it goes; return how many connections that allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard - SPARE_DESCRIPTORS


def _climb(pipe: Pipe, levels: Sequence[int]) -> list[Curve]:
    port: int = pipe.recv()
    handshakes, memory, echoes = [], [], []
    client = context(Role.CLIENT, Handshake())
    with ExitStack() as held:
        first = _connect(client, port, None)
        session = first.session
        held.enter_context(first)
        held.callback(_stop, pipe)  # before its clients go
        newest = first
        count = 1
        _echo(first)
        before = _state(pipe)
        for level in levels:
            while count < level:
                newest = held.enter_context(_connect(client, port, session))
                count += 1
            _echo(newest)  # so that the server has come to it, too
            now = _state(pipe)
            if now.held != count:
                raise RuntimeError(f"the server holds {now.held} connections instead of {count}")
            if now.held > before.held:
                more = now.held - before.held
                handshakes.append((level, (now.cpu - before.cpu) / more * 1e6))
                memory.append((level, (now.resident - before.resident) / more / 1024))
            for _ in range(ECHOES):
                _echo(first)
            after = _state(pipe)
            echoes.append((level, (after.cpu - now.cpu) / ECHOES * 1e6))
            before = after
    return [
        Curve("server: one resumption more, beside those held", "connection", "µs of CPU", tuple(handshakes)),
        Curve("server: memory of one connection more", "connection", "KiB", tuple(memory)),
        Curve("server: a 64-byte echo, beside those held", "connection", "µs of CPU", tuple(echoes)),
    ]


def _connect(client: ssl.SSLContext, port: int, session: ssl.SSLSession | None) -> ssl.SSLSocket:
    raw = socket.create_connection(("127.0.0.1", port), 30)
    return client.wrap_socket(raw, server_hostname=HOST, session=session)


def _echo(connection: ssl.SSLSocket) -> None:
    connection.sendall(bytes(64))
    received = 0
    while received < 64:
        received += len(connection.recv(64))


def _state(pipe: Pipe) -> State:
    pipe.send("state")
    state: State = pipe.recv()
    return state


def _stop(pipe: Pipe) -> None:
    pipe.send("stop")
    pipe.recv()


# ------------------------------------------------------------------------------------------------ the server's process


def _serve(pipe: Pipe) -> None:
    allowed()
    asyncio.run(_serving(pipe))


async def _serving(pipe: Pipe) -> None:
    from tlsexit.drivers.aio import start_server

    held: set[asyncio.StreamWriter] = set()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.add(writer)
        with suppress(TruncatedError):  # at the end of a measurement the clients are gone all at once
            while data := await reader.read(2**16):
                writer.write(data)
        held.discard(writer)
        writer.close()

    _, profile = profiles(Handshake())
    server = await start_server(echo, "127.0.0.1", 0, profile, pki=builtin_pki(Role.SERVER), backlog=1024)
    pipe.send(server.sockets[0].getsockname()[1])

    def ask() -> None:
        if pipe.recv() == "stop":
            pipe.send("stopped")
            os._exit(0)
        pipe.send(State(time.process_time(), resident(), len(held)))

    asyncio.get_running_loop().add_reader(pipe.fileno(), ask)
    await asyncio.Event().wait()


def resident() -> int:
    """Return the bytes of memory that this process has, in Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
