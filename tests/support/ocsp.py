"""OCSP responses for tests."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.support.pki import NOW, pki
from tlsexit.policy.throwaway import Issued, ThrowawayAuthority

HOUR = timedelta(hours=1)
GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN


def respond(
    status: ocsp.OCSPCertStatus = GOOD,
    *,
    about: Issued | None = None,
    issuer: ThrowawayAuthority | None = None,
    by: Issued | ThrowawayAuthority | None = None,
    since: datetime = NOW - HOUR,
    by_hash: bool = False,
    digest: hashes.SHA1 | hashes.SHA256 | None = None,
) -> bytes:
    """A response about the RSA server certificate, signed by its issuer unless said otherwise."""
    about, issuer = about or pki().server, issuer or pki().root
    by = by or issuer
    revoked = status is REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=about.certificate,
        issuer=issuer.certificate,
        algorithm=digest or hashes.SHA1(),
        cert_status=status,
        this_update=since,
        next_update=since + 24 * HOUR,
        revocation_time=since if revoked else None,
        revocation_reason=None,
    )
    encoding = ocsp.OCSPResponderEncoding.HASH if by_hash else ocsp.OCSPResponderEncoding.NAME
    builder = builder.responder_id(encoding, by.certificate)
    if isinstance(by, Issued):
        builder = builder.certificates([by.certificate])
    return builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.DER)
