"""A growth curve: what one more unit costs, at each size."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Curve:
    """Cost per unit by number of units: ``points`` are pairs of the two. Flat is what it should be."""

    title: str
    unit: str
    """What is counted, in the singular: ``byte``."""

    cost: str
    """What a point's second number is, with its unit: ``ns of CPU``."""

    points: tuple[tuple[int, float], ...]

    def steepness(self, settled: int) -> float:
        """Cost per unit at the largest size over that at size ``settled``: more than 1 where growth is worse than
        linear. Below ``settled`` what does not grow at all would hide it."""
        at = next(cost for size, cost in self.points if size >= settled)
        return self.points[-1][1] / at


def cpu(work: Callable[[], object], repeat: int = 5) -> float:
    """Return the least CPU seconds that ``work`` took in ``repeat`` runs."""
    best = float("inf")
    for _ in range(repeat):
        gc.collect()
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best
