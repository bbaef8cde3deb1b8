"""OCSP responses in files (RFC 6960): what an authority's responder has said about certificates, ours and others'.

A response about a peer's certificate, or one above it, is judged like a stapled one. One that cannot be relied on
refuses what it should have vouched for, as with revocation lists (:mod:`tlsexit.policy.revocation`). A response about
an own certificate is there to be stapled (RFC 6066 §8). Nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from cryptography.x509 import ocsp

from tlsexit.alerts import LocalError, PeerError
from tlsexit.exits.forms import LIBRARY_ERRORS
from tlsexit.policy.certificates import ParsedCertificate, TrustAnchors, parsed
from tlsexit.policy.failures import CertificateRevoked, CertificateUnknown
from tlsexit.policy.ocsp import answer_about, check_stapled_response, is_current, names_it
from tlsexit.policy.signatures import SignaturePolicy


class StoredResponses:
    """Any number of DER responses; raises :class:`LocalError` for one that is none, or that has no answer."""

    def __init__(self, responses: Iterable[bytes] = ()) -> None:
        self._responses = [(der, _loaded(der)) for der in responses]
        self.fingerprints = [sha256(der).digest() for der, _ in self._responses]

    def check_path(self, path: Sequence[ParsedCertificate], *, at: datetime, policy: SignaturePolicy) -> None:
        """Check every certificate of a path, leaf first, but the anchor, as far as there are responses about it.

        Raises :class:`CertificateRevoked`, or :class:`CertificateUnknown` if the only responses about a certificate
        cannot be relied on.
        """
        if self._responses:
            for certificate, issuer in pairwise(path):
                self._check(certificate, issuer, at, policy)

    def to_staple(
        self, chain: Sequence[bytes], anchors: TrustAnchors, *, at: datetime, policy: SignaturePolicy
    ) -> bytes | None:
        """Return the response to send with an own chain: a current one that says that the leaf is good.

        Whether its signature is right can be told only where the issuer's certificate is in the chain or among the
        ``anchors``; without it, that is left to the client.
        """
        if not self._responses or not chain:
            return None
        leaf, *above = [parsed(der) for der in chain]
        issuers = (*above[:1], *anchors.issuers_of(leaf))
        if not issuers:
            return next((der for der, response in self._responses if _vouches(response, leaf, at)), None)
        for issuer in issuers:
            for response in self._about(leaf, issuer):
                try:
                    check_stapled_response(response, (leaf, issuer), at=at, policy=policy)
                except PeerError:
                    continue  # the client would refuse what another response, or none, lets pass
                return response
        return None

    def _check(
        self, certificate: ParsedCertificate, issuer: ParsedCertificate, at: datetime, policy: SignaturePolicy
    ) -> None:
        usable = False
        failure: PeerError | None = None
        for response in self._about(certificate, issuer):
            try:
                check_stapled_response(response, (certificate, issuer), at=at, policy=policy)
            except CertificateRevoked:
                raise
            except PeerError as error:
                failure = error
            else:
                usable = True
        if failure is not None and not usable:
            raise CertificateUnknown(
                f"whether {certificate.name} is revoked cannot be told: {failure.reason}"
            ) from failure

    def _about(self, certificate: ParsedCertificate, issuer: ParsedCertificate) -> Iterator[bytes]:
        return (der for der, response in self._responses if answer_about(response, certificate, issuer) is not None)


def load_ocsp_response(file: str | Path) -> bytes:
    """Return the DER response in a file. Raises :class:`LocalError` naming the file."""
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise LocalError(f"{file}: cannot be read: {error.strerror}") from error
    try:
        _loaded(data)
    except LocalError as error:
        raise LocalError(f"{file}: {error}") from error
    return data


def described_response(der: bytes) -> tuple[str, ...]:
    """Return what a response says, for a person: a line for each certificate. Raises :class:`LocalError`."""
    lines = []
    for item in _loaded(der).responses:
        until = "" if item.next_update_utc is None else f", until {item.next_update_utc:%Y-%m-%d}"
        lines.append(f"serial number {item.serial_number:X}: {item.certificate_status.name.lower()}{until}")
    return tuple(lines)


def _vouches(response: ocsp.OCSPResponse, leaf: ParsedCertificate, at: datetime) -> bool:
    return any(
        names_it(item, leaf) and item.certificate_status is ocsp.OCSPCertStatus.GOOD and is_current(item, at)
        for item in response.responses
    )


def _loaded(der: bytes) -> ocsp.OCSPResponse:
    try:
        response = ocsp.load_der_ocsp_response(der)
        list(response.responses)  # what is wrong inside is found here, not in a handshake
    except LIBRARY_ERRORS as error:
        raise LocalError("is not an OCSP response in DER, or one without an answer") from error
    return response
