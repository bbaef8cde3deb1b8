"""Side-by-side timing that survives a busy machine: contenders take turns, and only ratios within a turn count.

CPU time (``time.process_time``) does not count the time in which others run, but caches and clock speed still vary from
second to second. So each round measures every contender once, one straight after the other, in an order that changes;
a ratio is taken within each round, and the median over the rounds is reported.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.contenders.base import Unit

_LONG_BATCH = 0.25  # seconds; a contender that takes longer for one unit takes part in fewer rounds


@dataclass(frozen=True, slots=True)
class Samples:
    """What one contender needed: seconds of CPU per unit, by round."""

    batch: int
    """Units measured together."""

    by_round: Mapping[int, float] = field(repr=False)

    @property
    def median(self) -> float:
        """Median of the rounds, in seconds per unit."""
        return statistics.median(self.by_round.values())


@dataclass(frozen=True, slots=True)
class Ratio:
    """One contender's time over another's: the median of the rounds that both took part in, and their quartiles."""

    median: float
    low: float
    high: float


def ratio(ours: Samples, theirs: Samples) -> Ratio:
    """Return ours ÷ theirs, round by round."""
    both = sorted(
        ours.by_round[number] / theirs.by_round[number] for number in ours.by_round.keys() & theirs.by_round.keys()
    )
    if len(both) < 2:
        return Ratio(both[0], both[0], both[0])
    low, middle, high = statistics.quantiles(both, n=4, method="inclusive")
    return Ratio(middle, low, high)


def timed(unit: Unit, count: int) -> float:
    """Return the seconds of CPU that one of ``count`` units takes; what they leave to clean up is not counted."""
    gc.collect()
    cleanups = []
    start = time.process_time()
    for _ in range(count):
        cleanups.append(unit())
    elapsed = time.process_time() - start
    for cleanup in cleanups:
        if cleanup is not None:
            cleanup()
    return elapsed / count


def interleave(units: Mapping[str, Unit], rounds: int, seconds: float) -> dict[str, Samples]:
    """Measure every unit in ``rounds`` rounds, in batches of about ``seconds`` each."""
    batches: dict[str, int] = {}
    every: dict[str, int] = {}
    for name, unit in units.items():
        timed(unit, 1)  # fills caches, compiles grammars
        once = max(timed(unit, 2), 1e-7)
        if once < seconds / 10:
            once = max(timed(unit, math.ceil(seconds / 10 / once)), 1e-7)
        batches[name] = max(1, round(seconds / once))
        every[name] = min(rounds, math.ceil(once / _LONG_BATCH)) if once > _LONG_BATCH else 1
    results: dict[str, dict[int, float]] = {name: {} for name in units}
    names = list(units)
    for number in range(rounds):
        turn = number % len(names)
        order = names[turn:] + names[:turn]
        for name in order if number % 2 else reversed(order):
            if number % every[name] == 0:
                results[name][number] = timed(units[name], batches[name])
    return {name: Samples(batches[name], by_round) for name, by_round in results.items()}
