"""What an import costs: CPU of whole processes, less that of an interpreter that imports nothing."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

TARGET = 1.5

BASE = "import cryptography.x509, construct"
STATEMENTS = {
    "cryptography.x509 and construct": BASE,
    "tlsexit": "import tlsexit",
    "tlsexit, Connection used": "from tlsexit import Connection",
    "tlsexit, connect used": "from tlsexit import connect",
}


def measure(rounds: int) -> dict[str, float]:
    """Return milliseconds of CPU by what is imported, the interpreter's own start taken off."""
    statements = {"": "pass", **STATEMENTS}
    found: dict[str, list[float]] = {name: [] for name in statements}
    for statement in statements.values():
        _cpu(statement)  # writes the byte code
    for _ in range(rounds):
        for name, statement in statements.items():
            found[name].append(_cpu(statement))
    return {
        name: statistics.median(a - b for a, b in zip(found[name], found[""], strict=True)) * 1e3 for name in STATEMENTS
    }


def _cpu(statement: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
