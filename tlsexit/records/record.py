"""A record with its protection taken off (RFC 2246 §6.2.1)."""

from __future__ import annotations

from dataclasses import dataclass

from tlsexit.constants import ContentType
from tlsexit.values import quicken


@dataclass(frozen=True, slots=True)
class Record:
    """One record: the three fields that TLSPlaintext, TLSCompressed and TLSCiphertext have in common (§6.2).

    Their fourth, the length, is the fragment's own. Types and versions without a name survive as plain numbers.
    """

    content_type: int
    version: int
    fragment: bytes

    def __repr__(self) -> str:
        # The fragment may be application data: its size says enough in a log.
        return f"Record({type_name(self.content_type)}, version={self.version:#06x}, {len(self.fragment)} bytes)"


def type_name(content_type: int) -> str:
    """Return ``application_data(23)`` for 23, and ``unknown type(24)`` for a value without a name."""
    try:
        return f"{ContentType(content_type).name.lower()}({content_type})"
    except ValueError:
        return f"unknown type({content_type})"


quicken(__name__)
