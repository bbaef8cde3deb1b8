"""The monitor: accepts connections, and hands each to the task that the policy names."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final, Self

from tlsexit.alerts import LocalError
from tlsexit.drivers.monitor.accepting import Listener, address
from tlsexit.drivers.monitor.events import (
    Event,
    SessionAccepted,
    SessionEnded,
    SessionEstablished,
    SessionStatus,
    TaskEnded,
    TaskStarted,
    TaskState,
    TaskStatus,
    TaskTold,
    Trouble,
    log_event,
)
from tlsexit.drivers.monitor.messages import (
    Ended,
    Established,
    NotStarted,
    Over,
    Progress,
    ShareKeys,
    Start,
    Started,
    Taken,
    Told,
)
from tlsexit.drivers.monitor.process import ending
from tlsexit.drivers.monitor.service import CannotServe, ServiceFactory, service_name
from tlsexit.drivers.monitor.tasks import MonitoredSession, MonitoredTask
from tlsexit.stores.sealing import KEY_SIZE
from tlsexit.stores.tickets import TicketKeys
from tlsexit.tasks import Limits, Placement
from tlsexit.tasks.backoff import Backoff

BEAT: Final = 1.0
"""Seconds between two signs of life of a worker."""

TICK: Final = 0.25
"""Seconds between two rounds of the monitor: what is due is done that late at most."""

KEYS_PERIOD: Final = 3600.0
"""Seconds between two distributions of the ticket keys, which are made half a day ahead."""

WAITING_TIMEOUT: Final = 60.0
"""Seconds that an accepted connection waits for a task, if there is none that could take it."""


class Monitor:
    """Owns the tasks, each a process that runs ``service``, and the listening sockets.

    ``service`` is ``module:object`` or a function that can be imported; each worker calls it with the
    :class:`~tlsexit.drivers.monitor.service.Worker` and ``settings``, which travel as a pickle over a socket pair: no
    part of them is visible in the arguments or the environment of a process.

    At most ``max_sessions`` connections are served at once: more are not accepted before one ends. With ``tickets`` all
    tasks seal session tickets with the same keys (RFC 5077), which the monitor makes, changes and never writes to disk;
    keys of your own may be shared with other monitors.
    ``session_file`` names an SQLite file in which all tasks keep sessions, for clients that resume by session id;
    without it each task remembers its own.

    Seconds: StartTask and what comes before it may take ``start_timeout``; an event loop may stand still for
    ``hang_timeout``, in an exit that blocks, say; after a drain a task gets ``end_timeout`` for close_notify and
    EndTask. Whoever takes longer is killed. ``on_event`` hears of everything; by default failures are logged.

    An asyncio context manager, which starts, and on leaving ends everything at once.
    Raises :class:`~tlsexit.alerts.LocalError` for a service or settings that no worker could have.
    """

    def __init__(
        self,
        service: str | ServiceFactory,
        settings: Mapping[str, Any] | None = None,
        *,
        limits: Limits | None = None,
        max_sessions: int = 1000,
        tickets: bool | TicketKeys = True,
        session_file: str | os.PathLike[str] | None = None,
        start_timeout: float = 60.0,
        hang_timeout: float = 60.0,
        end_timeout: float = 10.0,
        on_event: Callable[[Event], None] = log_event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service_name(service)
        try:
            self._settings = pickle.dumps(dict(settings or {}))
        except Exception as error:  # whatever an object does when it is asked to be pickled
            raise LocalError(f"the settings of a service cannot be sent to another process: {error}") from error
        if max_sessions < 1 or min(start_timeout, hang_timeout, end_timeout) <= 0:
            raise LocalError("max_sessions and the time-outs of a monitor are positive")
        limits = limits or Limits()
        self._max_sessions = max_sessions
        self._keys = TicketKeys(time.time) if tickets is True else tickets or None
        self._keys_shared = time.monotonic()
        self._session_file = None if session_file is None else os.fspath(session_file)
        self._session_key = os.urandom(KEY_SIZE)
        self._start_timeout = start_timeout
        self._hang_timeout = hang_timeout
        self._end_timeout = end_timeout
        self._on_event = on_event
        self._clock = clock
        self._placement = Placement(limits, clock)
        self._backoff = Backoff(time.monotonic, limits.max_tasks)
        self._numbers = count(1)
        self._tasks: dict[int, MonitoredTask] = {}
        self._sessions: dict[int, MonitoredSession] = {}
        self._waiting: deque[tuple[MonitoredSession, socket.socket]] = deque()
        self._listeners: list[Listener] = []
        self._owed = 0
        self._first: asyncio.Future[None] | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._draining_until: float | None = None
        self._failure: CannotServe | None = None
        self._over = asyncio.Event()

    # -------------------------------------------------------------------------------------------- life

    async def start(self) -> None:
        """Start the first task and wait until StartTask has been answered.

        Raises :class:`~tlsexit.drivers.monitor.service.CannotServe` if that fails, and
        :class:`~tlsexit.alerts.LocalError` where sockets cannot be handed to another process (Windows).
        """
        if not hasattr(socket, "send_fds"):
            raise LocalError("tasks as processes need a system that hands sockets to processes; this one does not")
        if self._first is not None or self._draining_until is not None:
            raise LocalError("a monitor is started once")
        loop = asyncio.get_running_loop()
        self._first = loop.create_future()
        self._ticking = loop.call_later(TICK, self._tick, time.monotonic())
        reference = self._placement.create()
        assert reference is not None
        self._launch(reference)
        try:
            await asyncio.shield(self._first)
        except BaseException:
            self.drain(0)
            await self._over.wait()
            raise

    async def listen(self, host: str | None, port: int, **options: Any) -> tuple[tuple[str, int], ...]:
        """Accept connections; return the addresses, with the port that the system chose if ``port`` is 0.

        ``options`` are those of ``loop.create_server``. Raises ``OSError`` if the address cannot be listened on.
        """
        if self._first is None or self._draining_until is not None:
            raise LocalError("a monitor listens between start and drain")
        listener = await Listener.open(host, port, self._take, self._on_trouble, **options)
        self._listeners.append(listener)
        self._control_accepting()
        return listener.addresses

    def serve(self, sock: socket.socket) -> None:
        """Serve a connection that was accepted elsewhere; the monitor owns the socket from now on."""
        own = socket.socket(fileno=sock.detach())
        own.setblocking(False)
        self._take(own)

    def drain(self, seconds: float) -> None:
        """Stop accepting, and end: sessions may finish within so many seconds, and are closed with close_notify then.

        Another call shortens the time; 0 closes everything now. :meth:`wait` tells when it is done.
        """
        seconds = max(0.0, seconds)
        until = time.monotonic() + seconds
        if self._draining_until is not None and until >= self._draining_until:
            return
        self._draining_until = until
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        for task in tuple(self._tasks.values()):
            self._end(task, seconds)
        self._drop_waiting("the server ends")
        self._settle()

    def kill(self) -> None:
        """End all tasks at once, without close_notify and EndTask."""
        self.drain(0)
        for task in self._tasks.values():
            task.kill("killed by the monitor")

    async def wait(self) -> None:
        """Wait until everything has ended, which begins with :meth:`drain`.

        Raises :class:`~tlsexit.drivers.monitor.service.CannotServe` if no task could be started any more.
        """
        await self._over.wait()
        if self._failure is not None:
            raise self._failure

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.drain(0)
        await self._over.wait()

    @property
    def draining(self) -> bool:
        """Whether the end has begun."""
        return self._draining_until is not None

    @property
    def tasks(self) -> tuple[TaskStatus, ...]:
        """All tasks, the oldest first."""
        return tuple(task.status() for task in self._tasks.values())

    @property
    def sessions(self) -> tuple[SessionStatus, ...]:
        """All sessions, the oldest first."""
        return tuple(session.status() for session in self._sessions.values())

    # -------------------------------------------------------------------------------------------- sessions

    def _take(self, sock: socket.socket) -> None:
        """Find a task for a new connection."""
        session = MonitoredSession(next(self._numbers), address(sock))
        self._sessions[session.number] = session
        self._tell(SessionAccepted(session.number, session.peer))
        if self._draining_until is not None:
            sock.close()
            self._finish(session, "the server ends")
            return
        self._control_accepting()
        self._place(session, sock)

    def _place(self, session: MonitoredSession, sock: socket.socket) -> None:
        placed = self._placement.place()
        if placed is None:
            self._waiting.append((session, sock))
            return
        if placed.created:
            self._owed = max(0, self._owed - 1)
            self._launch(placed.task)
        self._tasks[placed.task].add(session, sock)

    def _finish(self, session: MonitoredSession, reason: str | None, *, died: bool = False) -> None:
        """A session is over; its task, if it has one that lives, has room again."""
        del self._sessions[session.number]
        task = None if session.task is None else self._tasks.get(session.task)
        if task is not None and task.remove(session, failed=reason is not None and not session.established):
            self._placement.release(task.reference)
        self._tell(
            SessionEnded(
                session.number,
                session.task,
                session.peer,
                session.begun,
                session.established,
                session.received,
                session.sent,
                reason,
                died,
            )
        )
        self._control_accepting()

    def _place_waiting(self) -> None:
        for _ in range(len(self._waiting)):
            self._place(*self._waiting.popleft())

    def _drop_waiting(self, reason: str, older_than: float = 0.0) -> None:
        while self._waiting and self._waiting[0][0].age >= older_than:
            session, sock = self._waiting.popleft()
            sock.close()
            self._finish(session, reason)

    def _control_accepting(self) -> None:
        room = len(self._sessions) < self._max_sessions
        for listener in self._listeners:
            listener.accept(room)

    # -------------------------------------------------------------------------------------------- tasks

    def _launch(self, reference: int) -> None:
        start = Start(
            reference=reference,
            service=self._service,
            settings=self._settings,
            ticket_keys=None if self._keys is None else self._keys.export_keys(),
            session_file=self._session_file,
            session_key=self._session_key,
            beat=min(BEAT, self._hang_timeout / 4),
            start_timeout=self._start_timeout,
            hang_timeout=self._hang_timeout,
        )
        self._tasks[reference] = MonitoredTask(start, self._on_message, self._on_gone)

    def _end(self, task: MonitoredTask, seconds: float) -> None:
        """End a task, which gets no more sessions."""
        self._placement.shut(task.reference)
        task.end(seconds, self._end_timeout)

    def _on_message(self, task: MonitoredTask, message: Any) -> None:
        """Take what a worker says; ``ValueError`` for what its task cannot have said."""
        if isinstance(message, Over | Established | Progress):
            session = self._sessions.get(message.session)
            if session is None or session.task != task.reference:
                raise ValueError(f"session {message.session} is not in task {task.reference}")
            self._on_session_message(task, session, message)
        elif isinstance(message, Taken):
            task.arrived(message.session)
        elif isinstance(message, Started):
            task.started()
            self._backoff.started()
            self._tell(TaskStarted(task.reference, task.pid or 0, message.exit_enabled))
            self._settle_first(None)
        elif isinstance(message, NotStarted):
            task.refuse(CannotServe(message.reason, message.code))
        elif isinstance(message, Told):
            self._tell(TaskTold(task.reference, message.value))
        elif isinstance(message, Ended):
            task.ended()

    def _on_session_message(
        self, task: MonitoredTask, session: MonitoredSession, message: Over | Established | Progress
    ) -> None:
        if isinstance(message, Established):
            task.handshakes += 1
            session.establish(message)
            self._tell(
                SessionEstablished(
                    session.number, task.reference, message.reference, message.cipher_suite, message.resumed
                )
            )
            return
        task.received += message.received - session.received
        task.sent += message.sent - session.sent
        session.received, session.sent = message.received, message.sent
        if isinstance(message, Over):
            session.begun = message.begun
            self._finish(session, message.reason or None)

    def _on_gone(self, task: MonitoredTask, status: int | None) -> None:
        """The process of a task is no more; ``status`` None: it could not be run."""
        del self._tasks[task.reference]
        self._placement.remove(task.reference)
        reason = task.why_gone("cannot be run" if status is None else ending(status), status)
        unserved = task.take_back()
        self._settle_first(task.failure or CannotServe(f"the first task: {reason}"))
        lost = [item for item in self._sessions.values() if item.task == task.reference and item not in unserved]
        retry = None
        if reason is not None and self._draining_until is None:
            held_until = self._backoff.failed(had_started=task.state is not TaskState.STARTING)
            delay = max(0.0, held_until - time.monotonic())
            self._placement.hold(self._clock() + delay)
            retry = round(delay, 1)
            self._owed += 1
        self._tell(TaskEnded(task.reference, task.pid, reason, len(lost), retry))
        for session in lost:
            self._finish(session, f"its task died: {reason}" if reason else "its task has ended", died=True)
        for session in unserved:
            session.task = None
        # they have waited longest
        self._waiting.extendleft(reversed(unserved.items()))
        if self._backoff.exhausted and not any(item.is_running for item in self._tasks.values()):
            self._failure = task.failure or CannotServe(f"no task can be started: {reason}")
            self.drain(0)
        if self._draining_until is not None:
            self._drop_waiting("the server ends")
        self._settle()

    def _settle_first(self, failure: CannotServe | None) -> None:
        """Say how the start of the first task went."""
        if self._first is None or self._first.done():
            return
        if failure is None:
            self._first.set_result(None)
        else:
            self._first.set_exception(failure)
            self._draining_until = time.monotonic()

    # -------------------------------------------------------------------------------------------- time

    def _tick(self, last: float) -> None:
        """Do what is due."""
        now = time.monotonic()
        # a monitor that was stopped has heard nothing meanwhile: that is not its workers' fault
        elapsed = min(now - last, 2 * TICK)
        for task in tuple(self._tasks.values()):
            task.tick(elapsed)
        for reference in self._placement.shut_idle():
            self._end(self._tasks[reference], 0)
        self._drop_waiting(f"no task for it within {WAITING_TIMEOUT:g} seconds", WAITING_TIMEOUT)
        if self._keys is not None and now - self._keys_shared >= KEYS_PERIOD:
            self._share_keys(self._keys)
            self._keys_shared = now
        self._settle()
        if not self._over.is_set():
            self._ticking = asyncio.get_running_loop().call_later(TICK, self._tick, now)

    def _share_keys(self, keys: TicketKeys) -> None:
        exported = keys.export_keys().hex()
        for task in self._tasks.values():
            task.send(ShareKeys(exported))

    def _settle(self) -> None:
        """Place what waits, replace what has died, and see whether this is the end."""
        if self._draining_until is None:
            self._place_waiting()
            while self._owed and (reference := self._placement.create()) is not None:
                self._owed -= 1
                self._launch(reference)
        elif not self._tasks and not self._over.is_set():
            if self._ticking is not None:
                self._ticking.cancel()
            self._drop_waiting("the server ends")
            self._over.set()

    def _on_trouble(self, reason: str) -> None:
        self._tell(Trouble(reason))

    def _tell(self, event: Event) -> None:
        try:
            self._on_event(event)
        except Exception as error:
            context = {"message": "on_event of a monitor failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
