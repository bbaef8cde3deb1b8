"""What the application sees of a connection, and what an observer sees of the protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tlsexit.alerts import TlsError
from tlsexit.constants import ContentType
from tlsexit.exits.context import SessionContext
from tlsexit.exits.phases import ExitPhase
from tlsexit.values import quicken


@dataclass(frozen=True, slots=True)
class HandshakeCompleted:
    """Both Finished messages verified and HandshakeDone answered; data may flow. ``global_area`` has 64 bytes."""

    context: SessionContext
    global_area: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApplicationData:
    """Plaintext from the peer, as one record carried it; never empty."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WarningReceived:
    """The peer sent a warning alert that does not end the connection, such as no_renegotiation(100)."""

    description: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is over. ``error`` is None after close_notify, and says what happened otherwise."""

    error: TlsError | None = None


Event = HandshakeCompleted | ApplicationData | WarningReceived | Closed


@dataclass(frozen=True, slots=True)
class MessageSeen:
    """For an observer: one protocol message, sent or received, in order.

    ``message`` is the parsed dataclass of a handshake message, an ``Alert``, a ``ChangeCipherSpec`` or None for
    application data; ``raw`` its plaintext bytes with header; ``protected`` whether keys were in force. Of a peer that
    misbehaves on purpose, ``message`` is None too where ``raw`` makes none, ``content_type`` may be a number without a
    name, and None for bytes outside any record.
    """

    sent: bool
    content_type: ContentType | int | None
    message: Any
    raw: bytes = field(repr=False)
    protected: bool


@dataclass(frozen=True, slots=True)
class PhaseSeen:
    """For an observer: an exit phase has been asked (``answer`` None) or answered."""

    phase: ExitPhase
    call: Any
    answer: Any = None


Observation = MessageSeen | PhaseSeen

quicken(__name__)
