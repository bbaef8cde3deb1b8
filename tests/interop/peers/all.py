"""The peers, in the order of the tables."""

from __future__ import annotations

from typing import Any, Protocol

from tests.interop.peers.base import Peer
from tests.interop.peers.gnutls import GnuTls
from tests.interop.peers.jsse import Jsse
from tests.interop.peers.mbedtls import MbedTls
from tests.interop.peers.node import Node4
from tests.interop.peers.nss import Nss
from tests.interop.peers.openssl import OpenSsl
from tests.interop.peers.tlslite_ng import TlsLite

PEERS: dict[str, type[Peer]] = {peer.name: peer for peer in (OpenSsl, GnuTls, Nss, MbedTls, Jsse, Node4, TlsLite)}
"""Every peer by its name in test ids."""


class FindPeer(Protocol):
    """What the fixture ``peer`` gives: the peer of a name, or the end of the test."""

    def __call__(self, name: str, **features: Any) -> Peer: ...
