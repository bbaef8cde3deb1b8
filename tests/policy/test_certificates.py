"""Parsed certificates, names that compare, and trust anchors."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pki import END, START, pki, root_authority
from tlsexit.alerts import BadCertificate, LocalError, UnsupportedCertificate
from tlsexit.policy.certificates import (
    TrustAnchors,
    display_name,
    name_key,
    parse_certificate,
    parsed,
    usable_key,
)

_VERSION_3 = bytes.fromhex("a003020102")


def test_facts_are_those_of_the_certificate() -> None:
    certificate = pki().server.certificate
    item = parsed(certificate)
    assert item.certificate == certificate
    assert item.public_key == certificate.public_key()
    assert (item.not_before, item.not_after) == (START, END)
    assert item.name == "CN=localhost"
    assert not item.self_issued
    assert item.unprocessed == ()
    assert parsed(item) is item


def test_root_is_self_issued() -> None:
    assert parsed(pki().root.certificate).self_issued


@pytest.mark.parametrize("cut", [0, 1, 10, 100, -1])
def test_a_cut_certificate_is_bad(cut: int) -> None:
    """R2246-7.4.2-14, R2246-7.2.2-09: undecodable DER is a certificate error."""
    with pytest.raises(BadCertificate):
        parse_certificate(pki().server.chain[0][:cut])


def test_trailing_bytes_are_bad() -> None:
    """R2246-7.4.2-14."""
    with pytest.raises(BadCertificate):
        parse_certificate(pki().server.chain[0] + b"\0")


def test_a_version_that_does_not_exist_is_bad() -> None:
    """R2246-7.4.2-14: ``cryptography`` raises InvalidVersion here, which is no ValueError."""
    whole = pki().server.chain[0]
    assert _VERSION_3 in whole
    with pytest.raises(BadCertificate):
        parse_certificate(whole.replace(_VERSION_3, bytes.fromhex("a003020107")))


def test_two_signature_algorithms_are_bad() -> None:
    """RFC 5280 §4.1.1.2: the field inside and the one outside the signed part must be the same."""
    whole = pki().server.chain[0]
    sha256, sha1 = bytes.fromhex("06092a864886f70d01010b"), bytes.fromhex("06092a864886f70d010105")
    with pytest.raises(BadCertificate, match="two signature algorithms"):
        parse_certificate(whole.replace(sha256, sha1, 1))


@given(st.data())
def test_a_damaged_certificate_parses_or_is_bad(data: st.DataObject) -> None:
    whole = bytearray(pki().server.chain[0])
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    try:
        item = parse_certificate(bytes(whole))
        usable_key(item)
    except (BadCertificate, UnsupportedCertificate, Warning):  # warnings are errors in the tests alone
        return


def _name(*attributes: tuple[x509.ObjectIdentifier, str]) -> bytes:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes]).public_bytes()


def test_names_compare_without_case_blanks_and_string_type() -> None:
    """RFC 5280 §7.1."""
    utf8 = _name((NameOID.COMMON_NAME, "Example  CA"))
    printable = utf8.replace(b"\x0c\x0b", b"\x13\x0b")
    assert printable != utf8
    assert name_key(utf8) == name_key(printable) == name_key(_name((NameOID.COMMON_NAME, " example ca")))


def test_the_order_of_name_parts_counts() -> None:
    one = _name((NameOID.ORGANIZATION_NAME, "a"), (NameOID.COMMON_NAME, "b"))
    other = _name((NameOID.COMMON_NAME, "b"), (NameOID.ORGANIZATION_NAME, "a"))
    assert name_key(one) != name_key(other)


@given(st.binary(max_size=40))
def test_bytes_that_are_no_name_equal_only_themselves(data: bytes) -> None:
    if isinstance(name_key(data), bytes):
        assert name_key(data) == data
        assert display_name(data) == "an unreadable name"


def test_anchors_are_found_by_the_name_of_what_they_issued() -> None:
    other = root_authority("other")
    anchors = TrustAnchors([pki().root.certificate, other.certificate, pki().root.certificate])
    assert len(anchors) == 2
    leaf = parsed(pki().server.certificate)
    assert [item.certificate for item in anchors.issuers_of(leaf)] == [pki().root.certificate]
    assert parsed(other.certificate) in anchors
    assert leaf not in anchors


def test_an_authority_that_does_not_parse_is_our_own_mistake() -> None:
    with pytest.raises(LocalError, match="an authority is unusable"):
        TrustAnchors([b"junk"])


def test_a_key_of_a_kind_tls_has_no_name_for_parses() -> None:
    """Only using the key is an error: an unrelated certificate in the chain must not spoil it."""
    key = Ed25519PrivateKey.generate()
    builder = x509.CertificateBuilder(
        x509.Name([]), x509.Name([]), key.public_key(), 1, START.replace(tzinfo=None), END.replace(tzinfo=None)
    )
    assert parsed(builder.sign(key, None)).name == "an empty name"
