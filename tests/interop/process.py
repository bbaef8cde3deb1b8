"""Other programs as peers: started on a free port, awaited, read, and always ended with all their children."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

HOST = "127.0.0.1"

START_TIMEOUT = 20.0
"""Seconds a server gets until it listens; a Java machine on a busy computer takes a few."""
CLIENT_TIMEOUT = 30.0
"""Seconds a client program gets for its whole run."""


Command = list[str | Path]
"""A program and its arguments."""


class ProcessFailed(Exception):
    """A peer did not start, did not end in time, or could not be built; the text carries what it printed."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that has ended."""

    returncode: int
    output: str


class Server:
    """A running server program that listens on :data:`HOST`."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.host = HOST
        self.port = port
        self._log = log

    @property
    def output(self) -> str:
        """What the program has printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")


def free_port() -> int:
    """A port nobody listens on now. Someone may take it before the caller does: a failed start is tried again."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def listening(port: int) -> bool:
    """Whether someone listens on ``port``, found without connecting: some peers count or log every connection."""
    wanted, listen_state = f":{port:04X}", "0A"
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if table.exists():
            rows = (line.split() for line in table.read_text().splitlines()[1:])
            if any(row[1].endswith(wanted) and row[3] == listen_state for row in rows):
                return True
    if Path("/proc/net/tcp").exists():
        return False
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _start(
    arguments: Sequence[str | Path], environment: Mapping[str, str], stdin: int, stdout: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, which also dies with this process where setpriv exists."""
    words = [str(word) for word in arguments]
    if shutil.which("setpriv"):
        words = ["setpriv", "--pdeathsig", "KILL", "--", *words]
    return subprocess.Popen(
        words,
        env={**os.environ, "LC_ALL": "C", **environment},
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the program's whole process group and reap the program."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.poll()  # it had ended by itself, with nobody left in its group
    process.wait()
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()


@contextmanager
def serve(arguments: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run a server; the word ``{port}`` in its arguments becomes the port. Its output is collected in ``log``.

    Raises ProcessFailed when it does not listen within START_TIMEOUT; a start that ends early, as it does when another
    program was faster to take the port, is repeated twice.
    """
    for attempt in range(3):
        port = free_port()
        with log.open("wb") as sink:
            words = [str(word).replace("{port}", str(port)) for word in arguments]
            process = _start(words, environment or {}, subprocess.DEVNULL, sink)
        try:
            if _await_listener(process, port):
                yield Server(process, port, log)
                return
        finally:
            _end(process)
        if attempt == 2:
            said = log.read_text(encoding="utf-8", errors="replace")
            raise ProcessFailed(f"no server on port {port}: {' '.join(words)}\n{said}")


def _await_listener(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the program listens; False when it ended instead or took too long."""
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        if listening(port):
            return True
        time.sleep(0.01)
    return False


def run(
    arguments: Sequence[str | Path],
    environment: Mapping[str, str] | None = None,
    *,
    send: str = "",
    hold: bool = False,
    timeout: float = CLIENT_TIMEOUT,
) -> Completed:
    """Run a program to its end with ``send`` as its input; its output includes what it prints on stderr.

    With ``hold`` its input stays open until it ends, for programs that say goodbye at the end of their input.
    Raises ProcessFailed when it has not ended after ``timeout`` seconds.
    """
    with TemporaryFile() as sink:
        process = _start(arguments, environment or {}, subprocess.PIPE, sink)
        assert process.stdin is not None
        try:
            with suppress(BrokenPipeError):  # a program need not read its input
                process.stdin.write(send.encode())
                process.stdin.flush()
                if not hold:
                    process.stdin.close()
            process.wait(timeout)
            return Completed(process.returncode, _text(sink))
        except subprocess.TimeoutExpired as expired:
            words = " ".join(str(word) for word in arguments)
            raise ProcessFailed(f"not ended after {timeout} s: {words}\n{_text(sink)}") from expired
        finally:
            _end(process)


def _text(sink: IO[bytes]) -> str:
    """All that has been written to a file."""
    sink.seek(0)
    return sink.read().decode("utf-8", "replace")


def build(arguments: Sequence[str | Path]) -> None:
    """Run a preparation step (a compiler, a script). Raises ProcessFailed when it fails."""
    done = run(arguments, timeout=120)
    if done.returncode:
        raise ProcessFailed(f"{' '.join(str(word) for word in arguments)} failed:\n{done.output}")
