"""OpenSSL 3: s_server and s_client. TLS 1.0 needs security level 0; SEED and IDEA sit in the legacy provider."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager

from tests.interop.peers.base import (
    REQUEST,
    ClientRun,
    Peer,
    Report,
    Resumption,
    certificate_for_client,
    first_line,
)
from tests.interop.process import Command, Server, run, serve
from tests.interop.suites import Suite, suite_number

PROVIDERS = ("-provider", "legacy", "-provider", "default")


def report(text: str) -> Report | None:
    """What the lines that s_client and ``s_server -www`` print say of a connection."""
    found = re.search(r"^(New|Reused), \S+, Cipher is (\S+)", text, re.MULTILINE)
    return Report(suite_number(found[2]), found[1] == "Reused") if found else None


class OpenSsl(Peer):
    """The system's OpenSSL."""

    name = "openssl"
    title = "OpenSSL 3"
    programs = ("openssl",)
    package = "Debian's openssl"

    @classmethod
    def version(cls) -> str:
        return first_line("openssl", "version")

    def start_server(
        self, suite: Suite, *, client_auth: bool = False, tickets: bool = False
    ) -> AbstractContextManager[Server]:
        pki, name = self.workshop.pki(), suite.certificate
        command: Command = ["openssl", "s_server", "-accept", "127.0.0.1:{port}", "-www", "-tls1", "-dhparam", pki.dh]
        command += ["-cipher", f"{suite.openssl}:@SECLEVEL=0", "-CAfile", pki.ca, *PROVIDERS]
        command += ["-cert", pki.certificate(name), "-key", pki.key(name)]
        if client_auth:
            command += ["-Verify", "1", "-verify_return_error"]
        if not tickets:
            command += ["-no_ticket"]
        if self.alpn:
            command += ["-alpn", self.alpn]
        command += ["-client_renegotiation"]
        return serve(command, self.log("server"))

    def run_client(
        self, port: int, suite: Suite, *, client_cert: bool = False, resume: Resumption | None = None
    ) -> ClientRun:
        pki = self.workshop.pki()
        command: Command = [
            "openssl",
            "s_client",
            "-connect",
            f"127.0.0.1:{port}",
            "-tls1",
            "-ign_eof",
            "-CAfile",
            pki.ca,
        ]
        command += ["-cipher", f"{suite.openssl}:@SECLEVEL=0", "-servername", "localhost", *PROVIDERS]
        if not suite.anonymous:
            command += ["-verify_return_error"]
        if client_cert:
            own = certificate_for_client(suite)
            command += ["-cert", pki.certificate(own), "-key", pki.key(own)]
        if resume is Resumption.ID:
            command += ["-no_ticket"]
        if self.alpn:
            command += ["-alpn", self.alpn]
        if resume is None:
            runs = [run(command, send=REQUEST)]
        else:
            session = self.log("session")
            runs = [run([*command, option, session], send=REQUEST) for option in ("-sess_out", "-sess_in")]
        reports = tuple(found for done in runs if (found := report(done.output)))
        return ClientRun(max(done.returncode for done in runs), "\n".join(done.output for done in runs), reports)

    def server_report(self, answer: str, log: str) -> Report:
        found = report(answer)
        return Report(found.suite, found.resumed) if found else Report()
