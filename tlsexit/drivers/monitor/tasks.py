"""A task and a session as the monitor keeps them."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from tlsexit.drivers.monitor.events import SessionStatus, TaskState, TaskStatus
from tlsexit.drivers.monitor.messages import Drain, Established, Message, Start
from tlsexit.drivers.monitor.process import WorkerProcess
from tlsexit.drivers.monitor.service import CannotServe

_GRACE: Final = 3.0
"""Seconds that the watchdog in a process is given before the monitor acts in its place."""


@dataclass(slots=True, eq=False)
class MonitoredSession:
    """A session: at first without a task, then in one until it is over."""

    number: int
    peer: str
    task: int | None = None
    begun: bool = False
    reference: int | None = None
    cipher_suite: int | None = None
    resumed: bool = False
    received: int = 0
    sent: int = 0
    since: float = field(default_factory=time.monotonic)

    @property
    def established(self) -> bool:
        """Whether the handshake is complete."""
        return self.reference is not None

    @property
    def age(self) -> float:
        """Seconds since it was accepted."""
        return time.monotonic() - self.since

    def establish(self, message: Established) -> None:
        """The handshake is complete."""
        self.begun = True
        self.reference = message.reference
        self.cipher_suite = message.cipher_suite
        self.resumed = message.resumed

    def status(self) -> SessionStatus:
        """Return what is known of it at this moment."""
        return SessionStatus(
            self.number,
            self.task,
            self.reference,
            self.peer,
            self.cipher_suite,
            self.resumed,
            self.received,
            self.sent,
            self.age,
        )


OnMessage: TypeAlias = "Callable[[MonitoredTask, Any], None]"
OnGone: TypeAlias = "Callable[[MonitoredTask, int | None], None]"


class MonitoredTask:
    """A task: its process, which is run at once, its sessions, and how long it has been silent."""

    def __init__(self, start: Start, on_message: OnMessage, on_gone: OnGone) -> None:
        self.reference = start.reference
        self.state = TaskState.STARTING
        self.handshakes = 0
        self.failed = 0
        self.received = 0
        self.sent = 0
        self.failure: CannotServe | None = None
        """Why it says it cannot start."""
        self._ended = False
        self._on_message = on_message
        self._on_gone = on_gone
        self._since = time.monotonic()
        self._idle_since: float | None = self._since
        self._silent = 0.0
        self._drain_at: float | None = None
        self._kill_at: float | None = None
        self._killed_for: str | None = None
        self._members: set[MonitoredSession] = set()
        self._early: list[tuple[MonitoredSession, socket.socket]] = []
        self._process = WorkerProcess(self._hear, lambda status: on_gone(self, status))
        self._start_timeout = start.start_timeout
        self._hang_timeout = start.hang_timeout
        self._runs = False
        self._launching = asyncio.get_running_loop().create_task(self._launch(start))

    @property
    def pid(self) -> int | None:
        """The process id; None before there is a process."""
        return self._process.pid if self._runs else None

    @property
    def is_running(self) -> bool:
        """Whether StartTask has been answered."""
        return self.state is TaskState.RUNNING

    @property
    def _age(self) -> float:
        return time.monotonic() - self._since

    def send(self, message: Message) -> None:
        """Tell the process something, once it has started."""
        if self.state is not TaskState.STARTING:
            self._process.send(message)

    def add(self, session: MonitoredSession, sock: socket.socket) -> None:
        """Give the task a session. Its socket stays here until StartTask has been answered: that may fail yet."""
        session.task = self.reference
        self._members.add(session)
        self._idle_since = None
        if self.state is TaskState.STARTING:
            self._early.append((session, sock))
        else:
            self._process.hand_over(session.number, sock)

    def remove(self, session: MonitoredSession, *, failed: bool) -> bool:
        """A session is over; return whether it was one of this task."""
        if session not in self._members:
            return False
        self._members.remove(session)
        self.failed += failed
        if not self._members:
            self._idle_since = time.monotonic()
        return True

    def arrived(self, session: int) -> None:
        """The process has the socket of a session."""
        self._process.arrived(session)

    def started(self) -> None:
        """StartTask has been answered: what has come for the task meanwhile is handed over."""
        if self.state is not TaskState.STARTING:
            raise ValueError("a task starts once")
        self.state = TaskState.RUNNING
        self._silent = 0.0
        for session, sock in self._early:
            self._process.hand_over(session.number, sock)
        self._early.clear()
        if self._drain_at is not None:
            self._drain(self._drain_at)

    def refuse(self, failure: CannotServe) -> None:
        """The task cannot start; its process ends now, or is killed if something in it goes on."""
        self.failure = failure
        self._kill_at = time.monotonic() + _GRACE

    def ended(self) -> None:
        """EndTask is answered; the process ends now, or is killed if something in it goes on."""
        self._ended = True
        self._kill_at = time.monotonic() + _GRACE

    def end(self, seconds: float, grace: float) -> None:
        """Let sessions finish for so many seconds, then close them; ``grace`` seconds later the process is killed."""
        now = time.monotonic()
        self._drain_at = now + (seconds if self._members else 0.0)
        self._kill_at = self._drain_at + grace
        if self.state is not TaskState.STARTING:
            self._drain(self._drain_at)

    def kill(self, reason: str) -> None:
        """End the process at once."""
        self._killed_for = self._killed_for or reason
        if self._runs:
            self._process.kill()

    def take_back(self) -> dict[MonitoredSession, socket.socket]:
        """Return the sessions that the process, which is gone, has never seen, with their sockets."""
        left = self._process.take_back()
        unseen = dict(self._early)
        unseen.update({member: left.pop(member.number) for member in self._members if member.number in left})
        for sock in left.values():
            sock.close()
        self._early.clear()
        self._members.clear()
        return unseen

    def why_gone(self, ending: str, status: int | None) -> str | None:
        """Return why the task is gone, in a few words; None if it has ended as it should."""
        if self._ended and (status == 0 or self._killed_for is not None):
            return None
        if self.failure is not None:
            return f"cannot start: {self.failure}"
        if self._process.nonsense:
            return "killed: it sent nonsense"
        if self._killed_for is not None:
            return self._killed_for
        if status == 1 and self.state is TaskState.STARTING and self._age >= self._start_timeout:
            return f"ended by its watchdog: not started within {self._start_timeout:g} seconds"
        if status == 1 and self.state is not TaskState.STARTING and self._silent >= self._hang_timeout / 2:
            return f"ended by its watchdog: no sign of life for {self._hang_timeout:g} seconds"
        return ending

    def tick(self, elapsed: float) -> None:
        """So many seconds have passed; kill a process that takes too long for anything.

        That is its own watchdog's duty first, which can tell where it hangs; but a process may be stopped altogether.
        """
        self._silent += elapsed
        if self.state is TaskState.STARTING:
            if self._age > self._start_timeout + _GRACE:
                self.kill(f"killed: not started within {self._start_timeout:g} seconds")
        elif self._silent > self._hang_timeout + _GRACE:
            self.kill(f"killed: no sign of life for {self._silent:.0f} seconds")
        if self._kill_at is not None and time.monotonic() > self._kill_at:
            self.kill("killed: it did not end in time")

    def status(self) -> TaskStatus:
        """Return what is known of it at this moment."""
        now = time.monotonic()
        return TaskStatus(
            self.reference,
            self.pid,
            self.state,
            len(self._members),
            self.handshakes,
            self.failed,
            self.received,
            self.sent,
            self._age,
            None if self._idle_since is None else now - self._idle_since,
        )

    async def _launch(self, start: Start) -> None:
        try:
            await self._process.start(start)
        except OSError as error:
            self.failure = CannotServe(f"its process cannot be run: {error}")
            self._on_gone(self, None)
            return
        self._runs = True
        if self._killed_for is not None:
            self._process.kill()

    def _hear(self, message: Any) -> None:
        self._silent = 0.0
        self._on_message(self, message)

    def _drain(self, at: float) -> None:
        self.state = TaskState.ENDING
        self._process.send(Drain(max(0.0, at - time.monotonic())))
        self._process.end_handover()
