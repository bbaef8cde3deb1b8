"""Numbers and limits of the record and handshake protocols (RFC 2246 §6.2, §7.4, appendix A)."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Final


class Role(Enum):
    """Which end of a connection this side plays (``ConnectionEnd``, RFC 2246 §6.1)."""

    __hash__ = object.__hash__  # members are looked up all the time, and Enum's own takes five times as long

    CLIENT = "client"
    SERVER = "server"

    @property
    def peer(self) -> Role:
        """The other end."""
        return Role.SERVER if self is Role.CLIENT else Role.CLIENT


class ContentType(IntEnum):
    """The record content types (RFC 2246 §6.2.1)."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


class ProtocolVersion(IntEnum):
    """Versions as the two wire bytes read as one number: major in the high byte, minor in the low one."""

    SSL_2_0 = 0x0002
    SSL_3_0 = 0x0300
    TLS_1_0 = 0x0301
    TLS_1_1 = 0x0302
    TLS_1_2 = 0x0303
    TLS_1_3 = 0x0304


MAX_PLAINTEXT: Final = 2**14
"""Largest TLSPlaintext fragment, in bytes (§6.2.1)."""

MAX_COMPRESSED: Final = MAX_PLAINTEXT + 1024
"""Largest TLSCompressed fragment, in bytes (§6.2.2)."""

MAX_CIPHERTEXT: Final = MAX_PLAINTEXT + 2048
"""Largest TLSCiphertext fragment, in bytes (§6.2.3)."""

RECORD_HEADER_LENGTH: Final = 5
"""Bytes before a record's fragment: type, version, length (§6.2.1)."""

HANDSHAKE_HEADER_LENGTH: Final = 4
"""Bytes before a handshake message's body: type, length (§7.4)."""

RANDOM_LENGTH: Final = 32
"""Length of ClientHello.random and ServerHello.random, in bytes (§7.4.1.2)."""

MASTER_SECRET_LENGTH: Final = 48
"""Length of the master secret, in bytes (§8.1)."""

VERIFY_DATA_LENGTH: Final = 12
"""Length of Finished.verify_data, in bytes (§7.4.9)."""

NULL_COMPRESSION: Final = 0
"""``CompressionMethod.null``, the only one used here: anything else invites CRIME (§6.1)."""

EMPTY_RENEGOTIATION_INFO_SCSV: Final = 0x00FF
"""The suite value that signals RFC 5746 without an extension (RFC 5746 §3.3)."""

FALLBACK_SCSV: Final = 0x5600
"""The suite value that marks a retry at a lower version (RFC 7507 §2)."""
