"""See a connection: recorded observations, the ladder diagram, and messages decoded field by field."""

from __future__ import annotations

from tlsexit.trace.decode import Decoded, Decoder
from tlsexit.trace.ladder import ladder, text
from tlsexit.trace.recorder import Entry, Recorder, TracedTask, WatchedPki
from tlsexit.trace.rows import MessageRow, PhaseRow, rows

__all__ = [
    "Decoded",
    "Decoder",
    "Entry",
    "MessageRow",
    "PhaseRow",
    "Recorder",
    "TracedTask",
    "WatchedPki",
    "ladder",
    "rows",
    "text",
]
