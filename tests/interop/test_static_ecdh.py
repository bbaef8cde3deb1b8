"""Agreement with the key of a server's certificate (RFC 4492 §2.1, §2.3), against the two peers that still have it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from tests.interop.engine import engine_client
from tests.interop.peers.all import PEERS, FindPeer
from tests.interop.suites import Suite
from tests.interop.workshop import Pki, Workshop
from tlsexit.crypto.suites import SUITES, CipherSuite, KeyType
from tlsexit.policy.throwaway import key_usage, throwaway_authority

pytestmark = pytest.mark.interop

FIXED = [suite for suite in SUITES.values() if suite.key_exchange.fixed]


class AgreementWorkshop(Workshop):
    """A workshop whose server certificate holds an EC key for agreement; ``signer`` is the kind of the authority's."""

    def __init__(self, workshop: Workshop, signer: KeyType) -> None:
        super().__init__(workshop.folder)
        self._signer = signer

    def pki(self) -> Pki:
        group = super().pki().dh.read_bytes()
        return Pki(self._once(f"agreement-{self._signer.value}", lambda folder: self._make(folder, group)))

    def _make(self, folder: Path, group: bytes) -> None:
        folder.mkdir()
        authority = throwaway_authority(f"agreement {self._signer.value}", kind=self._signer)
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = authority.issue("localhost", key=key, hosts=("localhost",), usage=key_usage("key_agreement"))
        pem = leaf.certificate.public_bytes(Encoding.PEM)
        # the name under which a peer looks for the certificate of a suite that it knows nothing special about
        (folder / "rsa.pem").write_bytes(pem)
        (folder / "rsa.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )
        root: x509.Certificate = authority.certificate
        packed = serialize_key_and_certificates(
            b"rsa", key, leaf.certificate, [root], BestAvailableEncryption(b"password")
        )
        (folder / "rsa.p12").write_bytes(packed)
        (folder / "ca.pem").write_bytes(root.public_bytes(Encoding.PEM))
        (folder / "dh2048.pem").write_bytes(group)


@pytest.mark.parametrize(
    ("name", "suite"),
    [
        *(("node4", suite) for suite in FIXED),
        *(("jsse", suite) for suite in FIXED if suite.cipher.name == "AES_128_CBC"),  # it takes a second to start
    ],
    ids=lambda item: item.openssl_name if isinstance(item, CipherSuite) else item,
)
def test_with_servers(name: str, suite: CipherSuite, peer: FindPeer, workshop: Workshop) -> None:
    peer(name)
    signer = KeyType.RSA if suite.key_exchange.rfc_name == "ECDH_RSA" else KeyType.EC
    other = AgreementWorkshop(workshop, signer)
    described = Suite(suite.value, suite.openssl_name, suite.name)
    with PEERS[name](other).start_server(described) as server:
        result = engine_client(server.host, server.port, [suite.value], other.pki())
    assert b"200 ok" in result.received.lower()
    assert result.suite == suite.value
