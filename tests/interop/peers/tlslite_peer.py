"""TLS 1.0 peer over tlslite-ng (pip install tlslite-ng).

    tlslite_peer.py server PORT DIR CERT [SUITES-HEX]        tlslite_peer.py client PORT DIR [SUITES-HEX]

Environment: AUTH=1 server demands a certificate; CERT=client client certificate; ALPN=http/1.1; RESUME=1 second
connection; ANON=1 DH_anon / ECDH_anon; NO_TICKET=1.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from typing import Any

from tlslite.api import HandshakeSettings, SessionCache, TLSConnection, X509CertChain, parsePEMKey
from tlslite.constants import CipherSuite

HOST = "127.0.0.1"


def settings() -> Any:
    """TLS 1.0 alone, with every cipher and key exchange that the library has for it."""
    chosen = HandshakeSettings()
    chosen.minVersion = chosen.maxVersion = (3, 1)
    chosen.versions = [(3, 1)]
    chosen.cipherNames = ["aes256", "aes128", "3des", "rc4", "null"]
    chosen.macNames = ["sha", "md5"]
    chosen.keyExchangeNames = ["rsa", "dhe_rsa", "ecdhe_rsa", "ecdhe_ecdsa", "dhe_dsa", "dh_anon", "ecdh_anon"]
    chosen.minKeySize = 512
    if not os.environ.get("NO_TICKET"):
        chosen.ticketKeys = [bytearray(32)]
    return chosen.validate()


def load(folder: str, name: str) -> tuple[Any, Any]:
    """The certificate chain and the private key called ``name``."""
    chain = X509CertChain()
    with open(f"{folder}/{name}.pem") as pem:
        chain.parsePemList(pem.read())
    with open(f"{folder}/{name}.p8") as pem:
        return chain, parsePEMKey(pem.read(), private=True, implementations=["python"])


def restrict(suites: str) -> None:
    """Leave only ``suites`` in the library's own lists by key exchange: it takes no list of suites from outside."""
    wanted = {int(number, 16) for number in suites.split(",")}
    for name in dir(CipherSuite):
        if name.startswith(("cert", "anon", "ecdh", "dhe", "dhAll")) and name.endswith("Suites"):
            known = getattr(CipherSuite, name)
            known[:] = [suite for suite in known if suite in wanted]


def collect(connection: Any, end: bytes | None) -> bytes:
    """Read up to ``end``, or to the end of the connection: what the other side sends may come in several records."""
    received = b""
    while (end is None or end not in received) and (data := connection.recv(2**14)):
        received += bytes(data)
    return received


def describe(connection: Any) -> str:
    """Version, suite and whether the session was resumed."""
    suite = connection.session.cipherSuite
    return f"{connection.getVersionName()} {suite:04x} resumed={bool(connection.resumed)}"


def answer(sock: socket.socket, folder: str, name: str, cache: Any) -> None:
    """Serve one connection."""
    connection = TLSConnection(sock)
    alpn = [os.environ["ALPN"].encode()] if "ALPN" in os.environ else None
    try:
        if os.environ.get("ANON"):
            connection.handshakeServer(anon=True, settings=settings(), sessionCache=cache)
        else:
            chain, key = load(folder, name)
            connection.handshakeServer(
                certChain=chain,
                privateKey=key,
                reqCert=bool(os.environ.get("AUTH")),
                settings=settings(),
                sessionCache=cache,
                alpn=alpn,
            )
            if os.environ.get("AUTH") and not connection.session.clientCertChain:
                raise ValueError("the client showed no certificate")
        collect(connection, b"\r\n\r\n")
        session = connection.session
        body = f"{describe(connection)} peer={bool(session.clientCertChain)} alpn={session.appProto!r}"
        body += f" ems={session.extendedMasterSecret} etm={session.encryptThenMAC}\n"
        connection.send(f"HTTP/1.0 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        connection.close()
    except Exception as error:  # whatever happens to one connection, the server goes on
        print("server:", type(error).__name__, error, flush=True)
    finally:
        sock.close()


def serve(port: int, folder: str, name: str) -> None:
    """Answer connections until killed."""
    cache = SessionCache()
    listener = socket.create_server((HOST, port))
    print("ready", flush=True)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=answer, args=(sock, folder, name, cache), daemon=True).start()


def call(port: int, folder: str) -> None:
    """Connect, ask, print the answer; a second time with RESUME=1."""
    name = os.environ.get("CERT")
    alpn = [os.environ["ALPN"].encode()] if "ALPN" in os.environ else None
    session = None
    for _ in range(2 if os.environ.get("RESUME") else 1):
        connection = TLSConnection(socket.create_connection((HOST, port)))
        if os.environ.get("ANON"):
            connection.handshakeClientAnonymous(session=session, settings=settings())
        else:
            chain, key = load(folder, name) if name else (None, None)
            connection.handshakeClientCert(
                chain, key, session=session, settings=settings(), serverName="localhost", alpn=alpn
            )
        connection.send(b"GET / HTTP/1.0\r\n\r\n")
        session = connection.session
        print(describe(connection), f"alpn={session.appProto!r}", collect(connection, None)[:60])
        connection.close()


def main() -> None:
    """Read the command line; a list of suites may stand at its end."""
    role, port, folder, *rest = sys.argv[1:]
    name = rest.pop(0) if role == "server" else ""
    if rest:
        restrict(rest[0])
    if role == "server":
        serve(int(port), folder, name)
    else:
        call(int(port), folder)


if __name__ == "__main__":
    main()
