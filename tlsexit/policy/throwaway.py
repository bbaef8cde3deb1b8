"""Authorities and certificates to throw away: for demonstrations and tests, never for anything that matters.

Keys are made on the spot and written nowhere unless asked. Certificates can be signed with SHA-1 and MD5, as those of
TLS 1.0's time were: ``cryptography`` no longer signs so, therefore those are put together here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.crypto.keyops import PrivateKey, key_type
from tlsexit.crypto.suites import KeyType
from tlsexit.policy import der
from tlsexit.policy.store import Identity

_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "md5": hashes.MD5(),
    "sha1": hashes.SHA1(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}

_OLD_ALGORITHMS: Final = {
    # AlgorithmIdentifier ::= SEQUENCE { algorithm, parameters } with the parameters of RFC 3279 §2.2
    (KeyType.RSA, "md5"): der.encode(der.SEQUENCE, bytes.fromhex("06092a864886f70d010104"), der.NULL),
    (KeyType.RSA, "sha1"): der.encode(der.SEQUENCE, bytes.fromhex("06092a864886f70d010105"), der.NULL),
    (KeyType.DSA, "sha1"): der.encode(der.SEQUENCE, bytes.fromhex("06072a8648ce380403")),
    (KeyType.EC, "sha1"): der.encode(der.SEQUENCE, bytes.fromhex("06072a8648ce3d0401")),
}
"""Signature algorithms that are assembled by hand."""

Extension = tuple[x509.ExtensionType, bool]
"""An extension and whether it is critical."""

_PURPOSES: Final = {Role.SERVER: ExtendedKeyUsageOID.SERVER_AUTH, Role.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH}
LIFETIME: Final = timedelta(days=30)
"""How long a throw-away certificate is valid unless said otherwise."""


def key_usage(*bits: str) -> x509.KeyUsage:
    """Return a keyUsage extension with these bits, named as in ``cryptography`` (``digital_signature``)."""
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in bits for name in names})


def generate_key(kind: KeyType = KeyType.RSA) -> PrivateKey:
    """Return a new key: RSA of 2048 bits, DSA of 1024 (its q must fit SHA-1's 160 bits), or ECDSA on secp256r1."""
    if kind is KeyType.RSA:
        return rsa.generate_private_key(65537, 2048)
    if kind is KeyType.DSA:
        return dsa.generate_private_key(1024)
    return ec.generate_private_key(ec.SECP256R1())


def distinguished_name(common_name: str, organization: str | None = None) -> x509.Name:
    """Return ``O=organization, CN=common_name``, or the common name alone."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization is not None:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its key, and the certificates from its issuer up to below the root, in order."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)
    above: tuple[x509.Certificate, ...] = ()

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The DER chain to send, leaf first and without the root."""
        return tuple(item.public_bytes(Encoding.DER) for item in (self.certificate, *self.above))

    @property
    def chain_pem(self) -> bytes:
        """The chain in PEM."""
        return b"".join(item.public_bytes(Encoding.PEM) for item in (self.certificate, *self.above))

    def key_pem(self, password: bytes | None = None) -> bytes:
        """Return the key as PKCS#8 in PEM, encrypted if there is a password."""
        protection = NoEncryption() if password is None else BestAvailableEncryption(password)
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)

    def identity(self, id: str) -> Identity:
        """Return the chain and key for a :class:`~tlsexit.policy.builtin.BuiltinPki`."""
        return Identity(id, self.chain, self.key)


@dataclass(frozen=True, slots=True)
class ThrowawayAuthority:
    """A root or an intermediate; ``above`` are the intermediates over it, the root left out."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)
    above: tuple[x509.Certificate, ...] = ()
    root: bool = False

    @property
    def pem(self) -> bytes:
        """The authority's certificate in PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(
        self,
        common_name: str = "localhost",
        *,
        organization: str | None = None,
        key: PrivateKey | None = None,
        role: Role | None = Role.SERVER,
        hosts: Sequence[str] = (),
        usage: x509.KeyUsage | None = None,
        extensions: Iterable[Extension] = (),
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        hash_name: str = "sha256",
    ) -> Issued:
        """Return a new end-entity certificate with its key, which is of the authority's kind unless one is given.

        ``hosts`` are host names and IP addresses for subjectAltName. ``role`` sets extendedKeyUsage, None leaves it
        out. ``usage`` is keyUsage; by default what an RSA, DSA or EC key can do in TLS 1.0.
        """
        key = generate_key(key_type(self.key)) if key is None else key
        if usage is None:
            bits = ("digital_signature", "key_encipherment") if key_type(key) is KeyType.RSA else ("digital_signature",)
            usage = key_usage(*bits)
        own: list[Extension] = [(x509.BasicConstraints(ca=False, path_length=None), True), (usage, True)]
        if role is not None:
            own.append((x509.ExtendedKeyUsage([_PURPOSES[role]]), False))
        if hosts:
            own.append((x509.SubjectAlternativeName([_general_name(host) for host in hosts]), False))
        certificate = _certificate(
            distinguished_name(common_name, organization),
            key,
            self,
            [*own, *extensions],
            (not_before, not_after),
            hash_name,
        )
        return Issued(certificate, key, self._chain())

    def authority(
        self,
        common_name: str,
        *,
        key: PrivateKey | None = None,
        path_length: int | None = None,
        usage: x509.KeyUsage | None = None,
        extensions: Iterable[Extension] = (),
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        hash_name: str = "sha256",
    ) -> ThrowawayAuthority:
        """Return a new authority under this one."""
        key = generate_key(key_type(self.key)) if key is None else key
        certificate = _certificate(
            distinguished_name(common_name),
            key,
            self,
            [*_authority_extensions(path_length, usage), *extensions],
            (not_before, not_after),
            hash_name,
        )
        return ThrowawayAuthority(certificate, key, self._chain())

    def revocation_list(
        self, revoked: Iterable[x509.Certificate], *, last_update: datetime, next_update: datetime
    ) -> x509.CertificateRevocationList:
        """Return a signed list of these certificates."""
        builder = x509.CertificateRevocationListBuilder(self.certificate.subject, last_update, next_update)
        for certificate in revoked:
            entry = x509.RevokedCertificateBuilder(certificate.serial_number, last_update)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256())

    def _chain(self) -> tuple[x509.Certificate, ...]:
        """The certificates above whatever this authority issues."""
        return () if self.root else (self.certificate, *self.above)


def throwaway_authority(
    common_name: str = "tlsexit throw-away CA",
    *,
    kind: KeyType = KeyType.RSA,
    key: PrivateKey | None = None,
    path_length: int | None = None,
    usage: x509.KeyUsage | None = None,
    extensions: Iterable[Extension] = (),
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    hash_name: str = "sha256",
) -> ThrowawayAuthority:
    """Return a new self-signed authority, with a new key of this kind unless one is given."""
    key = generate_key(kind) if key is None else key
    certificate = _certificate(
        distinguished_name(common_name),
        key,
        None,
        [*_authority_extensions(path_length, usage), *extensions],
        (not_before, not_after),
        hash_name,
    )
    return ThrowawayAuthority(certificate, key, root=True)


def self_signed(common_name: str = "localhost", *, hosts: Sequence[str] = (), key: PrivateKey | None = None) -> Issued:
    """Return a self-signed end-entity certificate with its key, good for both roles."""
    key = generate_key() if key is None else key
    extensions: list[Extension] = [(x509.BasicConstraints(ca=False, path_length=None), True)]
    if hosts:
        extensions.append((x509.SubjectAlternativeName([_general_name(host) for host in hosts]), False))
    name = distinguished_name(common_name)
    return Issued(_certificate(name, key, None, extensions, (None, None), "sha256"), key)


def _authority_extensions(path_length: int | None, usage: x509.KeyUsage | None) -> list[Extension]:
    usage = key_usage("key_cert_sign", "crl_sign") if usage is None else usage
    return [(x509.BasicConstraints(ca=True, path_length=path_length), True), (usage, True)]


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _certificate(
    subject: x509.Name,
    key: PrivateKey,
    issuer: ThrowawayAuthority | None,
    extensions: Iterable[Extension],
    validity: tuple[datetime | None, datetime | None],
    hash_name: str,
) -> x509.Certificate:
    """Return a certificate for ``key``, self-signed if there is no issuer; valid from an hour ago by default."""
    if hash_name not in _HASHES:
        raise LocalError(f"throw-away certificates are not signed with {hash_name}")
    not_before = validity[0] or datetime.now(UTC) - timedelta(hours=1)
    signer = key if issuer is None else issuer.key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(validity[1] or not_before + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical=critical)
    if (key_type(signer), hash_name) in _OLD_ALGORITHMS:
        return _signed_again(builder.sign(signer, hashes.SHA256()), signer, hash_name)
    digest = _HASHES[hash_name]
    if not isinstance(digest, hashes.SHA256 | hashes.SHA384 | hashes.SHA512):
        raise LocalError(f"{key_type(signer).value} certificates are not signed with {hash_name}")
    return builder.sign(signer, digest)


def _signed_again(certificate: x509.Certificate, signer: PrivateKey, hash_name: str) -> x509.Certificate:
    """Return the same certificate signed with an old hash, which both signature fields then name."""
    algorithm = _OLD_ALGORITHMS[key_type(signer), hash_name]
    version, serial, _, *rest = der.elements(certificate.tbs_certificate_bytes)
    tbs = der.encode(der.SEQUENCE, version, serial, algorithm, *rest)
    digest = _HASHES[hash_name]
    if isinstance(signer, rsa.RSAPrivateKey):
        signature = signer.sign(tbs, PKCS1v15(), digest)
    elif isinstance(signer, dsa.DSAPrivateKey):
        signature = signer.sign(tbs, digest)
    else:
        signature = signer.sign(tbs, ec.ECDSA(digest))
    bits = der.encode(der.BIT_STRING, b"\0", signature)
    return x509.load_der_x509_certificate(der.encode(der.SEQUENCE, tbs, algorithm, bits))
