"""Handshakes per second of several task processes at once: they share nothing, so they should scale with the cores."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier

from benchmarks.contenders.base import Handshake
from benchmarks.contenders.ours import Tlsexit


def measure(seconds: float) -> Iterator[tuple[int, float, float]]:
    """Yield, for 1, 2, ... processes up to the number of cores: their number, and handshakes per second of wall-clock
    time and of CPU time. Where others use the cores, only the second says how far the processes hinder each other."""
    cores = len(os.sched_getaffinity(0))
    for count in sorted({1, *(2**n for n in range(1, 12) if 2**n <= cores), cores}):
        yield count, *_together(count, seconds)


def _together(count: int, seconds: float) -> tuple[float, float]:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count)
    results = context.SimpleQueue()
    processes = [context.Process(target=_work, args=(barrier, results, seconds)) for _ in range(count)]
    for process in processes:
        process.start()
    rates = [results.get() for _ in processes]
    for process in processes:
        process.join()
    return sum(wall for wall, _ in rates), sum(cpu for _, cpu in rates)


def _work(barrier: Barrier, results: multiprocessing.SimpleQueue[tuple[float, float]], seconds: float) -> None:
    unit = Tlsexit().handshake(Handshake())
    unit()
    barrier.wait(60)
    done = 0
    start, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        unit()
        done += 1
    results.put((done / (time.perf_counter() - start), done / (time.process_time() - cpu)))
