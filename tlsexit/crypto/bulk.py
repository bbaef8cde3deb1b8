"""The keys of one direction, and the ciphers and MACs made from them (RFC 2246 §6.2.3).

A cipher context lives as long as its keys. TLS 1.0 chains the CBC IV from record to record (§6.2.3.2: "the last
ciphertext block of the previous record") and lets RC4 run on (§6.2.3.1), which is what one long-lived context does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from cryptography.hazmat.decrepit.ciphers import algorithms as decrepit
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, CipherAlgorithm
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hmac import HMAC

from tlsexit.crypto.suites import CipherSuite
from tlsexit.values import quicken


@dataclass(frozen=True, slots=True)
class DirectionKeys:
    """What protects the records of one direction: the write parameters of one end (§6.1, §6.3)."""

    suite: CipherSuite
    mac_secret: bytes = field(repr=False)
    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)
    encrypt_then_mac: bool = False
    """Whether RFC 7366 was agreed: the MAC then covers the ciphertext."""


class BulkContext(Protocol):
    """A cipher under way. Block ciphers take whole blocks; each call goes on where the last one stopped."""

    def update(self, data: bytes | bytearray | memoryview, /) -> bytes:
        """Return ``data`` encrypted or decrypted: as many bytes as went in."""


class IdentityContext:
    """The NULL cipher: "no encryption is performed" (§6.1)."""

    __slots__ = ()

    def update(self, data: bytes | bytearray | memoryview, /) -> bytes:
        return bytes(data)


def new_encryptor(keys: DirectionKeys) -> BulkContext:
    """Return the context that encrypts every record of the direction, from the first on."""
    cipher = _cipher(keys)
    return IdentityContext() if cipher is None else cipher.encryptor()


def new_decryptor(keys: DirectionKeys) -> BulkContext:
    """Return the context that decrypts every record of the direction, from the first on."""
    cipher = _cipher(keys)
    return IdentityContext() if cipher is None else cipher.decryptor()


def new_mac(keys: DirectionKeys) -> HMAC:
    """Return the keyed MAC of the direction (§6.2.3.1), of which each record takes a copy to update."""
    return HMAC(keys.mac_secret, _HASHES[keys.suite.mac.name])


def mac_of(keyed: HMAC, data: bytes) -> bytes:
    """Return the MAC of ``data``; ``keyed`` stays as it is."""
    mac = keyed.copy()
    mac.update(data)
    return mac.finalize()


def _single_des(key: bytes) -> CipherAlgorithm:
    # encrypt-decrypt-encrypt under one key is DES itself
    return decrepit.TripleDES(key * 3)


_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {"MD5": hashes.MD5(), "SHA": hashes.SHA1()}

_ALGORITHMS: Final[dict[str, Callable[[bytes], CipherAlgorithm]]] = {
    "RC4_40": decrepit.ARC4,
    "RC4_128": decrepit.ARC4,
    "RC2_CBC_40": decrepit.RC2,
    "DES40_CBC": _single_des,
    "DES_CBC": _single_des,
    "3DES_EDE_CBC": decrepit.TripleDES,
    "IDEA_CBC": decrepit.IDEA,
    "SEED_CBC": decrepit.SEED,
    "AES_128_CBC": AES,
    "AES_256_CBC": AES,
    "CAMELLIA_128_CBC": decrepit.Camellia,
    "CAMELLIA_256_CBC": decrepit.Camellia,
}


def _cipher(keys: DirectionKeys) -> Cipher[CBC] | Cipher[None] | None:
    """Return the keyed cipher, or None for NULL."""
    cipher = keys.suite.cipher
    if cipher.name == "NULL":
        return None
    algorithm = _ALGORITHMS[cipher.name](keys.key)
    return Cipher(algorithm, CBC(keys.iv)) if cipher.is_block else Cipher(algorithm, None)


quicken(__name__)
