"""Certificate revocation lists (RFC 5280 §5): complete lists, signed by the authority they speak for.

Lists come from the configuration; nothing is fetched. An authority without a list is not checked. A list that is out
of date, or not signed with its authority's key, refuses what it should have vouched for: an attacker who can keep an
old list in place must not thereby bring a stolen key back to life.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from tlsexit.alerts import LocalError, PeerError
from tlsexit.exits.forms import LIBRARY_ERRORS
from tlsexit.policy.certificates import NameKey, ParsedCertificate, display_name, name_key
from tlsexit.policy.failures import CertificateRevoked, CertificateUnknown
from tlsexit.policy.signatures import SignaturePolicy, verify

_PEM_BEGIN: Final = b"-----BEGIN X509 CRL-----"
_PEM_END: Final = b"-----END X509 CRL-----"


class RevocationList:
    """One list; raises :class:`LocalError` for one that is partial, indirect or a delta (RFC 5280 §5.2.4, §5.2.5)."""

    def __init__(self, crl: x509.CertificateRevocationList) -> None:
        self.issuer = b""
        try:
            self.issuer = crl.issuer.public_bytes()
            self.last_update, self.next_update = crl.last_update_utc, crl.next_update_utc
            critical = [extension.oid.dotted_string for extension in crl.extensions if extension.critical]
            self._serials = frozenset(entry.serial_number for entry in crl)
        except LIBRARY_ERRORS as error:
            raise LocalError(f"{self.title} does not parse: {error}") from error
        if critical:
            raise LocalError(f"{self.title} is not complete: critical extension {critical[0]}")
        self.document = crl
        self._verified_with: bytes | None = None

    @property
    def title(self) -> str:
        """What messages call the list."""
        return f"the revocation list of {display_name(self.issuer)}"

    @property
    def signed_bytes(self) -> bytes:
        """The ``tbsCertList``, which the authority signed."""
        return self.document.tbs_certlist_bytes

    def __contains__(self, serial_number: int) -> bool:
        return serial_number in self._serials

    def __len__(self) -> int:
        return len(self._serials)

    def check_signature(self, issuer: ParsedCertificate, policy: SignaturePolicy) -> None:
        """Check that ``issuer`` signed this list and may do so; success is remembered. Raises a PeerError."""
        policy.check_hash(self)
        if issuer.key_usage is not None and not issuer.key_usage.crl_sign:
            raise CertificateUnknown(f"{issuer.name} may not sign revocation lists")
        if self._verified_with != issuer.public_key_info:
            verify(self, issuer)
            self._verified_with = issuer.public_key_info


class RevocationLists:
    """Any number of lists, indexed by issuer."""

    def __init__(self, lists: Iterable[RevocationList | x509.CertificateRevocationList] = ()) -> None:
        self._by_issuer: dict[NameKey | bytes, tuple[RevocationList, ...]] = {}
        self.fingerprints: list[bytes] = []
        for item in lists:
            one = item if isinstance(item, RevocationList) else RevocationList(item)
            key = name_key(one.issuer)
            self._by_issuer[key] = (*self._by_issuer.get(key, ()), one)
            self.fingerprints.append(one.document.fingerprint(SHA256()))

    def check_path(self, path: Sequence[ParsedCertificate], policy: SignaturePolicy, at: datetime) -> None:
        """Check every certificate of a path, leaf first, but the anchor (R2246-7.2.2-11, R2246-F.1.1-01).

        Raises :class:`CertificateRevoked`, or :class:`CertificateUnknown` if the only lists of an authority cannot be
        relied on.
        """
        if self._by_issuer:
            for certificate, issuer in pairwise(path):
                self._check(certificate, issuer, policy, at)

    def _check(
        self, certificate: ParsedCertificate, issuer: ParsedCertificate, policy: SignaturePolicy, at: datetime
    ) -> None:
        usable = False
        failure: PeerError | None = None
        for one in self._by_issuer.get(name_key(certificate.issuer), ()):
            try:
                one.check_signature(issuer, policy)
            except PeerError as error:
                failure = error
                continue
            if certificate.certificate.serial_number in one:
                raise CertificateRevoked(f"{certificate.name} is on {one.title}")
            if one.last_update <= at and (one.next_update is None or at <= one.next_update):
                usable = True
            else:
                failure = CertificateUnknown(f"{one.title} is out of date")
        if failure is not None and not usable:
            raise CertificateUnknown(
                f"whether {certificate.name} is revoked cannot be told: {failure.reason}"
            ) from failure


def load_revocation_lists(file: str | Path) -> tuple[RevocationList, ...]:
    """Return the lists in a file: one in DER, or any number in PEM. Raises :class:`LocalError` naming the file."""
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise LocalError(f"{file}: cannot be read: {error.strerror}") from error
    try:
        if _PEM_BEGIN not in data:
            return (RevocationList(x509.load_der_x509_crl(data)),)
        blocks = [part.split(_PEM_END)[0] for part in data.split(_PEM_BEGIN)[1:]]
        return tuple(RevocationList(x509.load_pem_x509_crl(_PEM_BEGIN + block + _PEM_END)) for block in blocks)
    except LIBRARY_ERRORS as error:
        raise LocalError(f"{file}: is not a revocation list in PEM or DER") from error
    except LocalError as error:
        raise LocalError(f"{file}: {error}") from error
