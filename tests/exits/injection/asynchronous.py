"""A cell under asyncio, on loopback: tlsexit's streams at one end, a peer with plain ones at the other."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any
from warnings import catch_warnings, simplefilter

from tests.exits.injection.scene import AsyncInjector, Injector, Listening, Peer, Result, Scene
from tests.exits.injection.table import PING, Cell
from tests.support.streams import LOOPBACK
from tlsexit.alerts import ExitFailed, TlsError
from tlsexit.constants import Role
from tlsexit.drivers.aio import end_task, open_connection, start_server
from tlsexit.drivers.drive import arun
from tlsexit.exits.phases import ExitPhase

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def in_threads(cell: Cell) -> Result:
    """Make the cell happen with plain methods, which have threads of their own so that they do not stop the loop."""
    return _run(Scene(cell, Injector, in_threads=True))


def under_asyncio(cell: Cell) -> Result:
    """Make the cell happen with ``async`` methods."""
    return _run(Scene(cell, AsyncInjector))


def _run(scene: Scene) -> Result:
    """Play the scene; what stops the whole loop is kept as what was raised."""
    with Listening(scene.result):
        try:
            asyncio.run(_play(scene))
        except (KeyboardInterrupt, SystemExit) as error:
            scene.result.raised = error
            with catch_warnings():
                # a program that is told to end leaves its connections to the operating system
                simplefilter("ignore", ResourceWarning)
                gc.collect()
        finally:
            scene.finish()
    return scene.result


async def _play(scene: Scene) -> None:
    if scene.others is not scene.task:
        await arun(scene.others, None, scene.pki)
    try:
        await arun(scene.task, scene.exits, scene.pki, exit_timeout=scene.exit_timeout)
    except ExitFailed as error:
        scene.result.raised = error
    async with _opening(scene) as way:
        _, first = streams = await way.open()
        if scene.has_victim:
            try:
                _, writer = await way.open(victim=True)
                await _close(writer)
            except TlsError as error:
                scene.result.raised = error
        _, later = more = await way.open()
        scene.result.others_go_on = await _ping(*streams) and await _ping(*more)
        await _close(first)
        await _close(later)
    while scene.task.live_sessions:
        await asyncio.sleep(0.001)
    if scene.question.phase is not ExitPhase.START_TASK:
        await end_task(scene.task, scene.exits, scene.pki, exit_timeout=scene.exit_timeout)


async def _ping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    writer.write(PING)
    return await reader.readexactly(len(PING)) == PING


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(TlsError, ConnectionError):
        await writer.wait_closed()


async def _carry(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    data = b"?"
    try:
        while data and not peer.over:
            writer.write(peer.give())
            try:
                data = await reader.read(2**16)
            except ConnectionError:
                data = b""
            peer.take(data)
    finally:
        writer.close()


class _Clients:
    """Sessions that this end opens; each peer listens for one of them."""

    def __init__(self, scene: Scene, stack: AsyncExitStack) -> None:
        self._scene = scene
        self._stack = stack

    async def open(self, *, victim: bool = False) -> Streams:
        scene, peer = self._scene, self._scene.peer(victim=victim)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _carry(peer, reader, writer)

        server = await self._stack.enter_async_context(await asyncio.start_server(serve, LOOPBACK, 0))
        return await open_connection(
            LOOPBACK,
            server.sockets[0].getsockname()[1],
            scene.profile(victim=victim),
            task=scene.task if victim else scene.others,
            exits=scene.exits if victim else scene.others_exits,
            pki=scene.pki,
            check_host=False,
            exit_timeout=scene.exit_timeout,
        )


class _Servers:
    """Sessions that this end accepts."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._outcomes: asyncio.Queue[Streams | BaseException] = asyncio.Queue()
        self._lines: set[asyncio.Task[None]] = set()
        self.port: dict[bool, int] = {}

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The handler of a server."""
        self._outcomes.put_nowait((reader, writer))

    def fail(self, error: BaseException) -> None:
        """The server's on_failure."""
        self._outcomes.put_nowait(error)

    async def open(self, *, victim: bool = False) -> Streams:
        streams = await asyncio.open_connection(LOOPBACK, self.port[victim])
        line = asyncio.create_task(_carry(self._scene.peer(victim=victim), *streams))
        self._lines.add(line)
        outcome = await self._outcomes.get()
        if isinstance(outcome, BaseException):
            await line
            raise outcome
        return outcome


@asynccontextmanager
async def _opening(scene: Scene) -> AsyncIterator[Any]:
    """What opens sessions in the scene's role."""
    async with AsyncExitStack() as stack:
        if scene.role is Role.CLIENT:
            yield _Clients(scene, stack)
            return
        servers = _Servers(scene)
        for victim in (False, True):
            server = await start_server(
                servers.accept,
                LOOPBACK,
                0,
                scene.profile(victim=victim),
                task=scene.task,
                exits=scene.exits,
                pki=scene.pki,
                exit_timeout=scene.exit_timeout,
                on_failure=servers.fail,
            )
            await stack.enter_async_context(server)
            servers.port[victim] = server.sockets[0].getsockname()[1]
        yield servers
