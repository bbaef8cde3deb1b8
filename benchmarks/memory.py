"""What an idle, established connection costs in memory: the growth of a process over 1 000 pairs of ends."""

from __future__ import annotations

import gc
import multiprocessing
import statistics
from concurrent.futures import ProcessPoolExecutor

from benchmarks.contenders import openssl, ours
from benchmarks.contenders.base import Handshake
from benchmarks.growth.server import resident
from benchmarks.measure import Ratio
from tlsexit.constants import Role

PAIRS = 1000
WARM_UP = 20
TARGET = 0.5


def measure(rounds: int) -> tuple[dict[str, float], Ratio]:
    """Return bytes per pair of ends by contender, and ours ÷ theirs; each round is a process for each."""
    context = multiprocessing.get_context("spawn")
    found: dict[str, list[float]] = {"tlsexit": [], "openssl": []}
    with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as pool:
        for _ in range(rounds):
            for name, results in found.items():
                results.append(pool.submit(growth, name).result())
    ratios = sorted(a / b for a, b in zip(found["tlsexit"], found["openssl"], strict=True))
    medians = {name: statistics.median(results) for name, results in found.items()}
    return medians, Ratio(statistics.median(ratios), ratios[0], ratios[-1])


def growth(name: str) -> float:
    """Return what one pair adds to this process, in bytes."""
    kind, kept = Handshake(), []
    if name == "tlsexit":
        client, server = ours.profiles(kind)
        tasks = [ours.new_task(role) for role in (Role.CLIENT, Role.SERVER)]

        def connect() -> ours.Pair | openssl.Pair:
            pair = ours.Pair(tasks[0].connection(client), tasks[1].connection(server))
            pair.handshake()
            return pair
    else:
        contexts = [openssl.context(role, kind) for role in (Role.CLIENT, Role.SERVER)]

        def connect() -> ours.Pair | openssl.Pair:
            pair = openssl.Pair(contexts[0], contexts[1])
            pair.handshake()
            return pair

    kept += [connect() for _ in range(WARM_UP)]
    gc.collect()
    before = resident()
    kept += [connect() for _ in range(PAIRS)]
    gc.collect()
    return (resident() - before) / PAIRS
