"""Throw-away certificates: what they promise to have in them (openssl looks at them in test_openssl)."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.dsa import DSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.pki import leaf_key, pki
from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.crypto.keyops import key_type
from tlsexit.crypto.suites import KeyType
from tlsexit.policy import BuiltinPki, LeafDemands, TrustAnchors, check_chain
from tlsexit.policy.throwaway import LIFETIME, generate_key, throwaway_authority


@pytest.mark.parametrize("kind", KeyType)
def test_keys_are_of_the_kind_asked_for(kind: KeyType) -> None:
    assert key_type(generate_key(kind)) is kind


def test_dsa_keys_fit_sha1() -> None:
    """DSA of TLS 1.0 signs the 20 bytes of SHA-1; some peers refuse a longer q."""
    key = leaf_key(KeyType.DSA)
    assert isinstance(key, DSAPrivateKey)
    assert key.private_numbers().public_numbers.parameter_numbers.q.bit_length() == 160


@pytest.mark.parametrize("kind", KeyType)
def test_a_new_authority_and_leaf_are_good_at_once(kind: KeyType) -> None:
    authority = throwaway_authority(kind=kind)
    issued = authority.issue(hosts=["localhost", "127.0.0.1"])
    assert key_type(issued.key) is kind
    anchors = TrustAnchors([authority.certificate])
    for name in ("localhost", "127.0.0.1"):
        leaf = LeafDemands(peer=Role.SERVER, server_name=name)
        check_chain(issued.chain, anchors, at=datetime.now(UTC), leaf=leaf)
    validity = issued.certificate.not_valid_after_utc - issued.certificate.not_valid_before_utc
    assert validity == LIFETIME


def test_contents_of_a_leaf() -> None:
    certificate = pki().server.certificate
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "server.example"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("127.0.0.1")]
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert usage.key_encipherment


def test_chains_leave_the_root_out() -> None:
    """R2246-7.4.2-11."""
    its = pki()
    assert its.server.above == ()
    assert its.intermediate_server.above == (its.intermediate.certificate,)


def test_keys_in_pem() -> None:
    issued = pki().server
    for password in (None, b"secret"):
        key = load_pem_private_key(issued.key_pem(password), password)
        assert key.public_key() == issued.key.public_key()
    assert x509.load_pem_x509_certificates(pki().intermediate_server.chain_pem)[1] == pki().intermediate.certificate
    assert x509.load_pem_x509_certificate(pki().root.pem) == pki().root.certificate


def test_identities_serve_the_builtin_pki() -> None:
    BuiltinPki([pki().server.identity("server")], {"root": [pki().root.certificate]})


@pytest.mark.parametrize(("kind", "hash_name"), [(KeyType.EC, "md5"), (KeyType.DSA, "md5"), (KeyType.RSA, "md2")])
def test_a_signature_that_cannot_be_made_is_our_own_mistake(kind: KeyType, hash_name: str) -> None:
    with pytest.raises(LocalError, match="are not signed with"):
        pki(kind).root.issue(hash_name=hash_name)


def test_no_key_in_a_repr() -> None:
    assert "key=" not in repr(pki().server)
    assert "key=" not in repr(pki().root)
