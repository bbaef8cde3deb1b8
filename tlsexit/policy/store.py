"""The local key store: identities (own chain and private key) and authorities, from PEM and PKCS#12 files.

An :class:`Identity` is ready for use. An :class:`IdentityFile` names files that are read, and if need be decrypted,
when a handshake first needs them: the password may be known only then, since an exit may answer StartTask with it.
Every failure is a :class:`LocalError` in one sentence that names the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from tlsexit.alerts import LocalError
from tlsexit.crypto.keyops import PrivateKey, key_type
from tlsexit.policy.certificates import CertificateLike, ParsedCertificate, local, name_key, parsed

_PEM_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_PEM_PRIVATE_KEY = b"PRIVATE KEY-----"


@dataclass(frozen=True, slots=True)
class Identity:
    """An own chain, DER and leaf first, with its private key.

    ``key`` is None if the key is elsewhere and an exit answers CryptData. Each certificate must be issued by the next
    one (R2246-7.4.2-09, -10). Raises :class:`LocalError` if not, or if the key is not the leaf's.
    """

    id: str
    chain: tuple[bytes, ...] = field(repr=False)
    key: PrivateKey | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.chain:
            raise LocalError(f"identity {self.id}: the chain is empty")
        certificates = [local(der, f"identity {self.id}: a certificate") for der in self.chain]
        for lower, upper in pairwise(certificates):
            if name_key(lower.issuer) != name_key(upper.subject):
                raise LocalError(f"identity {self.id}: {upper.name} comes after {lower.name} without being its issuer")
        try:
            key_type(certificates[0].public_key)
        except LocalError as error:
            raise LocalError(f"identity {self.id}: TLS 1.0 has no use for the key of {certificates[0].name}") from error
        if self.key is not None and self.key.public_key() != certificates[0].public_key:
            raise LocalError(f"identity {self.id}: the private key is not that of {certificates[0].name}")

    @property
    def leaf(self) -> ParsedCertificate:
        """The own certificate."""
        return parsed(self.chain[0])

    @property
    def certificates(self) -> tuple[ParsedCertificate, ...]:
        """The chain, leaf first."""
        return tuple(parsed(der) for der in self.chain)

    def open(self, password: bytes | None = None) -> Identity:
        """Return the identity itself: there is nothing left to decrypt."""
        return self


class IdentityFile:
    """An identity in files that are opened on first need.

    ``certificates`` is a PEM file, leaf first, with the key in it or in ``key``; or a PKCS#12 file. ``password``
    opens the key; None leaves it to the password of the task, which StartTask may have answered.
    """

    def __init__(
        self, id: str, certificates: str | Path, key: str | Path | None = None, password: bytes | str | None = None
    ) -> None:
        self.id = id
        self.certificates = Path(certificates)
        self.key = None if key is None else Path(key)
        self._password = _password_bytes(password)
        self._opened: dict[bytes | None, Identity] = {}

    def __repr__(self) -> str:
        return f"IdentityFile({self.id!r}, {str(self.certificates)!r})"

    def open(self, password: bytes | None = None) -> Identity:
        """Return the identity, read and decrypted once; :class:`LocalError` if that fails.

        ``password`` is the task's. Another task's password does not open what this one's has not.
        """
        used = password if self._password is None else self._password
        identity = self._opened.get(used)
        if identity is None:
            identity = self._opened[used] = load_identity(self.id, self.certificates, self.key, used)
        return identity


def load_identity(
    id: str, certificates: str | Path, key: str | Path | None = None, password: bytes | str | None = None
) -> Identity:
    """Return the identity in a PEM file, or in a PKCS#12 file; the arguments are those of :class:`IdentityFile`.

    A PEM file without a private key, with no ``key`` file beside it, gives an identity whose key is elsewhere.
    """
    data = _read(certificates)
    secret = _password_bytes(password)
    if _PEM_CERTIFICATE not in data and data[:1] == b"\x30":
        if key is not None:
            raise LocalError(f"{certificates}: is not PEM, so it is taken for PKCS#12, which holds its own key")
        return _from_pkcs12(id, Path(certificates), data, secret)
    chain = _pem_certificates(certificates, data)
    if key is not None:
        loaded: PrivateKey | None = _pem_key(key, _read(key), secret)
    else:
        loaded = _pem_key(certificates, data, secret) if _PEM_PRIVATE_KEY in data else None
    try:
        return Identity(id, tuple(chain), loaded)
    except LocalError as error:
        raise LocalError(f"{key or certificates}: {error}") from error


def load_authorities(file: str | Path) -> tuple[bytes, ...]:
    """Return the DER certificates in a PEM file with any number of them, each checked to parse."""
    authorities = _pem_certificates(file, _read(file))
    for der in authorities:
        local(der, f"{file}: an authority")
    return tuple(authorities)


def _from_pkcs12(id: str, file: Path, data: bytes, password: bytes | None) -> Identity:
    try:
        bag = load_pkcs12(data, password)
    except UnsupportedAlgorithm as error:
        raise LocalError(f"{file}: is encrypted with an algorithm that is not supported") from error
    except (ValueError, TypeError) as error:
        hint = "needs a password" if password is None else "is not PKCS#12, or the password is wrong"
        raise LocalError(f"{file}: {hint}") from error
    if bag.cert is None:
        raise LocalError(f"{file}: holds no certificate with its private key")
    if not isinstance(bag.key, PrivateKey):
        raise LocalError(f"{file}: holds a private key that TLS 1.0 has no use for")
    leaf = bag.cert.certificate
    others = [item.certificate for item in bag.additional_certs]
    try:
        return Identity(id, ordered_chain(leaf, others), bag.key)
    except LocalError as error:
        raise LocalError(f"{file}: {error}") from error


def ordered_chain(leaf: CertificateLike, others: Sequence[CertificateLike]) -> tuple[bytes, ...]:
    """Return the DER chain from ``leaf`` upwards, as far as ``others`` has the issuers; the rest is left out."""
    chain = [local(leaf, "a certificate")]
    left = [local(item, "a certificate") for item in others]
    while not chain[-1].self_issued:
        wanted = name_key(chain[-1].issuer)
        issuer = next((item for item in left if name_key(item.subject) == wanted), None)
        if issuer is None:
            break
        left.remove(issuer)
        chain.append(issuer)
    return tuple(item.der for item in chain)


def _pem_certificates(file: str | Path, data: bytes) -> list[bytes]:
    if _PEM_CERTIFICATE not in data:
        raise LocalError(f"{file}: holds no certificate in PEM")
    try:
        return [item.public_bytes(Encoding.DER) for item in x509.load_pem_x509_certificates(data)]
    except (ValueError, x509.InvalidVersion) as error:
        raise LocalError(f"{file}: a certificate in it does not parse") from error


def _pem_key(file: str | Path, data: bytes, password: bytes | None) -> PrivateKey:
    """Return the private key in PEM data: PKCS#8 or the traditional forms, encrypted or not."""
    if _PEM_PRIVATE_KEY not in data:
        raise LocalError(f"{file}: holds no private key in PEM")
    begin = data.rindex(b"-----BEGIN ", 0, data.index(_PEM_PRIVATE_KEY))
    block, _, _ = data[begin:].partition(b"-----END ")
    encrypted = b"ENCRYPTED" in block  # in the header of PKCS#8, in Proc-Type of the traditional forms
    if encrypted and password is None:
        raise LocalError(f"{file}: the private key is encrypted and there is no password")
    try:
        key = load_pem_private_key(data[begin:], password if encrypted else None)
    except UnsupportedAlgorithm as error:
        raise LocalError(f"{file}: the private key is of a kind that is not supported") from error
    except (ValueError, TypeError) as error:
        hint = "the private key does not open: wrong password?" if encrypted else "the private key does not parse"
        raise LocalError(f"{file}: {hint}") from error
    if not isinstance(key, PrivateKey):
        raise LocalError(f"{file}: holds a private key that TLS 1.0 has no use for")
    return key


def _read(file: str | Path) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise LocalError(f"{file}: cannot be read: {error.strerror}") from error


def _password_bytes(password: bytes | str | None) -> bytes | None:
    return password.encode() if isinstance(password, str) else password
