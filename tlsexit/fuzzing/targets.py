"""Targets of the fuzzer: those of :mod:`tlsexit.conformance.targets`, any engine in memory, and Python's own ``ssl``.

An engine is anything with the few methods of :class:`tlsexit.puppet.Engine`::

    class MyEngine:
        closed = False
        def receive(self, data): ...
        def receive_eof(self): ...
        def take(self): ...             # what it has to send

    target = MemoryTarget("my engine", Role.SERVER, MyEngine)
"""

from __future__ import annotations

import ssl
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tlsexit.conformance.discovery import discover
from tlsexit.conformance.pki import Workshop, write_workshop
from tlsexit.conformance.talk import Terms as ProbeTerms
from tlsexit.conformance.targets import Lane, Target
from tlsexit.constants import Role
from tlsexit.fuzzing.plans import Abilities
from tlsexit.puppet import Engine, EngineTransport, Transport


class MemoryTarget(Target):
    """An engine in this process; ``make`` returns one for each connection."""

    def __init__(self, name: str, tests: Role, make: Callable[[], Engine]) -> None:
        self.name = name
        self.tests = tests
        self._make = make

    def lane(self) -> Lane:
        return _MemoryLane(self._make)


class _MemoryLane:
    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make = make

    def open(self) -> Transport:
        return EngineTransport(self._make())

    def close(self) -> None:
        """Nothing is left behind."""


class SslEngine:
    """One end of a TLS 1.0 connection that Python's ``ssl``, and so OpenSSL, plays over memory buffers."""

    def __init__(self, context: ssl.SSLContext, role: Role, session: ssl.SSLSession | None = None) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = role is Role.SERVER
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server, None if server else "localhost", session)
        self.established = False
        self.closed = False
        self.received = b""
        self.error = ""
        """What OpenSSL said in the end."""
        self._run()

    @property
    def session(self) -> ssl.SSLSession | None:
        """What a client may resume; None if the handshake has not come so far."""
        try:
            return self._tls.session
        except ValueError:
            return None

    def receive(self, data: bytes) -> None:
        self._incoming.write(data)
        self._run()

    def receive_eof(self) -> None:
        self._incoming.write_eof()
        self._run()

    def take(self) -> bytes:
        return self._outgoing.read()

    def _run(self) -> None:
        if self.closed:
            return
        try:
            if not self.established:
                self._tls.do_handshake()
                self.established = True
            while data := self._tls.read(2**14):
                self.received += data
            # close_notify from the peer: answer it
            self._tls.unwrap()
            self._end("closed")
        except ssl.SSLWantReadError:
            return
        except ssl.SSLZeroReturnError:
            self._shut()
        except (ssl.SSLError, OSError) as error:
            self._end(str(error))

    def _shut(self) -> None:
        try:
            self._tls.unwrap()
        except (ssl.SSLError, OSError) as error:
            self.error = str(error)
        self._end(self.error or "closed")

    def _end(self, reason: str) -> None:
        self.error = reason
        self.closed = True
        self.established = False


def ssl_target(role: Role, workshop: Workshop) -> MemoryTarget:
    """Return Python's ``ssl`` as a target in ``role``, with the workshop's RSA certificate and trust in it.

    It takes every suite that OpenSSL has at security level 0. A server asks for a client certificate and does without.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if role is Role.SERVER else ssl.PROTOCOL_TLS_CLIENT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are what this is about
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_workshop(workshop, folder)
        context.load_verify_locations(folder / "ca.pem")
        own = "rsa" if role is Role.SERVER else "client"
        context.load_cert_chain(folder / f"{own}.pem", folder / f"{own}.key")
    if role is Role.SERVER:
        context.verify_mode = ssl.CERT_OPTIONAL
    last: list[SslEngine] = []

    def make() -> Engine:
        session = last[0].session if role is Role.CLIENT and last else None
        made = SslEngine(context, role, session)
        last[:] = [made]
        return made

    return MemoryTarget(f"Python's ssl, {ssl.OPENSSL_VERSION}", role, make)


def abilities(target: Target, workshop: Workshop, *, patience: float = 2.0) -> Abilities:
    """Return what the target can do, found out by asking; raises what :func:`tlsexit.conformance.discovery.discover`
    raises."""
    authority: Any = next(iter(workshop.authorities.values()), None)
    terms = ProbeTerms(credentials=workshop.shown_by(target.tests.peer), patience=patience, authority=authority)
    found = discover(target, terms)
    return Abilities(
        target.tests,
        found.suites,
        resumes=found.resumes_by_id,
        tickets=found.resumes_by_ticket,
        renegotiates=found.renegotiation == "accepted",
    )
