"""Tasks as processes: a :class:`Monitor` accepts connections and hands each to the task that its policy names."""

from __future__ import annotations

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
from tlsexit.drivers.monitor.monitor import Monitor
from tlsexit.drivers.monitor.service import Arrival, CannotServe, Service, Worker
from tlsexit.tasks.placement import Limits

__all__ = [
    "Arrival",
    "CannotServe",
    "Event",
    "Limits",
    "Monitor",
    "Service",
    "SessionAccepted",
    "SessionEnded",
    "SessionEstablished",
    "SessionStatus",
    "TaskEnded",
    "TaskStarted",
    "TaskState",
    "TaskStatus",
    "TaskTold",
    "Trouble",
    "Worker",
    "log_event",
]
