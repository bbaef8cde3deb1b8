"""What a monitor tells about its tasks and sessions, and what it shows of them at any moment."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

_LOGGER: Final = logging.getLogger("tlsexit.monitor")


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """A task is ready: its process runs, and StartTask has been answered. ``exit_enabled`` is what it answered."""

    task: int
    pid: int
    exit_enabled: bool


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """A task is gone. ``reason`` is None if it ended as it should; else ``lost`` sessions ended with it.

    ``retry_in`` seconds from now the next task may be started; None if there is to be none.
    """

    task: int
    pid: int | None
    reason: str | None
    lost: int = 0
    retry_in: float | None = None

    def __str__(self) -> str:
        name = f"task {self.task}" + ("" if self.pid is None else f" (pid {self.pid})")
        if self.reason is None:
            return f"{name} has ended"
        text = f"{name}: {self.reason}"
        if self.lost:
            text += f"; {self.lost} session{'' if self.lost == 1 else 's'} ended with it"
        if self.retry_in:
            text += f"; no new task for {self.retry_in:g} seconds"
        return text


@dataclass(frozen=True, slots=True)
class SessionAccepted:
    """A client has connected; its session has a number of its own from now on."""

    session: int
    peer: str


@dataclass(frozen=True, slots=True)
class SessionEstablished:
    """A handshake is complete, in this task and with this reference there."""

    session: int
    task: int
    reference: int
    cipher_suite: int
    resumed: bool


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session is over: in its task, or None if it came to none. ``reason`` is None if all went well.

    ``received`` and ``sent`` are bytes of application data. ``begun`` is False for a session that the service knows
    nothing of; ``died`` says that the session's task died under it, so that the service cannot tell any more.
    """

    session: int
    task: int | None
    peer: str
    begun: bool
    established: bool
    received: int
    sent: int
    reason: str | None
    died: bool = False


@dataclass(frozen=True, slots=True)
class TaskTold:
    """What a service gave to :meth:`~.service.Worker.tell`."""

    task: int
    value: Any


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that concerns no single task, in a sentence."""

    reason: str


Event = TaskStarted | TaskEnded | SessionAccepted | SessionEstablished | SessionEnded | TaskTold | Trouble


def log_event(event: Event) -> None:
    """Log what went wrong as warnings of the logger ``tlsexit.monitor``: the default for ``on_event``."""
    if isinstance(event, TaskEnded) and event.reason is not None:
        _LOGGER.warning("%s", event)
    elif isinstance(event, Trouble):
        _LOGGER.warning("%s", event.reason)


class TaskState(Enum):
    """What a task is doing."""

    STARTING = "starting"
    RUNNING = "running"
    ENDING = "ending"


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """A task at this moment; ``idle`` are the seconds since its last session, None while it has one."""

    reference: int
    pid: int | None
    state: TaskState
    sessions: int
    handshakes: int
    failed: int
    received: int
    sent: int
    age: float
    idle: float | None


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """A session at this moment; ``reference`` and ``cipher_suite`` are None until the handshake is complete."""

    number: int
    task: int | None
    reference: int | None
    peer: str
    cipher_suite: int | None
    resumed: bool
    received: int
    sent: int
    age: float
