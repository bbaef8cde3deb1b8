"""The questions of one connection under asyncio, put to the exit, the built-in PKI and the application one at a time.

What can be answered at once is. An ``async`` exit goes on in a task, during which nothing more is read from the peer;
the task is cancelled as soon as nobody waits for its answer any more.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

from tlsexit.alerts import ExitTimeout
from tlsexit.connection import Connection
from tlsexit.drivers.application import ApplicationSession, Pending
from tlsexit.drivers.drive import Pki, ask, ask_in_thread, finish
from tlsexit.exits.answers import Answer, Failed, Handled
from tlsexit.exits.calls import ExitCall, HandshakeDoneCall


class Questions:
    """Answers a connection's questions, from :meth:`begin` on.

    ``limit`` in seconds bounds each answer that is awaited, ``in_threads`` has all of them awaited. ``before`` is
    called before the last question, ``after`` when an answer has come that had to be awaited.
    """

    def __init__(
        self,
        application: ApplicationSession,
        exits: object,
        pki: Pki,
        limit: float,
        *,
        in_threads: bool,
        before: Callable[[], None],
        after: Callable[[], None],
    ) -> None:
        self._application = application
        self._exits = exits
        self._pki = pki
        self._limit = limit
        self._in_threads = in_threads
        self._before = before
        self._after = after
        self._asked: ExitCall | None = None
        self._answering: asyncio.Task[Answer] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def pending(self) -> bool:
        """Whether an answer is awaited."""
        return self._asked is not None

    def begin(self, connection: Connection, transport: asyncio.Transport) -> None:
        """Answer for this connection; ``transport`` is not read from while an answer is awaited."""
        self._connection = connection
        self._transport = transport
        self._loop = asyncio.get_running_loop()

    def answer(self) -> None:
        """Answer what can be answered at once."""
        while self._asked is None and (call := self._connection.pending_exit) is not None:
            if self._connection.closed:
                # the last question may take its time: the peer hears of the end before it
                self._before()
            self._asked = call
            try:
                answer = self._ask(call)
            except BaseException:
                self._asked = None
                raise
            if answer is not None:
                self._take(answer)

    def drop_stale(self) -> None:
        """Cancel an exit whose question nobody asks any more: the connection has ended."""
        if self._answering is not None and self._connection.pending_exit is not self._asked:
            self._answering.cancel()
            self._asked = self._answering = None
            self._stop_timer()

    def _ask(self, call: ExitCall) -> Answer | None:
        """Return the answer, or None if a task goes on to find it."""
        if self._in_threads:
            return self._await(ask_in_thread(call, self._exits, self._pki), self._take, bounded=True)
        awaited = ask(call, self._exits, self._pki)
        if isinstance(awaited, Answer):
            return awaited
        work = finish(call, awaited, self._pki)
        return self._await(work, self._take, awaited.close if inspect.iscoroutine(awaited) else None, bounded=True)

    def _take(self, answer: Answer) -> None:
        """Hand over an answer; before that which completes a handshake, the application is asked whether to go on."""
        call, asked = self._asked, self._connection.pending_exit
        if isinstance(call, HandshakeDoneCall) and isinstance(answer, Handled) and asked is call:
            pending = self._application.begin(call, answer)
            if pending is not None:
                if self._await(_admitted(pending, answer), self._conclude, pending.close) is not None:
                    self._conclude(answer)
                return
        self._conclude(answer)

    def _conclude(self, answer: Answer) -> None:
        call, self._asked, self._answering = self._asked, None, None
        # the connection may have ended meanwhile, and then asks something else
        if call is not None and self._connection.pending_exit is call:
            self._connection.answer(answer)
            if self._application.refusal is not None:
                self._connection.close()

    # -------------------------------------------------------------------------------------------- awaiting

    def _await(
        self,
        work: Coroutine[Any, Any, Answer],
        take: Callable[[Answer], None],
        close: Callable[[], None] | None = None,
        *,
        bounded: bool = False,
    ) -> Answer | None:
        """Return what ``work`` finds if it does so at once; else have a task go on, and ``take`` what it finds.

        ``close`` is for what ``work`` would await: cancelled before its first step, it would complain that nobody did.
        """

        def on_done(task: asyncio.Task[Answer]) -> None:
            if close is not None:
                close()
            answer = _result(task)
            if task is self._answering:
                self._answering = None
                self._stop_timer()
                take(answer)
                self._after()

        task = self._loop.create_task(work)
        if task.done():
            # the loop starts its tasks eagerly, and this one never had to wait
            return _result(task)
        if not self._connection.closed:
            # afterwards, what comes is only discarded
            self._transport.pause_reading()
        self._answering = task
        if bounded:
            self._timer = self._loop.call_later(self._limit, self._on_timeout)
        task.add_done_callback(on_done)
        return None

    def _on_timeout(self) -> None:
        if self._answering is not None:
            self._answering.cancel()
            self._answering = None
            self._take(Failed(cause=ExitTimeout(self._limit)))
            self._after()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def _admitted(pending: Pending, answer: Answer) -> Answer:
    await pending
    return answer


def _result(task: asyncio.Task[Answer]) -> Answer:
    """Return what a task that is done has found; one that was cancelled or failed has failed its phase."""
    if task.cancelled():
        return Failed(cause=asyncio.CancelledError())
    error = task.exception()
    return task.result() if error is None else Failed(cause=error)
