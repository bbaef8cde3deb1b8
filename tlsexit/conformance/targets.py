"""What is tested: a server at an address, a program that is started, a client that connects, or an engine in memory.

A target has lanes: ways to reach it that do not disturb each other, one for each probe that runs at the same time. A
lane opens one connection after the other. Bytes go to what the user has named and nowhere else.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from tempfile import TemporaryFile
from typing import IO, Final, Protocol

from tlsexit.constants import Role
from tlsexit.puppet import SocketTransport, Transport

PORT: Final = "{port}"
"""Stands for the port in a command."""

_START: Final = 20.0
"""Seconds that a server gets to begin to listen."""


class Unreachable(Exception):
    """No connection could be made in time; says why."""


class Lane(Protocol):
    """One way to the target."""

    def open(self) -> Transport:
        """Return a new connection; raises :class:`Unreachable`."""

    def close(self) -> None:
        """Give the lane up."""


class Target(ABC):
    """Something to test, in the role ``tests``. ``name`` is for reports, ``lanes`` how many there can be at once."""

    tests: Role
    name: str
    lanes: int = 8

    @abstractmethod
    def lane(self) -> Lane:
        """Return a new lane."""

    def start(self) -> None:  # noqa: B027 - most targets are ready
        """Get ready; raises :class:`Unreachable`."""

    def restart(self) -> bool:
        """Bring a target back that has died; False if it cannot be."""
        return False

    def stop(self) -> None:  # noqa: B027 - and stay
        """End what :meth:`start` began."""

    @property
    def local(self) -> bool:
        """Whether it is on this machine."""
        return True

    @contextmanager
    def running(self) -> Iterator[Target]:
        """Have it started, and stopped at the end."""
        try:
            self.start()
            yield self
        finally:
            self.stop()


class Throttle:
    """At most ``rate`` connections a second, over all lanes; None for as many as there can be."""

    def __init__(self, rate: float | None) -> None:
        self._interval = 0.0 if rate is None else 1 / rate
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait for one's turn."""
        if not self._interval:
            return
        with self._lock:
            now = time.monotonic()
            turn = max(self._next, now)
            self._next = turn + self._interval
        time.sleep(max(turn - now, 0.0))


class ServerTarget(Target):
    """A server that runs somewhere: ``host`` and ``port``. ``timeout`` is for connecting, in seconds."""

    tests = Role.SERVER

    def __init__(self, host: str, port: int, *, timeout: float = 5.0, rate: float | None = None) -> None:
        self.host, self.port = host, port
        self.name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._timeout = timeout
        self._throttle = Throttle(rate)

    def lane(self) -> Lane:
        return _ServerLane(self)

    def connect(self) -> Transport:
        """Return a new connection; raises :class:`Unreachable`."""
        self._throttle.wait()
        try:
            sock = socket.create_connection((self.host, self.port), self._timeout)
        except OSError as error:
            raise Unreachable(error.strerror or str(error)) from error
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return SocketTransport(sock)

    @property
    def local(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


class _ServerLane:
    def __init__(self, target: ServerTarget) -> None:
        self._target = target

    def open(self) -> Transport:
        return self._target.connect()

    def close(self) -> None:
        """Nothing to do: connections belong to those who opened them."""


class CommandServerTarget(ServerTarget):
    """A server that ``command`` starts on this machine; ``{port}`` in it becomes a free port. It is restarted when it
    has died, and ended with all its children.
    """

    def __init__(self, command: Sequence[str], *, timeout: float = 5.0, rate: float | None = None) -> None:
        super().__init__("127.0.0.1", 0, timeout=timeout, rate=rate)
        self.name = shlex.join(command)
        self._command = tuple(command)
        self._program: Program | None = None

    def start(self) -> None:
        for _ in range(3):
            self.port = free_port()
            self._program = Program(self._command, self.port)
            if self._program.await_listener(self.host):
                return
            said = self._program.end()
        raise Unreachable(f"the command does not listen on its port: {said[-2000:].strip() or 'it said nothing'}")

    def restart(self) -> bool:
        self.stop()
        try:
            self.start()
        except Unreachable:
            return False
        return True

    def stop(self) -> None:
        if self._program is not None:
            self._program.end()
            self._program = None


class ClientTarget(Target):
    """A client that connects again and again.

    With a ``command`` it is started for each connection, ``{port}`` in it becomes the port of the lane. Without one
    the user's client is awaited at ``host`` and ``port``, one connection after the other. ``timeout`` is how long a
    connection is waited for, in seconds.
    """

    tests = Role.CLIENT

    def __init__(
        self, command: Sequence[str] = (), *, host: str = "127.0.0.1", port: int = 0, timeout: float = 10.0
    ) -> None:
        self.host, self.port = host, port
        self._command = tuple(command)
        self._timeout = timeout
        self.name = shlex.join(command) if command else f"a client that connects to {host}:{port}"
        several = not port and any(PORT in word for word in command)
        self.lanes = 4 if several else 1

    def lane(self) -> Lane:
        return _ClientLane(self._command, self.host, self.port, self._timeout)

    @property
    def local(self) -> bool:
        return self.host in ("127.0.0.1", "::1", "localhost")


class _ClientLane:
    """A listening socket, and the program that is to connect to it."""

    def __init__(self, command: tuple[str, ...], host: str, port: int, timeout: float) -> None:
        self._command = command
        self._timeout = timeout
        self._listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._program: Program | None = None

    @property
    def port(self) -> int:
        """Where the lane listens."""
        number: int = self._listener.getsockname()[1]
        return number

    def open(self) -> Transport:
        deadline = time.monotonic() + self._timeout
        # a client that is still running may be about to connect once more, perhaps to resume
        patience = 0.3 if self._program is not None else 0.0
        while time.monotonic() < deadline:
            if self._command and (self._program is None or patience <= 0):
                self._renew()
                patience = self._timeout
            step = min(0.05, max(deadline - time.monotonic(), 0.001))
            self._listener.settimeout(step if self._command else deadline - time.monotonic())
            try:
                sock, _ = self._listener.accept()
            except TimeoutError:
                patience -= step
                if self._program is not None and self._program.ended:
                    patience = min(patience, 0.0)
                continue
            except OSError as error:
                raise Unreachable(error.strerror or str(error)) from error
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return SocketTransport(sock)
        said = "" if self._program is None else self._program.said[-500:].strip()
        raise Unreachable(f"no client has connected within {self._timeout:g} s{f': {said}' if said else ''}")

    def _renew(self) -> None:
        if self._program is not None:
            self._program.end()
        self._program = Program(self._command, self.port)

    def close(self) -> None:
        self._listener.close()
        if self._program is not None:
            self._program.end()
            self._program = None


class Program:
    """A program in a process group of its own, its output collected."""

    def __init__(self, command: Sequence[str], port: int) -> None:
        self._output: IO[bytes] = TemporaryFile()  # noqa: SIM115 - lives as long as the program
        words = [word.replace(PORT, str(port)) for word in command]
        self._port = port
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,  # some clients say goodbye at the end of their input
                stdout=self._output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            self._output.close()
            raise Unreachable(f"the command cannot be started: {error.strerror}") from error

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process.poll() is not None

    @property
    def said(self) -> str:
        """What it has printed so far."""
        self._output.seek(0)
        return self._output.read().decode("utf-8", "replace")

    def await_listener(self, host: str) -> bool:
        """Wait until it listens; False when it has ended instead, or taken too long."""
        deadline = time.monotonic() + _START
        while not self.ended and time.monotonic() < deadline:
            with socket.socket() as probe:
                probe.settimeout(1.0)
                if probe.connect_ex((host, self._port)) == 0:
                    return True
            time.sleep(0.05)
        return False

    def end(self) -> str:
        """Kill it with its children, and return what it has printed."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        said = "" if self._output.closed else self.said
        self._output.close()
        return said


def free_port() -> int:
    """Return a port of the loopback interface that nobody uses at the moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
