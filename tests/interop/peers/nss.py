"""NSS: selfserv and tstclnt; strsclnt for resumption, since tstclnt crashes when it connects twice."""

from __future__ import annotations

import re
import shutil
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
from tests.interop.process import Server, run, serve
from tests.interop.suites import Suite

TLS10 = ("-V", "tls1.0:tls1.0")
KEY_OPTIONS = {"rsa": "-n", "ecdsa": "-e", "dss": "-S"}


def hits(text: str) -> int:
    """How many handshakes NSS counts as resumed, by the last of its counters in ``text``."""
    found = re.findall(r"(\d+) cache hits; \d+ cache misses", text)
    return int(found[-1]) if found else 0


class Nss(Peer):
    """The system's NSS."""

    name = "nss"
    title = "NSS"
    programs = ("selfserv", "tstclnt", "strsclnt", "certutil", "pk12util")
    package = "Debian's libnss3-tools"

    @classmethod
    def version(cls) -> str:
        if shutil.which("dpkg-query"):
            return f"NSS {first_line('dpkg-query', '-W', '-f', '${Version}', 'libnss3')}"
        return "unknown"

    def start_server(
        self, suite: Suite, *, client_auth: bool = False, tickets: bool = False
    ) -> AbstractContextManager[Server]:
        kind = suite.certificate
        command = ["selfserv", "-d", self.workshop.nss_database(kind), "-p", "{port}", *TLS10]
        command += [KEY_OPTIONS[kind], kind, "-G", "-H", "1", "-v", "-c", f":{suite.number:04X}"]
        if client_auth:
            command += ["-r", "-r"]
        if tickets:
            command += ["-u"]
        if self.alpn == "http/1.1":
            command += ["-Q"]
        if self.renegotiate:
            command += ["-r", "-r", "-r"]  # ask for a certificate, but only in a second handshake
        return serve(command, self.log("server"))

    def run_client(
        self, port: int, suite: Suite, *, client_cert: bool = False, resume: Resumption | None = None
    ) -> ClientRun:
        where = ["-p", str(port), "-d", self.workshop.nss_database(suite.certificate), *TLS10]
        # without -n the tools look for a certificate that fits
        where += ["-n", certificate_for_client(suite) if client_cert else "none"]
        if resume is not Resumption.ID:
            where += ["-u"]
        if resume is None:
            # from a file: tstclnt goes round in circles when its input is a pipe that has been closed
            request = self.log("request")
            request.write_text(REQUEST)
            command = ["tstclnt", "-h", "localhost", "-4", *where, "-G", "-v", "-c", f":{suite.number:04X}"]
            # -O: at once, else tstclnt may write while a certificate is still being checked or chosen, and when the
            # server's flight comes in pieces it ends such a handshake with internal_error
            done = run([*command, "-O", "-A", request])
            return ClientRun(done.returncode, done.output, (Report(None, hits(done.output) > 0),))
        # strsclnt sends a request of its own and prints how much it got, not what
        command = [
            "strsclnt",
            *where,
            "-4",
            "-C",
            f":{suite.number:04X}",
            "-c",
            "2",
            "-t",
            "1",
            "-q",
            "-v",
            "localhost",
        ]
        done = run(command)
        answers = len(re.findall(r"read \d+ bytes total", done.output))
        resumed = hits(done.output)
        output = done.output + "\n200 OK, by strsclnt's count of the bytes" * (answers == 2)
        return ClientRun(done.returncode, output, (Report(None, False), Report(None, resumed > 0)))

    def server_report(self, answer: str, log: str) -> Report:
        certificate = "subject DN: CN=client" in log
        # the counter is of the whole run: the second connection of two is the resumed one
        return Report(None, hits(log) > 0, certificate)
