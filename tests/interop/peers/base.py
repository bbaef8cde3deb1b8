"""What every peer offers to the tests: a server to connect to, a client to be called by, and what it saw of both."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from itertools import count
from pathlib import Path
from typing import ClassVar

from tests.interop.process import Server, run
from tests.interop.suites import Suite
from tests.interop.workshop import Workshop

REQUEST = "GET / HTTP/1.0\r\n\r\n"
"""What every client sends: all peers can play a small web server."""


class Resumption(Enum):
    """How a session is resumed."""

    ID = "session id"
    TICKET = "ticket"


@dataclass(frozen=True, slots=True)
class Report:
    """What a peer says of one connection; None where it says nothing."""

    suite: int | None = None
    resumed: bool | None = None
    client_certificate: bool | None = None


@dataclass(frozen=True, slots=True)
class ClientRun:
    """A peer's client after it has ended."""

    returncode: int
    output: str
    reports: tuple[Report, ...]
    """One report for each connection of which the output tells."""

    @property
    def answered(self) -> bool:
        """Whether the client ended well and showed the server's answer."""
        return self.returncode == 0 and "200 ok" in self.output.lower()


def certificate_for_client(suite: Suite) -> str:
    """The test client's certificate whose key is of the same kind as the server's."""
    return {"ecdsa": "clientec", "dss": "clientdss"}.get(suite.certificate, "client")


class Peer(ABC):
    """An independent implementation of TLS 1.0, run as a program of its own."""

    name: ClassVar[str]
    """Its name in test ids."""
    title: ClassVar[str]
    """Its name in tables."""
    programs: ClassVar[tuple[str, ...]]
    """The programs it needs."""
    package: ClassVar[str]
    """What to install where a program is missing."""

    _numbers = count()

    def __init__(
        self,
        workshop: Workshop,
        *,
        alpn: str = "",
        npn: str = "",
        renegotiate: bool = False,
        v2_hello: bool = False,
    ) -> None:
        """Prepare a peer; what it cannot do it leaves undone.

        ``alpn`` is the application protocol it offers or takes (RFC 7301), ``npn`` one for next protocol negotiation.
        With ``renegotiate`` it handshakes once more, as a server before it answers and as a client before it asks. With
        ``v2_hello`` a client opens in the SSL 2.0 format (RFC 2246 appendix E).
        """
        self.workshop = workshop
        self.alpn = alpn
        self.npn = npn
        self.renegotiate = renegotiate
        self.v2_hello = v2_hello

    @classmethod
    def available(cls) -> str | None:
        """None when the peer can run here, else the reason why it cannot."""
        missing = [program for program in cls.programs if shutil.which(program) is None]
        return f"{cls.title}: no {', '.join(missing)} (install {cls.package})" if missing else None

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """The version installed here, for the report."""

    @abstractmethod
    def start_server(
        self, suite: Suite, *, client_auth: bool = False, tickets: bool = False
    ) -> AbstractContextManager[Server]:
        """Run a server that agrees to ``suite`` only, demands a client certificate if ``client_auth``, and hands out
        tickets if ``tickets``; it always resumes sessions by id. It answers REQUEST as an HTTP server would.
        """

    @abstractmethod
    def run_client(
        self, port: int, suite: Suite, *, client_cert: bool = False, resume: Resumption | None = None
    ) -> ClientRun:
        """Run a client that offers ``suite`` only, sends REQUEST and prints the answer; it ends when the server closes.

        With ``resume`` it connects a second time and offers the first session. Resumption by id means that it offers
        no ticket extension; otherwise it does.
        """

    @abstractmethod
    def server_report(self, answer: str, log: str) -> Report:
        """What the server says of a connection in its HTTP ``answer`` or in the ``log`` it wrote meanwhile."""

    def log(self, role: str) -> Path:
        """A new file for the output of a server."""
        return self.workshop.scratch(f"{self.name}-{role}-{next(self._numbers)}.log")


def first_line(*command: str) -> str:
    """The first line that ``command`` prints that is not empty."""
    lines = (line.strip() for line in run(command).output.splitlines())
    return next((line for line in lines if line), "unknown")
