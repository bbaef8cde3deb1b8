"""Encryption of sessions at rest, with AES-256-GCM-SIV (RFC 8452).

That cipher needs no counter that survives restarts and is shared by processes: nonces are random, and should one come
twice it reveals no more than whether the same session was sealed twice. Every sealed thing names its key, so that
keys can be changed while what older ones have sealed can still be opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from tlsexit.alerts import DecodeError, LocalError
from tlsexit.wire import Fixed, Message, Rest, build, parse

KEY_SIZE: Final = 32
"""Bytes of a key: AES-256."""

_KEY_ID_SIZE: Final = 16  # key_name of RFC 5077 §4
_NONCE_SIZE: Final = 12


@dataclass(frozen=True, slots=True)
class Sealed:
    """What sealing gives: the id of the key, the nonce, and the ciphertext with its tag."""

    key_id: bytes
    nonce: bytes
    ciphertext: bytes


SEALED: Final[Message[Sealed]] = Message(
    Sealed, key_id=Fixed(_KEY_ID_SIZE), nonce=Fixed(_NONCE_SIZE), ciphertext=Rest()
)


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A key of :data:`KEY_SIZE` bytes from a cryptographically secure generator, for one ``context``.

    Raises :class:`LocalError` for another length, and for one byte repeated: a buffer that nobody filled was the key
    of every ticket of a widespread server (CVE-2020-13777).
    """

    material: bytes = field(repr=False)
    context: bytes = b""
    key_id: bytes = field(init=False)
    """Tells keys and contexts apart and nothing about the key; the same in every process."""
    _cipher: AESGCMSIV = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.material) != KEY_SIZE:
            raise LocalError(f"a key has {KEY_SIZE} bytes, not {len(self.material)}")
        if len(set(self.material)) == 1:
            raise LocalError("a key of one byte repeated is no key")
        key_id = sha256(b"tlsexit key id\0" + self.material + self.context).digest()[:_KEY_ID_SIZE]
        object.__setattr__(self, "key_id", key_id)
        object.__setattr__(self, "_cipher", AESGCMSIV(self.material))

    def seal(self, plaintext: bytes, purpose: bytes, random: Callable[[int], bytes]) -> bytes:
        """Encrypt; only an opening with the same ``purpose`` will do."""
        nonce = random(_NONCE_SIZE)
        ciphertext = self._cipher.encrypt(nonce, plaintext, purpose + self.context)
        return build(SEALED, Sealed(self.key_id, nonce, ciphertext))

    def open(self, sealed: Sealed, purpose: bytes) -> bytes | None:
        """Decrypt; None if this key has not sealed exactly this for this purpose."""
        try:
            return self._cipher.decrypt(sealed.nonce, sealed.ciphertext, purpose + self.context)
        except (InvalidTag, ValueError):  # the latter: shorter than a tag
            return None


def read_sealed(data: bytes) -> Sealed | None:
    """Return the parts of what was sealed, none of them verified; None if it is too short for that."""
    try:
        return parse(SEALED, data)
    except DecodeError:
        return None


class KeyRing:
    """A key to seal with, and older ones that still open."""

    def __init__(self, key: bytes, old_keys: Iterable[bytes] = (), context: bytes = b"") -> None:
        self.current = SealingKey(key, context)
        older = [SealingKey(material, context) for material in old_keys]
        self._keys = {item.key_id: item for item in (*older, self.current)}

    def find(self, key_id: bytes) -> SealingKey | None:
        """Return the key of this id, or None."""
        return self._keys.get(key_id)
