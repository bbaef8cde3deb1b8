"""The connections that ``tlsexit connect`` makes, under asyncio."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import BinaryIO, Final

from tlsexit.alerts import TlsError
from tlsexit.cli.outcome import End, Outcome
from tlsexit.config import Config
from tlsexit.constants import Role
from tlsexit.drivers.aio import end_task, open_connection
from tlsexit.drivers.application import identifiers
from tlsexit.drivers.drive import Pki, arun
from tlsexit.events import PhaseSeen
from tlsexit.exits.answers import Answer, Handled
from tlsexit.exits.application import Identifiers
from tlsexit.exits.calls import CheckCertificateCall, ExitCall
from tlsexit.exits.context import SessionContext
from tlsexit.exits.phases import ExitPhase
from tlsexit.profile import Profile
from tlsexit.session import Session
from tlsexit.trace import Entry, Recorder, TracedTask, WatchedPki

_READ_SIZE: Final = 2**16


class _Before:
    """What answers some questions before the built-in PKI gets them."""

    def __init__(self, pki: Pki) -> None:
        self._pki = pki

    def identify(self, context: SessionContext) -> Identifiers:
        """What the key store calls the certificates of a session."""
        return identifiers(self._pki, context)


class TrustAnyone(_Before):
    """The built-in PKI with its eyes shut: for ``--insecure``."""

    def answer(self, call: ExitCall) -> Answer:
        """Answer one call."""
        return Handled() if isinstance(call, CheckCertificateCall) else self._pki.answer(call)


class AnyName(_Before):
    """The built-in PKI, which checks everything but the server's name: for ``--no-name-check``."""

    def answer(self, call: ExitCall) -> Answer:
        """Answer one call."""
        if isinstance(call, CheckCertificateCall):
            profile = replace(call.context.profile, server_name=None)
            call = replace(call, context=replace(call.context, profile=profile))
        return self._pki.answer(call)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to connect to, and how. ``timeout``, ``exit_timeout`` and ``linger`` are in seconds.

    ``source`` is sent and ``sink`` gets what arrives; without a source nothing is exchanged. After the end of the
    source the connection stays open until nothing has arrived for ``linger``. ``listener`` hears of each entry.
    """

    host: str
    port: int
    profile: Profile
    config: Config
    pki: Pki
    exits: object = None
    application_exits: object = None
    timeout: float = 10.0
    exit_timeout: float | None = None
    resume: bool = False
    source: BinaryIO | None = None
    sink: BinaryIO | None = None
    linger: float = 1.0
    listener: Callable[[Entry], None] | None = None


class Client:
    """Makes one connection, or two to resume the session of the first. ``outcomes`` grows as they end."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._pki = WatchedPki(plan.pki)
        self._session: Session | None = None
        self.outcomes: list[Outcome] = []

    async def run(self) -> None:
        """Do as planned. What fails in the protocol is in the last outcome.

        Raises ``OSError`` if the network fails before there is a connection, and
        :class:`~tlsexit.alerts.ExitFailed` if StartTask fails.
        """
        plan = self._plan
        recorder = Recorder(time.perf_counter, plan.listener)
        task = TracedTask(plan.config, recorder.observer(Role.CLIENT, self._pki))
        await arun(task, plan.exits, self._pki, exit_timeout=plan.exit_timeout)
        try:
            for last in (False, True) if plan.resume else (True,):
                if self.outcomes:
                    recorder = Recorder(time.perf_counter, plan.listener)
                    task.observer = recorder.observer(Role.CLIENT, self._pki)
                self.outcomes.append(await self._connect(recorder, task, exchange=last))
                if not self.outcomes[-1].completed:
                    break
        finally:
            await end_task(task, plan.exits, self._pki, exit_timeout=plan.exit_timeout, await_timeout=plan.timeout)
            if self.outcomes:
                self.outcomes[-1] = replace(self.outcomes[-1], entries=recorder.entries)

    async def _connect(self, recorder: Recorder, task: TracedTask, *, exchange: bool) -> Outcome:
        """Make one connection; with ``exchange`` send and receive as planned."""
        plan = self._plan
        completed = False
        error: BaseException | None = None
        try:
            async with asyncio.timeout(plan.timeout):
                reader, writer = await open_connection(
                    plan.host,
                    plan.port,
                    plan.profile,
                    exits=plan.exits,
                    pki=self._pki,
                    task=task,
                    session=self._session,
                    handshake_timeout=plan.timeout,
                    exit_timeout=plan.exit_timeout,
                    application_exits=plan.application_exits,
                )
            completed = True
            try:
                if exchange and plan.source is not None:
                    async with writer.get_extra_info("tls_application").apayload("input"):
                        await _Exchange(reader, writer, plan).run(plan.source)
            finally:
                await _close(writer, plan.timeout)
        except (TlsError, OSError) as failure:
            error = failure
        connection = task.latest
        if isinstance(error, TimeoutError):
            what = "connection" if connection is None else "handshake"
            error = TimeoutError(f"no {what} within {plan.timeout:g} seconds")
        if connection is None:
            raise error or ConnectionError("no connection")
        self._session = connection.session
        end = End(Role.CLIENT, connection.context, error or connection.error)
        return Outcome(recorder.entries, (end,), handshake_seconds(recorder.entries) if completed else None)


def handshake_seconds(entries: Sequence[Entry]) -> float | None:
    """Return the time from StartHandshake to the answer of HandshakeDone; None if it did not come to that."""
    start = None
    for entry in entries:
        if isinstance(entry.seen, PhaseSeen):
            if entry.seen.phase is ExitPhase.START_HANDSHAKE and start is None:
                start = entry.at
            if entry.seen.phase is ExitPhase.HANDSHAKE_DONE and entry.seen.answer is not None and start is not None:
                return entry.at - start
    return None


async def _close(writer: asyncio.StreamWriter, timeout: float) -> None:
    """Send close_notify and wait for the transport; what the connection ended with is known elsewhere."""
    writer.close()
    with suppress(TlsError, OSError):
        async with asyncio.timeout(timeout):
            await writer.wait_closed()


class _Exchange:
    """Sends what a stream holds and passes on what arrives."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, plan: Plan) -> None:
        self._reader = reader
        self._writer = writer
        self._sink = plan.sink
        self._linger = plan.linger
        self._arrived = 0.0

    async def run(self, source: BinaryIO) -> None:
        """Return when the peer has closed, or the source is at its end and nothing more arrives."""
        receiving = asyncio.create_task(self._receive())
        sending = asyncio.create_task(self._send(source))
        try:
            await asyncio.wait((receiving, sending), return_when=asyncio.FIRST_COMPLETED)
            if not receiving.done():
                await sending
                await self._wait_until_quiet(receiving)
            if receiving.done():
                await receiving
        finally:
            for task in (receiving, sending):
                task.cancel()
            await asyncio.gather(receiving, sending, return_exceptions=True)

    async def _receive(self) -> None:
        loop = asyncio.get_running_loop()
        while data := await self._reader.read(_READ_SIZE):
            self._arrived = loop.time()
            if self._sink is not None:
                self._sink.write(data)
                self._sink.flush()

    async def _send(self, source: BinaryIO) -> None:
        pieces: asyncio.Queue[bytes] = asyncio.Queue(maxsize=16)
        loop = asyncio.get_running_loop()
        # reading a terminal or pipe blocks, and cannot be interrupted: a thread that does not outlive the program
        threading.Thread(target=_read_all, args=(source, pieces, loop), daemon=True).start()
        while data := await pieces.get():
            self._writer.write(data)
            await self._writer.drain()

    async def _wait_until_quiet(self, receiving: asyncio.Task[None]) -> None:
        loop = asyncio.get_running_loop()
        self._arrived = loop.time()
        while (left := self._arrived + self._linger - loop.time()) > 0:
            await asyncio.wait((receiving,), timeout=left)
            if receiving.done():
                return


def _read_all(source: BinaryIO, pieces: asyncio.Queue[bytes], loop: asyncio.AbstractEventLoop) -> None:
    """Put all that ``source`` holds into the queue, and ``b""`` at its end; in a thread of its own."""
    read = _reader(source)
    data = b"-"
    while data:
        try:
            data = read(_READ_SIZE)
        except (OSError, ValueError):
            data = b""  # a stream that cannot be read any more is at its end
        work = pieces.put(data)
        try:
            asyncio.run_coroutine_threadsafe(work, loop).result()
        except RuntimeError:
            work.close()  # the loop has ended
            return


def _reader(source: BinaryIO) -> Callable[[int], bytes]:
    """Return what reads as much of ``source`` as there is, around its buffer where possible.

    The thread may still be reading when the program ends; it must not hold the buffer's lock then, since the
    interpreter aborts if it cannot have it.
    """
    try:
        descriptor = source.fileno()
    except (OSError, ValueError):
        return getattr(source, "read1", source.read)
    return lambda size: os.read(descriptor, size)
