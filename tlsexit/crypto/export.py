"""Keys as short as export rules once demanded: 512 bits (RFC 2246 §7.4.3, appendix D.1).

Breakable by anyone in hours. They exist for talking to, and testing for, peers that still accept them (FREAK, Logjam);
no suite that uses them is ever a default. Whoever breaks a temporary key reads every session that used it, so a key
serves one handshake or, where the third of a second that a new one takes is too much, a bounded number of them for a
bounded time: ``Config.temporary_rsa_key``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers, RSAPublicNumbers

EXPORT_KEY_BITS: Final = 512
"""The longest key that an export suite may exchange keys with (§7.4.3)."""

_EXPONENT: Final = 65537
_ROUNDS: Final = 40
_SMALL_PRIMES: Final = tuple(n for n in range(3, 1000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2)))


def temporary_rsa_key(random: Callable[[int], bytes]) -> RSAPrivateKey:
    """Return a new RSA key of 512 bits. ``cryptography`` loads such keys and uses them, but no longer makes them."""
    while True:
        p, q = _prime(random), _prime(random)
        if p == q or (p * q).bit_length() != EXPORT_KEY_BITS:
            continue
        d = pow(_EXPONENT, -1, (p - 1) * (q - 1))
        public = RSAPublicNumbers(_EXPONENT, p * q)
        return RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public).private_key()


def _prime(random: Callable[[int], bytes]) -> int:
    """Return a prime of 256 bits, the two highest set, that 65537 may be an exponent for."""
    while True:
        candidate = int.from_bytes(random(32), "big") | 3 << 254 | 1
        if candidate % _EXPONENT != 1 and _is_prime(candidate, random):
            return candidate


def _is_prime(n: int, random: Callable[[int], bytes]) -> bool:
    """Miller and Rabin's test, wrong for one composite in 4^40."""
    if any(n % small == 0 for small in _SMALL_PRIMES):
        return False
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(_ROUNDS):
        x = pow(2 + int.from_bytes(random(32), "big") % (n - 3), odd, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True
