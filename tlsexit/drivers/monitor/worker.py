"""A worker process: one task with an event loop, which serves the sockets that the monitor hands to it.

Two socket pairs lead to the monitor. Over one come sockets, each with the number of its session; its end says that no
more will come. The other carries :mod:`~tlsexit.drivers.monitor.messages`; its end says that the monitor is gone.
"""

from __future__ import annotations

import asyncio
import faulthandler
import inspect
import os
import pickle
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from threading import get_ident
from typing import Any, Final, TextIO, cast

from tlsexit.alerts import LocalError, TlsError
from tlsexit.config import Config
from tlsexit.connection import Connection
from tlsexit.drivers.drive import arun
from tlsexit.drivers.monitor.messages import (
    FROM_MONITOR,
    HANDOVER,
    MAX_LINE,
    Alive,
    Drain,
    Ended,
    Established,
    Message,
    NotStarted,
    Over,
    Progress,
    ShareKeys,
    Start,
    Started,
    Taken,
    Told,
    decode,
    encode,
)
from tlsexit.drivers.monitor.service import Arrival, CannotServe, Service, load_service
from tlsexit.drivers.protocol import Address, TlsProtocol
from tlsexit.drivers.sessions import Outcome, Sessions
from tlsexit.drivers.transport import TlsTransport
from tlsexit.exits.context import SessionContext
from tlsexit.policy import BuiltinPki, system_config
from tlsexit.stores.tickets import TicketKeys
from tlsexit.tasks import Task

_MAX_UNREAD: Final = 2**23
"""Bytes that may wait for a monitor that does not read before what a service tells is dropped."""

_PAUSE: Final = 1.0
"""Seconds without taking sockets when there is no room for them."""

_USAGE: Final = 2
"""The code of what is wrong with an option."""

_HANDLERS_TIMEOUT: Final = 5.0
"""Seconds that handlers get to finish once their sessions are over."""


@dataclass(slots=True)
class _Live:
    """A session of this task."""

    number: int
    protocol: TlsProtocol | None = None
    failure: BaseException | None = None
    carried: int = 0


class WorkerTask:
    """The task of this process: a :class:`~tlsexit.drivers.monitor.service.Worker`."""

    def __init__(self, start: Start, handover: socket.socket) -> None:
        self._start = start
        self._handover = handover
        self._keys = None if start.ticket_keys is None else _shared_keys(start.ticket_keys)
        self._live: dict[int, _Live] = {}
        self._arriving: set[asyncio.Task[Any]] = set()
        self._draining = asyncio.Event()
        self._handover_ended = asyncio.Event()
        self._closing = False

    @property
    def reference(self) -> int:
        """The task's."""
        return self._start.reference

    @property
    def config(self) -> Config:
        """What all tasks of the monitor share."""
        return self._config

    def tell(self, value: Any) -> None:
        """Send the monitor a value of the service's own."""
        line = encode(Told(value))
        if len(line) > MAX_LINE:
            raise LocalError(f"a told value has at most {MAX_LINE} bytes as JSON")
        if get_ident() == self._thread:
            self._write_told(line)
            return
        with suppress(RuntimeError):  # the loop has ended, and nobody listens
            self._loop.call_soon_threadsafe(self._write_told, line)

    def _write_told(self, line: bytes) -> None:
        if not self._writer.is_closing() and self._writer.transport.get_write_buffer_size() < _MAX_UNREAD:
            self._writer.write(line)

    async def run(self, control: socket.socket) -> int:
        """Serve until the monitor has enough or is gone; return the exit status."""
        self._loop = loop = asyncio.get_running_loop()
        self._thread = get_ident()
        reader, self._writer = await asyncio.open_connection(sock=control, limit=MAX_LINE)
        try:
            self._config = _shared_config(self._start, self._keys)
            self._service = await self._make_service()
            self._task = await self._start_task()
        except TlsError as error:
            # ExitFailed: what StartTask ended with
            self._send(NotStarted(str(error), error.code if isinstance(error, CannotServe) else 1))
            await self._flush()
            return 1
        self._send(Started(self._task.exit_enabled))
        self._beat()
        self._handover.setblocking(False)
        loop.add_reader(self._handover, self._on_handover)
        listening = loop.create_task(self._listen(reader))
        await self._draining.wait()
        await self._handover_ended.wait()
        await self._sessions.wait()
        await self._sessions.finish_handlers(_HANDLERS_TIMEOUT)
        await self._sessions.end_task()
        self._send(Ended())
        await self._flush()
        listening.cancel()
        return 0

    # -------------------------------------------------------------------------------------------- beginning

    async def _make_service(self) -> Service:
        """Make the service; what goes wrong is told by its name, and CannotServe passes."""
        name = self._start.service
        try:
            factory = load_service(name)
            made = factory(self, **pickle.loads(self._start.settings))
            service = await made if inspect.isawaitable(made) else made
        except CannotServe:
            raise
        except Exception as error:
            raise CannotServe(f"{name} failed: {type(error).__name__}: {error}") from error
        if not isinstance(service, Service):
            raise CannotServe(f"{name} returned {type(service).__name__}, not a Service")
        return service

    async def _start_task(self) -> Task:
        service = self._service
        pki = service.pki if service.pki is not None else BuiltinPki()
        config = service.config if service.config is not None else self._config
        if service.make_task is not None:
            task = service.make_task(config, self.reference)
        else:
            task = Task(config, reference=self.reference, **service.configuration)
        await arun(
            task,
            service.exits,
            pki,
            exit_timeout=service.exit_timeout,
            await_timeout=service.handshake_timeout,
        )
        self._sessions = Sessions(
            service.handler,
            task,
            service.exits,
            pki,
            handshake_timeout=service.handshake_timeout,
            shutdown_timeout=service.shutdown_timeout,
            exit_timeout=service.exit_timeout,
            application_exits=service.application_exits,
        )
        return task

    # -------------------------------------------------------------------------------------------- sessions

    def _on_handover(self) -> None:
        """Take what sockets there are, a few at a time."""
        for _ in range(16):
            try:
                data, descriptors, _, _ = socket.recv_fds(self._handover, HANDOVER.size, 1)
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionResetError:
                data, descriptors = b"", []
            except OSError:
                # no room for the descriptor, where the system says so (macOS): sessions that end make some
                self._loop.remove_reader(self._handover)
                self._loop.call_later(_PAUSE, self._loop.add_reader, self._handover, self._on_handover)
                return
            if not data:
                self._loop.remove_reader(self._handover)
                self._handover.close()
                self._handover_ended.set()
                return
            (number,) = HANDOVER.unpack(data)
            self._send(Taken(number))
            if descriptors:
                self._begin(number, socket.socket(fileno=descriptors[0]))
            else:
                # Linux drops a descriptor for which there is no room
                self._send(Over(number, False, 0, 0, "the task has too many open files"))

    def _begin(self, number: int, sock: socket.socket) -> None:
        service = self._service
        live = self._live[number] = _Live(number)

        def connect(remote: Address, local: Address) -> Connection:
            if service.connect is not None:
                return service.connect(self._task, Arrival(number, remote, local))
            return self._task.connection(service.profile, remote_address=remote, local_address=local)

        def outcome(result: Outcome) -> None:
            if isinstance(result, TlsTransport):
                context: SessionContext = result.get_extra_info("tls_context")
                self._send(Established(number, context.reference, context.cipher_suite or 0, context.resumed))
            else:
                live.failure = result
                connection = getattr(protocol, "connection", None)
                if service.on_failure is not None and connection is not None:
                    service.on_failure(connection, result)

        protocol = self._sessions.protocol(connect, on_outcome=outcome, on_over=lambda: self._on_over(live))
        live.protocol = protocol
        if self._closing:
            protocol.close()
        arriving = asyncio.get_running_loop().create_task(self._arrive(protocol, sock))
        self._arriving.add(arriving)
        arriving.add_done_callback(self._arriving.discard)

    async def _arrive(self, protocol: TlsProtocol, sock: socket.socket) -> None:
        try:
            sock.setblocking(False)
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                # asyncio does so itself where the system tells which protocol a socket speaks
                with suppress(OSError):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, sock)
        except (OSError, ValueError) as error:
            sock.close()
            protocol.connection_lost(error if isinstance(error, OSError) else None)

    def _on_over(self, live: _Live) -> None:
        protocol = self._live.pop(live.number).protocol
        assert protocol is not None
        connection: Connection | None = getattr(protocol, "connection", None)
        error = live.failure or (None if connection is None else connection.error)
        reason = "" if error is None else str(error) or type(error).__name__
        self._send(Over(live.number, connection is not None, protocol.bytes_received, protocol.bytes_sent, reason))

    # -------------------------------------------------------------------------------------------- the monitor

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Do as the monitor says, until it says nothing any more."""
        with suppress(OSError, ValueError):
            while line := await reader.readline():
                message = decode(line, FROM_MONITOR)
                if isinstance(message, ShareKeys):
                    if self._keys is not None:
                        self._keys.import_keys(bytes.fromhex(message.keys))
                else:
                    self._drain(message)
        self._drain(Drain(0.0))

    def _drain(self, message: Drain) -> None:
        self._draining.set()
        if message.seconds > 0:
            asyncio.get_running_loop().call_later(message.seconds, self._close_sessions)
        else:
            self._close_sessions()

    def _close_sessions(self) -> None:
        self._closing = True
        self._sessions.close()

    def _beat(self) -> None:
        """Show that the loop turns: to the monitor, and to the watchdog that ends this process if it does not."""
        for live in self._live.values():
            protocol = live.protocol
            if protocol is not None and (carried := protocol.bytes_received + protocol.bytes_sent) != live.carried:
                live.carried = carried
                self._send(Progress(live.number, protocol.bytes_received, protocol.bytes_sent))
        self._send(Alive())
        watch(self._start.hang_timeout)
        asyncio.get_running_loop().call_later(self._start.beat, self._beat)

    def _send(self, message: Message) -> None:
        if not self._writer.is_closing():
            self._writer.write(encode(message))

    async def _flush(self) -> None:
        with suppress(OSError):
            await self._writer.drain()
            self._writer.close()
            await self._writer.wait_closed()


def watch(seconds: float) -> None:
    """Have this process ended, and told on standard error where it hangs, unless this is called again in time.

    The watchdog is a thread in C: it needs no lock that a hanging exit may hold, and goes on without a monitor.
    """
    # not sys.stderr: a service may have put something else there
    faulthandler.dump_traceback_later(seconds, exit=True, file=cast(TextIO, sys.__stderr__))


def _shared_keys(exported: bytes) -> TicketKeys:
    keys = TicketKeys(system_config().clock, rotate=False)
    keys.import_keys(exported)
    return keys


def _shared_config(start: Start, keys: TicketKeys | None) -> Config:
    """Return what all tasks of the monitor share. Raises CannotServe for a file that will not do."""
    file = start.session_file
    if file is None:
        return system_config(tickets=keys)
    from sqlite3 import Error

    from tlsexit.stores.sqlite import SQLiteSessionStore

    try:
        return system_config(tickets=keys, session_store=SQLiteSessionStore(file, start.session_key))
    except LocalError as error:
        raise CannotServe(str(error), _USAGE) from error
    except OSError as error:
        raise CannotServe(f"{file}: cannot be used for sessions: {error.strerror}", _USAGE) from error
    except Error as error:
        raise CannotServe(f"{file}: cannot be used for sessions: {error}", _USAGE) from error


def main(control: int, handover: int) -> None:
    """Be a worker; the arguments are the descriptors of the two socket pairs."""
    # the monitor decides when a task ends; what a terminal or a service manager sends to everybody is for it alone
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.__stderr__ is None:
        null = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
        sys.stderr = sys.__stderr__ = null  # type: ignore[misc]
    # an exit in C that crashes leaves a trace of where
    faulthandler.enable()
    for descriptor in (control, handover):
        # a program that an exit runs must not keep the monitor waiting for the end
        os.set_inheritable(descriptor, False)
    control_socket, handover_socket = socket.socket(fileno=control), socket.socket(fileno=handover)
    head = _read(control_socket, 4)
    data = _read(control_socket, Start.length(head)) if head else b""
    if not data:
        return
    start: Start = pickle.loads(data)
    watch(start.start_timeout)
    control_socket.setblocking(False)

    async def run() -> int:
        return await WorkerTask(start, handover_socket).run(control_socket)

    status = asyncio.run(run())
    faulthandler.cancel_dump_traceback_later()
    sys.exit(status)


def _read(control: socket.socket, size: int) -> bytes:
    """Return exactly so many bytes; none if the monitor is gone."""
    data = b""
    while len(data) < size:
        piece = control.recv(size - len(data))
        if not piece:
            return b""
        data += piece
    return data
