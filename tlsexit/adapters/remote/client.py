"""The asking side: an exit that puts every phase to another process."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tlsexit.adapters.elsewhere import ExitElsewhere
from tlsexit.adapters.remote.frames import frame, read_frame
from tlsexit.adapters.remote.messages import answer_from, question
from tlsexit.alerts import LocalError
from tlsexit.exits.answers import Answer
from tlsexit.exits.calls import EndTaskCall, ExitCall, StartTaskCall

TIMEOUT: Final = 10.0
"""Seconds for an answer, connecting included, unless told otherwise."""


class RemoteExit(ExitElsewhere):
    """Asks the process that listens on the Unix socket ``path``, for all sessions over one connection.

    A phase that has no answer within ``timeout`` seconds fails with internal_error, as does one whose process is not
    there; for the decryption of a premaster secret that leaves no trace on the wire (RFC 2246 §7.4.7.1). A connection
    that is lost is made again by the next question, and a question that was asked over one that had already gone is
    asked once more.

    The work is done in an event loop of its own, in a thread that starts with the first question; so the exit serves
    asyncio, blocking sockets and any number of tasks alike.
    """

    def __init__(self, path: Path | str, *, timeout: float = TIMEOUT) -> None:
        self._path = Path(path)
        self._timeout = timeout
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._link: _Link | None = None
        self._connecting = asyncio.Lock()
        self._tasks = 0

    @property
    def trust_name(self) -> str:
        """The socket: behind two of them may be exits that trust differently."""
        return f"unix {self._path.absolute()}"

    def submit(self, call: ExitCall) -> Future[Answer]:
        """Send the question; the answer comes when the other process has one."""
        try:
            asked = question(call)
        except LocalError as error:
            refused: Future[Answer] = Future()
            refused.set_exception(error)
            return refused
        return asyncio.run_coroutine_threadsafe(self._answer(call, asked), self._running_loop())

    def close(self) -> None:
        """Close the connection, as the end of the last task does, and end the thread; a later question begins anew."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            asyncio.run_coroutine_threadsafe(self._hang_up(), loop).result()
            loop.call_soon_threadsafe(loop.stop)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop, self._connecting = asyncio.new_event_loop(), asyncio.Lock()
                name = f"exit at {self._path.name}"
                threading.Thread(target=_run, args=(self._loop,), name=name, daemon=True).start()
            return self._loop

    # ------------------------------------------------------------------------------------- in the loop of our own

    async def _answer(self, call: ExitCall, asked: dict[str, Any]) -> Answer:
        try:
            async with asyncio.timeout(self._timeout):
                answer = answer_from(call, await self._ask(asked))
        except TimeoutError as error:
            raise LocalError(f"{self._path}: no answer within {self._timeout:g} seconds") from error
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else "the connection was lost"
            raise LocalError(f"{self._path}: {reason}") from error
        finally:
            if isinstance(call, EndTaskCall):
                self._tasks -= 1
                if self._tasks <= 0:
                    await self._hang_up()
        if isinstance(call, StartTaskCall):
            self._tasks += 1
        return answer

    async def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        link, fresh = await self._connected()
        try:
            return await link.ask(asked)
        except ConnectionError:
            if fresh:
                raise
        # the other process may have been started anew since the last question
        link, _ = await self._connected()
        return await link.ask(asked)

    async def _connected(self) -> tuple[_Link, bool]:
        """Return the connection, and whether it has just been made."""
        async with self._connecting:
            if self._link is not None and not self._link.lost:
                return self._link, False
            await self._hang_up()
            self._link = _Link(*await asyncio.open_unix_connection(self._path))
            return self._link, True

    async def _hang_up(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


class _Link:
    """One connection, with the questions that wait for an answer over it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._asked = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())
        self.lost = False

    async def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a question and return the answer to it. Raises ``ConnectionError`` if the connection ends before."""
        if self.lost:
            raise ConnectionResetError
        self._asked += 1
        number = self._asked
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write(frame({"id": number, **message}))
            await self._writer.drain()
            return await answer
        finally:
            del self._waiting[number]
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # seen, even if nobody waits for it any more

    async def close(self) -> None:
        """End it; questions that wait fail."""
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading
        with suppress(OSError):
            await self._writer.wait_closed()

    async def _read(self) -> None:
        try:
            while (message := await read_frame(self._reader)) is not None:
                number = message.get("id")
                waiting = self._waiting.get(number) if isinstance(number, int) else None
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
        except (LocalError, OSError, asyncio.IncompleteReadError):
            pass  # nothing more can be read: those who wait are told below
        finally:
            self.lost = True
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionResetError())
            self._writer.close()
