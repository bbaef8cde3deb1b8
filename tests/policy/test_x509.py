"""The chain checks: each way to fail has its alert, and any path that exists is found."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pki import (
    END,
    HOSTS,
    NOW,
    START,
    authority_key,
    faulty,
    intermediate_authority,
    leaf_key,
    pki,
    root_authority,
    server_leaf,
)
from tlsexit.alerts import (
    AlertDescription,
    BadCertificate,
    HandshakeFailure,
    InsufficientSecurity,
    PeerError,
    UnsupportedCertificate,
)
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.policy import KeyUse, LeafDemands, SignaturePolicy, TrustAnchors, check_chain, der
from tlsexit.policy.certificates import ParsedCertificate
from tlsexit.policy.failures import AccessDenied, CertificateExpired, CertificateUnknown, UnknownCA
from tlsexit.policy.signatures import check_signature
from tlsexit.policy.throwaway import Issued, ThrowawayAuthority, self_signed, throwaway_authority
from tlsexit.policy.x509 import MAX_SIGNATURE_CHECKS

SERVER = LeafDemands(peer=Role.SERVER)
CLIENT = LeafDemands(peer=Role.CLIENT)


def check(
    chain: Issued | tuple[bytes, ...],
    anchors: TrustAnchors | None = None,
    *,
    at: datetime = NOW,
    leaf: LeafDemands = SERVER,
    policy: SignaturePolicy | None = None,
    depth: int = 10,
) -> tuple[ParsedCertificate, ...]:
    sent = chain.chain if isinstance(chain, Issued) else chain
    return check_chain(sent, anchors or pki().anchors, at=at, leaf=leaf, policy=policy, depth=depth)


def names(path: tuple[ParsedCertificate, ...]) -> list[str]:
    return [item.name for item in path]


# Accepted


@pytest.mark.parametrize("kind", KeyType)
def test_good_chains_of_every_kind_of_key(kind: KeyType) -> None:
    its = pki(kind)
    root, middle = f"CN={kind.value} root", f"CN={kind.value} intermediate"
    assert names(check(its.server, its.anchors)) == ["CN=localhost", root]
    assert names(check(its.intermediate_server, its.anchors)) == ["CN=localhost", middle, root]
    assert names(check(its.client, its.anchors, leaf=CLIENT)) == ["CN=client,O=Example", root]


def test_the_root_may_be_sent_or_left_out() -> None:
    """R2246-7.4.2-11."""
    root = pki().root.certificate.public_bytes(Encoding.DER)
    assert check((*pki().server.chain, root)) == check(pki().server)


def test_certificates_may_be_given_as_objects() -> None:
    assert check_chain([pki().server.certificate], pki().anchors, at=NOW, leaf=SERVER) == check(pki().server)


@given(st.permutations([0, 1, 2, 3, 4]), st.booleans())
def test_misordered_chains_are_put_in_order(order: list[int], with_root: bool) -> None:
    """R2246-7.4.2-10: everything after the leaf may come in any order, strangers and repetitions among it."""
    lower = intermediate_authority(pki().intermediate, "lower", number=2)
    issued = server_leaf(lower)
    stranger = pki(KeyType.EC).server.chain[0]
    root = pki().root.certificate.public_bytes(Encoding.DER)
    others = [*issued.chain[1:], stranger, issued.chain[1], root if with_root else issued.chain[0]]
    path = check((issued.chain[0], *(others[position] for position in order)))
    assert names(path) == ["CN=localhost", "CN=lower", "CN=RSA intermediate", "CN=RSA root"]


def test_sha1_is_accepted_by_default() -> None:
    check(faulty().signed_with("sha1"))


def test_md5_is_accepted_on_request() -> None:
    check(faulty().signed_with("md5"), policy=SignaturePolicy(hashes=frozenset({"md5", "sha256"})))


def test_an_intermediate_may_be_the_authority() -> None:
    """R2246-7.4.4-08: listed authorities may be subordinate CAs."""
    anchors = TrustAnchors([pki().intermediate.certificate])
    assert names(check(pki().intermediate_server, anchors)) == ["CN=localhost", "CN=RSA intermediate"]


def test_a_self_signed_leaf_may_be_pinned() -> None:
    pinned = self_signed(hosts=["localhost"])
    anchors = TrustAnchors([pinned.certificate])
    at = pinned.certificate.not_valid_before_utc
    leaf = LeafDemands(peer=Role.SERVER, server_name="localhost")
    assert names(check(pinned, anchors, at=at, leaf=leaf)) == ["CN=localhost"]
    with pytest.raises(UnknownCA, match="self-signed and not among the trusted"):
        check(pinned, at=at)


def test_a_pinned_leaf_vouches_for_nobody_else() -> None:
    pinned = self_signed()
    issued = ThrowawayAuthority(pinned.certificate, pinned.key, root=True).issue(key=pinned.key)
    with pytest.raises(CertificateUnknown, match="is not an authority"):
        check(issued, TrustAnchors([pinned.certificate]), at=issued.certificate.not_valid_before_utc)


def test_two_authorities_of_one_name_are_both_tried() -> None:
    anchors = TrustAnchors([root_authority("RSA root", number=9).certificate, pki().root.certificate])
    check(pki().server, anchors)
    check(pki().intermediate_server, anchors)


def test_an_expired_path_gives_way_to_a_valid_one() -> None:
    """The same intermediate key, certified twice: the second certificate is current."""
    key = authority_key(KeyType.RSA, 1)
    old = pki().root.authority("twice", key=key, not_before=START, not_after=START + timedelta(days=1))
    new = pki().root.authority("twice", key=key, not_before=START, not_after=END)
    leaf = server_leaf(new).chain[0]
    for above in itertools.permutations((*server_leaf(old).chain[1:], *server_leaf(new).chain[1:])):
        path = check((leaf, *above))
        assert path[1].certificate == new.certificate


def test_extended_key_usage_may_allow_any() -> None:
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    issued = pki().root.issue(role=None, extensions=[(purposes, True)], key=leaf_key(KeyType.RSA), not_before=NOW)
    check(issued, leaf=SERVER)
    check(issued, leaf=CLIENT)


# Refused, alert by alert


@pytest.mark.parametrize(
    ("fault", "expected", "reason"),
    [
        ("forged", AlertDescription.BAD_CERTIFICATE, "not signed with the key of CN=RSA root"),
        ("wrong_purpose", AlertDescription.UNSUPPORTED_CERTIFICATE, "not certified for a server"),
        ("expired", AlertDescription.CERTIFICATE_EXPIRED, "expired on 2010-12-31"),
        ("not_yet_valid", AlertDescription.CERTIFICATE_EXPIRED, "not valid before 2040-01-01"),
        ("issued_by_a_leaf", AlertDescription.CERTIFICATE_UNKNOWN, "is not an authority"),
        ("issuer_without_cert_sign", AlertDescription.CERTIFICATE_UNKNOWN, "may not sign certificates"),
        ("path_too_long", AlertDescription.CERTIFICATE_UNKNOWN, "longer than the certificate allows"),
        ("unknown_authority", AlertDescription.UNKNOWN_CA, "no trusted authority CN=unknown root"),
    ],
)
def test_each_fault_has_its_alert(fault: str, expected: AlertDescription, reason: str) -> None:
    """R2246-7.2.2-09, R2246-7.2.2-10, R2246-7.2.2-12, R2246-7.2.2-13, R2246-7.2.2-15, R2246-F.1.1-01."""
    with pytest.raises(PeerError, match=reason) as caught:
        check(getattr(faulty(), fault))
    assert caught.value.description is expected


def test_no_certificate_at_all() -> None:
    """R2246-7.4.6-03."""
    with pytest.raises(HandshakeFailure, match="no certificate"):
        check(())


@pytest.mark.parametrize("position", [0, 1])
def test_garbage_in_the_chain(position: int) -> None:
    """R2246-7.4.2-14, R2246-7.2.2-09."""
    chain = list(pki().server.chain)
    chain.insert(position, b"\x30\x03junk")
    with pytest.raises(BadCertificate, match="does not parse"):
        check(tuple(chain))


def test_md5_is_refused_by_default() -> None:
    with pytest.raises(BadCertificate, match="signed with MD5"):
        check(faulty().signed_with("md5"))


def test_the_own_signature_of_an_authority_does_not_count() -> None:
    """A root is trusted for being configured; that it signed itself with MD5 weakens nothing."""
    root = throwaway_authority(
        "old root", key=authority_key(KeyType.RSA), not_before=START, not_after=END, hash_name="md5"
    )
    check(server_leaf(root), TrustAnchors([root.certificate]))


def test_a_leaf_that_is_not_first_is_not_found() -> None:
    """R2246-7.4.2-09: the first certificate is the sender's; here it is a CA's, which is not for a server."""
    leaf, intermediate = pki().intermediate_server.chain
    demands = LeafDemands(peer=Role.SERVER, server_name="localhost")
    with pytest.raises(CertificateUnknown, match="does not speak for localhost"):
        check((intermediate, leaf), leaf=demands)


def test_an_intermediate_left_out_is_an_unknown_authority() -> None:
    """R2246-7.4.2-10, R2246-7.2.2-15."""
    with pytest.raises(UnknownCA, match="no trusted authority CN=RSA intermediate"):
        check(pki().intermediate_server.chain[:1])


def test_an_unknown_root_with_the_name_of_a_known_one() -> None:
    """The chain is sound in itself, so it is the authority that is unknown, not the signature that is bad."""
    impostor = root_authority("RSA root", number=9)
    chain = (*server_leaf(impostor).chain, impostor.certificate.public_bytes(Encoding.DER))
    with pytest.raises(UnknownCA, match="self-signed and not among the trusted"):
        check(chain)


@pytest.mark.parametrize(
    ("use", "expected"),
    [(KeyUse.SIGN, "sign_only"), (KeyUse.ENCIPHER, "encipher_only"), (KeyUse.AGREE, None), (None, "both")],
)
def test_key_usage_must_fit_the_key_exchange(use: KeyUse | None, expected: str | None) -> None:
    """R2246-7.4.2-03, R2246-7.4.2-06, R2246-7.4.2-07."""
    for name in ("sign_only", "encipher_only"):
        demands = LeafDemands(peer=Role.SERVER, key_use=use)
        if expected in {name, "both"}:
            check(getattr(faulty(), name), leaf=demands)
        else:
            with pytest.raises(UnsupportedCertificate, match="is not certified for"):
                check(getattr(faulty(), name), leaf=demands)


def test_without_key_usage_every_use_is_allowed() -> None:
    pinned = self_signed()
    anchors = TrustAnchors([pinned.certificate])
    for use in KeyUse:
        demands = LeafDemands(peer=Role.SERVER, key_use=use)
        check(pinned, anchors, at=pinned.certificate.not_valid_before_utc, leaf=demands)


def test_the_kind_of_key_must_fit() -> None:
    """R2246-7.4.2-03, R2246-7.2.2-10."""
    with pytest.raises(UnsupportedCertificate, match="a key for RSA where DSA or ECDSA is needed"):
        check(pki().server, leaf=LeafDemands(peer=Role.SERVER, key_types=frozenset({KeyType.DSA, KeyType.EC})))


def test_a_purpose_binds_authorities_too() -> None:
    """As OpenSSL has it: an extendedKeyUsage in an authority's certificate limits what is below it."""
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    root = throwaway_authority("clients only", extensions=[(purposes, False)], not_before=START, not_after=END)
    with pytest.raises(UnsupportedCertificate, match="CN=clients only is not certified for a server"):
        check(server_leaf(root), TrustAnchors([root.certificate]))


def test_a_small_key_in_the_leaf() -> None:
    """R2246-D.4-02, R2246-7.2.2-21."""
    with pytest.raises(InsufficientSecurity, match="2048 bits, below the 3072 required"):
        check(pki().server, leaf=LeafDemands(peer=Role.SERVER, minimum_rsa_bits=3072))
    check(pki().server, leaf=LeafDemands(peer=Role.SERVER, minimum_rsa_bits=2048))


def test_a_small_key_in_an_authority() -> None:
    """R2246-D.4-02; the leaf's own minimum is looser, the authority's is the policy's."""
    demands = LeafDemands(peer=Role.SERVER, minimum_rsa_bits=512)
    with pytest.raises(InsufficientSecurity, match="CN=RSA root has 2048 bits"):
        check(pki().server, leaf=demands, policy=SignaturePolicy(minimum_rsa_bits=3072))


def test_a_key_that_is_too_large() -> None:
    """R2246-D.4-02."""
    with pytest.raises(BadCertificate, match="more than 1024"):
        check(pki().server, policy=SignaturePolicy(maximum_rsa_bits=1024))


def test_an_unknown_critical_extension() -> None:
    """RFC 5280 §4.2: "MUST reject the certificate if it encounters a critical extension it does not recognize"."""
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    key = leaf_key(KeyType.RSA)
    with pytest.raises(CertificateUnknown, match=r"critical extension 1\.2\.3\.4"):
        check(pki().root.issue(key=key, extensions=[(odd, True)], not_before=NOW))
    check(pki().root.issue(key=key, extensions=[(odd, False)], not_before=NOW))


def test_the_server_name_must_fit() -> None:
    """R2246-7.2.2-13."""
    for host in HOSTS:
        check(pki().server, leaf=LeafDemands(peer=Role.SERVER, server_name=host))
    with pytest.raises(CertificateUnknown, match=r"CN=localhost does not speak for other\.example"):
        check(pki().server, leaf=LeafDemands(peer=Role.SERVER, server_name="other.example"))


def test_dn_filters_deny_access() -> None:
    """R2246-7.2.2-16."""
    good = LeafDemands(peer=Role.CLIENT, dn_user=("CN=bob", "CN=client/O=example"), dn_issuer=("CN=RSA root",))
    check(pki().client, leaf=good)
    with pytest.raises(AccessDenied, match="user filters"):
        check(pki().client, leaf=LeafDemands(peer=Role.CLIENT, dn_user=("CN=client/O=Other",)))
    with pytest.raises(AccessDenied, match="issuer filters"):
        check(pki().client, leaf=LeafDemands(peer=Role.CLIENT, dn_issuer=("CN=client",)))


def test_access_is_denied_only_to_the_valid() -> None:
    """access_denied says "a valid certificate was received" (§7.2.2): other faults come first."""
    with pytest.raises(CertificateExpired):
        check(faulty().expired, leaf=LeafDemands(peer=Role.SERVER, dn_user=("CN=bob",)))


def test_validity_includes_both_ends() -> None:
    """RFC 5280 §4.1.2.5."""
    check(pki().server, at=START)
    check(pki().server, at=END)
    for at in (START - timedelta(seconds=1), END + timedelta(seconds=1)):
        with pytest.raises(CertificateExpired):
            check(pki().server, at=at)


def test_an_expired_authority_vouches_for_nobody() -> None:
    root = throwaway_authority("short", key=authority_key(KeyType.RSA), not_before=START, not_after=NOW)
    check(server_leaf(root), TrustAnchors([root.certificate]))
    with pytest.raises(CertificateExpired, match="CN=short expired"):
        check(server_leaf(root), TrustAnchors([root.certificate]), at=NOW + timedelta(seconds=1))


# Depth, as the profile counts it


@pytest.mark.parametrize("intermediates", [0, 1, 2, 3])
@pytest.mark.parametrize("depth", [0, 1, 2, 3, 10])
def test_depth(intermediates: int, depth: int) -> None:
    """1: signed by a known root; n: up to n-1 intermediates."""
    authority = pki().root
    for number in range(intermediates):
        authority = intermediate_authority(authority, f"level {number}", number=number + 1)
    if intermediates <= depth - 1:
        assert len(check(server_leaf(authority), depth=depth)) == intermediates + 2
    else:
        with pytest.raises(UnknownCA, match=f"longer than depth {depth} allows"):
            check(server_leaf(authority), depth=depth)


@pytest.mark.parametrize("depth", [0, 1, 10])
def test_a_known_self_signed_certificate_passes_at_any_depth(depth: int) -> None:
    pinned = self_signed()
    check(pinned, TrustAnchors([pinned.certificate]), at=pinned.certificate.not_valid_before_utc, depth=depth)


def test_a_pinned_certificate_that_is_not_self_signed_needs_its_issuer() -> None:
    with pytest.raises(UnknownCA):
        check(pki().server, TrustAnchors([pki().server.certificate]))


def test_path_length_counts_intermediates_alone() -> None:
    """RFC 5280 §4.2.1.9: neither the leaf nor self-issued certificates count."""
    upper = intermediate_authority(pki().root, "upper", number=2, path_length=0)
    check(server_leaf(upper))
    check(server_leaf(intermediate_authority(upper, "upper", number=3)))


# Old roots


def version_1(authority: ThrowawayAuthority, signer: ThrowawayAuthority) -> x509.Certificate:
    """The same authority as a certificate of version 1: without version field and extensions."""
    assert isinstance(signer.key, RSAPrivateKey)
    _, serial, algorithm, issuer, validity, subject, key, *_ = der.elements(authority.certificate.tbs_certificate_bytes)
    tbs = der.encode(der.SEQUENCE, serial, algorithm, issuer, validity, subject, key)
    signature = signer.key.sign(tbs, PKCS1v15(), hashes.SHA256())
    whole = der.encode(der.SEQUENCE, tbs, algorithm, der.encode(der.BIT_STRING, b"\0", signature))
    return x509.load_der_x509_certificate(whole)


def test_a_trusted_root_may_be_of_version_1() -> None:
    """Roots older than basicConstraints are still trusted; a version 1 certificate that was merely sent is not."""
    old = version_1(pki().root, pki().root)
    assert old.version is x509.Version.v1
    check(pki().server, TrustAnchors([old]))
    check(pki().intermediate_server, TrustAnchors([old]))

    middle = version_1(pki().intermediate, pki().root)
    chain = (pki().intermediate_server.chain[0], middle.public_bytes(Encoding.DER))
    with pytest.raises(CertificateUnknown, match="CN=RSA intermediate issued a certificate but is not an authority"):
        check(chain)


# Bounded work


def test_the_search_gives_up_in_time() -> None:
    """Intermediates that all certify each other make exponentially many paths; none leads to a root."""
    key = authority_key(KeyType.RSA, 2)
    name = "ring"
    ring = [throwaway_authority(name, key=key, not_before=START, not_after=END) for _ in range(12)]
    chain = [server_leaf(ring[0]).chain[0], *(item.certificate.public_bytes(Encoding.DER) for item in ring)]
    before = check_signature.cache_info()
    with pytest.raises(UnknownCA):
        check(tuple(chain), depth=10)
    after = check_signature.cache_info()
    assert after.hits + after.misses - before.hits - before.misses <= MAX_SIGNATURE_CHECKS


@given(st.data())
def test_a_damaged_chain_is_refused_with_an_alert(data: st.DataObject) -> None:
    """Any change to a signed byte ends in an alert; nothing else escapes."""
    chain = [bytearray(item) for item in pki().intermediate_server.chain]
    which = data.draw(st.integers(0, 1))
    position = data.draw(st.integers(0, len(chain[which]) - 1))
    chain[which][position] ^= data.draw(st.integers(1, 255))
    with pytest.raises((PeerError, Warning)):  # warnings are errors in the tests alone
        check(tuple(bytes(item) for item in chain))
