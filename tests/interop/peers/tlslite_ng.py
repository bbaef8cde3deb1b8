"""tlslite-ng, through ``tlslite_peer.py``."""

from __future__ import annotations

import re
import sys
from contextlib import AbstractContextManager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from tests.interop.peers.base import ClientRun, Peer, Report, Resumption, certificate_for_client
from tests.interop.process import Server, run, serve
from tests.interop.suites import Suite
from tests.interop.workshop import PROGRAMS

LINE = re.compile(r"TLS 1\.0 (?P<suite>[0-9a-f]{4}) resumed=(?P<resumed>\w+)(?: peer=(?P<peer>\w+))?")


def report(line: re.Match[str]) -> Report:
    """What one line of the program says."""
    certificate = line["peer"] == "True" if line["peer"] else None
    return Report(int(line["suite"], 16), line["resumed"] == "True", certificate)


class TlsLite(Peer):
    """tlslite-ng in the environment of the tests."""

    name = "tlslite"
    title = "tlslite-ng"
    programs = ()
    package = "PyPI's tlslite-ng"

    @classmethod
    def available(cls) -> str | None:
        return None if find_spec("tlslite") else f"{cls.title}: not importable (install {cls.package})"

    @classmethod
    def version(cls) -> str:
        try:
            return f"tlslite-ng {version('tlslite-ng')}"
        except PackageNotFoundError:
            return "none"

    def _run(self, role: str, port: str, suite: Suite, *rest: str) -> list[str]:
        program = [sys.executable, str(PROGRAMS / "tlslite_peer.py")]
        return [*program, role, port, str(self.workshop.pki().folder), *rest, f"{suite.number:04x}"]

    def _environment(self, suite: Suite, *, tickets: bool) -> dict[str, str]:
        """The program's switches that both roles share."""
        environment = {} if tickets else {"NO_TICKET": "1"}
        if suite.anonymous:
            environment["ANON"] = "1"
        if self.alpn:
            environment["ALPN"] = self.alpn
        return environment

    def start_server(
        self, suite: Suite, *, client_auth: bool = False, tickets: bool = False
    ) -> AbstractContextManager[Server]:
        environment = self._environment(suite, tickets=tickets)
        if client_auth:
            environment["AUTH"] = "1"
        return serve(self._run("server", "{port}", suite, suite.certificate), self.log("server"), environment)

    def run_client(
        self, port: int, suite: Suite, *, client_cert: bool = False, resume: Resumption | None = None
    ) -> ClientRun:
        environment = self._environment(suite, tickets=resume is not Resumption.ID)
        if client_cert:
            environment["CERT"] = certificate_for_client(suite)
        if resume is not None:
            environment["RESUME"] = "1"
        done = run(self._run("client", str(port), suite), environment)
        return ClientRun(done.returncode, done.output, tuple(report(line) for line in LINE.finditer(done.output)))

    def server_report(self, answer: str, log: str) -> Report:
        found = LINE.search(answer)
        return report(found) if found else Report()
