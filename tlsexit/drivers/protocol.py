"""TLS as an asyncio protocol: :class:`TlsProtocol` on the raw transport, :class:`TlsTransport` for what is above it.

A connection costs no task of its own; only an ``async`` exit gets one, for as long as it takes, during which nothing
more is read from the peer. Such a task is cancelled as soon as nobody waits for its answer any more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from tlsexit.alerts import AlertReceived, LocalError, TlsError, TruncatedError
from tlsexit.connection import Connection
from tlsexit.drivers.application import ApplicationSession
from tlsexit.drivers.drive import Pki
from tlsexit.drivers.linger import LINGER_TIME, Lingering
from tlsexit.drivers.questions import Questions
from tlsexit.drivers.transport import TlsTransport
from tlsexit.events import ApplicationData, Closed, HandshakeCompleted

HANDSHAKE_TIMEOUT: Final = 60.0
"""Seconds a handshake may take, exits included, unless the caller says otherwise; any later exit may take as long."""

SHUTDOWN_TIMEOUT: Final = 30.0
"""Seconds the last output may take to reach the peer before the transport is aborted."""

Address = tuple[str, int] | None


class TlsProtocol(asyncio.Protocol):
    """The protocol on the raw transport: drives one :class:`~tlsexit.connection.Connection`.

    ``application`` is told ``connection_made`` once the handshake is complete. ``on_outcome`` hears, once, how the
    handshake ended, with the transport or with the error; what ``on_end`` returns is awaited when everything is over.
    What the application's or these callbacks raise goes to the loop's exception handler. ``bytes_received`` and
    ``bytes_sent`` count what the application was given and has written.
    ``exit_timeout`` is explained at :mod:`tlsexit.drivers.drive`; without it, an ``async`` exit has
    ``handshake_timeout``.
    """

    def __init__(
        self,
        application: asyncio.Protocol,
        connect: Callable[[Address, Address], Connection],
        exits: object,
        pki: Pki,
        *,
        handshake_timeout: float = HANDSHAKE_TIMEOUT,
        shutdown_timeout: float = SHUTDOWN_TIMEOUT,
        exit_timeout: float | None = None,
        application_exits: object = None,
        on_outcome: Callable[[TlsTransport | BaseException], None] | None = None,
        on_end: Callable[[], Awaitable[None] | None] | None = None,
    ) -> None:
        self.application = application
        self.closing = False
        self.reading_paused = False
        self.bytes_received = 0
        self.bytes_sent = 0
        exit_limit = handshake_timeout if exit_timeout is None else exit_timeout
        self.session = ApplicationSession(
            application_exits,
            pki,
            limit=lambda: exit_limit,
            threads=exit_timeout is not None,
            counts=lambda: (self.bytes_received, self.bytes_sent),
        )
        self._loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = self._loop.create_future()
        self._connect = connect
        self._questions = Questions(
            self.session,
            exits,
            pki,
            exit_limit,
            in_threads=exit_timeout is not None,
            before=self._send,
            after=self._on_late_answer,
        )
        self._handshake_timeout = handshake_timeout
        self._shutdown_timeout = shutdown_timeout
        self._on_outcome = on_outcome
        self._on_end = on_end
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._lingering: Lingering | None = None
        self._ending: asyncio.Future[None] | None = None
        self._begun = False
        self._made = False
        self._lost = False
        self._aborted = False
        self._timed_out = False
        self._close_waits = False
        self._cause: BaseException | None = None
        self._global_area = b""
        self._unread: deque[bytes] = deque()
        self._backlog: deque[bytes] = deque()
        self._backlog_size = 0
        self._lower_full = False
        self._told_full = False

    # -------------------------------------------------------------------------------------------- raw transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        try:
            if self.closing:
                raise LocalError("closed before the connection was made")
            self.connection = self._connect(
                _address(transport.get_extra_info("peername")), _address(transport.get_extra_info("sockname"))
            )
            self._questions.begin(self.connection, self.transport)
            self.connection.start()
        except LocalError as error:
            # the task has ended, say: there is no connection to drive
            self.closing = self._lost = True
            self._tell(error)
            self.transport.abort()
            return
        self._begun = True
        self._start_timer("handshake", self._handshake_timeout, self._on_timeout)
        self._drive()

    def data_received(self, data: bytes) -> None:
        if not self._begun:
            return
        if self._lingering is not None:
            self.connection.receive_data(data)
            self._lingering.discard(len(data), last=self.connection.peer_closed)
            return
        self._unread.append(data)
        self._drive()

    def eof_received(self) -> bool:
        if self._begun:
            self.connection.receive_eof()
            self._drive()
        # what is being asked decides what becomes of the data that came before the end
        return self._questions.pending and not self.connection.closed

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        if self._begun:
            self._on_loss(error)
        self._finish()

    def _on_loss(self, error: Exception | None) -> None:
        if not self.connection.closed and not self._questions.pending:
            self.connection.receive_eof()
        if self._lingering is not None:
            self._lingering.stop()
            if self._lingering.written:
                error = None  # the peer may hang up as it likes
        cause = self.session.refusal or self.connection.error or error
        if not self.connection.closed:
            # an answer that is still awaited has lost its purpose
            self.connection.abort()
            cause = error or ConnectionResetError("the connection was lost")
        self._cause = cause
        self._drive()
        self._stop_timer("handshake")
        self._stop_timer("shutdown")
        if self._made:
            self._call(self.application.connection_lost, None if self._aborted else cause)
            return
        if self._timed_out:
            cause = TimeoutError(f"no handshake within {self._handshake_timeout} seconds")
        self._tell(cause or ConnectionResetError("the connection was closed during the handshake"))

    def pause_writing(self) -> None:
        self._lower_full = True
        self._control_flow()

    def resume_writing(self) -> None:
        self._lower_full = False
        self._control_flow()

    # -------------------------------------------------------------------------------------------- application side

    @property
    def unsent_size(self) -> int:
        """Bytes that were written but wait for the end of a renegotiation (§7.4.9)."""
        return self._backlog_size + (self.connection.held_size if self._begun else 0)

    def write(self, data: bytes) -> None:
        """Protect and send; what comes after the end is dropped, as asyncio's own transports do."""
        if not data or self.closing or not self.connection.established:
            return
        self.bytes_sent += len(data)
        self._backlog.append(data)
        self._backlog_size += len(data)
        self._send()

    def renegotiate(self) -> None:
        """Begin a new handshake; a server asks its client to."""
        self.connection.renegotiate()
        self._drive()

    def close(self) -> None:
        """Send what has been written, then close_notify; let the output drain, and close the transport."""
        if self.closing:
            return
        self.closing = True
        if not self._begun:
            return
        self._close_waits = True
        if self.connection.established and self.unsent_size:
            self._start_timer("shutdown", self._shutdown_timeout, self.abort)
        else:
            self._close_connection()
        self._drive()

    def abort(self) -> None:
        """Close the transport at once; the peer is told nothing."""
        self.closing = True
        if not self._begun:
            return
        if not self.connection.closed:
            self._aborted = True
            self.connection.abort()
        self._drive()
        self.transport.abort()

    def pause_reading(self) -> None:
        """Stop reading from the peer until :meth:`resume_reading`; what has been decrypted already waits."""
        self.reading_paused = True
        if self._lingering is None:
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if not self.reading_paused:
            return
        self.reading_paused = False
        # not from here: the application is not prepared for data inside its own call
        self._loop.call_soon(self._read_on)

    def extra_info(self, name: str, default: Any) -> Any:
        """Answer ``get_extra_info``."""
        if name == "tls_connection":
            return self.connection
        if name == "tls_context":
            return self.connection.context
        if name == "tls_global_area":
            return self._global_area
        if name == "tls_application":
            return self.session
        return self.transport.get_extra_info(name, default)

    # -------------------------------------------------------------------------------------------- the middle

    def _drive(self) -> None:
        """Do everything that can be done at once: questions, input, events, output."""
        self._questions.drop_stale()
        self._questions.answer()
        while not self._questions.pending and self._unread:
            self.connection.receive_data(self._unread.popleft())
            self._questions.answer()
        self._send()
        if self._close_waits and not self._questions.pending and not self.unsent_size:
            self._close_connection()
            self._questions.answer()
            self._send()
        self._deliver()

    def _close_connection(self) -> None:
        self._close_waits = False
        self.connection.close()

    def _on_late_answer(self) -> None:
        self._read_on()
        self._finish()

    def _read_on(self) -> None:
        self._drive()
        if not self._questions.pending and not self.reading_paused and not self._lost:
            self.transport.resume_reading()

    def _deliver(self) -> None:
        while not self.reading_paused or self.closing or self._lost:
            event = self.connection.next_event()
            if event is None:
                if self._questions.pending or self.connection.pending_exit is None:
                    return
                # what was opened on the way has led to a question
                self._questions.answer()
                self._send()
            elif isinstance(event, ApplicationData):
                if not self.closing and self.session.refusal is None:
                    self.bytes_received += len(event.data)
                    self._call(self.application.data_received, event.data)
            elif isinstance(event, HandshakeCompleted):
                self._stop_timer("handshake")
                self._global_area = event.global_area
                if not self._made and not self.closing and self.session.refusal is None:
                    self._open()
            elif isinstance(event, Closed):
                if self._made and event.error is None and not self.closing and self.session.refusal is None:
                    self._call(self.application.eof_received)
                self.closing = True
                self._stop_timer("handshake")
                if not self._lost:
                    self._start_timer("shutdown", self._shutdown_timeout, self.transport.abort)
                    self._close_transport(event.error)

    def _close_transport(self, error: TlsError | None) -> None:
        over = isinstance(error, (AlertReceived, TruncatedError)) or self.connection.peer_closed
        if (over and self.session.refusal is None) or not self.transport.can_write_eof():
            self.transport.close()
            return
        # the peer may be sending, and not prepared for the end
        self._lingering = Lingering(self.transport, self._shutdown_timeout)
        self._lingering.begin()

    def _open(self) -> None:
        transport = TlsTransport(self)
        try:
            self.application.connection_made(transport)
        except Exception as error:
            self._report(error)
            self._tell(error)
            self.abort()
            return
        self._made = True
        self._tell(transport)
        self._control_flow()

    def _send(self) -> None:
        """Protect what has been written, as far as may be, and hand the output to the raw transport."""
        while self._backlog and not self.connection.held_size:
            try:
                self.connection.send(self._backlog[0])
            except LocalError:
                # closed: dropped below; in a renegotiation more than a connection holds: it waits here
                break
            self._backlog_size -= len(self._backlog.popleft())
        if not self.connection.established:
            self._backlog.clear()
            self._backlog_size = 0
        data = self.connection.data_to_send()
        if data and not self._lost:
            self.transport.write(data)
        self._control_flow()

    def _control_flow(self) -> None:
        if not self._made or self._lost:
            return
        full = self._lower_full or self.unsent_size > self.transport.get_write_buffer_limits()[1]
        if full is not self._told_full:
            self._told_full = full
            self._call(self.application.pause_writing if full else self.application.resume_writing)

    # -------------------------------------------------------------------------------------------- the end

    def _finish(self) -> None:
        """Tell the application of the end and run the last hook, once, and not before a slow exit has answered."""
        if not self._lost or self._questions.pending or self._ending is not None or self.over.done():
            return
        pending = self.session.end(self._cause, wait=True)
        if pending is None:
            self._end()
        else:
            self._ending = asyncio.ensure_future(pending)
            self._ending.add_done_callback(lambda _: self._end())

    def _end(self) -> None:
        if self.session.failure is not None:
            self._report(self.session.failure)
        work = None
        try:
            work = None if self._on_end is None else self._on_end()
        except Exception as error:
            self._report(error)
        if work is None:
            self.over.set_result(None)
        else:
            self._ending = asyncio.ensure_future(work)
            self._ending.add_done_callback(self._on_ended)

    def _on_ended(self, ending: asyncio.Future[None]) -> None:
        error = None if ending.cancelled() else ending.exception()
        if error is not None:
            self._report(error)
        if not self.over.done():
            self.over.set_result(None)

    def _on_timeout(self) -> None:
        self._timed_out = True
        self.connection.close()
        self._drive()
        # a peer that does not read would keep the connection for ever
        self._start_timer("shutdown", min(LINGER_TIME, self._shutdown_timeout), self.transport.abort)

    def _tell(self, outcome: TlsTransport | BaseException) -> None:
        on_outcome, self._on_outcome = self._on_outcome, None
        if on_outcome is not None:
            try:
                on_outcome(outcome)
            except Exception as error:
                self._report(error)

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        """Call the application; if that fails, so has the connection."""
        try:
            function(*arguments)
        except Exception as error:
            self._report(error)
            if not self._lost:
                self.abort()

    def _report(self, error: BaseException) -> None:
        context = {"message": "an exception in a callback of a TLS connection", "exception": error, "protocol": self}
        self._loop.call_exception_handler(context)

    def _start_timer(self, name: str, delay: float, callback: Callable[[], None]) -> None:
        self._stop_timer(name)
        self._timers[name] = self._loop.call_later(delay, callback)

    def _stop_timer(self, name: str) -> None:
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()


def _address(name: object) -> Address:
    return (name[0], name[1]) if isinstance(name, tuple) and len(name) >= 2 else None
