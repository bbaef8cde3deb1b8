"""A worker process as the monitor sees it: how it is started, handed sockets, talked to, and how it ended."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from tlsexit.alerts import LocalError
from tlsexit.drivers.monitor.messages import FROM_WORKER, HANDOVER, MAX_LINE, Message, Start, decode, encode

_BOOT: Final = (
    "import sys; sys.path[:] = sys.argv[3:]; "
    "from tlsexit.drivers.monitor.worker import main; main(int(sys.argv[1]), int(sys.argv[2]))"
)
"""What the interpreter of a worker runs: it finds the same modules as the monitor, whose ``__main__`` stays alone."""

_RETRY: Final = 0.05
"""Seconds until a socket is handed over again if the system has too many of them on their way."""

_LAST_WORDS: Final = 2.0
"""Seconds in which what a dead process has said is read to its end."""


class WorkerProcess:
    """One worker. ``on_message`` hears what it says, ``on_gone`` once its exit status, which is negative for a signal.

    Nothing is inherited by a fork: a new interpreter is run, which makes this safe beside threads, and the same on
    every Unix.
    """

    def __init__(self, on_message: Callable[[Any], None], on_gone: Callable[[int], None]) -> None:
        self._on_message = on_message
        self._on_gone = on_gone
        self._queue: deque[tuple[int, socket.socket]] = deque()
        self._on_their_way: dict[int, socket.socket] = {}
        self._waits = False
        self._closing = False
        self._handover: socket.socket | None = None
        self._watching: asyncio.Task[None] | None = None
        self.nonsense = False
        """Whether it has said what no worker says, and was killed for it."""

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def start(self, start: Start) -> None:
        """Run the process and tell it everything. Raises ``OSError`` if it cannot be run."""
        control, theirs = socket.socketpair()
        self._handover, theirs_too = socket.socketpair()
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *(f"-W{option}" for option in sys.warnoptions),
                "-c",
                _BOOT,
                str(theirs.fileno()),
                str(theirs_too.fileno()),
                *sys.path,
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), theirs_too.fileno()),
                start_new_session=True,  # what a terminal sends is for the monitor
            )
        except BaseException:
            control.close()
            self._handover.close()
            raise
        finally:
            theirs.close()
            theirs_too.close()
        self._handover.setblocking(False)
        control.setblocking(False)
        reader, self._writer = await asyncio.open_connection(sock=control, limit=MAX_LINE)
        self._writer.write(start.encode())
        self._watching = asyncio.get_running_loop().create_task(self._watch(reader))

    def send(self, message: Message) -> None:
        """Tell it something; what a dead one does not hear is no loss."""
        if not self._writer.is_closing():
            self._writer.write(encode(message))

    def hand_over(self, number: int, sock: socket.socket) -> None:
        """Give it a socket, which stays open here until it has :meth:`arrived`.

        Until then another task can have it, should this process die; and some systems (macOS) lose a socket on its way
        that nobody else has open.
        """
        self._queue.append((number, sock))
        if not self._waits:
            self._flush()

    def arrived(self, number: int) -> None:
        """The process has this session's socket. ``ValueError`` if it was never given one."""
        sock = self._on_their_way.pop(number, None)
        if sock is None:
            raise ValueError(f"session {number} was not on its way")
        sock.close()

    def take_back(self) -> dict[int, socket.socket]:
        """Return the sockets that have not arrived, by session, once the process is gone."""
        left = {**self._on_their_way, **dict(self._queue)}
        self._on_their_way.clear()
        self._queue.clear()
        return left

    def end_handover(self) -> None:
        """Say that no more sockets will come, after those that wait."""
        self._closing = True
        if not self._waits:
            self._flush()

    def kill(self) -> None:
        """End the process at once."""
        with suppress(ProcessLookupError):
            self._process.kill()

    # -------------------------------------------------------------------------------------------- inside

    def _flush(self) -> None:
        handover = self._handover
        if handover is None:
            return
        loop = asyncio.get_running_loop()
        if self._waits:
            loop.remove_writer(handover)
            self._waits = False
        while self._queue:
            number, sock = self._queue[0]
            try:
                socket.send_fds(handover, [HANDOVER.pack(number)], [sock.fileno()])
            except (BlockingIOError, InterruptedError):
                loop.add_writer(handover, self._flush)
                self._waits = True
                return
            except (BrokenPipeError, ConnectionResetError):
                return  # it is dead: what waits is taken back
            except OSError:
                loop.call_later(_RETRY, self._flush)
                return
            self._queue.popleft()
            self._on_their_way[number] = sock
        if self._closing:
            self._close_handover()

    def _close_handover(self) -> None:
        handover, self._handover = self._handover, None
        if handover is not None:
            if self._waits:
                asyncio.get_running_loop().remove_writer(handover)
                self._waits = False
            handover.close()

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        """Hear what the process says, wait for its end, and tell of it."""
        hearing = asyncio.get_running_loop().create_task(self._hear(reader))
        status = await self._process.wait()
        # a program that the process has left behind may hold its end of the pair open
        await asyncio.wait((hearing,), timeout=_LAST_WORDS)
        hearing.cancel()
        with suppress(OSError, asyncio.CancelledError):
            await hearing
        self._close_handover()
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
        self._on_gone(status)

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                self._on_message(decode(line, FROM_WORKER))
        except (ValueError, LocalError):
            # not what our own code says: something has damaged the process
            self.nonsense = True
            self.kill()
        except OSError:
            pass  # it died while it was speaking


def ending(status: int) -> str:
    """Return what the status of a process means."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
