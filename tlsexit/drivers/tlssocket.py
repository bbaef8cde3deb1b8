"""The socket-like object of the blocking driver: :class:`TlsSocket`."""

from __future__ import annotations

import io
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final, Self

from tlsexit.alerts import AlertReceived, LocalError, TruncatedError
from tlsexit.connection import Connection
from tlsexit.crypto.suites import SUITES
from tlsexit.drivers.application import ApplicationSession, Unfinished, complete
from tlsexit.drivers.drive import Pki, Questioner, run
from tlsexit.drivers.linger import LINGER_TIME, linger
from tlsexit.drivers.rawfile import RawTls
from tlsexit.events import ApplicationData, HandshakeCompleted
from tlsexit.exits.answers import Failed
from tlsexit.exits.application import TransportSecurity
from tlsexit.exits.context import SessionContext
from tlsexit.handshake.states import Established
from tlsexit.session import Session
from tlsexit.tasks import Task

_READ_SIZE: Final = 2**17
_WRITE_SIZE: Final = 2**20  # a longer write is protected piece by piece, so that memory stays bounded

_KNOWN_TO_PEER: Final = (type(None), AlertReceived, TruncatedError)
"""The errors of a connection whose end is none to the peer, or one that it began itself."""

_READ_AHEAD: Final = 2**24  # bytes that a peer may send while it should complete a renegotiation


class TlsSocket:
    """A socket's methods over TLS; a context manager that closes with close_notify.

    A truncated connection raises :class:`~tlsexit.alerts.TruncatedError` from :meth:`recv`; only close_notify reads as
    the end, ``b""`` (RFC 2246 §7.2.1). A time-out bounds each operation as a whole. A socket serves one thread at a
    time: even reading may have to write, and both directions share the state of one connection.
    """

    def __init__(
        self,
        sock: socket.socket,
        connection: Connection,
        exits: object,
        pki: Pki,
        task: Task | None = None,
        *,
        owns_task: bool = False,
        exit_timeout: float | None = None,
        application_exits: object = None,
    ) -> None:
        self._socket = sock
        self._connection = connection
        self._exits = exits
        self._pki = pki
        self._task = task
        self._owns_task = owns_task
        self._exit_timeout = exit_timeout
        self._timeout = sock.gettimeout()
        self._received: deque[bytes] = deque()
        self._global_area = b""
        self._completed = False
        self._socket_closed = False
        self._deadline: float | None = None
        self._cut_off = False
        self._left_by: BaseException | None = None
        self.bytes_received = 0
        self.bytes_sent = 0
        self.application = ApplicationSession(
            application_exits,
            pki,
            limit=self._exit_limit,
            threads=exit_timeout is not None,
            counts=lambda: (self.bytes_received, self.bytes_sent),
        )

    # -------------------------------------------------------------------------------------------- handshake

    def do_handshake(self) -> None:
        """Complete the handshake, within the socket's time-out as a whole."""
        self._connection.start()
        with self._within_timeout():
            self._drive()
            # what follows the handshake may be in the same segment, the end of the connection too
            while not self._completed:
                self._raise_if_closed()
                self._read_more()
            self._raise_if_refused()

    def renegotiate(self) -> bool:
        """Have a new handshake, within the time-out as a whole; data that arrives meanwhile can be read afterwards.

        Returns False if the peer would rather not (no_renegotiation, RFC 2246 §7.2.2). Raises :class:`LocalError`
        unless the profile allows it and the peer supports RFC 5746.
        """
        self._connection.renegotiate()
        self._completed = False
        with self._within_timeout():
            self._drive()
            while not self._completed:
                self._raise_if_closed()
                state = self._connection.state
                if isinstance(state, Established) and not state.requested:
                    self._completed = True
                    return False
                self._read_ahead()
        return True

    # -------------------------------------------------------------------------------------------- data

    def recv(self, size: int = 65536) -> bytes:
        """Return 1 to ``size`` bytes, or ``b""`` after the peer's close_notify.

        Raises :class:`LocalError` where it was this end that closed: what the peer had still to say is not known.
        """
        if size < 0:
            raise ValueError(f"recv of {size} bytes")
        if size == 0:
            return b""
        if not self._received:
            with self._within_timeout():
                while not self._received and not self._connection.closed:
                    self._read_more()
        if not self._received:
            self._raise_if_refused()
            if self._connection.error is None and self._connection.peer_closed:
                return b""
            raise self._connection.error or LocalError("the connection was closed by this end")
        chunk = self._received[0]
        if len(chunk) <= size:
            return self._received.popleft()
        self._received[0] = chunk[size:]
        return chunk[:size]

    def recv_into(self, buffer: bytearray | memoryview, size: int = 0) -> int:
        """Read into ``buffer``, at most ``size`` bytes unless that is 0; return how many."""
        if size < 0:
            raise ValueError(f"recv_into of {size} bytes")
        view = memoryview(buffer).cast("B")
        data = self.recv(min(size, len(view)) if size else len(view))
        view[: len(data)] = data
        return len(data)

    def pending(self) -> int:
        """Return how many bytes :meth:`recv` has at hand, without reading from the network."""
        return sum(map(len, self._received))

    def sendall(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of ``data``, after a renegotiation that is under way.

        If that fails or times out, nobody knows how much the peer has got: nothing more can be sent then, and every
        later attempt raises :class:`LocalError`. What the peer sends can still be read.
        """
        view = memoryview(data).cast("B")
        with self._within_timeout():
            while self._connection.established and not isinstance(self._connection.state, Established):
                self._read_ahead()  # what the connection would hold back could be lost if it is closed right after
            for start in range(0, len(view), _WRITE_SIZE):
                self._raise_if_closed()
                if self._cut_off:
                    raise LocalError("an earlier write was cut off; nothing more can be sent")
                piece = bytes(view[start : start + _WRITE_SIZE])
                self._connection.send(piece)
                self.bytes_sent += len(piece)
                self._flush()

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """Send all of ``data`` and return its length."""
        self.sendall(data)
        return len(memoryview(data).cast("B"))

    def makefile(self, mode: str = "rb", buffering: int = -1) -> io.BufferedIOBase | io.RawIOBase:
        """Return a binary file object over the connection: mode "rb", "wb" or "rwb"; closing it leaves us open."""
        readable, writable = "r" in mode, "w" in mode
        if "b" not in mode or not (readable or writable):
            raise LocalError(f"mode {mode!r}: TLS carries bytes; use rb, wb or rwb")
        raw = RawTls(self, readable=readable, writable=writable)
        if buffering == 0:
            return raw
        size = buffering if buffering > 0 else io.DEFAULT_BUFFER_SIZE
        if readable and writable:
            return io.BufferedRWPair(raw, raw, size)
        return io.BufferedReader(raw, size) if readable else io.BufferedWriter(raw, size)

    # -------------------------------------------------------------------------------------------- the end

    def unwrap(self) -> socket.socket:
        """Exchange close_notify in both directions and give the bare socket back (§7.2.1).

        Only after an orderly end is the transport free for something else. After any other this raises what ended the
        connection; :class:`LocalError` if it was never established, is closed already, or a write was cut off;
        :class:`~tlsexit.alerts.TruncatedError` if the peer's close_notify cannot come any more. The socket's time-out
        bounds the whole of it; after ``TimeoutError`` it may be tried again.
        """
        connection = self._connection
        if self._socket_closed:
            raise LocalError("the socket is closed")
        with self._within_timeout():
            if not connection.closed:
                if not connection.established:
                    raise LocalError("the handshake is not complete")
                connection.close()
                self._drive()
            if connection.error is not None:
                raise connection.error
            if self._cut_off:
                raise LocalError("an earlier write was cut off; the peer cannot be told of the end")
            while not connection.peer_closed:
                if not connection.awaits_close_notify:
                    raise TruncatedError("the peer's close_notify never came, and the stream is broken")
                # the bytes behind the peer's close_notify belong to whatever the transport carries next
                data = self._receive()
                if not data:
                    raise TruncatedError("the transport ended before the peer's close_notify")
                connection.receive_data(data)
        self._socket_closed = True
        try:
            self._end_transfer()
        finally:
            self._end_task()
        return self._socket

    def close(self) -> None:
        """Send close_notify and close the socket, without waiting for the peer's; safe to repeat.

        A peer that is told of a failure, or that is still sending, gets up to two seconds to take in the end and hang
        up, as far as the time-out goes (:mod:`tlsexit.drivers.linger`).
        """
        if self._socket_closed:
            return
        try:
            self._connection.close()
            with self._within_timeout(), suppress(OSError):
                # the peer may be gone already: then there is nobody left to notify
                self._send_output()
                self._linger()
        finally:
            self.abort()

    def abort(self) -> None:
        """Close the socket without close_notify; a question that is pending is dropped, the exit hears of the end."""
        if self._socket_closed:
            return
        self._socket_closed = True
        self._socket.close()
        try:
            self._connection.abort()
            self._drive_exits()
            self._ask_last()
            self._end_transfer()
        finally:
            self._end_task()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left_by = error
        self.close()

    # -------------------------------------------------------------------------------------------- facts

    @property
    def connection(self) -> Connection:
        """The protocol object underneath."""
        return self._connection

    @property
    def context(self) -> SessionContext:
        """What is known of the session: suite, chains, authentication."""
        return self._connection.context

    @property
    def session(self) -> Session | None:
        """The session to offer next time."""
        return self._connection.session

    @property
    def global_area(self) -> bytes:
        """The 64 bytes that HandshakeDone returned."""
        return self._global_area

    @property
    def transport_security(self) -> TransportSecurity:
        """What the application's exits are told of the session; ``application`` tells them of payloads."""
        return self.application.security

    def cipher(self) -> str | None:
        """The suite's registered name."""
        value = self.context.cipher_suite
        return None if value is None else SUITES[value].name

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def getpeername(self) -> tuple[str, int]:
        """The peer's address."""
        return self._socket.getpeername()  # type: ignore[no-any-return]

    def settimeout(self, timeout: float | None) -> None:
        """Bound each operation from now on, in seconds; None waits for ever."""
        self._socket.settimeout(timeout)
        self._timeout = timeout

    def gettimeout(self) -> float | None:
        """The time-out in force."""
        return self._socket.gettimeout()

    # -------------------------------------------------------------------------------------------- underneath

    @contextmanager
    def _within_timeout(self) -> Iterator[None]:
        """Let the socket's time-out bound everything in the block together, however steadily the peer goes on."""
        timeout = self._socket.gettimeout()
        if not timeout:
            yield
            return
        self._deadline = time.monotonic() + timeout
        try:
            yield
        finally:
            self._deadline = None
            if self._socket.fileno() >= 0:
                self._socket.settimeout(timeout)

    def _arm(self) -> None:
        if self._deadline is not None:
            if not self._left and not self._connection.closed:
                raise TimeoutError("timed out")
            # with no time left the last words go out if they can at once
            self._socket.settimeout(self._left)

    @property
    def _left(self) -> float:
        """Seconds that are left of the operation that is going on."""
        return max(0.0, (self._deadline or 0.0) - time.monotonic())

    def _receive(self) -> bytes:
        self._arm()
        return self._socket.recv(_READ_SIZE)

    def _read_ahead(self) -> None:
        """Read while a renegotiation is waited for; data that comes instead must not fill the memory."""
        if self.pending() > _READ_AHEAD:
            raise LocalError("the peer sends data without end and does not complete the renegotiation")
        self._read_more()

    def _read_more(self) -> None:
        data = self._receive()
        if data:
            self._connection.receive_data(data)
        else:
            self._connection.receive_eof()
        self._drive_exits()
        try:
            self._flush()
        except OSError:
            # an answer that the peer no longer wants must not cost us what it said before it hung up
            if not self._received and not self._ended_orderly:
                raise
        finally:
            self._ask_last()

    def _drive(self) -> None:
        self._drive_exits()
        try:
            self._flush()
        finally:
            self._ask_last()

    def _drive_exits(self) -> None:
        """Put all questions to the exit but the last, and see what has happened."""
        asking = Unfinished(self._connection, self.application)
        while True:
            self._run(asking, self._exit_limit())
            while (event := self._connection.next_event()) is not None:
                if isinstance(event, ApplicationData):
                    self._received.append(event.data)
                    self.bytes_received += len(event.data)
                elif isinstance(event, HandshakeCompleted):
                    self._completed = True
                    self._global_area = event.global_area
            # what was opened on the way may have led to a question
            if asking.pending_exit is None:
                return

    def _ask_last(self) -> None:
        """Tell the exit of the end, after the peer has been told: the exit may take its time."""
        connection = self._connection
        if not connection.closed or connection.pending_exit is None:
            return
        try:
            self._run(connection, self._timeout)
        except BaseException as error:
            # interrupted: this question only informs, and once is enough
            if connection.pending_exit is not None:
                connection.answer(Failed(cause=error))
            raise

    def _run(self, target: Questioner, await_timeout: float | None) -> None:
        run(target, self._exits, self._pki, exit_timeout=self._exit_timeout, await_timeout=await_timeout)

    def _flush(self) -> None:
        try:
            self._send_output()
        except OSError:
            # what the peer said before it hung up says more than "broken pipe"
            if self._connection.error is not None and not self._received:
                raise self._connection.error from self._connection.error.__cause__
            raise

    def _send_output(self) -> None:
        data = self._connection.data_to_send()
        if not data or self._cut_off:
            return
        # until all of it is out, the stream may end inside a record, and nothing can follow
        self._cut_off = True
        self._arm()
        self._socket.sendall(data)
        self._cut_off = False

    @property
    def _ended_orderly(self) -> bool:
        return self._connection.closed and self._connection.error is None

    def _linger(self) -> None:
        """Let the peer take in what it is told; it may be sending, and not prepared for that."""
        if self._cut_off:
            return
        untimed = self._socket.gettimeout() is None
        refused = self.application.refusal is not None or not isinstance(self._connection.error, _KNOWN_TO_PEER)
        sending = refused or bool(self._received)
        linger(self._socket, LINGER_TIME if untimed else self._left, self._hear, expected=sending)

    def _hear(self, data: bytes) -> bool:
        self._connection.receive_data(data)
        return self._connection.peer_closed

    def _raise_if_refused(self) -> None:
        if self.application.refusal is not None:
            raise self.application.refusal

    def _raise_if_closed(self) -> None:
        self._raise_if_refused()
        if self._connection.closed:
            raise self._connection.error or LocalError("the connection is closed")

    def _end_task(self) -> None:
        if self._task is None:
            return
        if self._owns_task:
            self._task.end()
        # a task of the caller's that has ended waits with EndTask for its last session
        self._run(self._task, self._timeout)

    def _end_transfer(self) -> None:
        """Tell the application's exits of the end."""
        error = self._connection.error or self._left_by
        if self._cut_off and not self._connection.peer_closed:
            # whoever has closed already need not hear of our own close
            error = error or LocalError("the last write was cut off")
        complete(self.application.end(error))

    def _exit_limit(self) -> float | None:
        """Seconds that an exit may take now."""
        if self._exit_timeout is not None:
            return self._exit_timeout
        return self._timeout if self._deadline is None else self._left
