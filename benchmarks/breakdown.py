"""What a handshake's time consists of: samples of where the program is, sorted by part.

A timer of CPU time interrupts the program a few hundred times a second; the innermost function of tlsexit on the stack
says which part it is in. Unlike a profiler that hears of every call, this slows nothing down.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path
from types import FrameType

import tlsexit
from benchmarks.contenders.base import Cleanup, Handshake
from benchmarks.contenders.ours import Tlsexit

INTERVAL = 0.002

_PACKAGE = str(Path(tlsexit.__file__).parent)

PARTS: dict[str, tuple[str, ...]] = {
    "public-key operations": ("crypto/keyops", "crypto/groups", "crypto/export"),
    "PRF and key schedule": ("crypto/prf", "crypto/schedule"),
    "transcript": ("handshake/transcript",),
    "record layer and ciphers": ("records/", "crypto/bulk", "channel"),
    "codecs": ("wire", "handshake/codec", "exits/forms"),
    "X.509 and built-in PKI": ("policy/",),
    "handshake machine": ("handshake/", "values", "crypto/suites"),
    "exits and their answers": ("exits/", "drivers/", "tasks/"),
    "connection": ("connection", "failures"),
}
"""Parts by the beginnings of their modules' paths, the first that fits."""

REST = "sessions, profiles, the rest"
DATACLASSES = "making frozen values"
OUTSIDE = "outside tlsexit"


def measure(kind: Handshake, seconds: float) -> dict[str, float]:
    """Return microseconds of CPU per handshake, both ends, by part."""
    unit = Tlsexit().handshake(kind)
    for _ in range(20):
        unit()
    seen: Counter[str] = Counter()

    def sample(_: int, frame: FrameType | None) -> None:
        seen[_part(frame)] += 1

    done, cleanups = 0, list[Cleanup]()
    before = signal.signal(signal.SIGPROF, sample)
    start = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    try:
        while time.process_time() - start < seconds:
            cleanup = unit()
            done += 1
            if cleanup is not None:
                cleanups.append(cleanup)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    each = (time.process_time() - start) / done / seen.total() * 1e6
    for cleanup in cleanups:
        cleanup()
    return {part: seen[part] * each for part in (*PARTS, DATACLASSES, REST, OUTSIDE)}


def _part(frame: FrameType | None) -> str:
    while frame is not None:
        path = frame.f_code.co_filename
        if path == "<string>" or path.startswith("<value"):
            return DATACLASSES
        if path.startswith("<grammar"):
            return "codecs"
        if path.startswith(_PACKAGE):
            inside = path[len(_PACKAGE) + 1 :]
            return next((part for part, begin in PARTS.items() if inside.startswith(begin)), REST)
        frame = frame.f_back
    return OUTSIDE
