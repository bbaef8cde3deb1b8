"""GnuTLS 3: gnutls-serv and gnutls-cli. A priority string made for each suite leaves nothing else to choose."""

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
from tests.interop.suites import SUITES, Suite

KEY_EXCHANGES = {
    "RSA": "RSA",
    "DHE_RSA": "DHE-RSA",
    "DHE_DSS": "DHE-DSS",
    "DH_anon": "ANON-DH",
    "ECDHE_RSA": "ECDHE-RSA",
    "ECDHE_ECDSA": "ECDHE-ECDSA",
    "ECDH_anon": "ANON-ECDH",
}
CIPHERS = {"RC4_128": "ARCFOUR-128", "3DES_EDE_CBC": "3DES-CBC"}
ALWAYS = (
    "+COMP-NULL:+CTYPE-X509:+GROUP-ALL:+SIGN-ALL:+SIGN-DSA-SHA1:+SIGN-RSA-SHA1"
    ":%VERIFY_ALLOW_SIGN_WITH_SHA1:%PROFILE_VERY_WEAK"
)


def cipher(suite: Suite) -> str:
    """GnuTLS's name of the bulk cipher."""
    return CIPHERS.get(suite.cipher, suite.cipher.replace("_", "-"))


def mac(suite: Suite) -> str:
    """GnuTLS's name of the MAC."""
    return {"SHA": "SHA1"}.get(suite.mac, suite.mac)


def priority(suite: Suite) -> str:
    """A priority string that allows TLS 1.0 with ``suite`` and nothing else."""
    key_exchange = KEY_EXCHANGES[suite.key_exchange]
    return f"NONE:+VERS-TLS1.0:+{key_exchange}:+{cipher(suite)}:+{mac(suite)}:{ALWAYS}"


def described(text: str) -> int | None:
    """The suite behind ``(TLS1.0-X.509)-(DHE-FFDHE2048)-(AES-128-CBC)-(SHA1)``, unless several fit.

    A named group stands where the kind of certificate would.
    """
    found = re.search(r"\(TLS1\.0[^)]*\)-\((.*?)\)-\((.*?)\)-\((.*?)\)", text)
    if found is None:
        return None
    family = found[1] if found[1].startswith("ANON") else found[1].partition("-")[0]
    fitting = [
        suite.number
        for suite in SUITES.values()
        if (cipher(suite), mac(suite)) == (found[2], found[3]) and KEY_EXCHANGES[suite.key_exchange].startswith(family)
    ]
    return fitting[0] if len(fitting) == 1 else None


def named(text: str) -> int | None:
    """The suite that the server's page calls ``DHE_RSA_AES_128_CBC_SHA1``."""
    found = re.search(r"<TD>Ciphersuite</TD><TD>(\w+)</TD>", text)
    names = {
        f"{suite.key_exchange}_{cipher(suite)}_{mac(suite)}".replace("-", "_").upper(): suite.number
        for suite in SUITES.values()
    }
    return names.get(found[1]) if found else None


class GnuTls(Peer):
    """The system's GnuTLS."""

    name = "gnutls"
    title = "GnuTLS"
    programs = ("gnutls-serv", "gnutls-cli", "stdbuf")
    package = "Debian's gnutls-bin"

    @classmethod
    def version(cls) -> str:
        return first_line("gnutls-cli", "--version")

    def start_server(
        self, suite: Suite, *, client_auth: bool = False, tickets: bool = False
    ) -> AbstractContextManager[Server]:
        pki, name = self.workshop.pki(), suite.certificate
        command: Command = ["stdbuf", "-oL", "gnutls-serv", "--http", "--port", "{port}", "--priority", priority(suite)]
        command += ["--x509certfile", pki.certificate(name), "--x509keyfile", pki.key(name), "--x509cafile", pki.ca]
        command += ["--dhparams", pki.dh]
        command += ["--require-client-cert", "--verify-client-cert"] if client_auth else ["--disable-client-cert"]
        if not tickets:
            command += ["--noticket"]
        if self.alpn:
            command += ["--alpn", self.alpn]
        return serve(command, self.log("server"))

    def run_client(
        self, port: int, suite: Suite, *, client_cert: bool = False, resume: Resumption | None = None
    ) -> ClientRun:
        pki = self.workshop.pki()
        command: Command = ["gnutls-cli", "--port", str(port), "--priority", priority(suite), "--x509cafile", pki.ca]
        command += ["--verify-hostname=localhost", "127.0.0.1"]
        if client_cert:
            own = certificate_for_client(suite)
            command += ["--x509certfile", pki.certificate(own), "--x509keyfile", pki.key(own)]
        if resume is not None:
            command += ["--resume"]
        if resume is Resumption.ID:
            command += ["--noticket"]
        if self.alpn:
            command += ["--alpn", self.alpn]
        if self.renegotiate:
            command += ["--rehandshake"]
        done = run(command, send=REQUEST, hold=True)
        connections = re.split(r"^Connecting to ", done.output, flags=re.MULTILINE)[1:]
        reports = tuple(Report(described(text), "This is a resumed session" in text) for text in connections)
        return ClientRun(done.returncode, done.output, reports)

    def server_report(self, answer: str, log: str) -> Report:
        return Report(named(answer), "This is a resumed session" in log, "Certificate Information:" in answer)
