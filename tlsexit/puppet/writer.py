"""Records as they should be, and as they should not: the writing side of a puppet (RFC 2246 §6.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tlsexit.constants import ProtocolVersion
from tlsexit.crypto.bulk import DirectionKeys, mac_of, new_encryptor, new_mac

Spoil = Callable[[bytes], bytes]
"""What makes something else of a part of a record."""


@dataclass(frozen=True, slots=True)
class Sealing:
    """How a record departs from the honest one; by default not at all.

    ``padding`` gets the padding bytes with the padding_length byte behind them, ``mac`` the MAC, ``plain`` everything
    that is about to be encrypted. ``length`` takes the place of the length in the header, ``sequence_number`` that of
    the number under the MAC; the next record counts on from there. ``counted`` False: the record does not count.
    """

    version: int = ProtocolVersion.TLS_1_0
    padding: Spoil | None = None
    mac: Spoil | None = None
    plain: Spoil | None = None
    length: int | None = None
    sequence_number: int | None = None
    counted: bool = True


HONEST: Final = Sealing()


class RecordWriter:
    """The current write state (§6.1); None for keys is the initial one, without encryption and MAC."""

    def __init__(self, keys: DirectionKeys | None = None) -> None:
        self.keys = keys
        self.sequence_number = 0
        self._encryptor = None if keys is None else new_encryptor(keys)
        self._mac = None if keys is None else new_mac(keys)

    @property
    def protected(self) -> bool:
        """Whether there are keys."""
        return self.keys is not None

    @property
    def block_size(self) -> int:
        """The block size of the cipher in bytes; 0 for a stream cipher and without keys."""
        return 0 if self.keys is None else self.keys.suite.cipher.block_size

    def seal(self, content_type: int, fragment: bytes, how: Sealing = HONEST) -> bytes:
        """Return one record around ``fragment``, whatever its size."""
        if how.sequence_number is not None:
            self.sequence_number = how.sequence_number
        sealed = self._protect(content_type, fragment, how)
        self.sequence_number += how.counted
        length = len(sealed) if how.length is None else how.length
        return bytes([content_type]) + how.version.to_bytes(2, "big") + (length & 0xFFFF).to_bytes(2, "big") + sealed

    def _protect(self, content_type: int, fragment: bytes, how: Sealing) -> bytes:
        if self.keys is None or self._encryptor is None:
            return _spoilt(how.plain, fragment)
        if self.keys.encrypt_then_mac:
            # RFC 7366 §3: the MAC covers the ciphertext and stands behind it in the clear
            plain = fragment + _spoilt(how.padding, self._padding(len(fragment)))
            ciphertext = self._encryptor.update(_spoilt(how.plain, plain))
            return ciphertext + _spoilt(how.mac, self._digest(content_type, ciphertext, how))
        plain = fragment + _spoilt(how.mac, self._digest(content_type, fragment, how))
        if self.block_size:
            plain += _spoilt(how.padding, self._padding(len(plain)))
        return self._encryptor.update(_spoilt(how.plain, plain))

    def _digest(self, content_type: int, covered: bytes, how: Sealing) -> bytes:
        assert self._mac is not None
        # seq_num + TLSCompressed.type + .version + .length + .fragment (§6.2.3.1)
        header = self.sequence_number.to_bytes(8, "big") + bytes([content_type]) + how.version.to_bytes(2, "big")
        return mac_of(self._mac, header + (len(covered) & 0xFFFF).to_bytes(2, "big") + covered)

    def _padding(self, length: int) -> bytes:
        """Return the shortest padding behind ``length`` bytes, with its padding_length (§6.2.3.2)."""
        return padding_of(-(length + 1) % self.block_size)


def padding_of(padding_length: int) -> bytes:
    """Return ``padding_length`` bytes of padding and the byte that says so, as §6.2.3.2 wants them."""
    return bytes([padding_length]) * (padding_length + 1)


def longest_padding(block_size: int) -> Spoil:
    """Return what stretches padding to the longest that is allowed: up to 255 bytes, in whole blocks."""

    def stretched(padding: bytes) -> bytes:
        shortest = padding[-1]
        return padding_of(shortest + (255 - shortest) // block_size * block_size)

    return stretched


def flip_first(data: bytes) -> bytes:
    """Return ``data`` with one bit of its first byte turned over: enough to make any MAC or padding wrong."""
    return bytes([data[0] ^ 1]) + data[1:]


def _spoilt(how: Spoil | None, data: bytes) -> bytes:
    return data if how is None else how(data)
