"""tlsexit at the other end: a client that asks a peer's server, and a server in a thread that a peer's client calls."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Thread
from typing import Any

from tests.interop.peers.base import REQUEST
from tests.interop.process import HOST
from tests.interop.workshop import Pki
from tests.support.delivery import piecewise
from tlsexit import (
    BuiltinPki,
    Config,
    LocalError,
    Profile,
    Session,
    TlsError,
    TlsSocket,
    TruncatedError,
    Verify,
    system_config,
    wrap_socket,
)
from tlsexit.events import MessageSeen, Observation
from tlsexit.exits.context import SessionContext
from tlsexit.handshake.hello import ServerHello
from tlsexit.policy import load_authorities, load_identity
from tlsexit.session import TicketProtector
from tlsexit.stores import TicketKeys

TIMEOUT = 20.0
"""Seconds for the handshake and for each operation after it."""

COMMON = {"root_ca_ids": ("test",), "minimum_rsa_bits": 512, "minimum_dh_bits": 512}
"""Export suites come with 512-bit keys, and the oldest peers' defaults with 1024-bit groups."""

END = b"the end\n"
"""How the server's answers end."""


@dataclass(frozen=True, slots=True)
class Result:
    """What tlsexit saw of one connection; ``received`` is the peer's whole answer or request."""

    context: SessionContext
    received: bytes
    session: Session | None
    closed: bool
    """Whether the peer ended with close_notify rather than by hanging up."""
    agreed: frozenset[int]
    """The types of the extensions in the first ServerHello."""

    @property
    def suite(self) -> int | None:
        """The number of the suite that was agreed."""
        return self.context.cipher_suite

    @property
    def resumed(self) -> bool:
        """Whether the handshake was an abbreviated one."""
        return self.context.resumed


def engine_client(
    host: str,
    port: int,
    suites: Sequence[int],
    pki: Pki,
    *,
    client_cert: str | None = None,
    session: Session | None = None,
    padding: int = 0,
    renegotiate: bool = False,
    **elements: Any,
) -> Result:
    """Connect to a peer's server as the name localhost, send REQUEST, and read the answer to its end.

    ``suites`` are offered in this order; ``client_cert`` names a certificate of the test PKI; ``session`` is offered
    for resumption; a header of ``padding`` bytes makes the request longer; with ``renegotiate`` there is a second
    handshake before the request; ``elements`` are further elements of the profile. Raises TlsError when the handshake
    fails and OSError when the network does.
    """
    profile = Profile.client(cipher_suites=tuple(suites), server_name="localhost", **COMMON, **elements)
    builtin = _builtin(pki, [] if client_cert is None else [client_cert])
    sock = piecewise(socket.create_connection((host, port), TIMEOUT))
    hellos = Hellos()
    with wrap_socket(sock, profile, pki=builtin, session=session, config=system_config(observer=hellos)) as tls:
        if renegotiate and not tls.renegotiate():
            raise LocalError("the server would rather not renegotiate")
        tls.sendall(REQUEST.replace("\r\n\r\n", f"\r\nX-Padding: {'p' * padding}\r\n\r\n").encode())
        received, closed = _read_to_end(tls)
        return Result(tls.context, received, tls.session, closed, hellos.agreed)


class EngineServer:
    """A tlsexit server in a thread; each connection leaves a Result, or the error that ended it."""

    def __init__(self, port: int) -> None:
        self.host = HOST
        self.port = port
        self.outcomes: list[Result | Exception] = []

    @property
    def results(self) -> list[Result]:
        """The Results, if every connection left one; else the first error is raised."""
        for outcome in self.outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        return [outcome for outcome in self.outcomes if isinstance(outcome, Result)]


@contextmanager
def engine_server(
    suites: Sequence[int],
    pki: Pki,
    *,
    certificate: str,
    client_auth: bool = False,
    tickets: TicketProtector | bool = False,
    size: int = 100,
    renegotiate: bool = False,
    **elements: Any,
) -> Iterator[EngineServer]:
    """Run a tlsexit server that shows ``certificate`` and answers every request with a body of ``size`` bytes.

    All its connections share one session store and, with ``tickets``, ticket keys: new ones for True. With
    ``renegotiate`` it has a second handshake before it answers. ``elements`` are further elements of the profile. The
    thread ends when the context is left: read the outcomes then.
    """
    verify = Verify.REQUIRED if client_auth else Verify.NONE
    profile = Profile.server(cipher_suites=tuple(suites), verify=verify, **COMMON, **elements)
    builtin = _builtin(pki, [certificate])
    config = system_config(tickets=TicketKeys(time.time) if tickets is True else tickets or None)
    with socket.create_server((HOST, 0)) as listener:
        server, stopped = EngineServer(listener.getsockname()[1]), [False]
        listener.settimeout(0.05)

        def serve() -> None:
            while not stopped[0]:
                try:
                    sock, _ = listener.accept()
                except TimeoutError:
                    continue
                try:
                    server.outcomes.append(_answer(sock, profile, builtin, config, size, renegotiate))
                except (TlsError, OSError) as error:
                    server.outcomes.append(error)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            stopped[0] = True
            thread.join(2 * TIMEOUT)


def _builtin(pki: Pki, identities: Sequence[str]) -> BuiltinPki:
    """A built-in PKI that trusts the test CAs."""
    return BuiltinPki(
        [load_identity(name, pki.certificate(name), pki.key(name)) for name in identities],
        authorities={"test": load_authorities(pki.ca)},
    )


class Hellos:
    """An observer that remembers what the first ServerHello agreed to."""

    def __init__(self) -> None:
        self.agreed: frozenset[int] = frozenset()
        self._seen = False

    def __call__(self, seen: Observation) -> None:
        if isinstance(seen, MessageSeen) and isinstance(seen.message, ServerHello) and not self._seen:
            self._seen = True
            self.agreed = frozenset(item.extension_type for item in seen.message.extensions or ())


def _answer(
    sock: socket.socket, profile: Profile, builtin: BuiltinPki, config: Config, size: int, renegotiate: bool
) -> Result:
    """Serve one connection: read the request's head, answer, close. A peer may close without having asked."""
    sock.settimeout(TIMEOUT)
    hellos = Hellos()
    with wrap_socket(piecewise(sock), profile, pki=builtin, config=replace(config, observer=hellos)) as tls:
        request = b""
        while b"\r\n\r\n" not in request:
            if not (data := tls.recv()):
                return Result(tls.context, request, tls.session, closed=True, agreed=hellos.agreed)
            request += data
        if renegotiate and not tls.renegotiate():
            raise LocalError("the client would rather not renegotiate")
        body = (b"tlsexit " * (size // 8 + 1))[: size - len(END)] + END
        tls.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        return Result(tls.context, request, tls.session, closed=False, agreed=hellos.agreed)


def _read_to_end(tls: TlsSocket) -> tuple[bytes, bool]:
    """Everything the peer sends, and whether it said close_notify before hanging up."""
    received = b""
    try:
        while data := tls.recv():
            received += data
    except TruncatedError:
        return received, False
    return received, True
