"""Servers in threads of the test, on loopback: tlsexit's own, and ones that say nothing or the wrong thing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.pki import pki
from tlsexit.alerts import TlsError
from tlsexit.config import Config
from tlsexit.constants import Role
from tlsexit.drivers.blocking import TlsSocket, wrap_socket
from tlsexit.drivers.drive import Pki, run
from tlsexit.policy import system_config
from tlsexit.profile import Profile, Verify
from tlsexit.tasks import Task

Handler = Callable[[TlsSocket], None]
RawHandler = Callable[[socket.socket], None]

TIMEOUT = 10.0
"""Seconds after which a server in a test gives up."""


@dataclass
class Listener:
    """A listening server: where it is, and what came of its connections."""

    host: str
    port: int
    received: list[bytes] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    client_chains: list[tuple[bytes, ...]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """As an argument of the command line."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"localhost:{self.port}"


@contextmanager
def raw_listening(handler: RawHandler, host: str = "127.0.0.1") -> Iterator[Listener]:
    """Call ``handler`` for one connection after another until the test leaves the block."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as server:
        server.bind((host, 0))
        server.listen()
        server.settimeout(0.05)
        listener = Listener(host, server.getsockname()[1])
        done = threading.Event()

        def accept() -> None:
            while not done.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                connection.settimeout(TIMEOUT)
                with connection:
                    try:
                        handler(connection)
                    except (TlsError, OSError) as error:
                        listener.errors.append(error)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener
        finally:
            done.set()
            thread.join(TIMEOUT)


def echo(tls: TlsSocket) -> None:
    """Send back what arrives until the client closes."""
    while data := tls.recv():
        tls.sendall(data)


@contextmanager
def listening(
    handler: Handler = echo,
    *,
    profile: Profile | None = None,
    builtin: Pki | None = None,
    config: Config | None = None,
    host: str = "127.0.0.1",
) -> Iterator[Listener]:
    """A TLS server with the RSA certificate for localhost; its connections can resume each other's sessions."""
    builtin = builtin or pki().builtin(Role.SERVER)
    task = Task(config or system_config())
    run(task, None, builtin)
    served = profile or Profile.server(verify=Verify.NONE)

    def serve(connection: socket.socket) -> None:
        with wrap_socket(connection, served, pki=builtin, task=task) as tls:
            listener.client_chains.append(tls.context.peer_chain)
            handler(tls)

    with raw_listening(serve, host) as listener:
        yield listener
