"""Which own certificate is shown, asked as a connection would ask."""

from __future__ import annotations

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.pki import END, NOW, START, authority_key, faulty, leaf_key, pki
from tests.support.questions import (
    KX_DH_ANON,
    KX_DHE_DSS,
    KX_DHE_RSA,
    KX_ECDHE_ECDSA,
    KX_RSA,
    all_kinds,
    context,
    failure,
    shown,
    value,
)
from tlsexit.alerts import AlertDescription, PeerError
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.calls import Credentials, GetCertificateCall
from tlsexit.exits.forms import CAList
from tlsexit.policy import BuiltinPki
from tlsexit.policy.throwaway import Issued, ThrowawayAuthority, key_usage

RSA, DSA, EC = KeyType.RSA, KeyType.DSA, KeyType.EC


# GetCertificate, server


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        (KX_RSA, RSA),
        (KX_DHE_DSS, DSA),
        (KX_ECDHE_ECDSA, EC),
        (KX_ECDHE_ECDSA + KX_RSA, EC),
        (KX_DHE_DSS + KX_ECDHE_ECDSA, DSA),
        (KX_DH_ANON + KX_RSA, RSA),
    ],
)
def test_a_server_shows_what_fits_the_first_suite(offered: tuple[int, ...], expected: KeyType) -> None:
    """R2246-7.4.2-03."""
    call = GetCertificateCall(context(Role.SERVER), offered)
    assert shown(all_kinds(Role.SERVER), call) == pki(expected).server.chain


def test_a_server_shows_what_the_profile_names() -> None:
    call = GetCertificateCall(context(Role.SERVER, user_certificate_id="ECDSA"), KX_RSA)
    assert shown(all_kinds(Role.SERVER), call) == pki(EC).server.chain


def leaf(host: str, kind: KeyType = RSA, usage: x509.KeyUsage | None = None) -> Issued:
    return pki(kind).root.issue(host, hosts=[host], key=leaf_key(kind), usage=usage, not_before=START, not_after=END)


@pytest.mark.parametrize(
    ("name", "offered", "expected"),
    [
        ("b.example", KX_RSA, 1),
        ("c.example", KX_RSA + KX_ECDHE_ECDSA, 2),
        ("c.example", KX_RSA, 0),
        ("x.example", KX_RSA, 0),
        (None, KX_ECDHE_ECDSA, 2),
    ],
)
def test_a_server_prefers_the_name_the_client_asked_for(
    name: str | None, offered: tuple[int, ...], expected: int
) -> None:
    leaves = [leaf("a.example"), leaf("b.example"), leaf("c.example", EC)]
    builtin = BuiltinPki([item.identity(str(number)) for number, item in enumerate(leaves)])
    assert shown(builtin, GetCertificateCall(context(Role.SERVER, sni=name), offered)) == leaves[expected].chain


def test_a_server_shows_a_key_that_may_do_what_the_suite_needs() -> None:
    """R2246-7.4.2-03, R2246-7.4.2-06, R2246-7.4.2-07: "RSA usable for encryption" and "RSA usable for signing"."""
    signing = leaf("a.example", usage=key_usage("digital_signature"))
    enciphering = leaf("a.example", usage=key_usage("key_encipherment"))
    builtin = BuiltinPki([signing.identity("s"), enciphering.identity("e")])
    for offered, expected in ((KX_RSA, enciphering), (KX_DHE_RSA, signing)):
        assert shown(builtin, GetCertificateCall(context(Role.SERVER), offered)) == expected.chain


def test_a_server_without_a_fitting_certificate_fails() -> None:
    """R2246-7.2.2-08."""
    builtin = BuiltinPki([pki().server.identity("own")])
    for pki_, offered in ((builtin, KX_ECDHE_ECDSA), (BuiltinPki(), KX_RSA)):
        alert, cause = failure(pki_.answer(GetCertificateCall(context(Role.SERVER), offered)))
        assert alert == AlertDescription.HANDSHAKE_FAILURE
        assert isinstance(cause, PeerError)


def test_an_identity_that_is_not_there_is_our_own_mistake() -> None:
    call = GetCertificateCall(context(Role.SERVER, user_certificate_id="no such"), KX_RSA)
    alert, cause = failure(all_kinds(Role.SERVER).answer(call))
    assert alert == AlertDescription.INTERNAL_ERROR
    assert "no identity no such" in str(cause)


# GetCertificate, client


def names_of(*kinds: KeyType) -> tuple[bytes, ...]:
    return tuple(pki(kind).root.certificate.subject.public_bytes() for kind in kinds)


@pytest.mark.parametrize(
    ("types", "authorities", "expected"),
    [
        ((1, 2, 64), (), RSA),
        ((1, 2, 64), names_of(DSA), DSA),
        ((1, 2, 64), names_of(EC, DSA), DSA),
        ((64, 2), (), DSA),
        ((64,), names_of(RSA, EC), EC),
        ((64,), names_of(RSA), None),
        ((1, 2, 64), (pki().intermediate.certificate.subject.public_bytes(),), None),
        ((3, 4, 200), (), None),
        ((200, 1), names_of(RSA), RSA),
        ((1,), (b"\x30\x03\x02\x01\x00",), None),
    ],
)
def test_a_client_shows_what_the_server_asks_for(
    types: tuple[int, ...], authorities: tuple[bytes, ...], expected: KeyType | None
) -> None:
    """R2246-7.4.4-05 (unknown types), R2246-7.4.6-02 (an empty list), R2246-7.4.6-04."""
    call = GetCertificateCall(context(Role.CLIENT), ca_list=CAList(types, authorities))
    chain = shown(all_kinds(Role.CLIENT), call)
    assert chain == (() if expected is None else pki(expected).client.chain)


def test_any_issuer_in_the_chain_may_be_listed() -> None:
    """R2246-7.4.4-08: root or subordinate."""
    own = pki().intermediate_client
    builtin = BuiltinPki([own.identity("own")])
    for authority in (pki().root, pki().intermediate):
        listed = CAList((1,), (authority.certificate.subject.public_bytes(),))
        assert shown(builtin, GetCertificateCall(context(Role.CLIENT), ca_list=listed)) == own.chain


def test_a_listed_name_may_be_encoded_otherwise() -> None:
    """RFC 5280 §7.1: names are compared by value, not by bytes."""
    name = pki().root.certificate.subject.public_bytes().replace(b"RSA root", b"rsa ROOT")
    call = GetCertificateCall(context(Role.CLIENT), ca_list=CAList((1,), (name,)))
    assert shown(all_kinds(Role.CLIENT), call) == pki().client.chain


def test_a_client_keeps_to_the_identity_of_its_profile() -> None:
    session = context(Role.CLIENT, user_certificate_id="ECDSA")
    builtin = all_kinds(Role.CLIENT)
    assert shown(builtin, GetCertificateCall(session, ca_list=CAList((1, 64), ()))) == pki(EC).client.chain
    assert shown(builtin, GetCertificateCall(session, ca_list=CAList((1,), ()))) == ()


def test_a_client_does_not_sign_with_a_key_that_may_not() -> None:
    """R2246-7.4.2-06."""
    builtin = BuiltinPki([faulty().encipher_only.identity("own")])
    assert shown(builtin, GetCertificateCall(context(Role.CLIENT), ca_list=CAList((1,), ()))) == ()


# What the client said about itself


def test_the_suite_that_was_meant_is_named() -> None:
    """A key that may only sign goes with DHE although the client would rather have RSA key exchange."""
    builtin = BuiltinPki([faulty().sign_only.identity("own")])
    credentials = value(builtin, GetCertificateCall(context(Role.SERVER), KX_RSA + KX_DHE_RSA))
    assert credentials.cipher_suite == KX_DHE_RSA[0]


def test_a_named_certificate_is_shown_even_if_nothing_fits() -> None:
    session = context(Role.SERVER, user_certificate_id="RSA")
    credentials = value(all_kinds(Role.SERVER), GetCertificateCall(session, KX_ECDHE_ECDSA))
    assert credentials == Credentials(pki().server.chain)


def test_the_curve_must_be_one_the_client_knows() -> None:
    """RFC 4492 §5.3: an ECDSA key on a curve that the client did not list is of no use."""
    p384 = pki(EC).root.issue(key=ec.generate_private_key(ec.SECP384R1()), not_before=START, not_after=END)
    builtin = BuiltinPki([p384.identity("p384"), pki(EC).server.identity("p256"), pki().server.identity("rsa")])
    offered = KX_ECDHE_ECDSA + KX_RSA
    for groups, expected in (
        ((), p384),
        ((29, 24), p384),
        ((23, 24), p384),
        ((23,), pki(EC).server),
        ((29,), pki().server),
    ):
        assert shown(builtin, GetCertificateCall(context(Role.SERVER), offered, groups)) == expected.chain


def sha1_of_key(authority: ThrowawayAuthority) -> bytes:
    """RFC 6066 §6: of an RSA key the modulus "without any initial 0 bytes", of others the subjectPublicKey."""
    key = authority.certificate.public_key()
    if isinstance(key, RSAPublicKey):
        modulus = key.public_numbers().n
        return hashlib.sha1(modulus.to_bytes((modulus.bit_length() + 7) // 8, "big")).digest()
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return hashlib.sha1(point).digest()


def sha1_of_certificate(authority: ThrowawayAuthority) -> bytes:
    return hashlib.sha1(authority.certificate.public_bytes(Encoding.DER)).digest()


@pytest.mark.parametrize("kind", [RSA, EC])
@pytest.mark.parametrize("level", ["root", "intermediate"])
def test_the_client_s_authorities_decide_between_equals(kind: KeyType, level: str) -> None:
    """RFC 6066 §6, by each kind of identifier; the authority may be in the chain or only among our own."""
    wanted = pki(kind).intermediate_server
    other = pki(kind).root.authority("other", key=authority_key(kind, 5), not_before=START, not_after=END)
    unwanted = other.issue(key=leaf_key(kind), not_before=START, not_after=END)
    roots = {"root": [pki(kind).root.certificate]}
    builtin = BuiltinPki([unwanted.identity("0"), wanted.identity("1")], roots, clock=NOW.timestamp)
    authority: ThrowawayAuthority = getattr(pki(kind), level)
    offered = KX_RSA if kind is RSA else KX_ECDHE_ECDSA
    for identifier in (
        (1, sha1_of_key(authority)),
        (2, authority.certificate.subject.public_bytes()),
        (3, sha1_of_certificate(authority)),
    ):
        call = GetCertificateCall(context(Role.SERVER), offered, trusted_authorities=((0, b""), identifier))
        credentials = value(builtin, call)
        assert credentials.chain == (wanted if level == "intermediate" else unwanted).chain
        assert credentials.used_trusted_ca_keys


def test_authorities_that_nobody_here_has_decide_nothing() -> None:
    call = GetCertificateCall(context(Role.SERVER), KX_RSA, trusted_authorities=((0, b""), (1, bytes(20)), (9, b"x")))
    credentials = value(all_kinds(Role.SERVER), call)
    assert credentials.chain == pki().server.chain
    assert not credentials.used_trusted_ca_keys
