"""How soon tasks that keep dying are replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

FIRST_DELAY: Final = 0.5
"""Seconds before the first start that is not made at once; each further one takes twice as long."""

LONGEST_DELAY: Final = 30.0
"""Seconds at most: whoever mends the cause does not wait longer than this."""

STEADY: Final = 60.0
"""Seconds without a failure after which all earlier ones are forgotten."""

MAX_FAILED_STARTS: Final = 10
"""Starts in a row that may fail before it is clear that no task will ever start."""


class Backoff:
    """Counts failures. As many as ``burst`` are answered at once, since tasks may all be killed together by a person.

    After that each start waits twice as long as the one before, up to :data:`LONGEST_DELAY`. ``clock`` is in seconds.
    """

    def __init__(self, clock: Callable[[], float], burst: int) -> None:
        self._clock = clock
        self._burst = burst
        self._failures = 0
        self._last = float("-inf")
        self._failed_starts = 0

    @property
    def exhausted(self) -> bool:
        """Whether :data:`MAX_FAILED_STARTS` tasks in a row have not even started."""
        return self._failed_starts >= MAX_FAILED_STARTS

    def started(self) -> None:
        """A task has started: StartTask has been answered."""
        self._failed_starts = 0

    def failed(self, *, had_started: bool) -> float:
        """A task has died, or has not started; return when the next may be started, by the clock."""
        now = self._clock()
        if now - self._last >= STEADY:
            self._failures = 0
        self._last = now
        self._failures += 1
        if not had_started:
            self._failed_starts += 1
        beyond = self._failures - self._burst
        if beyond <= 0:
            return now
        return now + min(FIRST_DELAY * 2.0 ** min(beyond - 1, 16), LONGEST_DELAY)
