"""TLS under asyncio: :func:`open_connection` and :func:`start_server`, with asyncio's own streams on top.

:class:`~tlsexit.drivers.protocol.TlsProtocol` sits on the raw transport and offers a
:class:`~tlsexit.drivers.protocol.TlsTransport` to the protocol above, so everything that asyncio has for transports
(streams, flow control, time-outs) works unchanged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tlsexit.config import Config
from tlsexit.connection import Connection
from tlsexit.drivers.drive import Pki, arun
from tlsexit.drivers.host import for_host
from tlsexit.drivers.protocol import HANDSHAKE_TIMEOUT, SHUTDOWN_TIMEOUT, Address, TlsProtocol
from tlsexit.drivers.sessions import Sessions, StreamHandler, end_due, end_task
from tlsexit.drivers.transport import TlsTransport
from tlsexit.policy import BuiltinPki, system_config
from tlsexit.profile import Profile
from tlsexit.session import Session
from tlsexit.tasks import Task

__all__ = ["StreamHandler", "TlsServer", "end_task", "open_connection", "start_server"]


async def open_connection(
    host: str,
    port: int,
    profile: Profile,
    *,
    exits: object = None,
    pki: Pki | None = None,
    config: Config | None = None,
    task: Task | None = None,
    session: Session | None = None,
    check_host: bool = True,
    handshake_timeout: float = HANDSHAKE_TIMEOUT,
    shutdown_timeout: float = SHUTDOWN_TIMEOUT,
    exit_timeout: float | None = None,
    application_exits: object = None,
    limit: int = 2**16,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect and complete the handshake; return the pair that ``asyncio.open_connection`` returns.

    A profile without ``server_name`` gets ``host``: the name is sent, and the server's certificate must speak for it.
    ``check_host=False`` leaves the profile as it is, so that any trusted certificate will do. A truncated connection
    raises :class:`~tlsexit.alerts.TruncatedError` from the reader.

    Without ``task`` the connection has a task of its own, started and ended with it. ``handshake_timeout`` in seconds
    bounds the handshake, and each ``async`` exit outside it; ``shutdown_timeout`` bounds how long the last output may
    take. ``exit_timeout`` bounds each exit, those that are not ``async`` by calling them in threads of their own, so
    that they do not hold up the loop (:mod:`tlsexit.drivers.drive`).

    ``application_exits`` is any object with some of the methods of
    :class:`~tlsexit.exits.application.ApplicationExits`; if its ``directory`` refuses the peer, or its chain cannot be
    recorded, the connection is closed and :class:`~tlsexit.exits.application.SessionRefused` raised.

    Raises ``OSError`` for the network, ``TimeoutError`` after ``handshake_timeout`` and
    :class:`~tlsexit.alerts.TlsError` for the protocol.
    """
    pki = pki if pki is not None else BuiltinPki()
    profile = for_host(profile, host) if check_host else profile
    own = Task(config or system_config()) if task is None else task
    if task is None:
        await arun(own, exits, pki, exit_timeout=exit_timeout, await_timeout=handshake_timeout)
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[TlsTransport | BaseException] = loop.create_future()
    reader = asyncio.StreamReader(limit=limit, loop=loop)
    streams = asyncio.StreamReaderProtocol(reader, loop=loop)
    made: list[TlsProtocol] = []

    def settle(outcome: TlsTransport | BaseException) -> None:
        if not ready.done():
            ready.set_result(outcome)

    def connect(remote: Address, local: Address) -> Connection:
        return own.connection(profile, session=session, remote_address=remote, local_address=local)

    def gone() -> Awaitable[None] | None:
        if task is None:
            own.end()
        return end_due(own, exits, pki, exit_timeout=exit_timeout, await_timeout=handshake_timeout)

    def lower() -> TlsProtocol:
        made.append(
            TlsProtocol(
                streams,
                connect,
                exits,
                pki,
                handshake_timeout=handshake_timeout,
                shutdown_timeout=shutdown_timeout,
                exit_timeout=exit_timeout,
                application_exits=application_exits,
                on_outcome=settle,
                on_end=gone,
            )
        )
        return made[-1]

    try:
        await loop.create_connection(lower, host, port)
        outcome = await ready
        if isinstance(outcome, BaseException):
            raise outcome
    except BaseException:
        if made:
            # nothing of the connection is left behind: the exit has heard of its end, and of its task's
            made[0].abort()
            await asyncio.wait((made[0].over,), timeout=handshake_timeout)
        elif task is None:
            await end_task(own, exits, pki, exit_timeout=exit_timeout, await_timeout=handshake_timeout)
        raise
    return reader, asyncio.StreamWriter(outcome, streams, reader, loop)


async def start_server(
    handler: StreamHandler,
    host: str | None,
    port: int,
    profile: Profile,
    *,
    exits: object = None,
    pki: Pki | None = None,
    config: Config | None = None,
    task: Task | None = None,
    handshake_timeout: float = HANDSHAKE_TIMEOUT,
    shutdown_timeout: float = SHUTDOWN_TIMEOUT,
    exit_timeout: float | None = None,
    application_exits: object = None,
    limit: int = 2**16,
    on_failure: Callable[[BaseException], None] | None = None,
    **options: Any,
) -> TlsServer:
    """Listen, and call ``handler(reader, writer)`` for each connection whose handshake completes.

    All connections belong to one task, which ends when the server has closed; a ``task`` that is given has been started
    and is left for the caller to end. ``on_failure`` hears of handshakes that did not complete, and of a handler that
    could not be called; ``options`` go to ``loop.create_server``. Time-outs are those of :func:`open_connection`.
    """
    pki = pki if pki is not None else BuiltinPki()
    own = Task(config or system_config()) if task is None else task
    if task is None:
        await arun(own, exits, pki, exit_timeout=exit_timeout, await_timeout=handshake_timeout)
    sessions = Sessions(
        handler,
        own,
        exits,
        pki,
        handshake_timeout=handshake_timeout,
        shutdown_timeout=shutdown_timeout,
        exit_timeout=exit_timeout,
        application_exits=application_exits,
        limit=limit,
    )

    def outcome(result: TlsTransport | BaseException) -> None:
        if isinstance(result, BaseException) and on_failure is not None:
            on_failure(result)

    def connect(remote: Address, local: Address) -> Connection:
        return own.connection(profile, remote_address=remote, local_address=local)

    def lower() -> TlsProtocol:
        return sessions.protocol(connect, on_outcome=outcome)

    try:
        server = await asyncio.get_running_loop().create_server(lower, host, port, **options)
    except BaseException:
        if task is None:
            await end_task(own, exits, pki, exit_timeout=exit_timeout, await_timeout=handshake_timeout)
        raise
    return TlsServer(server, sessions, ends_task=task is None)


class TlsServer:
    """What :func:`start_server` returns: an ``asyncio.Server`` with a task; an async context manager."""

    def __init__(self, server: asyncio.Server, sessions: Sessions, *, ends_task: bool = True) -> None:
        self._server = server
        self._sessions = sessions
        self._ends_task = ends_task
        self.task = sessions.task

    @property
    def sockets(self) -> tuple[Any, ...]:
        """The listening sockets."""
        return self._server.sockets

    def close(self) -> None:
        """Stop listening; connections go on."""
        self._server.close()

    def close_connections(self) -> None:
        """Close every connection with close_notify, those whose handshake is going on too."""
        self._sessions.close()

    async def wait_closed(self) -> None:
        """Wait until the server is closed and its connections are over, then end the task."""
        await self._server.wait_closed()
        await self._sessions.wait()
        if self._ends_task:
            await self._sessions.end_task()

    async def serve_forever(self) -> None:
        """Accept connections until cancelled."""
        await self._server.serve_forever()

    async def __aenter__(self) -> TlsServer:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        await self.wait_closed()
