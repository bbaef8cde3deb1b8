"""Why a certificate is refused: a class for each alert of RFC 2246 §7.2.2 that only these checks answer with.

:class:`~tlsexit.alerts.BadCertificate`, :class:`~tlsexit.alerts.UnsupportedCertificate` and
:class:`~tlsexit.alerts.InsufficientSecurity` complete the set.
"""

from __future__ import annotations

from tlsexit.alerts import AlertDescription, PeerError


class CertificateRevoked(PeerError):
    """A certificate that its issuer has revoked (§7.2.2)."""

    description = AlertDescription.CERTIFICATE_REVOKED


class CertificateExpired(PeerError):
    """A certificate used outside its validity: "expired or is not currently valid" (§7.2.2)."""

    description = AlertDescription.CERTIFICATE_EXPIRED


class CertificateUnknown(PeerError):
    """A certificate that is unacceptable for another reason: "some other (unspecified) issue" (§7.2.2)."""

    description = AlertDescription.CERTIFICATE_UNKNOWN


class UnknownCA(PeerError):
    """A chain that does not lead to a trusted authority (§7.2.2)."""

    description = AlertDescription.UNKNOWN_CA


class AccessDenied(PeerError):
    """A valid certificate of someone who is not let in: the profile's DN filters (§7.2.2)."""

    description = AlertDescription.ACCESS_DENIED
