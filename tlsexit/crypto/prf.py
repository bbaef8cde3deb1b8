"""The pseudorandom function (RFC 2246 §5).

MD5 and SHA-1 are wired into it: no cipher suite of TLS 1.0 changes them.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.hashes import MD5, SHA1
from cryptography.hazmat.primitives.hmac import HMAC

from tlsexit.alerts import LocalError

_MD5: Final = MD5()
_SHA1: Final = SHA1()


def prf(secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
    """Return ``length`` bytes of PRF(secret, label, seed) = P_MD5(S1, label + seed) XOR P_SHA-1(S2, label + seed).

    ``label`` is plain ASCII without length byte or NUL. An empty secret is legal: §6.3 derives export IVs from one.
    """
    return KeyedPrf(secret).derive(label, seed, length)


class KeyedPrf:
    """The PRF under one secret, keyed once for all that is derived from it."""

    __slots__ = ("_md5", "_sha1")

    def __init__(self, secret: bytes) -> None:
        # "S1 is taken from the first half of the secret, S2 from the second half"; an odd length shares the middle byte
        half = (len(secret) + 1) // 2
        self._md5 = HMAC(secret[:half], _MD5)
        self._sha1 = HMAC(secret[len(secret) - half :], _SHA1)

    def derive(self, label: bytes, seed: bytes, length: int) -> bytes:
        """Return what :func:`prf` does; :class:`~tlsexit.alerts.LocalError` for fewer than no bytes."""
        if length < 0:
            raise LocalError(f"the PRF cannot give {length} bytes")
        label_and_seed = label + seed
        left = _p_hash(self._md5, _MD5.digest_size, label_and_seed, length)
        right = _p_hash(self._sha1, _SHA1.digest_size, label_and_seed, length)
        return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(length, "big")


def _p_hash(keyed: HMAC, size: int, seed: bytes, length: int) -> bytes:
    """P_hash: HMAC(secret, A(1) + seed) + HMAC(secret, A(2) + seed) + ..., A(0) = seed, A(i) = HMAC(secret, A(i-1))."""
    # keying costs more than hashing inputs this short, so one keyed context is copied for every HMAC
    blocks = []
    a = seed
    for _ in range(-(-length // size)):
        step = keyed.copy()
        step.update(a)
        a = step.finalize()
        block = keyed.copy()
        block.update(a + seed)
        blocks.append(block.finalize())
    return b"".join(blocks)[:length]
