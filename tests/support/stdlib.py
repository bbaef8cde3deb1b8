"""OpenSSL as the other end, without a socket: Python's own ``ssl`` over memory buffers."""

from __future__ import annotations

import ssl
import tempfile
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.delivery import pieces
from tests.support.pair import End
from tests.support.pki import Pki
from tlsexit.constants import Role


class StdlibEnd:
    """One end of a TLS 1.0 connection that OpenSSL plays; ``session`` is one of an earlier connection."""

    def __init__(self, context: ssl.SSLContext, role: Role, session: ssl.SSLSession | None = None) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = role is Role.SERVER
        name = None if server else "localhost"
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server, name, session)
        self.received = b""
        self.complete = False

    def run(self) -> bytes:
        """Do what the input so far allows, and return what there is to send."""
        with suppress(ssl.SSLWantReadError):
            if not self.complete:
                self.tls.do_handshake()
                self.complete = True
            while data := self.tls.read(2**14):
                self.received += data
        return self._outgoing.read()

    def last_words(self) -> bytes:
        """What there is to send after a failure: the alert."""
        return self._outgoing.read()

    def feed(self, data: bytes) -> None:
        """Take bytes from the other end."""
        self._incoming.write(data)


def talk(end: End, other: StdlibEnd, *, size: int | None = None) -> None:
    """Carry bytes both ways until neither side has anything to say."""
    while True:
        there, back = end.connection.data_to_send(), other.run()
        if not there and not back:
            return
        other.feed(there)
        for piece in pieces(back, size):
            end.connection.receive_data(piece)
            end.drive()


def context(role: Role, certificates: Pki, suite: str) -> ssl.SSLContext:
    """What OpenSSL needs for TLS 1.0 with this one suite, by its OpenSSL name. Contexts are kept, for resumption."""
    return _context(role, certificates.kind.value, suite, *_files(certificates))


@cache
def _context(role: Role, kind: str, suite: str, chain: str, key: str, roots: str) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if role is Role.SERVER else ssl.PROTOCOL_TLS_CLIENT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are what this is about
        made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1
    made.set_ciphers(f"{suite}:@SECLEVEL=0")
    if role is Role.SERVER:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "own.pem"
            path.write_text(chain + key)
            made.load_cert_chain(path)
    else:
        made.load_verify_locations(cadata=roots)
    return made


def _files(certificates: Pki) -> tuple[str, str, str]:
    key = certificates.server.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain = certificates.server.certificate.public_bytes(Encoding.PEM)
    return chain.decode(), key.decode(), certificates.root.certificate.public_bytes(Encoding.PEM).decode()
