"""tlslite-ng, pure Python as ours is, but down to the primitives; driven by its own generators, without threads.

It has no chain checks: it parses the peer's certificate and checks the signatures of the handshake, no more.
"""

from __future__ import annotations

import errno
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from benchmarks.contenders.base import Handshake, KeyExchange, Transfer, Unit
from benchmarks.material import DH_GROUP, HOST, material
from tlsexit.constants import Role

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it imports asyncore
    from tlslite.api import HandshakeSettings, SessionCache, TLSConnection, X509CertChain, parsePEMKey


class MemorySocket:
    """One end of a non-blocking socket pair without the kernel: all of the socket interface that tlslite-ng uses."""

    def __init__(self) -> None:
        self.peer = self
        self.sent = 0
        self._buffer = bytearray()

    def send(self, data: bytes) -> int:
        """Hand ``data`` to the other end."""
        self.sendall(data)
        return len(data)

    def sendall(self, data: bytes) -> None:
        """Hand ``data`` to the other end, however much it is."""
        self.peer._buffer += data
        self.sent += len(data)

    def recv(self, size: int) -> bytes:
        """Return what has arrived, or raise as a non-blocking socket does."""
        if not self._buffer:
            raise OSError(errno.EWOULDBLOCK, "nothing has arrived")
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def setsockopt(self, *option: object) -> None:
        """Take TCP_NODELAY for granted."""

    def close(self) -> None:
        """Let go of what was not read."""
        self._buffer.clear()


def settings(kind: Handshake) -> Any:
    """TLS 1.0 and one suite."""
    chosen = HandshakeSettings()
    chosen.minVersion = chosen.maxVersion = (3, 1)
    chosen.versions = [(3, 1)]
    chosen.cipherNames = ["aes128"]
    chosen.macNames = ["sha"]
    chosen.keyExchangeNames = [{"RSA": "rsa", "DHE": "dhe_rsa", "ECDHE": "ecdhe_rsa"}[kind.key_exchange.name]]
    chosen.eccCurves = chosen.keyShares = ["secp256r1"]
    chosen.defaultCurve = "secp256r1"
    chosen.dhGroups = [DH_GROUP]
    return chosen.validate()


def identity(role: Role) -> tuple[Any, Any]:
    """The chain and key of one side."""
    made = material()
    chain = X509CertChain()
    chain.parsePemList(made.chain_file(role).read_text())
    return chain, parsePEMKey(made.key_file(role).read_text(), private=True, implementations=["python"])


class Pair:
    """A client and a server over memory sockets."""

    def __init__(self) -> None:
        self.sockets = MemorySocket(), MemorySocket()
        self.sockets[0].peer, self.sockets[1].peer = self.sockets[1], self.sockets[0]
        self.client, self.server = TLSConnection(self.sockets[0]), TLSConnection(self.sockets[1])

    @property
    def carried(self) -> int:
        """Bytes sent by both."""
        return self.sockets[0].sent + self.sockets[1].sent

    def handshake(self, kind: Handshake, identities: dict[Role, Any], cache: Any, session: Any) -> None:
        """Take both ends to where data may flow."""
        chosen = settings(kind)
        chain, key = identities[Role.CLIENT] if kind.mutual else (None, None)
        finish(
            self.client.handshakeClientCert(chain, key, session=session, settings=chosen, serverName=HOST, async_=True),
            self.server.handshakeServerAsync(
                certChain=identities[Role.SERVER][0],
                privateKey=identities[Role.SERVER][1],
                reqCert=kind.mutual,
                sessionCache=cache,
                settings=chosen,
            ),
        )


def finish(*generators: Iterator[Any]) -> None:
    """Run generators in turns to their ends."""
    live = list(generators)
    while live:
        live = [generator for generator in live if next(generator, None) is not None]


class TlsliteNg:
    """Both ends with Python's own arithmetic, ciphers and all."""

    name = "tlslite-ng"
    version = f"tlslite-ng {version('tlslite-ng')}"

    def __init__(self) -> None:
        self.carried = 0

    def handshake(self, kind: Handshake) -> Unit:
        identities = {role: identity(role) for role in Role}
        cache = SessionCache()

        def connect(session: Any) -> Pair:
            pair = Pair()
            pair.handshake(kind, identities, cache, session)
            self.carried = pair.carried
            return pair

        session = connect(None).client.session if kind.resumed else None

        def unit() -> None:
            pair = connect(session)
            if bool(pair.client.resumed) is not kind.resumed:
                raise RuntimeError("resumption did not go as asked")

        return unit

    def transfer(self, kind: Transfer) -> Unit:
        handshake = Handshake(KeyExchange.RSA)
        pair = Pair()
        pair.handshake(handshake, {role: identity(role) for role in Role}, None, None)
        data = bytes(kind.size)

        def unit() -> None:
            before = pair.carried
            finish(pair.client.writeAsync(data))
            received = 0
            for part in pair.server.readAsync(max=len(data), min=len(data)):
                if isinstance(part, (bytes, bytearray)):
                    received = len(part)
                    break
            self.carried = pair.carried - before
            if received != len(data):
                raise RuntimeError(f"{received} of {len(data)} bytes arrived")

        return unit
