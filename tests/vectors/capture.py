"""Record the handshakes of other implementations.

``python -m tests.vectors.capture [NAME ...]`` rewrites the files in ``handshakes/``. Those there came from OpenSSL
3.0.19, GnuTLS 3.7.9, NSS 3.87, mbedTLS 2.28, OpenJDK 17, Node 4.2.3 (OpenSSL 1.0.2e) and tlslite-ng 0.8.2.

A relay between two programs keeps the bytes of both directions; handshake messages are then cut out of the records by
the few lines below and decoded by tlslite-ng. Nothing of tlsexit takes part, so the files can judge it. Messages after
ChangeCipherSpec are only readable in suites without encryption, where they come with a MAC that is dropped.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.interop.process import Command, ProcessFailed, build, run, serve
from tests.vectors.decode import decode, hello_suite

FILES = Path(__file__).parent / "handshakes"
PEERS = Path(__file__).parents[1] / "interop" / "peers"
HANDSHAKE, CHANGE_CIPHER_SPEC = 22, 20
GET = "GET / HTTP/1.0\n\n"

TLS1 = "-tls1 -cipher {}:@SECLEVEL=0"
S_SERVER = "openssl s_server -accept 127.0.0.1:PORT -www -CAfile ca.pem -dhparam dh2048.pem -cert rsa.pem -key rsa.key "
S_CLIENT = "openssl s_client -connect 127.0.0.1:PORT -ign_eof "
GNUTLS = "NONE:+VERS-TLS1.0:{}:+SIGN-ALL:+GROUP-ALL:+CTYPE-X509:+COMP-NULL:%VERIFY_ALLOW_SIGN_WITH_SHA1"


@dataclass(frozen=True)
class Scenario:
    """Two command lines; ``PORT`` stands for the port to listen on or to connect to."""

    name: str
    server: str
    client: str
    mac: int = 0  # bytes of MAC behind each record of a suite without encryption; 0: encrypted, not readable
    twice: str = ""  # a second client command, for a resumption
    environment: dict[str, str] = field(default_factory=dict)
    send: str = GET
    slowly: bool = False  # a pause before each line


SCENARIOS = (
    Scenario(
        "openssl-ecdhe-rsa-extensions",
        S_SERVER + TLS1.format("ECDHE-RSA-AES128-SHA") + " -alpn http/1.1 -status_file status.der",
        S_CLIENT
        + TLS1.format("ALL")
        + " -servername localhost -alpn h2,http/1.1 -status -maxfraglen 1024 -ct -ctlogfile no-logs",
    ),
    Scenario(
        "openssl-dhe-rsa-client-certificate",
        S_SERVER + TLS1.format("DHE-RSA-AES256-SHA") + " -Verify 1",
        S_CLIENT + TLS1.format("DHE-RSA-AES256-SHA") + " -cert client.pem -key client.key",
    ),
    Scenario(
        "openssl-no-client-certificate",
        S_SERVER + TLS1.format("AES128-SHA") + " -verify 1",
        S_CLIENT + TLS1.format("AES128-SHA"),
    ),
    Scenario(
        "openssl-dh-anon",
        S_SERVER + TLS1.format("ADH-AES128-SHA"),
        S_CLIENT + TLS1.format("ADH-AES128-SHA") + " -no_ticket",
    ),
    Scenario(
        "openssl-null-renegotiation",
        S_SERVER + TLS1.format("NULL-SHA") + " -client_renegotiation",
        (S_CLIENT + TLS1.format("NULL-SHA") + " -no_ticket").replace("-ign_eof ", ""),
        mac=20,
        send="R\nQ\n",
        slowly=True,
    ),
    Scenario(
        "openssl-ecdhe-ecdsa-resumption",
        S_SERVER.replace("rsa.", "ecdsa.") + TLS1.format("ECDHE-ECDSA-AES128-SHA"),
        S_CLIENT + TLS1.format("ECDHE-ECDSA-AES128-SHA") + " -no_ticket -sess_out session.pem",
        twice=S_CLIENT + TLS1.format("ECDHE-ECDSA-AES128-SHA") + " -no_ticket -sess_in session.pem",
    ),
    Scenario(
        "openssl-ticket-resumption",
        S_SERVER + TLS1.format("AES128-SHA"),
        S_CLIENT + TLS1.format("AES128-SHA") + " -sess_out ticket.pem",
        twice=S_CLIENT + TLS1.format("AES128-SHA") + " -sess_in ticket.pem",
    ),
    *(
        Scenario(
            f"openssl-{name.lower()}",
            S_SERVER + TLS1.format(f"{name}-AES128-CBC-SHA") + " -psk 0123456789abcdef -psk_hint kitchen",
            S_CLIENT + TLS1.format(f"{name}-AES128-CBC-SHA") + " -psk 0123456789abcdef -psk_identity spoon -no_ticket",
        )
        for name in ("PSK", "DHE-PSK", "RSA-PSK", "ECDHE-PSK")
    ),
    Scenario(
        "gnutls-client-dhe-dss",
        S_SERVER.replace("rsa.", "dss.") + TLS1.format("DHE-DSS-AES128-SHA"),
        "gnutls-cli --port PORT --no-ca-verification --alpn http/1.1 --recordsize 512 --priority "
        + GNUTLS.format("+DHE-DSS:+AES-128-CBC:+SHA1")
        + " localhost",
    ),
    Scenario(
        "gnutls-server-client-certificate",
        "gnutls-serv --http --port PORT --x509certfile rsa.chain.pem --x509keyfile rsa.key --x509cafile ca.pem "
        "--require-client-cert --priority " + GNUTLS.format("+DHE-RSA:+AES-128-CBC:+SHA1"),
        S_CLIENT + TLS1.format("DHE-RSA-AES128-SHA") + " -cert clientec.pem -key clientec.key",
    ),
    Scenario(
        "gnutls-null",
        "gnutls-serv --http --port PORT --x509certfile rsa.pem --x509keyfile rsa.key --disable-client-cert --priority "
        + GNUTLS.format("+RSA:+NULL:+SHA1"),
        "gnutls-cli --port PORT --no-ca-verification --priority " + GNUTLS.format("+RSA:+NULL:+SHA1") + " localhost",
        mac=20,
    ),
    Scenario(
        "nss-client",
        S_SERVER + TLS1.format("AES128-SHA") + " -Verify 1",
        "tstclnt -h localhost -4 -p PORT -d sql:nss/nssdb-rsa -V tls1.0:tls1.0 -o -G -v -u -n client",
    ),
    Scenario(
        "nss-server",
        "selfserv -d sql:nss/nssdb-rsa -p PORT -V tls1.0:tls1.0 -n rsa -u -G -H 1 -r -r",
        S_CLIENT + TLS1.format("ECDHE-RSA-AES256-SHA") + " -cert client.pem -key client.key",
    ),
    Scenario(
        "jsse-export",
        "java Peer.java server PORT . rsa SSL_RSA_EXPORT_WITH_RC4_40_MD5",
        "java Peer.java client PORT . SSL_RSA_EXPORT_WITH_RC4_40_MD5",
    ),
    Scenario(
        "jsse-null-hello-request",
        "java -Dreneg=1 Peer.java server PORT . rsa SSL_RSA_WITH_NULL_MD5",
        "java Peer.java client PORT . SSL_RSA_WITH_NULL_MD5",
        mac=16,
    ),
    Scenario(
        "jsse-v2hello",
        "java -Dv2hello=1 Peer.java server PORT . rsa",
        "java -Dv2hello=1 Peer.java client PORT .",
    ),
    Scenario(
        "tlslite-dhe-rsa",
        "python tlslite_peer.py server PORT . rsa 0033",
        "python tlslite_peer.py client PORT . 0033",
        environment={"ALPN": "http/1.1", "AUTH": "1", "CERT": "client"},
    ),
    Scenario(
        "mbedtls-ecdhe-ecdsa",
        "./mbedtls_peer server PORT . ecdsa C009",
        "./mbedtls_peer client PORT . C009",
        environment={"AUTH": "1", "CERT": "clientec", "ALPN": "http/1.1"},
    ),
    Scenario(
        "openssl-1.0.2-dhe-rsa",
        "node4 peer.js server PORT . rsa DHE-RSA-AES128-SHA",
        "node4 peer.js client PORT . DHE-RSA-AES128-SHA",
        environment={"CLIENT_CERT": "client", "REQUEST_CERT": "1"},
    ),
    Scenario(
        "openssl-1.0.2-null-next-protocol",
        "node4 peer.js server PORT . rsa NULL-SHA",
        "node4 peer.js client PORT . NULL-SHA",
        mac=20,
        environment={"NPN": "spdy/3,http/1.1", "NO_TICKET": "1"},
    ),
)


class Relay:
    """Passes connections on to ``port`` and keeps what goes through: per connection a list of (sender, bytes)."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections: list[list[tuple[str, bytes]]] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return  # closed
            server = socket.create_connection(("127.0.0.1", self._target))
            kept: list[tuple[str, bytes]] = []
            self.connections.append(kept)
            for name, source, target in (("client", client, server), ("server", server, client)):
                thread = threading.Thread(target=self._pump, args=(kept, name, source, target), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pump(self, kept: list[tuple[str, bytes]], name: str, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                kept.append((name, data))
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return  # the other side has gone; what went through is kept

    def close(self) -> None:
        """Stop listening and let what is under way arrive."""
        self._listener.close()
        for thread in self._threads[1:]:
            thread.join(1)


def messages(flow: Sequence[tuple[str, bytes]], mac: int) -> Iterator[tuple[str, bytes]]:
    """The handshake messages of a connection, each with its sender; an SSL 2.0 hello comes with its length."""
    waiting = {"client": b"", "server": b""}
    half = dict(waiting)
    changed: set[str] = set()
    for sender, data in flow:
        stream = waiting[sender] + data
        while len(stream) >= 5:
            if stream[0] & 0x80:
                size = 2 + int.from_bytes(stream[:2], "big") % 0x8000
                yield sender, stream[:size]
                stream = stream[size:]
                continue
            size = 5 + int.from_bytes(stream[3:5], "big")
            if len(stream) < size:
                break
            kind, fragment, stream = stream[0], stream[5:size], stream[size:]
            if kind == CHANGE_CIPHER_SPEC:
                changed.add(sender)
            if kind != HANDSHAKE or (sender in changed and not mac):
                continue
            half[sender] += fragment[: len(fragment) - mac] if sender in changed else fragment
            while len(half[sender]) >= 4 and len(half[sender]) >= (end := 4 + int.from_bytes(half[sender][1:4], "big")):
                yield sender, half[sender][:end]
                half[sender] = half[sender][end:]
        waiting[sender] = stream


def record(scenario: Scenario) -> dict[str, Any]:
    """Run a scenario in the current folder and return what goes into its file."""
    relay_log = Path("server.log")
    with serve(_words(scenario.server, "{port}"), relay_log, scenario.environment) as server:
        relay = Relay(server.port)
        for client in filter(None, (scenario.client, scenario.twice)):
            try:
                if scenario.slowly:
                    _slowly(client, relay.port, scenario)
                else:
                    run(_words(client, str(relay.port)), scenario.environment, send=scenario.send, timeout=20)
            except ProcessFailed as failed:
                print("   ", str(failed).splitlines()[0])
        relay.close()
    return {
        "server": scenario.server,
        "clients": [command for command in (scenario.client, scenario.twice) if command],
        "environment": scenario.environment,
        "connections": [list(_described(flow, scenario.mac)) for flow in relay.connections],
    }


def _described(flow: Sequence[tuple[str, bytes]], mac: int) -> Iterator[dict[str, Any]]:
    suite: int | None = None
    for sender, raw in messages(flow, mac):
        chosen = hello_suite(raw)
        suite = suite if chosen is None else chosen
        kind, fields = decode(raw, suite)
        yield {"from": sender, "type": kind, "hex": raw.hex(), "fields": fields}


def _words(command: str, port: str) -> Command:
    names = {"PORT": port, "127.0.0.1:PORT": f"127.0.0.1:{port}", "python": sys.executable, "node4": "./node4/bin/node"}
    return [names.get(word, word) for word in command.split()]


def _slowly(command: str, port: int, scenario: Scenario) -> None:
    """Type the lines with a pause: s_client takes R and Q only at the start of what one read returns."""
    words = " ".join(str(word) for word in _words(command, str(port)))
    lines = "".join(f"sleep 1; echo {line}; " for line in scenario.send.split())
    run(["bash", "-c", f"( {lines}) | {words}"], scenario.environment, timeout=15)


@contextmanager
def _prepared() -> Iterator[None]:
    """A folder with keys, certificates, an OCSP response and the peers' programs, as the current folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build([PEERS / "pki.sh", folder])
        for program in ("Peer.java", "peer.js", "tlslite_peer.py"):
            shutil.copy(PEERS / program, folder)
        build([PEERS / "nssdb.sh", folder, folder / "nss"])
        library = ["-lmbedtls", "-lmbedx509", "-lmbedcrypto"]
        build(["cc", "-O1", PEERS / "mbedtls_peer.c", "-o", folder / "mbedtls_peer", *library])
        build([PEERS / "node4.sh", folder / "node4"])
        before = Path.cwd()
        os.chdir(folder)
        try:
            Path("index.txt").touch()
            Path("no-logs").write_text("enabled_logs=\n")
            _openssl("ocsp -issuer ca-rsa.pem -cert rsa.pem -reqout request.der -no_nonce")
            signer = "-index index.txt -rsigner ca-rsa.pem -rkey ca-rsa.key -CA ca-rsa.pem"
            _openssl(f"ocsp {signer} -reqin request.der -respout status.der -ndays 3650")
            yield
        finally:
            os.chdir(before)


def _layout(captured: dict[str, Any]) -> str:
    """JSON with one message a line."""
    connections = (",\n".join(f"   {json.dumps(message)}" for message in flow) for flow in captured["connections"])
    lines = ",\n".join(f"  [\n{flow}\n  ]" for flow in connections)
    head = json.dumps({**captured, "connections": None}, indent=1)
    return head.replace('"connections": null', f'"connections": [\n{lines}\n ]') + "\n"


def _openssl(arguments: str) -> None:
    build(["openssl", *arguments.split()])


def main(names: Sequence[str]) -> None:
    """Record the scenarios called ``names``, or all of them."""
    with _prepared():
        for scenario in SCENARIOS:
            if names and scenario.name not in names:
                continue
            began = time.monotonic()
            captured = record(scenario)
            counts = [len(connection) for connection in captured["connections"]]
            print(f"{scenario.name}: {counts} messages, {time.monotonic() - began:.1f} s", flush=True)
            path = FILES / f"{scenario.name}.json"
            path.write_text(_layout(captured), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
