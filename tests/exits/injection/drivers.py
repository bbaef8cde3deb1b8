"""A cell made to happen: with the questions answered by hand, over a blocking socket, and under asyncio,
there with ``async`` methods and with plain ones in threads.

Each time one task has three sessions with a peer each: one is established before the failure and moves data
afterwards, one meets the failure, and one begins when that is over. Where the question is the task's own, the others
belong to another task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.exits.injection.asynchronous import in_threads, under_asyncio
from tests.exits.injection.blocking import over_a_socket
from tests.exits.injection.by_hand import by_hand
from tests.exits.injection.scene import Result
from tests.exits.injection.table import Cell

DRIVERS: Final[dict[str, Callable[[Cell], Result]]] = {
    "by hand": by_hand,
    "blocking": over_a_socket,
    "asyncio": under_asyncio,
    "in threads": in_threads,
}
"""By what a test is called."""
