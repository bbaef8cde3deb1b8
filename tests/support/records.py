"""A second, straightforward record protection (RFC 2246 §6.2.3, RFC 7366), and keys for every kind of cipher.

The protection shares no code with tlsexit's: HMAC from the standard library, RC4 written out, one cipher operation per
record with the IV taken from the record before. It can also make records that no honest peer would.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from cryptography.hazmat.decrepit.ciphers import algorithms as decrepit
from cryptography.hazmat.primitives.ciphers import Cipher, CipherAlgorithm
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from tlsexit.crypto.bulk import DirectionKeys
from tlsexit.crypto.suites import SUITES, CipherSuite
from tlsexit.records.layer import RecordLayer
from tlsexit.records.record import Record

TLS_1_0: Final = 0x0301

AES_128: Final = SUITES[0x002F]  # TLS_RSA_WITH_AES_128_CBC_SHA
TRIPLE_DES: Final = SUITES[0x000A]  # TLS_RSA_WITH_3DES_EDE_CBC_SHA
RC4: Final = SUITES[0x0005]  # TLS_RSA_WITH_RC4_128_SHA
NULL: Final = SUITES[0x0002]  # TLS_RSA_WITH_NULL_SHA

KINDS: Final = tuple({(suite.cipher.name, suite.mac.name): suite for suite in reversed(SUITES.values())}.values())
"""One suite for each combination of cipher and MAC."""

BLOCK_KINDS: Final = tuple(suite for suite in KINDS if suite.cipher.is_block)
"""Those of them whose cipher is a block cipher."""

_BLOCK_CIPHERS: Final[dict[str, Callable[[bytes], CipherAlgorithm]]] = {
    "RC2_CBC_40": decrepit.RC2,
    "DES40_CBC": lambda key: decrepit.TripleDES(key * 3),
    "DES_CBC": lambda key: decrepit.TripleDES(key * 3),
    "3DES_EDE_CBC": decrepit.TripleDES,
    "IDEA_CBC": decrepit.IDEA,
    "SEED_CBC": decrepit.SEED,
    "AES_128_CBC": AES,
    "AES_256_CBC": AES,
    "CAMELLIA_128_CBC": decrepit.Camellia,
    "CAMELLIA_256_CBC": decrepit.Camellia,
}


def make_keys(suite: CipherSuite, *, encrypt_then_mac: bool = False, seed: bytes = b"") -> DirectionKeys:
    """Return the keys of one direction, fixed by the suite and ``seed``."""
    stream = b"".join(sha256(b"%s %d %s" % (suite.name.encode(), i, seed)).digest() for i in range(4))
    mac, key, iv = suite.mac.size, suite.cipher.expanded_key, suite.cipher.iv_size
    return DirectionKeys(
        suite, stream[:mac], stream[mac : mac + key], stream[mac + key : mac + key + iv], encrypt_then_mac
    )


def header(content_type: int, length: int, version: int = TLS_1_0) -> bytes:
    """Return a record header (§6.2.1)."""
    return bytes([content_type]) + version.to_bytes(2, "big") + length.to_bytes(2, "big")


def plain_record(content_type: int, fragment: bytes, version: int = TLS_1_0) -> bytes:
    """Return an unprotected record."""
    return header(content_type, len(fragment), version) + fragment


def reader(keys: DirectionKeys | None = None) -> RecordLayer:
    """Return a layer that reads under ``keys``."""
    layer = RecordLayer()
    layer.version = TLS_1_0
    if keys is not None:
        layer.change_read_keys(keys)
    return layer


def drain(layer: RecordLayer) -> list[Record]:
    """Return every record that is complete."""
    records = []
    while (record := layer.next_record()) is not None:
        records.append(record)
    return records


def lengths(wire: bytes) -> list[int]:
    """Return the fragment lengths that the headers in ``wire`` state."""
    found = []
    while wire:
        found.append(int.from_bytes(wire[3:5], "big"))
        wire = wire[5 + found[-1] :]
    return found


class Reference:
    """The writing side of one direction."""

    def __init__(self, keys: DirectionKeys) -> None:
        self.keys = keys
        self.sequence_number = 0
        self.iv = keys.iv
        self.keystream = _rc4(keys.key) if "RC4" in keys.suite.cipher.name else None

    def mac(self, content_type: int, version: int, data: bytes) -> bytes:
        """Return the MAC of ``data`` as the next record and count that record."""
        covered = self.sequence_number.to_bytes(8, "big") + header(content_type, len(data), version) + data
        self.sequence_number += 1
        return hmac.new(self.keys.mac_secret, covered, {"MD5": "md5", "SHA": "sha1"}[self.keys.suite.mac.name]).digest()

    def encrypt(self, plain: bytes) -> bytes:
        """Return ``plain`` encrypted as the next record's fragment."""
        cipher = self.keys.suite.cipher
        if cipher.is_block:
            operation = Cipher(_BLOCK_CIPHERS[cipher.name](self.keys.key), CBC(self.iv)).encryptor()
            encrypted = operation.update(plain) + operation.finalize()
            # "The IV for subsequent records is the last ciphertext block from the previous record."
            self.iv = encrypted[-cipher.block_size :] or self.iv
            return encrypted
        if self.keystream is not None:
            return bytes(byte ^ self.keystream() for byte in plain)
        return plain

    def seal(
        self, content_type: int, content: bytes, version: int = TLS_1_0, *, padding_length: int | None = None
    ) -> bytes:
        """Return a whole record; ``padding_length`` None is the shortest, and must fit the blocks otherwise."""
        keys = self.keys
        size = keys.suite.cipher.block_size
        if keys.encrypt_then_mac:
            ciphertext = self.encrypt(content + padding(len(content), size, padding_length))
            fragment = ciphertext + self.mac(content_type, version, ciphertext)
        else:
            plain = content + self.mac(content_type, version, content)
            if size:
                plain += padding(len(plain), size, padding_length)
            fragment = self.encrypt(plain)
        return plain_record(content_type, fragment, version)

    def seal_raw(self, content_type: int, plain: bytes, version: int = TLS_1_0) -> bytes:
        """Return a record around ``plain``, which takes the place of content, MAC and padding."""
        return plain_record(content_type, self.encrypt(plain), version)


def padding(length: int, block_size: int, padding_length: int | None = None) -> bytes:
    """Return padding and padding_length behind ``length`` bytes (§6.2.3.2)."""
    shortest = block_size - (length + 1) % block_size if (length + 1) % block_size else 0
    chosen = shortest if padding_length is None else padding_length
    return bytes([chosen] * chosen + [chosen])


def _rc4(key: bytes) -> Callable[[], int]:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0

    def step() -> int:
        nonlocal i, j
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        return state[(state[i] + state[j]) % 256]

    return step
