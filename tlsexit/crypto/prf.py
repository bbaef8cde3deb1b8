"""The pseudorandom function (RFC 2246 §5).

MD5 and SHA-1 are wired into it: no cipher suite of TLS 1.0 changes them.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.hashes import MD5, SHA1, HashAlgorithm
from cryptography.hazmat.primitives.hmac import HMAC

from tlsexit.alerts import LocalError

_MD5: Final = MD5()
_SHA1: Final = SHA1()


def prf(secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
    """Return ``length`` bytes of PRF(secret, label, seed) = P_MD5(S1, label + seed) XOR P_SHA-1(S2, label + seed).

    ``label`` is plain ASCII without length byte or NUL. An empty secret is legal: §6.3 derives export IVs from one.
    """
    if length < 0:
        raise LocalError(f"the PRF cannot give {length} bytes")
    # "S1 is taken from the first half of the secret, S2 from the second half"; an odd length shares the middle byte
    half = (len(secret) + 1) // 2
    label_and_seed = label + seed
    left = _p_hash(_MD5, secret[:half], label_and_seed, length)
    right = _p_hash(_SHA1, secret[len(secret) - half :], label_and_seed, length)
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(length, "big")


def _p_hash(algorithm: HashAlgorithm, secret: bytes, seed: bytes, length: int) -> bytes:
    """P_hash: HMAC(secret, A(1) + seed) + HMAC(secret, A(2) + seed) + ..., A(0) = seed, A(i) = HMAC(secret, A(i-1))."""
    # keying costs more than hashing inputs this short, so one keyed context is copied for every HMAC
    keyed = HMAC(secret, algorithm)
    output = b""
    a = seed
    while len(output) < length:
        step = keyed.copy()
        step.update(a)
        a = step.finalize()
        block = keyed.copy()
        block.update(a + seed)
        output += block.finalize()
    return output[:length]
