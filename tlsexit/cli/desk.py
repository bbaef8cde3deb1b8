"""What ``tlsexit serve`` does with the connections of one task, in whichever process that is."""

from __future__ import annotations

import asyncio
import html
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Final
from weakref import WeakKeyDictionary

from tlsexit.alerts import TlsError
from tlsexit.cli.client import handshake_seconds
from tlsexit.cli.outcome import End, Outcome
from tlsexit.cli.show import session_facts, short_outcome
from tlsexit.config import Config
from tlsexit.connection import Connection
from tlsexit.constants import Role
from tlsexit.drivers.application import ApplicationSession
from tlsexit.drivers.drive import Pki
from tlsexit.drivers.protocol import Address
from tlsexit.exits.application import PayloadRefused
from tlsexit.profile import Profile
from tlsexit.tasks import Task
from tlsexit.trace import Entry, Recorder, TracedTask, WatchedPki, ladder, text
from tlsexit.trace.values import count

_READ_SIZE: Final = 2**16

_REQUEST_TIMEOUT: Final = 30.0
"""Seconds a client gets to send its HTTP request."""

_LONGEST_REQUEST: Final = 2**14


class Mode(Enum):
    """What the server does with what it is sent."""

    COUNT = "count"
    ECHO = "echo"
    WWW = "www"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to serve. ``report`` gets lines for a person; ``on_end`` each connection's outcome when it is over.

    ``listener`` makes the listener for a connection's entries from its number.
    """

    profile: Profile
    config: Config
    pki: Pki
    exits: object = None
    application_exits: object = None
    mode: Mode = Mode.COUNT
    timeout: float = 60.0
    exit_timeout: float | None = None
    report: Callable[[str], None] = print
    on_end: Callable[[Outcome], None] = lambda outcome: None
    listener: Callable[[int], Callable[[Entry], None] | None] = lambda number: None


@dataclass(slots=True)
class _Record:
    """What is known of one connection."""

    number: int
    recorder: Recorder
    peer: str
    completed: bool = False
    received: int = 0
    sent: int = 0


class Desk:
    """Serves the connections of one task: numbers come from outside, and a record of each is kept here."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._records: WeakKeyDictionary[Connection, _Record] = WeakKeyDictionary()
        self.pki: Final = WatchedPki(plan.pki)

    def make_task(self, config: Config, reference: int | None = None) -> TracedTask:
        """Return the task, which is traced from its beginning."""
        observer = Recorder(time.perf_counter, self._plan.listener(0)).observer(Role.SERVER, self.pki)
        return TracedTask(config, observer, reference=reference)

    def connect(self, task: Task, number: int, remote: Address, local: Address) -> Connection:
        """Return a new connection of the task, with a record of its own."""
        recorder = Recorder(time.perf_counter, self._plan.listener(number))
        assert isinstance(task, TracedTask)
        task.observer = recorder.observer(Role.SERVER, self.pki)
        connection = task.connection(self._plan.profile, remote_address=remote, local_address=local)
        self._records[connection] = _Record(number, recorder, "somewhere" if remote is None else address(*remote))
        return connection

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection whose handshake is complete."""
        connection: Connection = writer.get_extra_info("tls_connection")
        record = self._records[connection]
        record.completed = True
        self._plan.report(f"#{record.number} {record.peer}: {short_outcome(_outcome(connection, record))}")
        application: ApplicationSession = writer.get_extra_info("tls_application")
        refusal = None
        try:
            async with application.apayload(self._plan.mode.value):
                await _MODES[self._plan.mode](self, reader, writer, record)
        except PayloadRefused as error:
            refusal = error
        except (TlsError, OSError, EOFError):
            pass  # told by the connection itself, below
        finally:
            writer.close()
            with suppress(TlsError, OSError):
                await writer.wait_closed()
            self._finish(connection, record, refusal or application.refusal)

    def on_failure(self, connection: Connection, error: BaseException) -> None:
        """A handshake did not complete."""
        record = self._records[connection]
        if not record.completed:
            self._finish(connection, record, error)

    def _finish(self, connection: Connection, record: _Record, error: BaseException | None = None) -> None:
        plan = self._plan
        outcome = _outcome(connection, record, error)
        if outcome.failed_end is None:
            end = f"closed after {count(record.received)} in and {count(record.sent)} out"
        else:
            end = f"failed: {outcome.error_sentence()}"
        plan.report(f"#{record.number} {record.peer}: {end}")
        plan.on_end(outcome)

    # -------------------------------------------------------------------------------------------- modes

    async def _count(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: _Record) -> None:
        while data := await reader.read(_READ_SIZE):
            record.received += len(data)

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: _Record) -> None:
        while data := await reader.read(_READ_SIZE):
            record.received += len(data)
            writer.write(data)
            record.sent += len(data)
            await writer.drain()

    async def _www(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: _Record) -> None:
        async with asyncio.timeout(_REQUEST_TIMEOUT):
            request = await _read_request(reader)
        record.received += len(request)
        method = request.split(b" ", 1)[0]
        if not request:
            return
        if not _has_head(request):
            answer = _response("400 Bad Request", "The request is not complete, or too long.\n", body=True)
        elif method not in (b"GET", b"HEAD"):
            answer = _response("405 Method Not Allowed", "Only GET and HEAD are understood.\n", body=True)
        else:
            outcome = _outcome(writer.get_extra_info("tls_connection"), record)
            answer = _response("200 OK", status_page(outcome), body=method == b"GET")
        writer.write(answer)
        record.sent += len(answer)
        await writer.drain()


_MODES: Final = {Mode.COUNT: Desk._count, Mode.ECHO: Desk._echo, Mode.WWW: Desk._www}


def _outcome(connection: Connection, record: _Record, error: BaseException | None = None) -> Outcome:
    entries = record.recorder.entries
    end = End(Role.SERVER, connection.context, error or connection.error)
    return Outcome(entries, (end,), handshake_seconds(entries) if record.completed else None)


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    """Return an HTTP request, at least up to the empty line unless the client stops, or writes too much, before it."""
    request = b""
    while not _has_head(request) and len(request) < _LONGEST_REQUEST:
        piece = await reader.read(_LONGEST_REQUEST)
        if not piece:
            break
        request += piece
    return request


def _has_head(request: bytes) -> bool:
    """Whether the empty line after the header fields has come."""
    return b"\n\r\n" in request or b"\n\n" in request


def _response(status: str, content: str, *, body: bool) -> bytes:
    kind = "text/html" if content.startswith("<") else "text/plain"
    data = content.encode()
    head = (
        f"HTTP/1.0 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {len(data)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + (data if body else b"")


def status_page(outcome: Outcome) -> str:
    """Return a page that tells about the session it is sent over."""
    facts = "\n".join(f"{name:<22}{value}" for name, value in session_facts(outcome))
    diagram = text(ladder(outcome.entries, width=90))
    return (
        "<!DOCTYPE html>\n<html><head><title>tlsexit</title></head><body><h1>tlsexit</h1>\n"
        f"<pre>\n{html.escape(facts)}\n\n{html.escape(diagram)}\n</pre></body></html>\n"
    )


def address(host: str, port: int) -> str:
    """Return an address as text."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
