"""Diffie-Hellman groups and key pairs, finite-field and elliptic curve (RFC 2246 §8.1.2, RFC 4492 §5, RFC 7919)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric import dh, ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning

from tlsexit.alerts import IllegalParameter, InsufficientSecurity, LocalError

# cryptography deprecates finite-field Diffie-Hellman as such; half of TLS 1.0 needs it, and users cannot act on this
warnings.filterwarnings("ignore", "Diffie-Hellman", CryptographyDeprecationWarning, module=r"tlsexit\.crypto\.groups")

SMALLEST_DH_BITS: Final = 512
"""Export suites used 512 bits (§7.4.3); the primitives refuse anything smaller."""


@dataclass(frozen=True, slots=True)
class DHParameters:
    """A finite-field group: the modulus ``p`` and the generator ``g`` (ServerDHParams, §7.4.3)."""

    p: int
    g: int

    @property
    def bits(self) -> int:
        """The size of ``p`` in bits."""
        return self.p.bit_length()


FFDHE_GROUPS: Final = {
    "ffdhe2048": (2048, 560316),
    "ffdhe3072": (3072, 2625351),
    "ffdhe4096": (4096, 5736041),
    "ffdhe6144": (6144, 15705020),
    "ffdhe8192": (8192, 10965728),
}
"""Name -> size in bits and the constant X of RFC 7919 appendix A."""


@cache
def dh_group(name: str) -> DHParameters:
    """Return a group of RFC 7919 by its name (``ffdhe2048``); :class:`LocalError` for another name."""
    try:
        bits, x = FFDHE_GROUPS[name.lower()]
    except KeyError:
        raise LocalError(f"DH group {name} is unknown; there are {', '.join(FFDHE_GROUPS)}") from None
    # "p = 2^b - 2^{b-64} + {[2^{b-130} e] + X} * 2^64 - 1", which shows that nothing is hidden in the numbers
    return DHParameters(2**bits - 2 ** (bits - 64) + (_scaled_e(bits - 130) + x) * 2**64 - 1, 2)


def _scaled_e(bits: int) -> int:
    """Return [2^bits * e], from e = 1/0! + 1/1! + 1/2! + ..."""
    guard = 64  # bits of extra precision: far more than the truncated divisions lose
    term = total = 1 << (bits + guard)
    divisor = 0
    while term:
        divisor += 1
        term //= divisor
        total += term
    return total >> guard


def check_dh_parameters(params: DHParameters, minimum_bits: int, maximum_bits: int) -> None:
    """Check a group that the peer chose; sizes in bits.

    RFC 2246 asks for no check, so what is here is what RFC 5246 §F.1.1.3 advises. Raises
    :class:`~tlsexit.alerts.InsufficientSecurity` for a group that is too small (Logjam),
    :class:`~tlsexit.alerts.IllegalParameter` for one that is too large (each operation costs the cube of the size) or
    impossible. Primality is not tested: that would cost more than the handshake.
    """
    p, g = params.p, params.g
    if params.bits > maximum_bits:
        raise IllegalParameter(f"the DH group has {params.bits} bits, {maximum_bits} at most are accepted")
    if params.bits < minimum_bits:
        raise InsufficientSecurity(f"the DH group has {params.bits} bits, {minimum_bits} at least are needed")
    if p % 2 == 0:
        raise IllegalParameter("the DH modulus is even")
    if not 2 <= g <= p - 2:
        raise IllegalParameter("the DH generator is outside 2..p-2")


class DHKeyPair:
    """A Diffie-Hellman key pair; make one with :meth:`generate`."""

    __slots__ = ("_key", "params")

    def __init__(self, params: DHParameters, key: dh.DHPrivateKey) -> None:
        self.params = params
        self._key = key

    @classmethod
    def generate(cls, params: DHParameters) -> DHKeyPair:
        """Return a new pair; :class:`~tlsexit.alerts.IllegalParameter` for a group nothing can be computed in."""
        try:
            return cls(params, _numbers(params).parameters().generate_private_key())
        except ValueError as error:
            raise IllegalParameter("the DH group is unusable") from error

    @classmethod
    def from_private(cls, params: DHParameters, exponent: int) -> DHKeyPair:
        """Return the pair with the secret ``exponent``: for known answers, never for a real connection."""
        public = dh.DHPublicNumbers(pow(params.g, exponent, params.p), _numbers(params))
        return cls(params, dh.DHPrivateNumbers(exponent, public).private_key())

    @property
    def public(self) -> bytes:
        """The public value, big-endian without leading zeros (dh_Ys, dh_Yc)."""
        y = self._key.public_key().public_numbers().y
        return y.to_bytes((y.bit_length() + 7) // 8, "big")

    def agree(self, peer_public: bytes) -> bytes:
        """Return the premaster secret: the agreed value Z without its leading zero bytes (RFC 4346 §8.1.2).

        Raises :class:`~tlsexit.alerts.IllegalParameter` for a peer value outside 2..p-2, or one that leads to Z = 1.
        """
        y = int.from_bytes(peer_public, "big")
        if not 2 <= y <= self.params.p - 2:
            raise IllegalParameter("the DH public value is outside 2..p-2")
        try:
            secret = self._key.exchange(dh.DHPublicNumbers(y, _numbers(self.params)).public_key())
        except ValueError as error:
            raise IllegalParameter("the DH public value is unusable") from error
        # RFC 2246 does not say; every implementation strips, and RFC 4346 wrote it down
        return secret.lstrip(b"\0")


def _numbers(params: DHParameters) -> dh.DHParameterNumbers:
    return dh.DHParameterNumbers(params.p, params.g)


class NamedCurve(IntEnum):
    """``NamedCurve`` (RFC 4492 §5.1.1), as far as it is implemented; x25519 from RFC 8422."""

    SECP256R1 = 23
    SECP384R1 = 24
    SECP521R1 = 25
    X25519 = 29


_WEIERSTRASS: Final[dict[NamedCurve, ec.EllipticCurve]] = {
    NamedCurve.SECP256R1: ec.SECP256R1(),
    NamedCurve.SECP384R1: ec.SECP384R1(),
    NamedCurve.SECP521R1: ec.SECP521R1(),
}

_UNCOMPRESSED: Final = 4


class ECDHKeyPair:
    """An elliptic curve Diffie-Hellman key pair; make one with :meth:`generate`."""

    __slots__ = ("_key", "curve")

    def __init__(self, curve: NamedCurve, key: ec.EllipticCurvePrivateKey | X25519PrivateKey) -> None:
        self.curve = curve
        self._key = key

    @classmethod
    def generate(cls, curve: NamedCurve) -> ECDHKeyPair:
        """Return a new pair on ``curve``."""
        if curve is NamedCurve.X25519:
            return cls(curve, X25519PrivateKey.generate())
        return cls(curve, ec.generate_private_key(_WEIERSTRASS[curve]))

    @classmethod
    def from_private(cls, curve: NamedCurve, scalar: bytes) -> ECDHKeyPair:
        """Return the pair with the secret ``scalar`` (big-endian; for x25519 as in RFC 7748): for known answers."""
        if curve is NamedCurve.X25519:
            return cls(curve, X25519PrivateKey.from_private_bytes(scalar))
        return cls(curve, ec.derive_private_key(int.from_bytes(scalar, "big"), _WEIERSTRASS[curve]))

    @property
    def public(self) -> bytes:
        """The public value as an ECPoint holds it: uncompressed, for x25519 its 32 bytes (RFC 8422 §5.4)."""
        key = self._key.public_key()
        if isinstance(key, X25519PublicKey):
            return key.public_bytes_raw()
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def agree(self, peer_public: bytes) -> bytes:
        """Return the premaster secret: the x-coordinate in full length, leading zeros included (RFC 4492 §5.10).

        Raises :class:`~tlsexit.alerts.IllegalParameter` for a point that is compressed, not on the curve, or (x25519)
        leads to zero.
        """
        try:
            if isinstance(self._key, X25519PrivateKey):
                return self._key.exchange(X25519PublicKey.from_public_bytes(peer_public))
            # no other format was offered (RFC 4492 §5.1.2)
            if peer_public[:1] != bytes([_UNCOMPRESSED]):
                raise IllegalParameter("the EC point is not in uncompressed form")
            # refuses points off the curve, the door to invalid-curve attacks
            point = ec.EllipticCurvePublicKey.from_encoded_point(_WEIERSTRASS[self.curve], peer_public)
        except ValueError as error:
            raise IllegalParameter(f"the public value is not on {self.curve.name.lower()}") from error
        return self._key.exchange(ec.ECDH(), point)
