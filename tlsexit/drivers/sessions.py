"""The sessions that one task accepts under asyncio: a protocol for each raw connection, until it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast
from weakref import WeakSet

from tlsexit.connection import Connection
from tlsexit.drivers.drive import Pki, arun
from tlsexit.drivers.protocol import HANDSHAKE_TIMEOUT, Address, TlsProtocol
from tlsexit.drivers.transport import TlsTransport
from tlsexit.tasks import Task

StreamHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None]

Outcome = TlsTransport | BaseException
"""How a handshake ended."""


class Sessions:
    """The live sessions of a task that has been started. ``handler`` gets the streams of each that is established."""

    def __init__(
        self,
        handler: StreamHandler,
        task: Task,
        exits: object,
        pki: Pki,
        *,
        handshake_timeout: float,
        shutdown_timeout: float,
        exit_timeout: float | None = None,
        application_exits: object = None,
        limit: int = 2**16,
    ) -> None:
        self._handler = handler
        self._exits = exits
        self._pki = pki
        self._handshake_timeout = handshake_timeout
        self._shutdown_timeout = shutdown_timeout
        self._exit_timeout = exit_timeout
        self._application_exits = application_exits
        self._limit = limit
        self._live: dict[TlsProtocol, asyncio.Future[None]] = {}
        self._coming: WeakSet[TlsProtocol] = WeakSet()
        self._handling: set[asyncio.Task[None]] = set()
        self.task = task

    def __len__(self) -> int:
        return len(self._live)

    def protocol(
        self,
        connect: Callable[[Address, Address], Connection],
        *,
        on_outcome: Callable[[Outcome], None] | None = None,
        on_over: Callable[[], None] | None = None,
    ) -> TlsProtocol:
        """Return the protocol for one more raw connection.

        ``connect`` makes the connection from the remote and the local address; ``on_outcome`` hears how the handshake
        ended, ``on_over`` that everything is over but EndTask.
        """
        loop = asyncio.get_running_loop()

        def made(remote: Address, local: Address) -> Connection:
            # not before: a loop that is being closed may drop a connection between accepting and making it
            self._coming.discard(protocol)
            self._live[protocol] = loop.create_future()
            return connect(remote, local)

        def gone() -> Awaitable[None] | None:
            if (live := self._live.pop(protocol, None)) is not None:
                live.set_result(None)
            if on_over is not None:
                on_over()
            return end_due(
                self.task,
                self._exits,
                self._pki,
                exit_timeout=self._exit_timeout,
                await_timeout=self._handshake_timeout,
            )

        reader = asyncio.StreamReader(limit=self._limit, loop=loop)
        streams = asyncio.StreamReaderProtocol(reader, self._handle, loop=loop)
        protocol = TlsProtocol(
            streams,
            made,
            self._exits,
            self._pki,
            handshake_timeout=self._handshake_timeout,
            shutdown_timeout=self._shutdown_timeout,
            exit_timeout=self._exit_timeout,
            application_exits=self._application_exits,
            on_outcome=on_outcome,
            on_end=gone,
        )
        self._coming.add(protocol)
        return protocol

    def close(self) -> None:
        """Close every session with close_notify, those whose handshake is going on too."""
        for protocol in (*self._live, *self._coming):
            protocol.close()

    async def wait(self) -> None:
        """Wait until no session is left."""
        while self._live:
            await asyncio.wait(self._live.values())

    async def finish_handlers(self, timeout: float) -> None:
        """Wait until all handlers have returned, for so many seconds at most; sessions that are over may have some."""
        if self._handling:
            await asyncio.wait(tuple(self._handling), timeout=timeout)

    async def end_task(self) -> None:
        """End the task."""
        await end_task(
            self.task, self._exits, self._pki, exit_timeout=self._exit_timeout, await_timeout=self._handshake_timeout
        )

    def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Awaitable[None] | None:
        result = self._handler(reader, writer)
        return None if result is None else self._run(result, writer)

    async def _run(self, handling: Awaitable[None], writer: asyncio.StreamWriter) -> None:
        """Run a handler to its end, and end its session if it fails."""
        current = cast("asyncio.Task[None]", asyncio.current_task())
        self._handling.add(current)
        try:
            await handling
        except Exception as error:
            context = {"message": "the handler of a session failed", "exception": error, "task": current}
            asyncio.get_running_loop().call_exception_handler(context)
            writer.close()
        finally:
            self._handling.discard(current)


async def end_task(
    task: Task,
    exits: object,
    pki: Pki,
    *,
    exit_timeout: float | None = None,
    await_timeout: float | None = HANDSHAKE_TIMEOUT,
) -> None:
    """End a task: EndTask is asked now, or by the driver of the last live session when that has ended."""
    task.end()
    await arun(task, exits, pki, exit_timeout=exit_timeout, await_timeout=await_timeout)


def end_due(
    task: Task, exits: object, pki: Pki, *, exit_timeout: float | None, await_timeout: float
) -> Awaitable[None] | None:
    """Return the work of asking EndTask, if nothing but the session that has just ended held it back."""
    if task.pending_exit is None:
        return None
    return arun(task, exits, pki, exit_timeout=exit_timeout, await_timeout=await_timeout)
