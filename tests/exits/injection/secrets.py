"""What must never be seen in an error, a log or a repr, and the search for it in every spelling."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.support.keys import PRE_SHARED_KEY
from tests.support.pki import pki

SECRET: Final = b"0123456789 what an exit hands over may be a key 9876543210"
"""Bytes that exits hand over in the wrong place."""

PASSWORD: Final = "correct horse battery staple"
"""The key store's password, as StartTask returns it."""

_PIECE: Final = 16


def own_secrets() -> dict[str, bytes]:
    """What an end has that nobody may see: its key, its pre-shared key, its password."""
    key = pki().server.key
    assert isinstance(key, RSAPrivateKey)
    numbers = key.private_numbers()
    return {
        "what the exit handed over": SECRET,
        "the password": PASSWORD.encode(),
        "the pre-shared key": PRE_SHARED_KEY,
        "the private exponent": numbers.d.to_bytes(256, "big"),
        "a prime of the key": numbers.p.to_bytes(128, "big"),
    }


def shown(text: str, secrets: dict[str, bytes]) -> list[str]:
    """The names of the secrets of which ``text`` shows a piece: raw, in hex, in base64, as Python writes bytes."""
    return [name for name, secret in secrets.items() if any(spelling in text for spelling in _spellings(secret))]


def _spellings(secret: bytes) -> Iterator[str]:
    """Any 32 bytes of the secret in a row hold one of the pieces, all of a shorter one does."""
    yield str(int.from_bytes(secret, "big"))
    for start in range(0, max(1, len(secret) - _PIECE + 1), _PIECE):
        piece = secret[start : start + _PIECE]
        yield piece.decode("latin-1")
        yield repr(piece)[2:-1]
        yield piece.hex()
        yield piece.hex().upper()
        yield piece.hex(":")
        for shift in range(3):
            # the same bytes look different in base64 by where they begin: leave out what neighbours change
            encoded = b64encode(bytes(shift) + piece).decode().rstrip("=")
            yield encoded[(0, 2, 3)[shift] : -1]
