"""Which task a session goes to, when a task is created, and when an idle one is shut down.

The rules of the product's manual (SSLMTASK, SSLTTASK, SSLWTASK), as an object that knows numbers only: no process, no
socket, and a clock that is handed in. Whoever runs the tasks asks it and tells it what became of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Final

from tlsexit.alerts import LocalError

PERMANENT: Final = 1441
"""The value of ``idle_minutes`` that means for ever: a day and a minute."""

_RANGES: Final = {"max_tasks": (1, 64), "sessions_per_task": (1, 1000), "idle_minutes": (1, PERMANENT)}


@dataclass(frozen=True, slots=True)
class Limits:
    """How many tasks there are, and for how long. Raises :class:`LocalError` for a value out of its range."""

    max_tasks: int = 8
    """Tasks that may run at once (SSLMTASK), 1 to 64."""

    sessions_per_task: int = 3
    """Simultaneous sessions that a task is guaranteed (SSLTTASK), 1 to 1000."""

    idle_minutes: int = PERMANENT
    """Minutes without a session after which a task is shut down (SSLWTASK), 1 to 1441, which means never."""

    def __post_init__(self) -> None:
        for name, (lowest, highest) in _RANGES.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
                raise LocalError(f"{name} is a number from {lowest} to {highest}, not {value!r}")


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a session goes: the reference of a task, and whether that task has yet to be started."""

    task: int
    created: bool


@dataclass(slots=True)
class _Load:
    """A task as the policy knows it: ``idle_since`` counts while there is no session; a shut task gets no more."""

    idle_since: float
    sessions: int = 0
    shut: bool = False


class Placement:
    """The policy. ``clock`` gives seconds from any start; it must not run backwards.

    Every task counts against ``max_tasks`` until :meth:`remove` says that it is gone, one that is being shut too.
    References count from 1 and never come twice.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._references = count(1)
        self._loads: dict[int, _Load] = {}
        self._held_until = float("-inf")

    @property
    def sessions(self) -> Mapping[int, int]:
        """How many sessions each task has; tasks that are being shut are included."""
        return {reference: load.sessions for reference, load in self._loads.items()}

    def place(self) -> Placed | None:
        """Return the task for one more session, which counts as that task's from now on.

        The oldest task with room is taken, so that the others may become idle. If none has room a new one is created;
        if there may not be more, the task with the fewest sessions is taken. None if no task can take a session now:
        those that run are being shut, or :meth:`hold` forbids the first.
        """
        loads = {reference: load for reference, load in self._loads.items() if not load.shut}
        room = [reference for reference, load in loads.items() if load.sessions < self._limits.sessions_per_task]
        created = None if room else self.create()
        if room:
            chosen = min(room)
        elif created is not None:
            chosen = created
        elif loads:
            chosen = min(loads, key=lambda reference: (loads[reference].sessions, reference))
        else:
            return None
        self._loads[chosen].sessions += 1
        return Placed(chosen, created is not None)

    def create(self) -> int | None:
        """Return the reference of a new task without a session: the first one, or one in place of a task that died.

        None if there may not be more now.
        """
        now = self._clock()
        if len(self._loads) >= self._limits.max_tasks or now < self._held_until:
            return None
        reference = next(self._references)
        self._loads[reference] = _Load(now)
        return reference

    def release(self, task: int) -> None:
        """A session of this task is over."""
        load = self._load(task)
        if not load.sessions:
            raise LocalError(f"task {task} has no session")
        load.sessions -= 1
        if not load.sessions:
            load.idle_since = self._clock()

    def shut_idle(self) -> tuple[int, ...]:
        """Return the tasks that are to be shut now: they get no session any more, and are named once."""
        now = self._clock()
        due = tuple(reference for reference, load in self._loads.items() if self._due(load) <= now)
        for reference in due:
            self.shut(reference)
        return due

    def shut(self, task: int) -> None:
        """Give this task no session any more; it goes on to count until it is removed."""
        self._load(task).shut = True

    def remove(self, task: int) -> None:
        """The task is gone, with whatever sessions it had."""
        self._load(task)
        del self._loads[task]

    def hold(self, until: float) -> None:
        """Create no task before the clock says ``until``; sessions are spread over those there are, as at the maximum.

        A hold is never shortened.
        """
        self._held_until = max(self._held_until, until)

    @property
    def next_change(self) -> float | None:
        """When the clock alone changes something next: a task becomes due, or a hold ends; None for never."""
        moments = [due for load in self._loads.values() if (due := self._due(load)) < float("inf")]
        if self._held_until > self._clock():
            moments.append(self._held_until)
        return min(moments, default=None)

    def _due(self, load: _Load) -> float:
        """When this task is to be shut if nothing happens to it before."""
        if load.shut or load.sessions or self._limits.idle_minutes == PERMANENT:
            return float("inf")
        return load.idle_since + 60.0 * self._limits.idle_minutes

    def _load(self, task: int) -> _Load:
        if task not in self._loads:
            raise LocalError(f"there is no task {task}")
        return self._loads[task]
