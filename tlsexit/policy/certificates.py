"""Certificates as the chain checks want them: parsed once, with the facts of RFC 5280 §4 at hand.

Parsing is memoised by DER encoding, since partners come back with the same certificates; the memory is bounded and
holds nothing secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from tlsexit.alerts import BadCertificate, LocalError, UnsupportedCertificate
from tlsexit.dnfilter import folded
from tlsexit.exits.forms import LIBRARY_ERRORS
from tlsexit.policy.der import certificate_fields

NameKey = tuple[frozenset[tuple[str, str | bytes]], ...]
"""A distinguished name in a form that can be compared: the RDNs in order, each a set of (OID, folded value)."""

_PROCESSED: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.NAME_CONSTRAINTS,
        # Policies bind only those who ask for some (RFC 5280 §6.1.1: user-initial-policy-set any-policy).
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.INHIBIT_ANY_POLICY,
        # Hints for finding things; ignoring them loses nothing that check_chain relies on.
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.ISSUER_ALTERNATIVE_NAME,
    }
)
"""Extensions that may be critical; any other critical one makes a certificate unacceptable (RFC 5280 §4.2)."""


@dataclass(frozen=True, slots=True, eq=False)
class ParsedCertificate:
    """A certificate and its facts. Two are the same certificate if their ``der`` is.

    ``issuer``, ``subject`` and ``public_key_info`` are DER exactly as the certificate has them. ``public_key`` is None
    if its algorithm or parameters are not supported: that matters only if the key is used.
    """

    der: bytes = field(repr=False)
    certificate: x509.Certificate
    issuer: bytes = field(repr=False)
    subject: bytes = field(repr=False)
    public_key_info: bytes = field(repr=False)
    public_key: object = field(repr=False)
    not_before: datetime
    not_after: datetime
    basic_constraints: x509.BasicConstraints | None
    key_usage: x509.KeyUsage | None
    extended_key_usage: frozenset[x509.ObjectIdentifier] | None
    alternative_names: tuple[x509.GeneralName, ...]
    name_constraints: x509.NameConstraints | None
    subject_key_id: bytes | None = field(repr=False)
    authority_key_id: bytes | None = field(repr=False)
    unprocessed: tuple[str, ...]
    """OIDs of the critical extensions that are not understood."""

    @property
    def name(self) -> str:
        """The subject, for messages."""
        return display_name(self.subject)

    @property
    def subject_name(self) -> x509.Name:
        """The subject as an object; :class:`BadCertificate` if it is none that can be read."""
        try:
            return self.certificate.subject
        except LIBRARY_ERRORS as error:
            raise BadCertificate(f"the subject of a certificate does not parse: {error}") from error

    @property
    def title(self) -> str:
        """What messages call the certificate."""
        return f"the certificate of {self.name}"

    @property
    def document(self) -> x509.Certificate:
        """The object that has the signature."""
        return self.certificate

    @property
    def signed_bytes(self) -> bytes:
        """The ``tbsCertificate``, which the issuer signed."""
        return self.certificate.tbs_certificate_bytes

    @property
    def self_issued(self) -> bool:
        """Whether subject and issuer are the same name."""
        return self.subject == self.issuer or name_key(self.subject) == name_key(self.issuer)


CertificateLike = ParsedCertificate | x509.Certificate | bytes


def parsed(item: CertificateLike) -> ParsedCertificate:
    """Return the parsed form of DER bytes or of a ``cryptography`` certificate; errors as for the bytes' parser."""
    if isinstance(item, ParsedCertificate):
        return item
    return parse_certificate(item.public_bytes(Encoding.DER) if isinstance(item, x509.Certificate) else item)


def local(item: CertificateLike, role: str) -> ParsedCertificate:
    """Return the parsed form of one of this side's own certificates; :class:`LocalError` if it is unusable."""
    try:
        return parsed(item)
    except BadCertificate as error:
        raise LocalError(f"{role} is unusable: {error.reason}") from error


@lru_cache(maxsize=256)
def parse_certificate(der: bytes) -> ParsedCertificate:
    """Return the parsed form of a DER certificate (R2246-7.4.2-14).

    Raises :class:`BadCertificate` if it does not parse, or contradicts itself about its signature algorithm.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        fields = certificate_fields(der)
        extensions = certificate.extensions
        not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except LIBRARY_ERRORS as error:
        raise BadCertificate(f"a certificate does not parse: {error}") from error
    if fields.inner_algorithm != fields.outer_algorithm:
        raise BadCertificate(f"the certificate of {display_name(fields.subject)} names two signature algorithms")
    values: dict[x509.ObjectIdentifier, Any] = {extension.oid: extension.value for extension in extensions}
    usage = values.get(ExtensionOID.EXTENDED_KEY_USAGE)
    subject_key_id = values.get(ExtensionOID.SUBJECT_KEY_IDENTIFIER)
    authority_key_id = values.get(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
    return ParsedCertificate(
        der=der,
        certificate=certificate,
        issuer=fields.issuer,
        subject=fields.subject,
        public_key_info=fields.public_key_info,
        public_key=_public_key(certificate),
        not_before=not_before,
        not_after=not_after,
        basic_constraints=values.get(ExtensionOID.BASIC_CONSTRAINTS),
        key_usage=values.get(ExtensionOID.KEY_USAGE),
        extended_key_usage=None if usage is None else frozenset(usage),
        alternative_names=tuple(values.get(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, ())),
        name_constraints=values.get(ExtensionOID.NAME_CONSTRAINTS),
        subject_key_id=None if subject_key_id is None else subject_key_id.digest,
        authority_key_id=None if authority_key_id is None else authority_key_id.key_identifier,
        unprocessed=tuple(e.oid.dotted_string for e in extensions if e.critical and e.oid not in _PROCESSED),
    )


def _public_key(certificate: x509.Certificate) -> object:
    try:
        return certificate.public_key()
    except LIBRARY_ERRORS:
        return None  # refused by whoever needs the key, with the name of the certificate


def usable_key(certificate: ParsedCertificate) -> object:
    """Return the certificate's public key; :class:`UnsupportedCertificate` if its kind is not supported."""
    if certificate.public_key is None:
        raise UnsupportedCertificate(f"the public key of {certificate.name} is of a kind that is not supported")
    return certificate.public_key


@lru_cache(maxsize=512)
def name_key(der: bytes) -> NameKey | bytes:
    """Return what two encodings of the same distinguished name have in common (RFC 5280 §7.1).

    Letter case, runs of blanks and the choice of string type do not count. Bytes that are no Name stand for
    themselves, so that they equal only themselves.
    """
    try:
        name = x509.Name.from_bytes(der)
    except LIBRARY_ERRORS:
        return der
    return tuple(frozenset((item.oid.dotted_string, folded(item.value)) for item in rdn) for rdn in name.rdns)


@lru_cache(maxsize=512)
def display_name(der: bytes) -> str:
    """Return a DER name for a person to read, such as ``CN=alice,O=Example``."""
    try:
        return x509.Name.from_bytes(der).rfc4514_string() or "an empty name"
    except LIBRARY_ERRORS:
        return "an unreadable name"


class TrustAnchors:
    """The authorities that a chain may lead to, indexed by subject.

    An authority is trusted as it stands: nothing above it is looked for, and its own signature is not checked. A
    self-signed end-entity certificate may be one too; it vouches for itself alone. Raises :class:`LocalError` for a
    certificate that does not parse.
    """

    def __init__(self, authorities: Iterable[CertificateLike] = ()) -> None:
        self.certificates = tuple({item.der: item for item in (local(a, "an authority") for a in authorities)}.values())
        self._encodings = frozenset(item.der for item in self.certificates)
        self._by_subject: dict[NameKey | bytes, tuple[ParsedCertificate, ...]] = {}
        for item in self.certificates:
            key = name_key(item.subject)
            self._by_subject[key] = (*self._by_subject.get(key, ()), item)

    def __len__(self) -> int:
        return len(self.certificates)

    def __contains__(self, certificate: ParsedCertificate) -> bool:
        return certificate.der in self._encodings

    def issuers_of(self, certificate: ParsedCertificate) -> tuple[ParsedCertificate, ...]:
        """Return the authorities whose subject is the certificate's issuer."""
        return self._by_subject.get(name_key(certificate.issuer), ())
