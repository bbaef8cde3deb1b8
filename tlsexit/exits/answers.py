"""The three answers of an exit: handled, not handled, failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from tlsexit.alerts import AlertDescription
from tlsexit.exits.phases import ExitPhase
from tlsexit.values import quicken


class ReturnCode(IntEnum):
    """What a plain ``cftpkie``-style function returns."""

    HANDLED = 0
    NOT_HANDLED = 1
    ERROR = -1


@dataclass(frozen=True, slots=True)
class Handled:
    """The exit did it. ``value`` is what the phase asks for; it stays out of the repr, since it may be a key."""

    value: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class NotHandled:
    """The exit leaves this phase to the built-in PKI."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The exit refuses, or could not do it.

    ``alert_reason`` is one of :data:`REFUSAL_ALERTS`; anything else is reported as the exit's mistake and answered
    with internal_error. ``cause`` is the exception behind the failure, if there was one.
    """

    alert_reason: int | None = None
    cause: BaseException | None = field(default=None, compare=False, repr=False)

    def __repr__(self) -> str:
        # an exit may have put anything there, a key for one
        kind = type(self.alert_reason)
        shown = repr(self.alert_reason) if issubclass(kind, int) or self.alert_reason is None else f"<{kind.__name__}>"
        return f"Failed(alert_reason={shown})"


Answer = Handled | NotHandled | Failed

REFUSAL_ALERTS: Final = frozenset(
    {
        AlertDescription.HANDSHAKE_FAILURE,
        AlertDescription.BAD_CERTIFICATE,
        AlertDescription.UNSUPPORTED_CERTIFICATE,
        AlertDescription.CERTIFICATE_REVOKED,
        AlertDescription.CERTIFICATE_EXPIRED,
        AlertDescription.CERTIFICATE_UNKNOWN,
        AlertDescription.ILLEGAL_PARAMETER,
        AlertDescription.UNKNOWN_CA,
        AlertDescription.ACCESS_DENIED,
        AlertDescription.DECODE_ERROR,
        AlertDescription.DECRYPT_ERROR,
        AlertDescription.EXPORT_RESTRICTION,
        AlertDescription.INSUFFICIENT_SECURITY,
        AlertDescription.INTERNAL_ERROR,
        AlertDescription.USER_CANCELED,
    }
)
"""The refusal codes that an exit may name (``iAlertReason_w``)."""

_PHASE_REFUSALS: Final = {
    ExitPhase.GET_PRE_SHARED_KEY: AlertDescription.UNKNOWN_PSK_IDENTITY,
    ExitPhase.CHECK_CERTIFICATE: AlertDescription.BAD_CERTIFICATE_STATUS_RESPONSE,
}


def is_recognised(phase: ExitPhase, reason: object) -> bool:
    """Whether an exit may refuse this phase with ``reason``.

    Besides :data:`REFUSAL_ALERTS` that is the alert a later RFC made for the phase: unknown_psk_identity (RFC 4279)
    in GetPreSharedKey and bad_certificate_status_response (RFC 6066 §8) in CheckCertificate.
    """
    return isinstance(reason, int) and (reason in REFUSAL_ALERTS or reason == _PHASE_REFUSALS.get(phase))


quicken(__name__)
