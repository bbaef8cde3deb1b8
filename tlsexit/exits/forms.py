"""The two byte forms an exit exchanges: the CA list (RFC 2246 §7.4.4) and the certificate chain (§7.4.2).

An exit may answer with these bytes or with ``cryptography`` objects, and is always given both. Inside tlsexit there is
one canonical form: DER encodings in tuples.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from tlsexit.alerts import BadCertificate, DecodeError, LocalError
from tlsexit.crypto.suites import KeyType
from tlsexit.values import quicken
from tlsexit.wire import Message, Opaque, Uint, Vector, build, parse

LIBRARY_ERRORS: Final = (
    ValueError,
    TypeError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)
"""Everything that ``cryptography`` raises over the contents of a certificate or a revocation list."""


@dataclass(frozen=True, slots=True)
class CAList:
    """The body of CertificateRequest: accepted types and the DER names of accepted authorities."""

    certificate_types: tuple[int, ...]
    certificate_authorities: tuple[bytes, ...]


SIGNING_CERTIFICATE_TYPES: Final = {KeyType.RSA: 1, KeyType.DSA: 2, KeyType.EC: 64}
"""``rsa_sign``, ``dss_sign`` (RFC 2246 §7.4.4) and ``ecdsa_sign`` (RFC 4492 §5.5), by the key of the certificate."""

# opaque DistinguishedName<1..2^16-1>;
DISTINGUISHED_NAME = Opaque(1, 2**16 - 1)

# ClientCertificateType certificate_types<1..2^8-1>;
CERTIFICATE_TYPES = Vector(Uint(1), 1, 2**8 - 1)

# DistinguishedName certificate_authorities<3..2^16-1>; RFC 4346 lowered the floor to 0 and servers of today send an
# empty list at TLS 1.0 too, so a peer may; what an exit hands over is held to the floor of RFC 2246.
CA_LIST = Message(
    CAList,
    certificate_types=CERTIFICATE_TYPES,
    certificate_authorities=Vector(DISTINGUISHED_NAME, 0, 2**16 - 1),
)
STRICT_CA_LIST = Message(
    CAList,
    certificate_types=CERTIFICATE_TYPES,
    certificate_authorities=Vector(DISTINGUISHED_NAME, 3, 2**16 - 1),
)

# opaque ASN.1Cert<1..2^24-1>; ASN.1Cert certificate_list<0..2^24-1>; (the floor of §7.4.2; empty is a client's only)
CERTIFICATE_LIST = Vector(Opaque(1, 2**24 - 1), 0, 2**24 - 1)


def ca_list_from(value: object) -> CAList:
    """Return the CA list that ``value`` means: wire bytes, or a pair (types, names).

    Names are ``x509.Name`` objects or DER bytes. Raises :class:`LocalError` for anything else, an empty list included.
    """
    if isinstance(value, CAList):
        value = build(STRICT_CA_LIST, value, "CA list")
    if isinstance(value, (bytes, bytearray, memoryview)):
        try:
            result = parse(STRICT_CA_LIST, bytes(value), "CA list")
        except DecodeError as error:
            raise LocalError(error.reason) from error
        for name in result.certificate_authorities:
            _check_name(name)
        return result
    if isinstance(value, tuple) and len(value) == 2:
        types, names = value
        try:
            result = CAList(tuple(types), tuple(_name_bytes(name) for name in names))
        except TypeError as error:
            raise LocalError("a CA list is wire bytes or a pair (types, names)") from error
        return ca_list_from(build(STRICT_CA_LIST, result, "CA list"))
    raise LocalError(f"a CA list is wire bytes or a pair (types, names), not {type(value).__name__}")


def ca_list_bytes(value: CAList) -> bytes:
    """Return the wire form of a CA list."""
    return build(CA_LIST, value, "CA list")


def chain_from(value: object) -> tuple[bytes, ...]:
    """Return the DER certificates, leaf first, that ``value`` means: wire bytes, or an iterable.

    The iterable holds ``x509.Certificate`` objects or DER bytes. Raises :class:`LocalError` for anything else.
    """
    if isinstance(value, (bytes, bytearray, memoryview)):
        try:
            chain = parse(CERTIFICATE_LIST, bytes(value), "certificate chain")
        except DecodeError as error:
            raise LocalError(error.reason) from error
    elif isinstance(value, Iterable) and not isinstance(value, str):
        chain = tuple(_certificate_bytes(item) for item in value)
        build(CERTIFICATE_LIST, chain, "certificate chain")
    else:
        raise LocalError(f"a chain is wire bytes or a list of certificates, not {type(value).__name__}")
    return chain


def chain_bytes(chain: tuple[bytes, ...]) -> bytes:
    """Return the wire form of a chain."""
    return build(CERTIFICATE_LIST, chain, "certificate chain")


@lru_cache(maxsize=256)
def load_certificate(der: bytes) -> x509.Certificate:
    """Return the certificate behind ``der``; :class:`BadCertificate` if it is none (RFC 2246 §7.2.2).

    One handshake needs the same certificate several times, and partners come back: what parses is remembered.
    """
    try:
        return x509.load_der_x509_certificate(der)
    except LIBRARY_ERRORS as error:
        raise BadCertificate(f"the certificate does not parse: {error}") from error


@lru_cache(maxsize=256)
def certificate_key(der: bytes) -> CertificatePublicKeyTypes:
    """Return the public key in the certificate ``der``, remembered too: the library prepares a key at its first use.

    Raises :class:`BadCertificate` as :func:`load_certificate`, and what ``cryptography`` raises over a key.
    """
    return load_certificate(der).public_key()


def _certificate_bytes(item: object) -> bytes:
    if isinstance(item, x509.Certificate):
        from cryptography.hazmat.primitives.serialization import Encoding

        return item.public_bytes(Encoding.DER)
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    raise LocalError(f"a chain holds certificates or their DER bytes, not {type(item).__name__}")


def _name_bytes(item: object) -> bytes:
    if isinstance(item, x509.Name):
        return item.public_bytes()
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    raise LocalError(f"a CA list holds x509.Name objects or their DER bytes, not {type(item).__name__}")


@lru_cache(maxsize=256)
def _check_name(der: bytes) -> None:
    """Refuse what is not a DER Name; a peer would take its bytes for a different one, or for nonsense."""
    try:
        x509.Name.from_bytes(der)
    except LIBRARY_ERRORS as error:
        raise LocalError("CA list: an authority is not a DER Name") from error


quicken(__name__)
