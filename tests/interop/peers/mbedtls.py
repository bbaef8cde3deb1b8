"""mbedTLS 2.28, the last that speaks TLS 1.0, through ``mbedtls_peer.c``."""

from __future__ import annotations

import re
import shutil
from contextlib import AbstractContextManager

from tests.interop.peers.base import ClientRun, Peer, Report, Resumption, certificate_for_client
from tests.interop.process import Command, Server, run, serve
from tests.interop.suites import Suite, suite_number

VERSION_PROBE = "#include <mbedtls/version.h>\nversion MBEDTLS_VERSION_STRING_FULL\n"


def report(line: re.Match[str], *, server: bool) -> Report:
    """What one line of the program says."""
    certificate = line["peer"] == "yes" if server else None
    return Report(suite_number(line["suite"]), line["resumed"] == "1", certificate)


LINE = re.compile(r"TLSv1\.0 (?P<suite>TLS-\S+) resumed=(?P<resumed>\d) peer=(?P<peer>\S+)")


class MbedTls(Peer):
    """The system's mbedTLS."""

    name = "mbedtls"
    title = "mbedTLS"
    programs = ("cc",)
    package = "Debian's libmbedtls-dev and gcc"

    @classmethod
    def available(cls) -> str | None:
        missing = super().available()
        if missing is None and not re.match(r"mbed TLS 2\.", version := cls.version()):
            missing = f"{cls.title}: headers of version 2.x wanted, found {version} (install {cls.package})"
        return missing

    @classmethod
    def version(cls) -> str:
        if shutil.which("cc") is None:
            return "none"
        preprocessed = run(["cc", "-E", "-P", "-x", "c", "-"], send=VERSION_PROBE).output
        found = re.search(r'^version "(.*)"', preprocessed, re.MULTILINE)
        return found[1] if found else "none"

    def _environment(self) -> dict[str, str]:
        """The program's switches that both roles share."""
        environment = {"ALPN": self.alpn} if self.alpn else {}
        return {**environment, "RENEG": "1"} if self.renegotiate else environment

    def start_server(
        self, suite: Suite, *, client_auth: bool = False, tickets: bool = False
    ) -> AbstractContextManager[Server]:
        program, pki = self.workshop.mbedtls_program(), self.workshop.pki()
        environment = self._environment()
        if client_auth:
            environment["AUTH"] = "1"
        if not tickets:
            environment["NO_TICKET"] = "1"
        command: Command = [program, "server", "{port}", pki.folder, suite.certificate, f"{suite.number:x}"]
        return serve(command, self.log("server"), environment)

    def run_client(
        self, port: int, suite: Suite, *, client_cert: bool = False, resume: Resumption | None = None
    ) -> ClientRun:
        program, pki = self.workshop.mbedtls_program(), self.workshop.pki()
        environment = self._environment()
        if client_cert:
            environment["CERT"] = certificate_for_client(suite)
        if resume is not None:
            environment["RESUME"] = "1"
        if resume is Resumption.ID:
            environment["NO_TICKET"] = "1"
        done = run([program, "client", str(port), pki.folder, f"{suite.number:x}"], environment)
        lines = [line for line in LINE.finditer(done.output) if "HTTP" in done.output[line.end() : line.end() + 20]]
        return ClientRun(done.returncode, done.output, tuple(report(line, server=False) for line in lines))

    def server_report(self, answer: str, log: str) -> Report:
        found = LINE.search(answer)
        return report(found, server=True) if found else Report()
