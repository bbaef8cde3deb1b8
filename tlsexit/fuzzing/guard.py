"""Between a puppet and its target: what goes wrong on the other side is noted, never raised."""

from __future__ import annotations

import signal
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from tlsexit.alerts import TlsError
from tlsexit.puppet import Transport

LIMIT: Final = 2.0
"""Seconds of computing that one input may cost a target in this process."""


class Hang(BaseException):
    """The time is up; no ``except Exception`` on the way may stop it."""


class Guard:
    """A transport around another one.

    ``problem`` is what an engine in this process raised, ``slowest`` the longest time in seconds that one input took.
    """

    def __init__(self, transport: Transport, limit: float = LIMIT) -> None:
        self.inner = transport
        self.limit = limit
        self.reset = False
        self.problem: str | None = None
        self.hung = False
        self.slowest = 0.0
        self._engine = getattr(transport, "engine", None)

    def send(self, data: bytes) -> None:
        if self._over:
            return
        if self._engine is None:
            self.inner.send(data)
            return
        with self._watched():
            self.inner.send(data)

    def receive(self, timeout: float) -> bytes | None:
        if self._over:
            return None
        received = self.inner.receive(timeout)  # of an engine: what it has ready
        self.reset = self.inner.reset
        return received

    def close(self) -> None:
        with self._watched():
            self.inner.close()

    # ------------------------------------------------------------------------------------------- inside the target

    @property
    def connection(self) -> Any:
        """The connection of an engine in this process, None if the target is elsewhere."""
        return getattr(self._engine, "connection", None)

    @property
    def in_process(self) -> bool:
        """Whether answers come at once."""
        return self._engine is not None

    @property
    def established(self) -> bool | None:
        """Whether the target thinks that the handshake is complete; None if it cannot be asked."""
        found = getattr(self.connection if self.connection is not None else self._engine, "established", None)
        return None if found is None else bool(found)

    @property
    def received(self) -> bytes:
        """The application data that the target has taken, as far as it can be asked."""
        return bytes(getattr(self._engine, "received", b""))

    @property
    def undocumented(self) -> str | None:
        """Why the connection ended, if that is not an error that tlsexit documents."""
        error = getattr(self.connection, "error", None)
        if error is None or isinstance(error, TlsError) or type(error).__module__.endswith(".alerts"):
            return None
        return repr(error)

    # -------------------------------------------------------------------------------------------

    @property
    def _over(self) -> bool:
        return self.problem is not None or self.hung

    @contextmanager
    def _watched(self) -> Iterator[None]:
        start = time.thread_time()
        try:
            with _alarm(self.limit):
                yield
        except Hang:
            self.hung = True
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            self.problem = f"{type(error).__name__}: {error} ({last.name}, line {last.lineno})"
        crashed: str | None = getattr(self._engine, "crashed", None)  # an engine that caught it itself
        self.problem = self.problem or crashed
        self.slowest = max(self.slowest, time.thread_time() - start)
        if self.slowest > self.limit:
            self.hung = True


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise :class:`Hang` in this thread when it has computed for so long, where the system has a way to do that.

    Time in which the machine does something else does not count.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)
