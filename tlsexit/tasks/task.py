"""A task: what StartTask opens, its sessions, and EndTask (the manual's "SSL task")."""

from __future__ import annotations

from itertools import count
from typing import Any, Final
from weakref import ref

from tlsexit.alerts import ExitFailed, LocalError
from tlsexit.config import Config
from tlsexit.connection import Connection
from tlsexit.exits.answers import Answer, NotHandled
from tlsexit.exits.calls import EndTaskCall, ExitCall, StartTaskCall, StartTaskResult
from tlsexit.exits.context import TaskContext
from tlsexit.exits.outcome import outcome
from tlsexit.handshake.states import Idle
from tlsexit.profile import Profile
from tlsexit.session import Session

_references: Final = count(1)


class Task:
    """A group of sessions that share an exit, its public area and its on/off switch.

    Like a connection, a task only holds questions: :attr:`pending_exit` is StartTask at first and EndTask after
    :meth:`end`, as soon as no session of the task lives any more. ``configuration`` is shown to the exit in StartTask.
    ``reference`` is the task's number, which nobody else may have; without it the next one of this process is taken.
    """

    def __init__(self, config: Config, *, reference: int | None = None, **configuration: Any) -> None:
        self._config = config
        self._context = TaskContext(next(_references) if reference is None else reference, configuration)
        self._pending: StartTaskCall | EndTaskCall | None = StartTaskCall(self._context)
        self._started = False
        self._ended = False
        self._end_asked = False
        # as a WeakSet, but without a call of Python code for each connection that comes and goes
        self._connections: set[ref[Connection]] = set()

    @property
    def context(self) -> TaskContext:
        """The references and areas shown to the exit."""
        return self._context

    @property
    def pending_exit(self) -> StartTaskCall | EndTaskCall | None:
        """The question to answer next.

        EndTask comes after the EndSession or HandshakeAlert of every session that has begun; until the last of these is
        answered, it is held back.
        """
        if self._started and self._ended and not self._end_asked and not self.live_sessions:
            self._end_asked = True
            self._pending = EndTaskCall(self._context)
        return self._pending

    @property
    def live_sessions(self) -> int:
        """How many sessions have begun whose last question has not been answered; forgotten ones do not count."""
        known = (remembered() for remembered in self._connections.copy())
        return sum(1 for connection in known if connection is not None and _lives(connection))

    @property
    def exit_enabled(self) -> bool:
        """Whether the exit is asked at all: what it returned from StartTask."""
        return self._context.exit_enabled

    def answer(self, answer: Answer, to: ExitCall | None = None) -> None:
        """Answer :attr:`pending_exit`; raises :class:`LocalError` if nothing is pending, or not the call ``to``.

        StartTask: handled switches the exit on, not handled switches it off for this task's whole life; a failure
        raises :class:`ExitFailed` and the task cannot be used. EndTask: the answer changes nothing.
        """
        call = self.pending_exit
        if call is None or (to is not None and to is not call):
            raise LocalError("no exit is pending" if call is None else "the exit is asked something else by now")
        self._pending = None
        if isinstance(call, EndTaskCall):
            return
        if isinstance(answer, NotHandled):
            self._context.exit_enabled = False
        else:
            try:
                self._apply(outcome(call, answer))
            except ExitFailed:
                self._ended = True
                raise
        self._started = True

    def connection(
        self,
        profile: Profile,
        *,
        session: Session | None = None,
        remote_address: tuple[str, int] | None = None,
        local_address: tuple[str, int] | None = None,
    ) -> Connection:
        """Return a new connection of this task; :class:`LocalError` before StartTask is answered or after the end."""
        if not self._started or self._ended:
            raise LocalError("the task has ended" if self._ended else "StartTask has not been answered")
        connection = Connection(
            profile,
            self._config,
            self._context,
            session=session,
            remote_address=remote_address,
            local_address=local_address,
        )
        self._connections.add(ref(connection, self._connections.discard))
        return connection

    def end(self) -> None:
        """End the task: no new connections; EndTask becomes pending, once, when no session lives any more."""
        self._ended = True

    def _apply(self, result: StartTaskResult) -> None:
        context = self._context
        context.exit_reference = result.reference
        context.private_area_size = result.private_area_size
        password = result.password
        context.password = password.encode() if isinstance(password, str) else password


def _lives(connection: Connection) -> bool:
    """Whether the session has begun, and its exit has not heard of the end yet."""
    if isinstance(connection.state, Idle):
        return False
    return not connection.closed or connection.pending_exit is not None
