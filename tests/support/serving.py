"""``tlsexit serve`` as a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import Final

TIMEOUT: Final = 30.0
"""Seconds that a process gets for anything."""


class Serving:
    """A running server: its port and what it prints, line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._queue: Queue[str | None] = Queue()
        assert process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        self._reader.start()
        listening = self.wait_for(r"listening on .*:(\d+)")
        self.port = int(listening[1])

    def _read(self, stream: Iterator[str]) -> None:
        for line in stream:
            self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the match of the next line that matches; fail if the server ends or takes too long first."""
        while True:
            try:
                line = self._queue.get(timeout=TIMEOUT)
            except Empty:
                raise AssertionError(f"no line like {pattern!r} among {self.lines}") from None
            if line is None:
                raise AssertionError(f"ended without a line like {pattern!r}: {self.lines}, {self.errors()}")
            self.lines.append(line)
            if match := re.search(pattern, line):
                return match

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait until the server has ended and return its status; the rest of its output is in ``lines``."""
        status = self.process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)
        while (line := self._queue.get(timeout=TIMEOUT)) is not None:
            self.lines.append(line)
        return status

    def errors(self) -> str:
        """What the server printed on standard error; only once it has ended."""
        assert self.process.stderr is not None
        return self.process.stderr.read()


@contextmanager
def serving(*arguments: str | Path, environment: dict[str, str] | None = None) -> Iterator[Serving]:
    """Run ``tlsexit serve`` on a free port of 127.0.0.1, and end it at the latest when the test leaves the block."""
    command = [sys.executable, "-m", "tlsexit", "serve", *(str(item) for item in arguments), "0"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **(environment or {})},
    )
    try:
        yield Serving(process)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
