"""Exits in C for tests: compiled on demand, and one that does what it is told."""

from __future__ import annotations

import ctypes
import subprocess
from enum import IntEnum
from pathlib import Path

from tests.support.openssl_peer import needs_program
from tlsexit.adapters.clib import INCLUDE, CExit
from tlsexit.adapters.pkicom import PHASES
from tlsexit.exits.answers import ReturnCode
from tlsexit.exits.phases import ExitPhase

PROBE = Path(__file__).parents[1] / "adapters" / "probe_exit.c"


def needs_compiler() -> None:
    """Skip, or fail where all peers must be there."""
    needs_program("cc", "Debian's gcc and libc6-dev")


def compile_exit(source: Path, target: Path, *options: str) -> Path:
    """Compile as the header's first page says, with every warning an error, and return ``target``."""
    needs_compiler()
    command = ["cc", "-Wall", "-Wextra", "-Werror", *options, "-shared", "-fPIC", f"-I{INCLUDE}", "-o", str(target)]
    done = subprocess.run([*command, str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def compile_text(text: str, target: Path) -> Path:
    """Compile a source that is given as text."""
    source = target.with_suffix(".c")
    source.write_text(text, encoding="ascii")
    return compile_exit(source, target)


class Manner(IntEnum):
    """``enum manner`` of the probe: how it goes about a phase."""

    NORMAL = 0
    CRASH = 1
    OVERRUN = 2
    HANG = 3


class Probe:
    """``probe_exit.c``: handles StartTask and leaves the rest, unless told otherwise."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.exit = CExit(path)
        self._library = ctypes.CDLL(str(path))
        self._library.probe_reset()

    def answers(
        self,
        phase: ExitPhase,
        code: int = ReturnCode.HANDLED,
        output: bytes = b"",
        *,
        alert: int = 0,
        form: int = 0,
        manner: Manner = Manner.NORMAL,
    ) -> None:
        """Tell it how to answer a phase."""
        length = ctypes.c_uint64(len(output))
        self._library.probe_set(PHASES[phase], code, alert, form, manner, output, length)

    def calls(self, phase: ExitPhase) -> int:
        """How often it was called for a phase."""
        return int(self._library.probe_calls(PHASES[phase]))

    @property
    def overlaps(self) -> int:
        """How many calls came while another was going on."""
        return int(self._library.probe_overlaps())

    @property
    def threads(self) -> int:
        """From how many threads the last calls of the phases came."""
        return int(self._library.probe_threads())
