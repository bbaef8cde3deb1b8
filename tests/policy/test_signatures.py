"""What the signature policy believes, over every kind of key and hash of TLS 1.0's time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.support.pki import END, START, authority_key, faulty, leaf_key, pki, root_authority
from tlsexit.alerts import BadCertificate, InsufficientSecurity, LocalError, PeerError, UnsupportedCertificate
from tlsexit.crypto.suites import KeyType
from tlsexit.policy import SignaturePolicy
from tlsexit.policy.certificates import ParsedCertificate, parsed
from tlsexit.policy.signatures import check_signature, verify

RSA_512 = Path(__file__).parent / "vectors" / "rsa512.pem"


def builder(key: CertificateIssuerPrivateKeyTypes) -> x509.CertificateBuilder:
    name = x509.Name([])
    return x509.CertificateBuilder(name, name, key.public_key(), 7).not_valid_before(START).not_valid_after(END)


@pytest.mark.parametrize(
    ("kind", "hash_name"),
    [
        *((kind, name) for kind in KeyType for name in ("sha1", "sha256")),
        *((kind, name) for kind in (KeyType.RSA, KeyType.EC) for name in ("sha384", "sha512")),
        (KeyType.RSA, "md5"),
    ],
)
def test_each_algorithm_verifies_and_a_changed_byte_does_not(kind: KeyType, hash_name: str) -> None:
    """R2246-7.2.2-09; the SHA-1 and MD5 ones are put together by hand, so openssl looks at them too (test_openssl)."""
    issued = faulty().signed_with(hash_name, kind)
    issuer = parsed(pki(kind).root.certificate)
    item = parsed(issued.certificate)
    assert item.certificate.signature_hash_algorithm is not None
    assert item.certificate.signature_hash_algorithm.name == hash_name
    check_signature(item, issuer)

    damaged = issued.chain[0].replace(b"server.example", b"serves.example")
    with pytest.raises(BadCertificate, match="is not signed with the key of"):
        check_signature(parsed(damaged), issuer)


def test_pss_verifies() -> None:
    """RFC 4055: not of TLS 1.0's time, but an authority of today may sign so."""
    key = rsa.generate_private_key(65537, 2048)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    item = parsed(builder(key).sign(key, hashes.SHA256(), rsa_padding=pss))
    verify(item, item)
    with pytest.raises(BadCertificate):
        verify(item, parsed(pki().root.certificate))


@pytest.mark.parametrize(("signed", "issuer"), [(a, b) for a in KeyType for b in KeyType if a is not b])
def test_a_signature_of_another_kind_than_the_key_is_bad(signed: KeyType, issuer: KeyType) -> None:
    with pytest.raises(BadCertificate, match="of another kind"):
        verify(parsed(pki(signed).server.certificate), parsed(pki(issuer).root.certificate))


def test_an_unknown_algorithm_is_unsupported() -> None:
    """R2246-7.2.2-10."""
    key = ed25519.Ed25519PrivateKey.generate()
    item = parsed(builder(key).sign(key, None))
    with pytest.raises(UnsupportedCertificate, match="not supported"):
        verify(item, item)
    with pytest.raises(UnsupportedCertificate, match="not supported"):
        SignaturePolicy().check_hash(item)
    with pytest.raises(UnsupportedCertificate, match="neither RSA nor DSA nor EC"):
        SignaturePolicy().check_key(item)


def test_md5_has_to_be_asked_for() -> None:
    item = parsed(faulty().signed_with("md5").certificate)
    with pytest.raises(BadCertificate, match="MD5"):
        SignaturePolicy().check_hash(item)
    policy = SignaturePolicy()
    replace(policy, hashes=policy.hashes | {"md5"}).check_hash(item)


def test_sha1_can_be_refused() -> None:
    item = parsed(faulty().signed_with("sha1").certificate)
    SignaturePolicy().check_hash(item)
    with pytest.raises(BadCertificate, match="SHA1"):
        SignaturePolicy(hashes=frozenset({"sha256"})).check_hash(item)


def test_a_policy_names_known_hashes() -> None:
    with pytest.raises(LocalError, match="knows no hash md2"):
        SignaturePolicy(hashes=frozenset({"md2", "sha1"}))


def small_rsa() -> ParsedCertificate:
    key = load_pem_private_key(RSA_512.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return parsed(pki().root.issue(key=key).certificate)


def small_ec() -> ParsedCertificate:
    return parsed(pki(KeyType.EC).root.issue(key=ec.generate_private_key(ec.SECP192R1())).certificate)


def dsa_1024() -> ParsedCertificate:
    return parsed(pki(KeyType.DSA).server.certificate)


@pytest.mark.parametrize(
    ("item", "policy", "expected"),
    [
        (small_rsa(), SignaturePolicy(), InsufficientSecurity),
        (small_rsa(), SignaturePolicy(minimum_rsa_bits=512), None),
        (parsed(pki().server.certificate), SignaturePolicy(), None),
        (parsed(pki().server.certificate), SignaturePolicy(minimum_rsa_bits=2049), InsufficientSecurity),
        (parsed(pki().server.certificate), SignaturePolicy(maximum_rsa_bits=2047), BadCertificate),
        (dsa_1024(), SignaturePolicy(), None),
        (dsa_1024(), SignaturePolicy(minimum_dsa_bits=2048), InsufficientSecurity),
        (small_ec(), SignaturePolicy(), InsufficientSecurity),
        (small_ec(), SignaturePolicy(minimum_ec_bits=192), None),
    ],
)
def test_key_sizes(item: ParsedCertificate, policy: SignaturePolicy, expected: type[PeerError] | None) -> None:
    """R2246-D.4-02: applications enforce minimum and maximum key sizes."""
    if expected is None:
        policy.check_key(item)
    else:
        with pytest.raises(expected, match=r"has \d+ bits"):
            policy.check_key(item)


def test_the_profile_can_set_the_minimum_for_one_key() -> None:
    SignaturePolicy().check_key(small_rsa(), 512)
    with pytest.raises(InsufficientSecurity, match="below the 4096 required"):
        SignaturePolicy().check_key(parsed(pki().server.certificate), 4096)


def test_success_is_remembered_for_the_pair_alone() -> None:
    """The memory of good signatures never answers for another issuer with the same name."""
    item = parsed(pki().server.certificate)
    check_signature(item, parsed(pki().root.certificate))
    assert authority_key(KeyType.RSA, 9) is not leaf_key(KeyType.RSA)
    with pytest.raises(BadCertificate):
        check_signature(item, parsed(root_authority("RSA root", number=9).certificate))
