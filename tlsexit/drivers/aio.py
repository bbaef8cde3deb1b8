"""TLS under asyncio: :func:`open_connection` and :func:`start_server`, with asyncio's own streams on top.

:class:`TlsProtocol` sits on the raw transport and offers a :class:`TlsTransport` to the protocol above, so everything
that asyncio has for transports (streams, flow control, time-outs) works unchanged. A connection costs no task of its
own; only an ``async`` exit gets one, for as long as it takes, during which nothing more is read from the peer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from tlsexit.alerts import LocalError
from tlsexit.config import Config
from tlsexit.connection import Connection
from tlsexit.drivers.drive import Pki, arun, ask, finish
from tlsexit.events import ApplicationData, Closed, HandshakeCompleted
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled
from tlsexit.policy import BuiltinPki, system_config
from tlsexit.profile import Profile
from tlsexit.session import Session
from tlsexit.tasks import Task

HANDSHAKE_TIMEOUT: Final = 60.0
"""Seconds a handshake may take, exits included, unless the caller says otherwise."""

Address = tuple[str, int] | None

StreamHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None]


class TlsTransport(asyncio.Transport):
    """The transport an application's protocol sees; its bytes travel as application data.

    ``get_extra_info`` knows, besides what the raw transport knows, ``tls_connection`` (the
    :class:`~tlsexit.connection.Connection`), ``tls_context`` and ``tls_global_area``.
    """

    def __init__(self, lower: TlsProtocol) -> None:
        super().__init__()
        self._lower = lower

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._lower.write(bytes(data))

    def close(self) -> None:
        self._lower.close()

    def abort(self) -> None:
        self._lower.abort()

    def is_closing(self) -> bool:
        return self._lower.closing

    def can_write_eof(self) -> bool:
        # TLS 1.0 has no half-close: close_notify ends both directions (§7.2.1)
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._lower.extra_info(name, default)

    def pause_reading(self) -> None:
        self._lower.pause_reading()

    def resume_reading(self) -> None:
        self._lower.resume_reading()

    def is_reading(self) -> bool:
        return not self._lower.reading_paused

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._lower.transport.set_write_buffer_limits(high, low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._lower.transport.get_write_buffer_limits()

    def get_write_buffer_size(self) -> int:
        return self._lower.transport.get_write_buffer_size()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._lower.application = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._lower.application


class TlsProtocol(asyncio.Protocol):
    """The protocol on the raw transport: drives one :class:`~tlsexit.connection.Connection`.

    ``application`` is told ``connection_made`` once the handshake is complete. ``on_outcome`` hears how the handshake
    ended, with the transport or with the error; ``on_end`` is awaited when everything is over.
    """

    def __init__(
        self,
        application: asyncio.Protocol,
        connect: Callable[[Address, Address], Connection],
        exits: object,
        pki: Pki,
        *,
        handshake_timeout: float = HANDSHAKE_TIMEOUT,
        on_outcome: Callable[[TlsTransport | BaseException], None] | None = None,
        on_end: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.application = application
        self.closing = False
        self.reading_paused = False
        self._connect = connect
        self._exits = exits
        self._pki = pki
        self._handshake_timeout = handshake_timeout
        self._on_outcome = on_outcome
        self._on_end = on_end
        self._timer: asyncio.TimerHandle | None = None
        self._timed_out = False
        self._answering: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._made = False
        self._lost = False
        self._global_area = b""
        self._unread: list[bytes] = []

    # -------------------------------------------------------------------------------------------- raw transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        try:
            self.connection = self._connect(
                _address(transport.get_extra_info("peername")), _address(transport.get_extra_info("sockname"))
            )
        except LocalError as error:
            # the task has ended: there is no connection to drive
            self.closing = self._lost = True
            self._tell(error)
            self.transport.abort()
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._handshake_timeout, self._on_timeout)
        self.connection.start()
        self._drive()

    def data_received(self, data: bytes) -> None:
        if self._answering is not None:
            self._unread.append(data)
            return
        self.connection.receive_data(data)
        self._drive()

    def eof_received(self) -> bool:
        self.connection.receive_eof()
        self._drive()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        if self._lost:
            self._finish()
            return
        self._lost = True
        if not self.connection.closed:
            self.connection.receive_eof()
            self._drive()
        self._stop_timer()
        cause: Exception | None = self.connection.error or error
        if self._made:
            self.application.connection_lost(cause)
        else:
            if self._timed_out:
                cause = TimeoutError(f"no handshake within {self._handshake_timeout} seconds")
            self._tell(cause or ConnectionResetError("the connection was closed during the handshake"))
        self._finish()

    def pause_writing(self) -> None:
        if self._made:
            self.application.pause_writing()

    def resume_writing(self) -> None:
        if self._made:
            self.application.resume_writing()

    # -------------------------------------------------------------------------------------------- application side

    def write(self, data: bytes) -> None:
        """Protect and send; what comes after the end is dropped, as asyncio's own transports do."""
        if self.connection.established and not self.closing:
            self.connection.send(data)
            self._flush()

    def close(self) -> None:
        """Send close_notify, let the output drain, and close the transport."""
        if self.closing:
            return
        self.closing = True
        self.connection.close()
        self._drive()

    def abort(self) -> None:
        """Close the transport at once."""
        self.closing = True
        self.transport.abort()

    def pause_reading(self) -> None:
        """Stop reading from the peer until :meth:`resume_reading`."""
        self.reading_paused = True
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self.reading_paused = False
        if self._answering is None:
            self.transport.resume_reading()

    def extra_info(self, name: str, default: Any) -> Any:
        """Answer ``get_extra_info``."""
        if name == "tls_connection":
            return self.connection
        if name == "tls_context":
            return self.connection.context
        if name == "tls_global_area":
            return self._global_area
        return self.transport.get_extra_info(name, default)

    # -------------------------------------------------------------------------------------------- the middle

    def _drive(self) -> None:
        """Answer what can be answered at once, deliver events, send output; an ``async`` exit goes on in a task."""
        while self._answering is None and (call := self.connection.pending_exit) is not None:
            answer = ask(call, self._exits, self._pki)
            if isinstance(answer, (Handled, NotHandled, Failed)):
                self.connection.answer(answer)
                continue
            self.transport.pause_reading()
            work = finish(call, answer, self._pki)
            self._answering = asyncio.get_running_loop().create_task(self._await_answer(work))
        self._flush()
        self._deliver()

    async def _await_answer(self, work: Awaitable[Answer]) -> None:
        call = self.connection.pending_exit
        answer = await work
        self._answering = None
        # the connection may have ended meanwhile, and then asks something else
        if self.connection.pending_exit is call and call is not None:
            self.connection.answer(answer)
        for data in self._unread:
            self.connection.receive_data(data)
        self._unread.clear()
        if not self.reading_paused and not self._lost:
            self.transport.resume_reading()
        self._drive()
        if self._lost:
            self._finish()

    def _deliver(self) -> None:
        while (event := self.connection.next_event()) is not None:
            if isinstance(event, ApplicationData):
                self.application.data_received(event.data)
            elif isinstance(event, HandshakeCompleted):
                self._stop_timer()
                self._global_area = event.global_area
                if not self._made:
                    self._made = True
                    transport = TlsTransport(self)
                    self.application.connection_made(transport)
                    self._tell(transport)
            elif isinstance(event, Closed):
                if self._made and event.error is None and not self.closing:
                    self.application.eof_received()
                self.closing = True
                self.transport.close()

    def _flush(self) -> None:
        data = self.connection.data_to_send()
        if data and not self._lost:
            self.transport.write(data)

    def _tell(self, outcome: TlsTransport | BaseException) -> None:
        if self._on_outcome is not None:
            self._on_outcome(outcome)

    def _finish(self) -> None:
        """Run the last hook, once, and not before a slow exit has answered."""
        if self._on_end is not None and self._answering is None and self._ending is None:
            self._ending = asyncio.ensure_future(self._on_end())

    def _on_timeout(self) -> None:
        self._timed_out = True
        self.connection.close()
        self._drive()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


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
    handshake_timeout: float = HANDSHAKE_TIMEOUT,
    limit: int = 2**16,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect and complete the handshake; return the pair that ``asyncio.open_connection`` returns.

    A truncated connection raises :class:`~tlsexit.alerts.TruncatedError` from the reader. Without ``task`` the
    connection has a task of its own, started and ended with it. Raises ``OSError`` for the network, ``TimeoutError``
    after ``handshake_timeout`` seconds and :class:`~tlsexit.alerts.TlsError` for the protocol.
    """
    pki = pki if pki is not None else BuiltinPki()
    shared = task
    own = Task(config or system_config()) if shared is None else shared
    if shared is None:
        await arun(own, exits, pki)
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[TlsTransport] = loop.create_future()
    reader = asyncio.StreamReader(limit=limit, loop=loop)
    streams = asyncio.StreamReaderProtocol(reader, loop=loop)

    def settle(outcome: TlsTransport | BaseException) -> None:
        if ready.done():
            return
        if isinstance(outcome, BaseException):
            ready.set_exception(outcome)
        else:
            ready.set_result(outcome)

    def connect(remote: Address, local: Address) -> Connection:
        return own.connection(profile, session=session, remote_address=remote, local_address=local)

    def lower() -> TlsProtocol:
        ending = None if shared is not None else lambda: end_task(own, exits, pki)
        return TlsProtocol(
            streams, connect, exits, pki, handshake_timeout=handshake_timeout, on_outcome=settle, on_end=ending
        )

    raw, _ = await loop.create_connection(lower, host, port)
    try:
        transport = await ready
    except BaseException:
        raw.abort()
        raise
    return reader, asyncio.StreamWriter(transport, streams, reader, loop)


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
    limit: int = 2**16,
    on_failure: Callable[[BaseException], None] | None = None,
    **options: Any,
) -> TlsServer:
    """Listen, and call ``handler(reader, writer)`` for each connection whose handshake completes.

    All connections belong to one task, which ends when the server has closed; a ``task`` that is given has been started
    and is left for the caller to end. ``on_failure`` hears of handshakes that did not complete; ``options`` go to
    ``loop.create_server``.
    """
    pki = pki if pki is not None else BuiltinPki()
    shared = task
    own = Task(config or system_config()) if shared is None else shared
    if shared is None:
        await arun(own, exits, pki)
    loop = asyncio.get_running_loop()
    live: dict[TlsProtocol, asyncio.Future[None]] = {}

    def outcome(result: TlsTransport | BaseException) -> None:
        if isinstance(result, BaseException) and on_failure is not None:
            on_failure(result)

    def connect(remote: Address, local: Address) -> Connection:
        return own.connection(profile, remote_address=remote, local_address=local)

    def lower() -> TlsProtocol:
        async def gone() -> None:
            live.pop(protocol).set_result(None)

        reader = asyncio.StreamReader(limit=limit, loop=loop)
        streams = asyncio.StreamReaderProtocol(reader, handler, loop=loop)
        protocol = TlsProtocol(
            streams, connect, exits, pki, handshake_timeout=handshake_timeout, on_outcome=outcome, on_end=gone
        )
        live[protocol] = loop.create_future()
        return protocol

    server = await loop.create_server(lower, host, port, **options)
    return TlsServer(server, own, exits, pki, live, ends_task=shared is None)


class TlsServer:
    """What :func:`start_server` returns: an ``asyncio.Server`` with a task; an async context manager."""

    def __init__(
        self,
        server: asyncio.Server,
        task: Task,
        exits: object,
        pki: Pki,
        live: dict[TlsProtocol, asyncio.Future[None]],
        *,
        ends_task: bool = True,
    ) -> None:
        self._server = server
        self._exits = exits
        self._pki = pki
        self._live = live
        self._ends_task = ends_task
        self.task = task

    @property
    def sockets(self) -> tuple[Any, ...]:
        """The listening sockets."""
        return self._server.sockets

    def close(self) -> None:
        """Stop listening; connections go on."""
        self._server.close()

    def close_connections(self) -> None:
        """Close every connection with close_notify, those whose handshake is going on too."""
        for protocol in tuple(self._live):
            protocol.close()

    async def wait_closed(self) -> None:
        """Wait until the server is closed and its connections are over, then end the task."""
        await self._server.wait_closed()
        while self._live:
            await asyncio.wait(self._live.values())
        if self._ends_task:
            await end_task(self.task, self._exits, self._pki)

    async def serve_forever(self) -> None:
        """Accept connections until cancelled."""
        await self._server.serve_forever()

    async def __aenter__(self) -> TlsServer:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        await self.wait_closed()


async def end_task(task: Task, exits: object, pki: Pki) -> None:
    """End a task: EndTask is asked if it has not been yet."""
    task.end()
    await arun(task, exits, pki)


def _address(name: object) -> Address:
    return (name[0], name[1]) if isinstance(name, tuple) and len(name) >= 2 else None
