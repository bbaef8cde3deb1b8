"""The structures of the record protocol and of its two smallest clients (RFC 2246 §6.2, §7.1, §7.2).

The three record grammars describe a whole record and serve tools, tests and whoever holds all the bytes. The live path
reads the same five header bytes in :mod:`tlsexit.records.framing`, because there the limits answer with record_overflow
before the fragment has arrived, and because a grammar costs as much as sealing a short record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tlsexit.alerts import ALWAYS_FATAL, AlertLevel, IllegalParameter, alert_name
from tlsexit.constants import MAX_CIPHERTEXT, MAX_COMPRESSED, MAX_PLAINTEXT
from tlsexit.records.record import Record
from tlsexit.values import quicken
from tlsexit.wire import Message, Opaque, Uint, build, parse


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as it travels (§7.2). Both fields stay numbers: a peer may use descriptions that have no name here."""

    level: int
    description: int

    @property
    def is_fatal(self) -> bool:
        """Whether the connection ends: the level says so, or §7.2.2 calls the description always fatal."""
        return self.level == AlertLevel.FATAL or self.description in ALWAYS_FATAL

    def __str__(self) -> str:
        return f"{'fatal' if self.level == AlertLevel.FATAL else 'warning'} {alert_name(self.description)}"


@dataclass(frozen=True, slots=True)
class ChangeCipherSpec:
    """``change_cipher_spec(1)``, the only message of its protocol (§7.1)."""

    type: int = 1


# struct { ContentType type; ProtocolVersion version; uint16 length; opaque fragment[length]; } TLSPlaintext;
# "The length should not exceed 2^14" (§6.2.1)
TLS_PLAINTEXT = Message(Record, content_type=Uint(1), version=Uint(2), fragment=Opaque(0, MAX_PLAINTEXT))

# The same with a fragment "not exceeding 2^14 + 1024" (§6.2.2); equal to TLSPlaintext, compression being always null
TLS_COMPRESSED = Message(Record, content_type=Uint(1), version=Uint(2), fragment=Opaque(0, MAX_COMPRESSED))

# The same with a fragment that "may not exceed 2^14 + 2048" (§6.2.3)
TLS_CIPHERTEXT = Message(Record, content_type=Uint(1), version=Uint(2), fragment=Opaque(0, MAX_CIPHERTEXT))

# struct { AlertLevel level; AlertDescription description; } Alert;
ALERT = Message(Alert, level=Uint(1), description=Uint(1))

# struct { enum { change_cipher_spec(1), (255) } type; } ChangeCipherSpec;
CHANGE_CIPHER_SPEC = Message(ChangeCipherSpec, type=Uint(1))


def parse_alert(fragment: bytes) -> Alert:
    """Return the alert that fills ``fragment`` (§7.2).

    Raises :class:`~tlsexit.alerts.DecodeError` unless there are exactly two bytes, and
    :class:`~tlsexit.alerts.IllegalParameter` for a level that is neither warning nor fatal. Unknown descriptions pass.
    """
    alert = parse(ALERT, fragment, "Alert")
    if alert.level not in (AlertLevel.WARNING, AlertLevel.FATAL):
        raise IllegalParameter(f"Alert: level {alert.level} is neither warning(1) nor fatal(2)")
    return alert


def build_alert(level: AlertLevel, description: int) -> bytes:
    """Return the two bytes of an alert; :class:`~tlsexit.alerts.LocalError` if ``description`` is not one byte."""
    return build(ALERT, Alert(level, description), "Alert")


def parse_change_cipher_spec(fragment: bytes) -> ChangeCipherSpec:
    """Return the message that fills ``fragment`` (§7.1).

    Raises :class:`~tlsexit.alerts.DecodeError` unless there is exactly one byte, and
    :class:`~tlsexit.alerts.IllegalParameter` if that byte is not 1.
    """
    if fragment == _SPELT:
        return _THE_ONE
    message = parse(CHANGE_CIPHER_SPEC, fragment, "ChangeCipherSpec")
    if message.type != 1:
        raise IllegalParameter(f"ChangeCipherSpec: {message.type} instead of 1")
    return message


def build_change_cipher_spec() -> bytes:
    """Return the body of a ChangeCipherSpec record."""
    return _SPELT


# every handshake has two of them, all the same
_THE_ONE: Final = ChangeCipherSpec()
_SPELT: Final = build(CHANGE_CIPHER_SPEC, _THE_ONE, "ChangeCipherSpec")


quicken(__name__)
