"""The chain checks of the built-in PKI: from the peer's leaf to a trusted authority (RFC 2246 §7.4.2, RFC 5280 §6).

RFC 2246 wants a chain sent in order, but misordered and incomplete ones are so common that the path is rebuilt here
(R2246-7.4.2-10), from what was sent and from the authorities, by issuer name and signature. The root may be left out
(R2246-7.4.2-11). The work is bounded: a peer that is still unknown must not choose how long we compute.

Which alert answers what (R2246-7.2.2-09 to -16, R2246-D.4-02):

==============================  ====================================================================================
bad_certificate(42)             does not parse, signature wrong or its hash not accepted, key too large
unsupported_certificate(43)     key of the wrong kind, or not certified for this use (keyUsage, extendedKeyUsage)
certificate_revoked(44)         on its issuer's revocation list
certificate_expired(45)         expired, or not valid yet
certificate_unknown(46)         issuer that is no CA, path length, name constraints, host name, critical extension
unknown_ca(48)                  no path to a trusted authority, or one longer than the depth allows
access_denied(49)               valid, but refused by the profile's DN filters
insufficient_security(71)       key too small
==============================  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from cryptography.x509 import Version
from cryptography.x509.oid import ExtendedKeyUsageOID

from tlsexit.alerts import HandshakeFailure, LocalError, PeerError, UnsupportedCertificate
from tlsexit.constants import Role
from tlsexit.crypto.keyops import key_type
from tlsexit.crypto.suites import KeyType
from tlsexit.policy.certificates import (
    CertificateLike,
    ParsedCertificate,
    TrustAnchors,
    display_name,
    name_key,
    parsed,
    usable_key,
)
from tlsexit.policy.constraints import check_name_constraints
from tlsexit.policy.failures import AccessDenied, CertificateExpired, CertificateUnknown, UnknownCA
from tlsexit.policy.names import dn_matches, matches_server_name
from tlsexit.policy.revocation import RevocationLists
from tlsexit.policy.signatures import SignaturePolicy, check_signature
from tlsexit.values import quicken

MAX_SIGNATURE_CHECKS: Final = 32
"""Signatures tried for one chain: far above any honest path (depth is at most 10), far below an attack worth trying."""

_PURPOSE: Final = {
    Role.SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
    Role.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
}


class KeyUse(Enum):
    """What the handshake does with the leaf's key; the value is the keyUsage bit for it (RFC 2246 §7.4.2)."""

    SIGN = "digitalSignature"
    ENCIPHER = "keyEncipherment"
    AGREE = "keyAgreement"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafDemands:
    """What is asked of the peer's own certificate, beyond a path to a trusted authority.

    ``peer`` is the role the peer plays, for extendedKeyUsage. None, or an empty tuple, asks for nothing.
    """

    peer: Role
    key_types: frozenset[KeyType] | None = None
    key_use: KeyUse | None = None
    minimum_rsa_bits: int | None = None
    """Size of an RSA key in the leaf, in bits; None leaves it to the signature policy."""

    server_name: str | None = None
    allow_common_name: bool = False
    dn_user: tuple[str, ...] = ()
    dn_issuer: tuple[str, ...] = ()


def check_chain(
    chain: Sequence[CertificateLike],
    anchors: TrustAnchors,
    *,
    at: datetime,
    leaf: LeafDemands,
    policy: SignaturePolicy | None = None,
    depth: int = 10,
    revocation: RevocationLists | None = None,
) -> tuple[ParsedCertificate, ...]:
    """Check a chain as a peer sent it, leaf first, and return the path from the leaf to the authority that vouches.

    ``depth`` 0 accepts only a self-signed certificate that is itself an authority, 1 also one signed by an authority,
    n up to n-1 certificates between the two. ``at`` is the time of the check, with a time zone. Raises the
    :class:`PeerError` whose alert fits the failure; if several paths fail, the first one's failure is reported.
    """
    if not chain:
        raise HandshakeFailure("the peer sent no certificate")
    policy = SignaturePolicy() if policy is None else policy
    search = _PathSearch([parsed(item) for item in chain], anchors, policy, depth)
    failure: PeerError | None = None
    for path in search.paths():
        try:
            _check_path(path, at, leaf, policy)
            if revocation is not None:
                revocation.check_path(path, policy, at)
        except PeerError as error:
            failure = failure or error
        else:
            _check_leaf(path[0], leaf)
            return path
    raise failure or search.explanation()


class _PathSearch:
    """Depth-first search for paths whose names and signatures fit; authorities are tried before what was sent."""

    def __init__(
        self, sent: Sequence[ParsedCertificate], anchors: TrustAnchors, policy: SignaturePolicy, depth: int
    ) -> None:
        self._leaf = sent[0]
        self._others = tuple({item.der: item for item in sent[1:]}.values())
        self._anchors = anchors
        self._policy = policy
        self._depth = depth
        self._checks = 0
        self._failure: PeerError | None = None
        self._top = self._leaf

    def paths(self) -> Iterator[tuple[ParsedCertificate, ...]]:
        """Yield each path from the leaf to an authority."""
        if self._leaf in self._anchors and self._leaf.self_issued:
            yield (self._leaf,)
        else:
            yield from self._extend((self._leaf,))

    def explanation(self) -> PeerError:
        """Return why there is no path: the first thing that spoilt one, or that the authority is unknown."""
        if self._failure is not None:
            return self._failure
        if self._top.self_issued:
            return UnknownCA(f"{self._top.name} is self-signed and not among the trusted authorities")
        return UnknownCA(f"no trusted authority {display_name(self._top.issuer)} vouches for the peer")

    def _extend(self, path: tuple[ParsedCertificate, ...]) -> Iterator[tuple[ParsedCertificate, ...]]:
        certificate = path[-1]
        if len(path) > self._depth:
            self._spoilt(UnknownCA(f"the chain is longer than depth {self._depth} allows"))
            return
        self._top = certificate
        refusals: list[PeerError] = []
        signed = False
        for anchor in self._anchors.issuers_of(certificate):
            if self._signed(certificate, anchor, refusals):
                signed = True
                yield (*path, anchor)
        for issuer in self._issuers_sent(certificate):
            if issuer not in self._anchors and issuer not in path and self._signed(certificate, issuer, refusals):
                signed = True
                yield from self._extend((*path, issuer))
        # If someone did sign, the refusal came from an authority of the same name; a self-signed root has nobody else.
        if refusals and not signed and not certificate.self_issued:
            self._spoilt(refusals[0])

    def _issuers_sent(self, certificate: ParsedCertificate) -> list[ParsedCertificate]:
        """Return the sent certificates with the issuer's name, those with the issuer's key identifier first."""
        wanted = name_key(certificate.issuer)
        found = [item for item in self._others if name_key(item.subject) == wanted]
        found.sort(key=lambda item: item.subject_key_id != certificate.authority_key_id)
        return found

    def _signed(self, certificate: ParsedCertificate, issuer: ParsedCertificate, refusals: list[PeerError]) -> bool:
        """Whether the issuer signed the certificate as the policy accepts; adds to ``refusals`` if not."""
        if self._checks >= MAX_SIGNATURE_CHECKS:
            self._spoilt(UnknownCA("no path was found within the number of signatures that are tried"))
            return False
        self._checks += 1
        try:
            self._policy.check_hash(certificate)
            self._policy.check_key(issuer)
            check_signature(certificate, issuer)
        except PeerError as error:
            refusals.append(error)
            return False
        return True

    def _spoilt(self, failure: PeerError) -> None:
        self._failure = self._failure or failure


def _check_path(path: tuple[ParsedCertificate, ...], at: datetime, leaf: LeafDemands, policy: SignaturePolicy) -> None:
    """Check what holds for certificates as members of a path (RFC 5280 §6.1.3, §6.1.4)."""
    policy.check_key(path[0], leaf.minimum_rsa_bits)
    below = 0
    for height, certificate in enumerate(path):
        _check_validity(certificate, at)
        if certificate.unprocessed:
            raise CertificateUnknown(f"{certificate.name} has a critical extension {certificate.unprocessed[0]}")
        usage = certificate.extended_key_usage
        if usage is not None and not usage & {_PURPOSE[leaf.peer], ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}:
            raise UnsupportedCertificate(f"{certificate.name} is not certified for a {leaf.peer.value}")
        if height > 0:
            _check_authority(certificate, below, anchor=height == len(path) - 1)
            below += not certificate.self_issued
    check_name_constraints(path)


def _check_validity(certificate: ParsedCertificate, at: datetime) -> None:
    if at < certificate.not_before:
        raise CertificateExpired(f"{certificate.name} is not valid before {certificate.not_before:%Y-%m-%d %H:%M:%S}")
    if at > certificate.not_after:
        raise CertificateExpired(f"{certificate.name} expired on {certificate.not_after:%Y-%m-%d %H:%M:%S}")


def _check_authority(certificate: ParsedCertificate, below: int, *, anchor: bool) -> None:
    """Check that a certificate may issue others, with ``below`` intermediates under it.

    A trusted authority may lack basicConstraints if it is of version 1 or if its keyUsage says keyCertSign: so do
    roots older than the extension.
    """
    constraints, usage = certificate.basic_constraints, certificate.key_usage
    if constraints is None:
        old = certificate.certificate.version is Version.v1 or (usage is not None and usage.key_cert_sign)
        is_authority = anchor and old
    else:
        is_authority = constraints.ca
    if not is_authority:
        raise CertificateUnknown(f"{certificate.name} issued a certificate but is not an authority")
    if usage is not None and not usage.key_cert_sign:
        raise CertificateUnknown(f"{certificate.name} may not sign certificates")
    if constraints is not None and constraints.path_length is not None and below > constraints.path_length:
        raise CertificateUnknown(f"the path below {certificate.name} is longer than the certificate allows")


def _check_leaf(certificate: ParsedCertificate, leaf: LeafDemands) -> None:
    """Check the demands on the peer's own certificate; the filters come last, on an otherwise valid one."""
    kind = leaf_key_type(certificate)
    if leaf.key_types is not None and kind not in leaf.key_types:
        wanted = " or ".join(sorted(item.value for item in leaf.key_types))
        raise UnsupportedCertificate(f"{certificate.name} has a key for {kind.value} where {wanted} is needed")
    if leaf.key_use is not None and not allows(certificate, leaf.key_use):
        raise UnsupportedCertificate(f"{certificate.name} is not certified for {leaf.key_use.value}")
    if leaf.server_name is not None and not matches_server_name(
        certificate, leaf.server_name, allow_common_name=leaf.allow_common_name
    ):
        raise CertificateUnknown(f"{certificate.name} does not speak for {leaf.server_name}")
    if not dn_matches(certificate.subject, leaf.dn_user):
        raise AccessDenied(f"{certificate.name} matches none of the profile's user filters")
    if not dn_matches(certificate.issuer, leaf.dn_issuer):
        raise AccessDenied(f"the issuer of {certificate.name} matches none of the profile's issuer filters")


def leaf_key_type(certificate: ParsedCertificate) -> KeyType:
    """Return the kind of a certificate's key; :class:`UnsupportedCertificate` if TLS 1.0 has no use for it."""
    try:
        return key_type(usable_key(certificate))
    except LocalError as error:
        raise UnsupportedCertificate(f"{certificate.name} has a key that TLS 1.0 has no use for") from error


def allows(certificate: ParsedCertificate, use: KeyUse) -> bool:
    """Tell whether keyUsage, if there is one, allows a use (R2246-7.4.2-06, -07, -08)."""
    usage = certificate.key_usage
    if usage is None:
        return True
    match use:
        case KeyUse.SIGN:
            return usage.digital_signature
        case KeyUse.ENCIPHER:
            return usage.key_encipherment
        case KeyUse.AGREE:
            return usage.key_agreement


quicken(__name__)
