"""The signals that end a server: the first in order, the second at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

_NUMBERS: Final = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """While its block runs, each SIGINT or SIGTERM calls the next of ``steps``; further ones call the last again."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = steps
        self._came = 0

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in _NUMBERS:
            # Windows has no such handlers, and neither has a thread: there Ctrl-C raises KeyboardInterrupt
            with suppress(NotImplementedError, RuntimeError):
                loop.add_signal_handler(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in _NUMBERS:
            with suppress(NotImplementedError, RuntimeError):
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        step = self._steps[min(self._came, len(self._steps) - 1)]
        self._came += 1
        step()
