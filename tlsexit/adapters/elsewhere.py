"""What the adapters have in common: every phase goes the same way, to where the event loop does not wait."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from tlsexit.alerts import AlertDescription, LocalError
from tlsexit.exits.answers import Answer, Failed
from tlsexit.exits.calls import ExitCall

T = TypeVar("T")


class ExitElsewhere(ABC):
    """An exit whose phases are all answered in one place, beside the event loop.

    :meth:`submit` begins to answer and returns a future. Inside an event loop the driver awaits it, elsewhere it is
    waited for, so the same exit serves every driver. What ends in a :class:`LocalError` fails the phase with
    internal_error and keeps its sentence, which must therefore hold no secret.
    """

    @abstractmethod
    def submit(self, call: ExitCall) -> Future[Answer]:
        """Begin to answer ``call``."""

    @property
    def trust_name(self) -> str:
        """What tells this exit from another of its class where sessions are resumed."""
        return type(self).__qualname__

    def _phase(self, call: ExitCall) -> Answer | Awaitable[Answer]:
        future = self.submit(call)
        if future.done():
            return _answer(future)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return _answer(future)
        return _awaited(future)

    # one line a phase, so that the drivers find each under its own name
    start_task = _phase
    start_handshake = _phase
    get_ca_list = _phase
    get_certificate = _phase
    check_certificate = _phase
    crypt_data = _phase
    handshake_alert = _phase
    handshake_done = _phase
    end_session = _phase
    end_task = _phase
    get_pre_shared_key = _phase


def _answer(future: Future[Answer]) -> Answer:
    try:
        return future.result()
    except LocalError as error:
        return Failed(AlertDescription.INTERNAL_ERROR, error)


async def _awaited(future: Future[Answer]) -> Answer:
    try:
        return await asyncio.wrap_future(future)
    except LocalError as error:
        return Failed(AlertDescription.INTERNAL_ERROR, error)


class Worker:
    """A thread that makes one call after another, for code that blocks.

    It starts with the first call, so that a process may fork before it, and never keeps the process alive: a call that
    hangs is left behind when the process ends. A call that has waited until nobody awaits its answer any more is made
    all the same if ``every_call`` counts, and skipped otherwise.
    """

    def __init__(self, name: str, *, every_call: bool) -> None:
        self._name = name
        self._every_call = every_call
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Call ``function`` when its turn comes."""
        future: Future[T] = Future()
        self._calls.put((future, function))
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        return future

    def _run(self) -> None:
        while True:
            future, function = self._calls.get()
            awaited = future.set_running_or_notify_cancel()
            try:
                if awaited:
                    future.set_result(function())
                elif self._every_call:
                    function()
            except BaseException as error:
                if awaited:
                    future.set_exception(error)
            del future, function  # an answer may hold a key, and the next call may be a day away
