"""The independent implementations as targets of ``tlsexit conform``: commands that start them with all they can do."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.interop.peers.all import PEERS
from tests.interop.peers.gnutls import ALWAYS
from tests.interop.peers.jsse import JAVA
from tests.interop.peers.node import HEALTHY
from tests.interop.workshop import NODE4, PROGRAMS, Workshop

PORT: Final = "{port}"
REQUEST: Final = r"printf 'GET / HTTP/1.0\r\n\r\n'"
OPENSSL_SUITES: Final = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
PROVIDERS: Final = ("-provider", "legacy", "-provider", "default")
GNUTLS: Final = (
    "NONE:+VERS-TLS1.0:+RSA:+DHE-RSA:+DHE-DSS:+ECDHE-RSA:+ECDHE-ECDSA:+ANON-DH:+ANON-ECDH"
    f":+AES-128-CBC:+AES-256-CBC:+CAMELLIA-128-CBC:+CAMELLIA-256-CBC:+3DES-CBC:+ARCFOUR-128:+NULL:+SHA1:+MD5:{ALWAYS}"
)
NSS_SUITES: Final = ":002F:0035:000A:0005:0004:0033:0039:0016:0041:0084:0045:0088:0096:0001:0002:C013:C014:C012:C011"


@dataclass(frozen=True)
class Peer:
    """One implementation: its servers and clients, each by the name of a configuration, as commands."""

    name: str
    servers: dict[str, list[str]] = field(default_factory=dict)
    clients: dict[str, list[str]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Its name in tables."""
        return PEERS[self.name].title

    @property
    def version(self) -> str:
        """The version installed here."""
        return PEERS[self.name].version()

    @property
    def missing(self) -> str | None:
        """Why it cannot run here, None if it can."""
        return PEERS[self.name].available()


def talking(*command: str) -> list[str]:
    """A client that reads what it sends from its standard input, which stays open."""
    return ["sh", "-c", f"({REQUEST}; exec sleep 600) | exec {shlex.join(command)}"]


def environment(*words: str) -> list[str]:
    """Run with these variables."""
    return ["env", *words]


def openssl(workshop: Workshop) -> Peer:
    """OpenSSL 3's own programs."""
    pki = workshop.pki()
    serve = ["openssl", "s_server", "-accept", f"127.0.0.1:{PORT}", "-tls1", "-www", "-cipher", OPENSSL_SUITES]
    serve += ["-cert", str(pki.certificate("rsa")), "-key", str(pki.key("rsa")), "-CAfile", str(pki.ca)]
    serve += ["-dcert", str(pki.certificate("ecdsa")), "-dkey", str(pki.key("ecdsa")), "-dhparam", str(pki.dh)]
    serve += ["-client_renegotiation", "-alpn", "http/1.1", *PROVIDERS]
    connect = ["openssl", "s_client", "-connect", f"127.0.0.1:{PORT}", "-tls1", "-ign_eof", "-cipher", OPENSSL_SUITES]
    connect += ["-CAfile", str(pki.ca), "-verify_return_error", "-servername", "localhost", "-legacy_server_connect"]
    connect += ["-alpn", "http/1.1", *PROVIDERS]
    own = ["-cert", str(pki.certificate("client")), "-key", str(pki.key("client"))]
    return Peer(
        "openssl",
        {"plain": serve, "mutual": [*serve, "-Verify", "1", "-verify_return_error"]},
        {"plain": talking(*connect), "certificate": talking(*connect, *own)},
    )


def gnutls(workshop: Workshop) -> Peer:
    """GnuTLS's own programs."""
    pki = workshop.pki()
    serve = ["gnutls-serv", "--http", "--port", PORT, "--priority", GNUTLS, "--x509cafile", str(pki.ca)]
    serve += ["--dhparams", str(pki.dh), "--alpn", "http/1.1"]
    for kind in ("rsa", "ecdsa", "dss"):
        serve += ["--x509certfile", str(pki.certificate(kind)), "--x509keyfile", str(pki.key(kind))]
    connect = ["gnutls-cli", "--port", PORT, "--priority", GNUTLS, "--x509cafile", str(pki.ca), "--alpn", "http/1.1"]
    connect += ["--verify-hostname=localhost", "127.0.0.1"]
    own = ["--x509certfile", str(pki.certificate("client")), "--x509keyfile", str(pki.key("client"))]
    return Peer(
        "gnutls",
        {
            "plain": [*serve, "--disable-client-cert"],
            "mutual": [*serve, "--require-client-cert", "--verify-client-cert"],
        },
        {
            "plain": talking(*connect),
            "certificate": talking(*connect, *own),
            "resuming": talking(*connect, "--resume"),
        },
    )


def nss(workshop: Workshop) -> Peer:
    """NSS's own programs."""
    base = ["selfserv", "-d", workshop.nss_database("rsa"), "-p", PORT, "-V", "tls1.0:tls1.0", "-n", "rsa", "-G"]
    base += ["-H", "1", "-u", "-Q", "-c", NSS_SUITES]
    request = workshop.scratch("request")
    request.write_text("GET / HTTP/1.0\r\n\r\n")
    connect = ["tstclnt", "-h", "localhost", "-4", "-p", PORT, "-d", workshop.nss_database("rsa"), "-G", "-u"]
    connect += ["-V", "tls1.0:tls1.0", "-c", NSS_SUITES, "-A", str(request)]
    return Peer(
        "nss",
        {"plain": base, "mutual": [*base, "-r", "-r"]},
        {"plain": [*connect, "-n", "none"], "certificate": [*connect, "-n", "client"]},
    )


def mbedtls(workshop: Workshop) -> Peer:
    """mbedTLS through ``mbedtls_peer``."""
    program, folder = str(workshop.mbedtls_program()), str(workshop.pki().folder)
    serve, connect = [program, "server", PORT, folder, "rsa"], [program, "client", PORT, folder]
    return Peer(
        "mbedtls",
        {
            "plain": environment("ALPN=http/1.1", *serve),
            "mutual": environment("AUTH=1", *serve),
        },
        {
            "plain": environment("ALPN=http/1.1", *connect),
            "certificate": environment("CERT=client", *connect),
            "resuming": environment("RESUME=1", *connect),
        },
    )


def jsse(workshop: Workshop) -> Peer:
    """JSSE through ``Peer.java``."""
    folder, classes = str(workshop.pki().folder), str(workshop.jsse_classes())
    tickets = "-Djdk.tls.server.enableSessionTicketExtension=true"

    def java(*words: str) -> list[str]:
        return [*JAVA, tickets, "-cp", classes, *words]

    return Peer(
        "jsse",
        {
            "plain": java("-Dalpn=http/1.1", "Peer", "server", PORT, folder, "rsa"),
            "mutual": java("-Dauth=1", "Peer", "server", PORT, folder, "rsa"),
            "asking": java("-Dreneg=1", "Peer", "server", PORT, folder, "rsa"),
        },
        {
            "plain": java("Peer", "client", PORT, folder),
            "certificate": java("-Dcert=client", "Peer", "client", PORT, folder),
            "resuming": java("-Dresume=1", "Peer", "client", PORT, folder),
            "v2-hello": java("-Dv2hello=1", "Peer", "client", PORT, folder),
        },
    )


def node4(workshop: Workshop) -> Peer:
    """OpenSSL 1.0.2 through ``peer.js``."""
    folder = str(workshop.pki().folder)
    healthy = [f"{name}={value}" for name, value in HEALTHY.items()]
    program = environment(*healthy, str(NODE4), str(PROGRAMS / "peer.js"))
    serve = [*program, "server", PORT, folder, "rsa,ecdsa"]
    connect = [*program, "client", PORT, folder]
    return Peer(
        "node4",
        {"plain": serve, "mutual": environment("REQUEST_CERT=1", *serve)},
        {
            "plain": connect,
            "certificate": environment("CLIENT_CERT=client", *connect),
            "resuming": environment("RESUME=1", *connect),
        },
    )


def tlslite(workshop: Workshop) -> Peer:
    """tlslite-ng through ``tlslite_peer.py``."""
    program, folder = [sys.executable, str(PROGRAMS / "tlslite_peer.py")], str(workshop.pki().folder)
    serve, connect = [*program, "server", PORT, folder, "rsa"], [*program, "client", PORT, folder]
    return Peer(
        "tlslite",
        {"plain": environment("ALPN=http/1.1", *serve), "mutual": environment("AUTH=1", *serve)},
        {
            "plain": environment("ALPN=http/1.1", *connect),
            "certificate": environment("CERT=client", *connect),
            "resuming": environment("RESUME=1", *connect),
        },
    )


ALL: Final[dict[str, Callable[[Workshop], Peer]]] = {
    "openssl": openssl,
    "gnutls": gnutls,
    "nss": nss,
    "mbedtls": mbedtls,
    "jsse": jsse,
    "node4": node4,
    "tlslite": tlslite,
}
"""Every peer, in the order of the tables."""
