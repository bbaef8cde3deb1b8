"""Sessions as bytes: what a store keeps and what a ticket carries.

::

    uint8 format;                         // 1
    opaque session_id<0..32>;             // and so on: the fields of Session, in its own order

The grammar is strict: bytes either spell one session, and it spells back to the same bytes, or they are refused. They
hold the master secret in the clear; :mod:`.sealing` is what makes them fit to be kept or sent.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from math import isfinite
from typing import Final, TypeVar

from tlsexit.alerts import LocalError, PeerError
from tlsexit.exits.context import Authentication
from tlsexit.session import Session
from tlsexit.wire import Enumerated, Fixed, Leaf, Message, Opaque, Uint, Vector, WireError, build, parse

T = TypeVar("T")

FORMAT: Final = 1
"""The format written. A change of :class:`Session` makes a new one; bytes of another format are no session."""


class Flag(Leaf[bool]):
    """A byte that is 0 or 1."""

    def decode(self, data: bytes, offset: int, end: int) -> tuple[bool, int]:
        if offset == end or data[offset] > 1:
            raise WireError("0 or 1 expected")
        return data[offset] == 1, offset + 1

    def encode(self, value: bool) -> bytes:
        return b"\1" if value else b"\0"


class Seconds(Leaf[float]):
    """A time or a duration: a finite IEEE 754 double, so that it comes back exactly as it was."""

    def decode(self, data: bytes, offset: int, end: int) -> tuple[float, int]:
        if end - offset < 8:
            raise WireError(f"8 bytes expected, {end - offset} left")
        value: float = struct.unpack_from(">d", data, offset)[0]
        return self._finite(value), offset + 8

    def encode(self, value: float) -> bytes:
        return struct.pack(">d", self._finite(value))

    @staticmethod
    def _finite(value: float) -> float:
        if not isfinite(value):
            raise WireError(f"{value} is not a time")
        return value


class Text(Leaf[str]):
    """Characters in UTF-8."""

    def __init__(self, ceiling: int) -> None:
        super().__init__()
        self._opaque = Opaque(0, ceiling)

    def decode(self, data: bytes, offset: int, end: int) -> tuple[str, int]:
        value, stop = self._opaque.decode(data, offset, end)
        try:
            return value.decode(), stop
        except UnicodeDecodeError:
            raise WireError("not UTF-8") from None

    def encode(self, value: str) -> bytes:
        try:
            return self._opaque.encode(value.encode())
        except UnicodeEncodeError:
            raise WireError("not to be written in UTF-8") from None


class Letter(Leaf[str]):
    """One of several ASCII characters."""

    def __init__(self, letters: str) -> None:
        super().__init__()
        self._byte = Enumerated(1, letters.encode("ascii"))

    def decode(self, data: bytes, offset: int, end: int) -> tuple[str, int]:
        value, stop = self._byte.decode(data, offset, end)
        return chr(value), stop

    def encode(self, value: str) -> bytes:
        if len(value) != 1:
            raise WireError("one letter expected")
        return self._byte.encode(ord(value))


class Maybe(Leaf[T | None]):
    """A value or None: a byte that tells which, then the value if there is one."""

    def __init__(self, value: Leaf[T]) -> None:
        super().__init__()
        self._present = Flag()
        self._value = value

    def decode(self, data: bytes, offset: int, end: int) -> tuple[T | None, int]:
        present, offset = self._present.decode(data, offset, end)
        return self._value.decode(data, offset, end) if present else (None, offset)

    def encode(self, value: T | None) -> bytes:
        return b"\0" if value is None else b"\1" + self._value.encode(value)


_CHAIN: Final = Vector(Opaque(1, 2**24 - 1), 0, 2**24 - 1)  # certificate_list (RFC 2246 §7.4.2)

SESSION: Final[Message[Session]] = Message(
    Session,
    session_id=Opaque(0, 32),
    version=Uint(2),
    cipher_suite=Uint(2),
    master_secret=Fixed(48),
    created=Seconds(),
    extended_master_secret=Flag(),
    server_name=Maybe(Text(2**16 - 1)),
    own_chain=_CHAIN,
    peer_chain=_CHAIN,
    peer_trusted=Flag(),
    authentication=Letter("".join(item.value for item in Authentication)),
    max_fragment_length=Maybe(Uint(2)),
    ticket=Opaque(0, 2**16 - 1),
    ticket_lifetime_hint=Uint(4),
    ticket_received=Seconds(),
    demands=Opaque(0, 2**8 - 1),
    psk_identity=Maybe(Opaque(0, 2**16 - 1)),
)


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session and the format it is written in."""

    format: int
    session: Session = field(repr=False)


STORED_SESSION: Final[Message[StoredSession]] = Message(StoredSession, format=Enumerated(1, (FORMAT,)), session=SESSION)


def encode_session(session: Session) -> bytes:
    """Return a session as bytes, master secret included.

    Raises :class:`LocalError` for a value that no session of a handshake has, as a master secret of other than 48
    bytes.
    """
    return build(STORED_SESSION, StoredSession(FORMAT, session), "session")


def decode_session(data: bytes) -> Session:
    """Return the session that ``data`` spells; :class:`LocalError` if it spells none of this format."""
    try:
        return parse(STORED_SESSION, data, "session").session
    except PeerError as error:
        # whoever kept these bytes spoilt them, not the peer of the connection at hand
        raise LocalError(error.reason) from None
