"""Stapled OCSP responses: an authority's word, sent by the server itself, that a certificate is not revoked.

RFC 6066 §8, RFC 6960. A client that asked for a response need not get one; one that it gets has to be satisfactory,
and "unsatisfactory" has an alert of its own, bad_certificate_status_response(113). A good answer that says "revoked"
is certificate_revoked(44) (R2246-7.2.2-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from tlsexit.alerts import BadCertificate, BadCertificateStatusResponse, PeerError
from tlsexit.exits.forms import LIBRARY_ERRORS
from tlsexit.policy.certificates import ParsedCertificate, name_key, parse_certificate
from tlsexit.policy.der import public_key_bits
from tlsexit.policy.failures import CertificateRevoked
from tlsexit.policy.signatures import SignaturePolicy, check_signature, verify

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far the responder's clock may differ from ours: its answers are often seconds old (OpenSSL: 5 minutes)."""

MAX_RESPONDERS: Final = 4
"""Certificates looked at in a response; an honest one has the responder's alone."""


@dataclass(frozen=True, slots=True)
class SignedResponse:
    """A successful response, in the form in which signatures are checked."""

    document: ocsp.OCSPResponse

    @property
    def signed_bytes(self) -> bytes:
        """The ``tbsResponseData``."""
        return self.document.tbs_response_bytes

    @property
    def title(self) -> str:
        """What messages call it."""
        return "the OCSP response"


def check_stapled_response(
    response: bytes, path: Sequence[ParsedCertificate], *, at: datetime, policy: SignaturePolicy
) -> None:
    """Check the DER response that came with a chain whose ``path`` is already found good, leaf first.

    Nothing is checked for a self-signed leaf, for which nobody answers. Raises :class:`BadCertificateStatusResponse`
    if the response does not vouch for the leaf, and :class:`CertificateRevoked` if it says that it is revoked.
    """
    if len(path) < 2:
        return
    leaf, issuer = path[0], path[1]
    try:
        parsed = ocsp.load_der_ocsp_response(response)
        if parsed.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise BadCertificateStatusResponse("the OCSP responder had no answer")
        _check_signature(SignedResponse(parsed), issuer, at, policy)
        answer = answer_about(parsed, leaf, issuer)
    except LIBRARY_ERRORS as error:
        raise BadCertificateStatusResponse(f"the OCSP response does not parse: {error}") from error
    if answer is None:
        raise BadCertificateStatusResponse(f"the OCSP response is not about {leaf.name}")
    if answer.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        raise CertificateRevoked(f"{issuer.name} has revoked the certificate of {leaf.name}")
    if answer.certificate_status is not ocsp.OCSPCertStatus.GOOD:
        raise BadCertificateStatusResponse(f"the OCSP responder does not know {leaf.name}")
    if not is_current(answer, at):
        raise BadCertificateStatusResponse(f"the OCSP response about {leaf.name} is out of date")


def answer_about(
    response: ocsp.OCSPResponse, leaf: ParsedCertificate, issuer: ParsedCertificate
) -> ocsp.OCSPSingleResponse | None:
    """Return what a successful response says about a certificate; None if it is about others."""
    return next((item for item in response.responses if _is_about(item, leaf, issuer)), None)


def is_current(answer: ocsp.OCSPSingleResponse, at: datetime) -> bool:
    """Whether an answer holds at that time, give or take :data:`CLOCK_SKEW`."""
    until = answer.next_update_utc
    return answer.this_update_utc <= at + CLOCK_SKEW and (until is None or at - CLOCK_SKEW <= until)


def names_it(answer: ocsp.OCSPSingleResponse, leaf: ParsedCertificate) -> bool:
    """Whether an answer has the leaf's serial number and issuer's name: all that can be told without the issuer."""
    return answer.serial_number == leaf.certificate.serial_number and answer.issuer_name_hash == _digest(
        answer.hash_algorithm, leaf.issuer
    )


def _is_about(answer: ocsp.OCSPSingleResponse, leaf: ParsedCertificate, issuer: ParsedCertificate) -> bool:
    """Whether an answer's CertID is the leaf's (RFC 6960 §4.1.1)."""
    return names_it(answer, leaf) and answer.issuer_key_hash == _digest(
        answer.hash_algorithm, public_key_bits(issuer.public_key_info)
    )


def _check_signature(signed: SignedResponse, issuer: ParsedCertificate, at: datetime, policy: SignaturePolicy) -> None:
    """Check that the issuer signed the response, or a responder that it appointed (RFC 6960 §4.2.2.2)."""
    try:
        policy.check_hash(signed)
        responders = [issuer] if _is_responder(signed.document, issuer) else _appointed(signed.document, issuer, at)
        if not responders:
            raise BadCertificate(f"the OCSP response is by nobody whom {issuer.name} appointed")
        policy.check_key(responders[0])
        verify(signed, responders[0])
    except PeerError as error:
        raise BadCertificateStatusResponse(error.reason) from error


def _appointed(document: ocsp.OCSPResponse, issuer: ParsedCertificate, at: datetime) -> list[ParsedCertificate]:
    """Return the responder's certificate if it came along, from the issuer, current, and for signing responses."""
    found = []
    for certificate in document.certificates[:MAX_RESPONDERS]:
        responder = parse_certificate(certificate.public_bytes(Encoding.DER))
        usage = responder.extended_key_usage or frozenset()
        current = responder.not_before <= at <= responder.not_after
        if _is_responder(document, responder) and current and ExtendedKeyUsageOID.OCSP_SIGNING in usage:
            check_signature(responder, issuer)
            found.append(responder)
    return found


def _is_responder(document: ocsp.OCSPResponse, certificate: ParsedCertificate) -> bool:
    """Whether the response's ResponderID, a name or the SHA-1 of a key, is this certificate's."""
    if document.responder_name is not None:
        return name_key(document.responder_name.public_bytes()) == name_key(certificate.subject)
    return document.responder_key_hash == _digest(hashes.SHA1(), public_key_bits(certificate.public_key_info))


def _digest(algorithm: hashes.HashAlgorithm, data: bytes) -> bytes:
    context = hashes.Hash(algorithm)
    context.update(data)
    return context.finalize()
