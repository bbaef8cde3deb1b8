"""What a handshake step asks to be done, in order (RFC 2246 §7.3).

A handler only describes; :class:`~tlsexit.connection.Connection` carries out. The order matters most around
ChangeCipherSpec: whatever is sent after :class:`InstallWrite` goes out under the new keys, nothing before it does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tlsexit.alerts import AlertDescription
from tlsexit.crypto.bulk import DirectionKeys
from tlsexit.events import Event
from tlsexit.exits.calls import ExitCall
from tlsexit.session import Session
from tlsexit.values import quicken


@dataclass(frozen=True, slots=True)
class Send:
    """Send a handshake message; ``raw`` is its encoding with header, as it entered the transcript."""

    message: Any
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SendV2ClientHello:
    """Send a ClientHello in SSL 2.0 format, outside any record; ``raw`` begins with msg_type (appendix E.1)."""

    message: Any
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SendWarning:
    """Send an alert at warning level that does not end the connection."""

    description: AlertDescription


@dataclass(frozen=True, slots=True)
class SendChangeCipherSpec:
    """Send ChangeCipherSpec, still under the old write state (§7.1)."""


@dataclass(frozen=True, slots=True)
class InstallWrite:
    """Make the pending write state current (§6.1)."""

    keys: DirectionKeys


@dataclass(frozen=True, slots=True)
class InstallRead:
    """Make the pending read state current (§6.1)."""

    keys: DirectionKeys


@dataclass(frozen=True, slots=True)
class FixVersion:
    """The version is negotiated: every record from now on carries it (§6.2.1)."""

    version: int


@dataclass(frozen=True, slots=True)
class LimitFragments:
    """Send and accept at most ``size`` bytes of plaintext in a record: 2^14, or what was agreed (RFC 6066 §4)."""

    size: int


@dataclass(frozen=True, slots=True)
class LogSecret:
    """The master secret exists; told to the key log, if there is one."""

    client_random: bytes
    master_secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ask:
    """Stop and put a question to the exit."""

    call: ExitCall


@dataclass(frozen=True, slots=True)
class Remember:
    """The session may be resumed from now on."""

    session: Session


@dataclass(frozen=True, slots=True)
class Emit:
    """Tell the application."""

    event: Event


Action = (
    Send
    | SendV2ClientHello
    | SendWarning
    | SendChangeCipherSpec
    | InstallWrite
    | InstallRead
    | FixVersion
    | LimitFragments
    | LogSecret
    | Ask
    | Remember
    | Emit
)

quicken(__name__)
