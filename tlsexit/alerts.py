"""Alerts (RFC 2246 §7.2) and the errors that lead to them.

Every error a caller can meet derives from :class:`TlsError`. The alert an error answers with is a class attribute of
the error, so there is no mapping table to fall out of date. Four families:

* :class:`LocalError`: the caller asked for something impossible; nothing goes to the peer.
* :class:`PeerError`: the peer broke the protocol; its ``description`` goes out as a fatal alert.
* :class:`AlertReceived`: the peer sent a fatal alert.
* :class:`ExitFailed`: an exit refused, failed, or answered nonsense.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar, Final


class AlertLevel(IntEnum):
    """``AlertLevel`` (RFC 2246 §7.2)."""

    WARNING = 1
    FATAL = 2


class AlertDescription(IntEnum):
    """``AlertDescription`` (RFC 2246 §7.2, and the RFC named beside the later ones)."""

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    BAD_RECORD_MAC = 20
    DECRYPTION_FAILED = 21  # understood, never sent: it would be a padding oracle (RFC 4346 §7.2.2)
    RECORD_OVERFLOW = 22
    DECOMPRESSION_FAILURE = 30
    HANDSHAKE_FAILURE = 40
    NO_CERTIFICATE = 41  # SSL 3.0 only, never sent (RFC 4346 §7.2.2)
    BAD_CERTIFICATE = 42
    UNSUPPORTED_CERTIFICATE = 43
    CERTIFICATE_REVOKED = 44
    CERTIFICATE_EXPIRED = 45
    CERTIFICATE_UNKNOWN = 46
    ILLEGAL_PARAMETER = 47
    UNKNOWN_CA = 48
    ACCESS_DENIED = 49
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    EXPORT_RESTRICTION = 60
    PROTOCOL_VERSION = 70
    INSUFFICIENT_SECURITY = 71
    INTERNAL_ERROR = 80
    INAPPROPRIATE_FALLBACK = 86  # RFC 7507
    USER_CANCELED = 90
    NO_RENEGOTIATION = 100
    UNSUPPORTED_EXTENSION = 110  # RFC 4366
    CERTIFICATE_UNOBTAINABLE = 111  # RFC 4366
    UNRECOGNIZED_NAME = 112  # RFC 4366
    BAD_CERTIFICATE_STATUS_RESPONSE = 113  # RFC 4366
    BAD_CERTIFICATE_HASH_VALUE = 114  # RFC 4366
    UNKNOWN_PSK_IDENTITY = 115  # RFC 4279
    NO_APPLICATION_PROTOCOL = 120  # RFC 7301


ALWAYS_FATAL: Final = frozenset(
    {
        AlertDescription.UNEXPECTED_MESSAGE,
        AlertDescription.BAD_RECORD_MAC,
        AlertDescription.DECRYPTION_FAILED,
        AlertDescription.RECORD_OVERFLOW,
        AlertDescription.DECOMPRESSION_FAILURE,
        AlertDescription.HANDSHAKE_FAILURE,
        AlertDescription.ILLEGAL_PARAMETER,
        AlertDescription.UNKNOWN_CA,
        AlertDescription.ACCESS_DENIED,
        AlertDescription.DECODE_ERROR,
        AlertDescription.EXPORT_RESTRICTION,
        AlertDescription.PROTOCOL_VERSION,
        AlertDescription.INSUFFICIENT_SECURITY,
        AlertDescription.INTERNAL_ERROR,
    }
)
"""Descriptions that §7.2.2 calls "always fatal": treated as fatal whatever level the peer put on them."""


def alert_name(description: int) -> str:
    """Return ``unknown_ca(48)`` for 48, and ``unknown alert(200)`` for a value without a name."""
    try:
        return f"{AlertDescription(description).name.lower()}({description})"
    except ValueError:
        return f"unknown alert({description})"


class TlsError(Exception):
    """The root of everything tlsexit raises on purpose."""


class LocalError(TlsError):
    """This side's own mistake: a bad argument, a call in the wrong state, unusable configuration. No alert is sent."""


class ExitTimeout(LocalError, TimeoutError):
    """An exit did not answer in time: the ``__cause__`` of the :class:`ExitFailed` that follows."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {round(seconds, 3):g} s")


class TruncatedError(TlsError):
    """The transport ended without close_notify, so the last data may be missing (RFC 2246 §7.2.1)."""


_MEANINGS: Final[dict[int, str]] = {
    AlertDescription.PROTOCOL_VERSION: "it does not accept TLS 1.0",
    AlertDescription.INAPPROPRIATE_FALLBACK: "it has a higher version, so there was no need to fall back to TLS 1.0",
}
"""What an alert means to somebody who only speaks TLS 1.0, where its name alone does not tell."""


class AlertReceived(TlsError):
    """The peer ended the connection with a fatal alert.

    ``description`` is the number received, which may be one :class:`AlertDescription` does not name.
    """

    def __init__(self, description: int) -> None:
        meaning = _MEANINGS.get(description)
        super().__init__(f"the peer sent {alert_name(description)}" + (f": {meaning}" if meaning else ""))
        self.description = description


class ExitFailed(TlsError):
    """An exit refused, failed or answered something unusable; the handshake ended with ``description``.

    Nothing is ``sent`` where there is no peer yet, in StartTask, and where it must not be told: in decryption.
    ``phase`` is the phase's name as in the manual (``GetCertificate``); ``__cause__`` holds what the exit raised, if
    it raised. The text never contains what the exit answered: that may be a key.
    """

    def __init__(self, phase: str, description: AlertDescription, reason: str, *, sent: bool = True) -> None:
        super().__init__(f"{phase}: {reason}" + (f"; {alert_name(description)} sent" if sent else ""))
        self.phase = phase
        self.description = description
        self.reason = reason


class PeerError(TlsError):
    """The peer broke a rule. ``description`` is the alert that answers it, ``reason`` one sentence for a person."""

    description: ClassVar[AlertDescription] = AlertDescription.HANDSHAKE_FAILURE

    def __init__(self, reason: str) -> None:
        super().__init__(f"{alert_name(self.description)}: {reason}")
        self.reason = reason


class UnexpectedMessage(PeerError):
    """A message that this state does not allow (§7.2.2)."""

    description = AlertDescription.UNEXPECTED_MESSAGE


class BadRecordMac(PeerError):
    """A record whose MAC or padding is wrong; deliberately one error for both (RFC 4346 §7.2.2)."""

    description = AlertDescription.BAD_RECORD_MAC


class RecordOverflow(PeerError):
    """A record longer than §6.2 allows."""

    description = AlertDescription.RECORD_OVERFLOW


class HandshakeFailure(PeerError):
    """No acceptable set of parameters among those offered (§7.2.2)."""

    description = AlertDescription.HANDSHAKE_FAILURE


class BadCertificate(PeerError):
    """A certificate that does not parse or whose signature is wrong (§7.2.2)."""

    description = AlertDescription.BAD_CERTIFICATE


class UnsupportedCertificate(PeerError):
    """A certificate of a kind that this handshake cannot use (§7.2.2)."""

    description = AlertDescription.UNSUPPORTED_CERTIFICATE


class IllegalParameter(PeerError):
    """A field out of range or inconsistent with another (§7.2.2)."""

    description = AlertDescription.ILLEGAL_PARAMETER


class DecodeError(PeerError):
    """A message that does not match its description (§7.2.2)."""

    description = AlertDescription.DECODE_ERROR


class DecryptError(PeerError):
    """A signature or Finished that does not verify (§7.2.2)."""

    description = AlertDescription.DECRYPT_ERROR


class ProtocolVersionError(PeerError):
    """A version that is recognised but not supported (§7.2.2)."""

    description = AlertDescription.PROTOCOL_VERSION


class InsufficientSecurity(PeerError):
    """Parameters below what the profile accepts (§7.2.2)."""

    description = AlertDescription.INSUFFICIENT_SECURITY


class ExportRestriction(PeerError):
    """An export suite with a key longer than export rules allowed (§7.2.2)."""

    description = AlertDescription.EXPORT_RESTRICTION


class InternalError(PeerError):
    """A local failure while serving the peer (§7.2.2)."""

    description = AlertDescription.INTERNAL_ERROR


class InappropriateFallback(PeerError):
    """TLS_FALLBACK_SCSV from a client that could have had a higher version (RFC 7507 §3)."""

    description = AlertDescription.INAPPROPRIATE_FALLBACK


class NoRenegotiation(PeerError):
    """The peer started a renegotiation too often to be answered with warnings (§7.2.2)."""

    description = AlertDescription.NO_RENEGOTIATION


class UnsupportedExtension(PeerError):
    """A ServerHello extension that was never asked for (RFC 4366 §4)."""

    description = AlertDescription.UNSUPPORTED_EXTENSION


class UnrecognizedName(PeerError):
    """A server_name this server does not serve (RFC 4366 §4)."""

    description = AlertDescription.UNRECOGNIZED_NAME


class BadCertificateStatusResponse(PeerError):
    """A stapled OCSP response that is not satisfactory (RFC 4366 §4)."""

    description = AlertDescription.BAD_CERTIFICATE_STATUS_RESPONSE


class UnknownPskIdentity(PeerError):
    """A PSK identity without a key (RFC 4279 §2)."""

    description = AlertDescription.UNKNOWN_PSK_IDENTITY


class NoApplicationProtocol(PeerError):
    """No ALPN protocol in common (RFC 7301 §3.2)."""

    description = AlertDescription.NO_APPLICATION_PROTOCOL
