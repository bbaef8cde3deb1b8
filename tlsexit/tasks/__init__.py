"""Tasks: groups of sessions that share an exit (the manual's SSL tasks), and which of them a session goes to."""

from __future__ import annotations

from tlsexit.tasks.placement import Limits, Placement
from tlsexit.tasks.task import Task

__all__ = ["Limits", "Placement", "Task"]
