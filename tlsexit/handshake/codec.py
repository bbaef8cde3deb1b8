"""Handshake messages to and from bytes (RFC 2246 §7.4): the 4-byte header, the grammar of each type, reassembly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tlsexit.alerts import IllegalParameter, LocalError, PeerError, UnexpectedMessage
from tlsexit.constants import HANDSHAKE_HEADER_LENGTH
from tlsexit.handshake import certificate, finished, hello, keyexchange
from tlsexit.handshake.enums import HandshakeType
from tlsexit.wire import Leaf, build, parse

GRAMMARS: Final[Mapping[HandshakeType, tuple[type[Any], Leaf[Any]]]] = {
    HandshakeType.HELLO_REQUEST: (hello.HelloRequest, hello.HELLO_REQUEST),
    HandshakeType.CLIENT_HELLO: (hello.ClientHello, hello.CLIENT_HELLO),
    HandshakeType.SERVER_HELLO: (hello.ServerHello, hello.SERVER_HELLO),
    HandshakeType.NEW_SESSION_TICKET: (finished.NewSessionTicket, finished.NEW_SESSION_TICKET),
    HandshakeType.CERTIFICATE: (certificate.Certificate, certificate.CERTIFICATE),
    HandshakeType.SERVER_KEY_EXCHANGE: (keyexchange.ServerKeyExchange, keyexchange.SERVER_KEY_EXCHANGE),
    HandshakeType.CERTIFICATE_REQUEST: (certificate.CertificateRequest, certificate.CERTIFICATE_REQUEST),
    HandshakeType.SERVER_HELLO_DONE: (hello.ServerHelloDone, hello.SERVER_HELLO_DONE),
    HandshakeType.CERTIFICATE_VERIFY: (certificate.CertificateVerify, certificate.CERTIFICATE_VERIFY),
    HandshakeType.CLIENT_KEY_EXCHANGE: (keyexchange.ClientKeyExchange, keyexchange.CLIENT_KEY_EXCHANGE),
    HandshakeType.FINISHED: (finished.Finished, finished.FINISHED),
    HandshakeType.CERTIFICATE_STATUS: (certificate.CertificateStatus, certificate.CERTIFICATE_STATUS),
    HandshakeType.NEXT_PROTOCOL: (finished.NextProtocol, finished.NEXT_PROTOCOL),
}
"""The class and the grammar of the body of each handshake type."""

# by plain number, as it comes off the wire
_BY_NUMBER: Final = {int(kind): (cls.__name__, grammar) for kind, (cls, grammar) in GRAMMARS.items()}


def encode(message: Any) -> bytes:
    """Return a message with its header, ready for the transcript and the record layer.

    Raises :class:`~tlsexit.alerts.LocalError` if a field does not fit its grammar.
    """
    name, grammar = _BY_NUMBER[message.handshake_type]
    body = build(grammar, message, name)
    if len(body) >= 2**24:
        raise LocalError(f"{name}: {len(body)} bytes are more than a handshake message holds")
    # HandshakeType msg_type; uint24 length;
    header: int = message.handshake_type << 24 | len(body)
    return header.to_bytes(HANDSHAKE_HEADER_LENGTH, "big") + body


class HandshakeReader:
    """Puts handshake messages together from record fragments (§6.2.1: a record may hold several, or part of one).

    ``max_message`` bounds the body, in bytes. It is checked as soon as the header is there, so an announced length
    alone never costs memory.
    """

    __slots__ = ("_buffer", "_max_message", "_wanted", "malformed")

    def __init__(self, max_message: int) -> None:
        self._max_message = max_message
        self._buffer = bytearray()
        self.malformed: type[Any] | None = None
        """The class of the message whose body did not parse; whether it may come at all, only the state knows."""
        self._wanted = 0  # size of the message at the front with its header; 0 until that header is complete

    @property
    def pending(self) -> bool:
        """Whether bytes are waiting that no message has been made of yet; keys must not change then (§7.1)."""
        return bool(self._buffer)

    def feed(self, fragment: bytes) -> None:
        """Add the contents of one handshake record."""
        self._buffer += fragment

    def next_message(self) -> tuple[bytes, Any] | None:
        """Return the next complete message as it came, header included, and parsed; None if there is none yet.

        Raises :class:`~tlsexit.alerts.UnexpectedMessage` for a type nobody knows, from the first byte on;
        :class:`~tlsexit.alerts.IllegalParameter` for a length above the bound; and what
        :func:`tlsexit.wire.parse` raises for a body that does not match its description (§7.4).
        """
        buffer = self._buffer
        if not self._wanted:
            if not buffer:
                return None
            if buffer[0] not in _BY_NUMBER:
                raise UnexpectedMessage(f"unknown handshake type {buffer[0]}")
            if len(buffer) < HANDSHAKE_HEADER_LENGTH:
                return None
            length = int.from_bytes(buffer[1:HANDSHAKE_HEADER_LENGTH], "big")
            if length > self._max_message:
                raise IllegalParameter(
                    f"{_BY_NUMBER[buffer[0]][0]} announces {length} bytes; at most {self._max_message} are read"
                )
            self._wanted = HANDSHAKE_HEADER_LENGTH + length
        if len(buffer) < self._wanted:
            return None
        if len(buffer) == self._wanted:
            raw = bytes(buffer)
            buffer.clear()
        else:
            raw = bytes(buffer[: self._wanted])
            del buffer[: self._wanted]
        self._wanted = 0
        name, grammar = _BY_NUMBER[raw[0]]
        try:
            return raw, parse(grammar, raw[HANDSHAKE_HEADER_LENGTH:], name)
        except PeerError:
            self.malformed = GRAMMARS[HandshakeType(raw[0])][0]
            raise
