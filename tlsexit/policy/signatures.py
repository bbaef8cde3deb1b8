"""Which signatures by authorities are believed, and how they are checked (RFC 5280 §6.1.3 a 1, RFC 3279, RFC 4055).

``cryptography``'s own path verifier refuses SHA-1, which nearly every certificate of TLS 1.0's time carries, so the
signature is checked here with the issuer's public key over the signed bytes, under a policy that says what it accepts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.dsa import DSAPublicKey
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.ocsp import OCSPResponse
from cryptography.x509.oid import SignatureAlgorithmOID

from tlsexit.alerts import BadCertificate, InsufficientSecurity, LocalError, UnsupportedCertificate
from tlsexit.crypto.keyops import key_type
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.forms import LIBRARY_ERRORS
from tlsexit.policy.certificates import ParsedCertificate, usable_key

_PKCS1: Final = PKCS1v15()

KNOWN_HASHES: Final = frozenset({"md5", "sha1", "sha224", "sha256", "sha384", "sha512"})
"""Hashes that a policy may name."""


_RSA: Final = frozenset(
    {
        SignatureAlgorithmOID.RSA_WITH_MD5,
        SignatureAlgorithmOID.RSA_WITH_SHA1,
        x509.ObjectIdentifier("1.3.14.3.2.29"),  # sha1WithRSASignature of OIW, which old tools wrote
        SignatureAlgorithmOID.RSA_WITH_SHA224,
        SignatureAlgorithmOID.RSA_WITH_SHA256,
        SignatureAlgorithmOID.RSA_WITH_SHA384,
        SignatureAlgorithmOID.RSA_WITH_SHA512,
    }
)
_ECDSA: Final = frozenset(
    {
        SignatureAlgorithmOID.ECDSA_WITH_SHA1,
        SignatureAlgorithmOID.ECDSA_WITH_SHA224,
        SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA512,
    }
)
_DSA: Final = frozenset(
    {
        SignatureAlgorithmOID.DSA_WITH_SHA1,
        SignatureAlgorithmOID.DSA_WITH_SHA224,
        SignatureAlgorithmOID.DSA_WITH_SHA256,
    }
)


class Signed(Protocol):
    """A certificate, revocation list or OCSP response with the signature on it."""

    @property
    def document(self) -> x509.Certificate | x509.CertificateRevocationList | OCSPResponse:
        """The object that has the signature."""

    @property
    def signed_bytes(self) -> bytes:
        """What was signed."""

    @property
    def title(self) -> str:
        """What messages call it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignaturePolicy:
    """What a signature must be worth, and how long the keys of a path may be (R2246-D.4-02). Sizes are in bits.

    SHA-1 is accepted by default: without it hardly a certificate of TLS 1.0's time would pass. MD5 is not: forged
    certificates have been made with it (2008), and it has to be asked for with ``hashes``.
    """

    hashes: frozenset[str] = frozenset({"sha1", "sha224", "sha256", "sha384", "sha512"})
    minimum_rsa_bits: int = 1024
    maximum_rsa_bits: int = 8192
    """A signature check grows with the square of the key: a peer must not choose how long we compute."""

    minimum_dsa_bits: int = 1024
    minimum_ec_bits: int = 224

    def __post_init__(self) -> None:
        unknown = sorted(set(self.hashes) - KNOWN_HASHES)
        if unknown:
            raise LocalError(f"a signature policy knows no hash {', '.join(unknown)}")

    def check_key(self, certificate: ParsedCertificate, minimum_rsa_bits: int | None = None) -> None:
        """Check the size of a certificate's key, against ``minimum_rsa_bits`` instead of the policy's if given.

        Raises :class:`InsufficientSecurity` for a key that is too small, :class:`BadCertificate` for one that is too
        large, and :class:`UnsupportedCertificate` for one that is neither RSA nor DSA nor EC.
        """
        key: Any = usable_key(certificate)
        try:
            kind = key_type(key)
        except LocalError as error:
            raise UnsupportedCertificate(f"{certificate.name} has a key that is neither RSA nor DSA nor EC") from error
        bits = key.key_size
        if kind is KeyType.RSA:
            minimum = self.minimum_rsa_bits if minimum_rsa_bits is None else minimum_rsa_bits
            if bits > self.maximum_rsa_bits:
                raise BadCertificate(
                    f"the RSA key of {certificate.name} has {bits} bits, more than {self.maximum_rsa_bits}"
                )
        else:
            minimum = self.minimum_dsa_bits if kind is KeyType.DSA else self.minimum_ec_bits
        if bits < minimum:
            raise InsufficientSecurity(
                f"the {kind.value} key of {certificate.name} has {bits} bits, below the {minimum} required"
            )

    def check_hash(self, signed: Signed) -> None:
        """Refuse with :class:`BadCertificate` a signature whose hash the policy does not accept."""
        digest = _hash(signed)
        if digest.name not in self.hashes:
            raise BadCertificate(f"{signed.title} is signed with {digest.name.upper()}, which is not accepted")


@lru_cache(maxsize=512)
def check_signature(certificate: ParsedCertificate, issuer: ParsedCertificate) -> None:
    """Check that ``issuer``'s key signed ``certificate`` (R2246-7.2.2-09); success is remembered.

    Raises :class:`BadCertificate` if it did not.
    """
    verify(certificate, issuer)


def verify(signed: Signed, issuer: ParsedCertificate) -> None:
    """Check the signature on ``signed`` with the issuer's key.

    Raises :class:`BadCertificate` if it does not verify, :class:`UnsupportedCertificate` for an unknown algorithm.
    """
    digest, key, document = _hash(signed), usable_key(issuer), signed.document
    try:
        oid = document.signature_algorithm_oid
        if isinstance(key, RSAPublicKey) and oid in _RSA:
            key.verify(document.signature, signed.signed_bytes, _PKCS1, digest)
        elif isinstance(key, RSAPublicKey) and isinstance(padding := _parameters(document), PSS):
            key.verify(document.signature, signed.signed_bytes, padding, digest)
        elif isinstance(key, EllipticCurvePublicKey) and oid in _ECDSA:
            key.verify(document.signature, signed.signed_bytes, ECDSA(digest))
        elif isinstance(key, DSAPublicKey) and oid in _DSA:
            key.verify(document.signature, signed.signed_bytes, digest)
        else:
            raise BadCertificate(f"{signed.title} has a signature of another kind than the key of {issuer.name}")
    except (InvalidSignature, *LIBRARY_ERRORS) as error:
        raise BadCertificate(f"{signed.title} is not signed with the key of {issuer.name}") from error


def _parameters(document: x509.Certificate | x509.CertificateRevocationList | OCSPResponse) -> object:
    """Return the signature algorithm's parameters, which ``cryptography`` does not tell of OCSP responses."""
    return None if isinstance(document, OCSPResponse) else document.signature_algorithm_parameters


def _hash(signed: Signed) -> hashes.HashAlgorithm:
    try:
        digest = signed.document.signature_hash_algorithm
    except LIBRARY_ERRORS:
        digest = None
    if digest is None:
        raise UnsupportedCertificate(f"{signed.title} is signed with an algorithm that is not supported")
    return digest
