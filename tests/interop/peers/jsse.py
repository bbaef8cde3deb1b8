"""JSSE, the TLS of OpenJDK, through ``Peer.java``, which lifts the ban on TLS 1.0 and on old suites for itself."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager

from tests.interop.peers.base import ClientRun, Peer, Report, Resumption, certificate_for_client, first_line
from tests.interop.process import Server, run, serve
from tests.interop.suites import Suite, suite_number

JAVA = ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx128m")
"""A short-lived Java machine starts twice as fast without its second compiler."""

LINE = re.compile(r"TLSv1 (?P<suite>(?:TLS|SSL)_\S+) resumed=(?P<resumed>\w+) peer=(?P<peer>\S+)")


def report(line: re.Match[str], *, server: bool) -> Report:
    """What one line of the program says."""
    certificate = line["peer"] != "-" if server else None
    return Report(suite_number(line["suite"]), line["resumed"] == "true", certificate)


class Jsse(Peer):
    """The system's Java."""

    name = "jsse"
    title = "JSSE"
    programs = ("java", "javac")
    package = "Debian's openjdk-17-jdk-headless"

    @classmethod
    def version(cls) -> str:
        return first_line("java", "-version")

    def _command(self, *properties: str, tickets: bool) -> list[str]:
        """The Java command up to the program's own arguments."""
        switch = "true" if tickets else "false"
        roles = ("client", "server")
        options = [f"-Djdk.tls.{role}.enableSessionTicketExtension={switch}" for role in roles]
        switches = {"v2hello=1": self.v2_hello, "reneg=1": self.renegotiate, f"alpn={self.alpn}": self.alpn}
        options += [f"-D{name}" for name in (*properties, *(name for name, on in switches.items() if on))]
        return [*JAVA, *options, "-cp", str(self.workshop.jsse_classes()), "Peer"]

    def start_server(
        self, suite: Suite, *, client_auth: bool = False, tickets: bool = False
    ) -> AbstractContextManager[Server]:
        command = self._command(*(["auth=1"] if client_auth else []), tickets=tickets)
        command += ["server", "{port}", str(self.workshop.pki().folder), suite.certificate, suite.iana]
        return serve(command, self.log("server"))

    def run_client(
        self, port: int, suite: Suite, *, client_cert: bool = False, resume: Resumption | None = None
    ) -> ClientRun:
        properties = [f"cert={certificate_for_client(suite)}"] if client_cert else []
        if resume is not None:
            properties += ["resume=1"]
        command = self._command(*properties, tickets=resume is not Resumption.ID)
        done = run([*command, "client", str(port), self.workshop.pki().folder, suite.iana])
        return ClientRun(
            done.returncode, done.output, tuple(report(line, server=False) for line in LINE.finditer(done.output))
        )

    def server_report(self, answer: str, log: str) -> Report:
        found = LINE.search(answer)
        return report(found, server=True) if found else Report()
