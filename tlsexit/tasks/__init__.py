"""Tasks: groups of sessions that share an exit (the manual's SSL tasks)."""

from __future__ import annotations

from tlsexit.tasks.task import Task

__all__ = ["Task"]
