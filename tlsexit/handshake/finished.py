"""The messages around the change of keys: Finished (RFC 2246 §7.4.9), NewSessionTicket (RFC 5077), NextProtocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tlsexit.constants import VERIFY_DATA_LENGTH
from tlsexit.handshake.enums import HandshakeType
from tlsexit.values import quicken
from tlsexit.wire import Fixed, Message, Opaque, Uint


@dataclass(frozen=True, slots=True)
class Finished:
    """The digest of the handshake under the master secret, the first message under the new keys (§7.4.9)."""

    handshake_type: ClassVar[HandshakeType] = HandshakeType.FINISHED
    section: ClassVar[str] = "7.4.9"

    verify_data: bytes


FINISHED = Message(
    Finished,
    # opaque verify_data[12];
    verify_data=Fixed(VERIFY_DATA_LENGTH),
)


@dataclass(frozen=True, slots=True)
class NewSessionTicket:
    """A session in the client's keeping (RFC 5077 §3.3); the hint is in seconds, 0 meaning unspecified."""

    handshake_type: ClassVar[HandshakeType] = HandshakeType.NEW_SESSION_TICKET
    section: ClassVar[str] = "RFC 5077 §3.3"

    ticket_lifetime_hint: int
    ticket: bytes


NEW_SESSION_TICKET = Message(
    NewSessionTicket,
    # uint32 ticket_lifetime_hint;
    ticket_lifetime_hint=Uint(4),
    # opaque ticket<0..2^16-1>;
    ticket=Opaque(0, 2**16 - 1),
)


@dataclass(frozen=True, slots=True)
class NextProtocol:
    """What the client will speak, under the new keys and before its Finished (draft-agl-tls-nextprotoneg-04 §3)."""

    handshake_type: ClassVar[HandshakeType] = HandshakeType.NEXT_PROTOCOL
    section: ClassVar[str] = "draft-agl-tls-nextprotoneg-04 §3"

    selected_protocol: bytes
    padding: bytes


NEXT_PROTOCOL = Message(
    NextProtocol,
    # opaque selected_protocol<0..255>;
    selected_protocol=Opaque(0, 255),
    # opaque padding<0..255>;
    padding=Opaque(0, 255),
)

quicken(__name__)
