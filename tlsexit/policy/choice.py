"""Which own certificate to show: a server by the client's offer, a client by the server's CertificateRequest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tlsexit.alerts import HandshakeFailure
from tlsexit.crypto.groups import curve_of
from tlsexit.crypto.suites import SUITES, KeyExchange, KeyType, Premaster
from tlsexit.exits.calls import Credentials, GetCertificateCall
from tlsexit.policy.certificates import ParsedCertificate, TrustAnchors, name_key
from tlsexit.policy.der import public_key_bits
from tlsexit.policy.names import matches_server_name
from tlsexit.policy.store import Identity
from tlsexit.policy.x509 import KeyUse, allows, leaf_key_type

CLIENT_CERTIFICATE_TYPES: Final = {1: KeyType.RSA, 2: KeyType.DSA, 64: KeyType.EC}
"""``rsa_sign``, ``dss_sign`` (RFC 2246 §7.4.4) and ``ecdsa_sign`` (RFC 4492 §5.5): the types a client may sign with."""

EXPORT_RSA_BITS: Final = 512
"""Longest key that an export suite may encrypt with; a longer one signs a temporary key (RFC 2246 §7.4.3)."""

# IdentifierType of trusted_ca_keys (RFC 6066 §6); pre_agreed(0) says nothing about which authority
_KEY_SHA1_HASH: Final = 1
_X509_NAME: Final = 2
_CERT_SHA1_HASH: Final = 3


def server_credentials(
    call: GetCertificateCall, identities: Sequence[Identity], authorities: TrustAnchors
) -> Credentials:
    """Return the chain for the first candidate suite that an identity fits, and that suite.

    Identities with the name that the client asked for go first (RFC 6066 §3), and among equals those whose authority
    the client says it trusts (RFC 6066 §6). ``authorities`` help to recognise that authority where the chain leaves it
    out. If nothing fits, an empty chain leaves it to a suite without a certificate; :class:`HandshakeFailure` if there
    is no such suite either.
    """
    ranked: dict[tuple[bool, bool], list[Identity]] = {}
    wanted = _comparable(call.trusted_authorities or ())
    for identity in identities:
        name = call.context.server_name
        named = name is not None and matches_server_name(identity.leaf, name)
        trusted = bool(wanted) and _is_trusted(identity, wanted, authorities)
        ranked.setdefault((named, trusted), []).append(identity)
    for rank in sorted(ranked, reverse=True):
        for value in call.candidate_suites:
            for identity in ranked[rank]:
                if _fits(identity.leaf, SUITES[value].key_exchange, call.groups):
                    return Credentials(identity.chain, value, used_trusted_ca_keys=rank[1])
    if call.without_certificate:
        return Credentials(())
    raise HandshakeFailure("no identity has a certificate for any of the cipher suites in common")


def client_identity(call: GetCertificateCall, identities: Iterable[Identity]) -> Identity | None:
    """Return the first identity that the server's list admits (R2246-7.4.4-05, -08, R2246-7.4.6-02, -04).

    An identity is admitted if its key is of a type in the list and an issuer in its chain is too; a list without
    authorities admits any, as servers that send none mean it.
    """
    types = () if call.ca_list is None else call.ca_list.certificate_types
    accepted = {kind for value, kind in CLIENT_CERTIFICATE_TYPES.items() if value in types}
    names = {name_key(name) for name in call.authorities}
    for identity in identities:
        issuers = {name_key(item.issuer) for item in identity.certificates}
        known = not names or not names.isdisjoint(issuers)
        if known and leaf_key_type(identity.leaf) in accepted and allows(identity.leaf, KeyUse.SIGN):
            return identity
    return None


def key_use(exchange: KeyExchange, leaf: ParsedCertificate) -> KeyUse | None:
    """Return what the server's key does in a key exchange (R2246-7.4.2-03, -04); None if it does nothing."""
    if exchange is KeyExchange.RSA_EXPORT:
        key = leaf.public_key
        short = isinstance(key, RSAPublicKey) and key.key_size <= EXPORT_RSA_BITS
        return KeyUse.ENCIPHER if short else KeyUse.SIGN
    if exchange.fixed:
        return KeyUse.AGREE
    if exchange.signed:
        return KeyUse.SIGN
    return KeyUse.ENCIPHER if exchange.premaster in {Premaster.RSA, Premaster.RSA_PSK} else None


def _fits(leaf: ParsedCertificate, exchange: KeyExchange, groups: Sequence[int]) -> bool:
    """Whether a certificate can serve a key exchange; an EC key's curve must be in ``groups`` (RFC 4492 §5.3)."""
    if exchange.certificate is None or leaf_key_type(leaf) is not exchange.certificate:
        return False
    key, use = leaf.public_key, key_use(exchange, leaf)
    if groups and isinstance(key, EllipticCurvePublicKey) and curve_of(key) not in groups:
        return False
    return use is None or allows(leaf, use)


def _comparable(trusted: Iterable[tuple[int, bytes]]) -> frozenset[tuple[int, object]]:
    """Return the client's (type, identifier) pairs, names in the form in which they compare, each parsed once."""
    return frozenset((kind, name_key(value) if kind == _X509_NAME else value) for kind, value in dict.fromkeys(trusted))


def _is_trusted(identity: Identity, trusted: frozenset[tuple[int, object]], authorities: TrustAnchors) -> bool:
    """Whether one of the client's pairs is an authority of the identity's chain."""
    chain = identity.certificates
    known: set[tuple[int, object]] = {(_X509_NAME, name_key(item.issuer)) for item in chain}
    for authority in (*chain[1:], *authorities.issuers_of(chain[-1])):
        known.update((_KEY_SHA1_HASH, hashlib.sha1(value).digest()) for value in _key_values(authority))
        known.add((_CERT_SHA1_HASH, hashlib.sha1(authority.der).digest()))
    return not known.isdisjoint(trusted)


def _key_values(authority: ParsedCertificate) -> Iterator[bytes]:
    """Yield what key_sha1_hash is over: RSA's modulus, of other keys the ``subjectPublicKey`` (RFC 6066 §6)."""
    key = authority.public_key
    if isinstance(key, RSAPublicKey):
        modulus = key.public_numbers().n
        yield modulus.to_bytes((modulus.bit_length() + 7) // 8, "big")
    else:
        yield public_key_bits(authority.public_key_info)
