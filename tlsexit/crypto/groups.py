"""Diffie-Hellman groups and key pairs, finite-field and elliptic curve (RFC 2246 §8.1.2, RFC 4492 §5, RFC 8422)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric import dh, ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning

from tlsexit.alerts import IllegalParameter, InsufficientSecurity, LocalError

# cryptography deprecates finite-field Diffie-Hellman as such; half of TLS 1.0 needs it, and users cannot act on this
warnings.filterwarnings("ignore", "Diffie-Hellman", CryptographyDeprecationWarning, module=r"tlsexit\.crypto\.groups")

_SMALLEST_KNOWN_TO_BACKEND: Final = 1536


@dataclass(frozen=True, slots=True)
class DHParameters:
    """A finite-field group: the modulus ``p`` and the generator ``g`` (ServerDHParams, §7.4.3)."""

    p: int
    g: int

    @property
    def bits(self) -> int:
        """The size of ``p`` in bits."""
        return self.p.bit_length()


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


def _scaled_pi(bits: int) -> int:
    """Return [2^bits * pi], from pi / 4 = 4 arctan(1/5) - arctan(1/239)."""
    guard = 64

    def arctan_of_inverse(x: int) -> int:
        power = total = (1 << (bits + guard)) // x
        divisor = sign = 1
        while power:
            power //= x * x
            divisor += 2
            sign = -sign
            total += sign * (power // divisor)
        return total

    return 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239)) >> guard


_GROUPS: Final = {
    "export512": (512, _scaled_e, 117345),  # no RFC: the formula of the ffdhe groups, at the size of §7.4.3
    "modp1024": (1024, _scaled_pi, 129093),  # RFC 2409 §6.2: all that Java 6 and 7 can do
    "modp1536": (1536, _scaled_pi, 741804),  # RFC 3526
    "modp2048": (2048, _scaled_pi, 124476),
    "modp3072": (3072, _scaled_pi, 1690314),
    "modp4096": (4096, _scaled_pi, 240904),
    "modp6144": (6144, _scaled_pi, 929484),
    "modp8192": (8192, _scaled_pi, 4743158),
    "ffdhe2048": (2048, _scaled_e, 560316),  # RFC 7919 appendix A
    "ffdhe3072": (3072, _scaled_e, 2625351),
    "ffdhe4096": (4096, _scaled_e, 5736041),
    "ffdhe6144": (6144, _scaled_e, 15705020),
    "ffdhe8192": (8192, _scaled_e, 10965728),
}
"""Name -> size in bits, the number (e or pi) that fills the middle of p, and what was added to make p a safe prime."""

DH_GROUP_NAMES: Final = tuple(_GROUPS)
"""What :func:`dh_group` knows."""


FFDHE_GROUPS: Final = {256: "ffdhe2048", 257: "ffdhe3072", 258: "ffdhe4096", 259: "ffdhe6144", 260: "ffdhe8192"}
"""The numbers of finite-field groups among the supported groups (RFC 7919 §2)."""

FFDHE_CODE_POINTS: Final = range(256, 512)
"""All numbers set aside for such groups, known or not (RFC 7919 §2)."""


@cache
def dh_group(name: str) -> DHParameters:
    """Return a well-known group by its name (``ffdhe2048``); :class:`LocalError` for a name that is not known.

    The moduli are computed from their definitions, which shows that nothing is hidden in them.
    """
    try:
        bits, scaled, constant = _GROUPS[name]
    except KeyError:
        raise LocalError(f"DH group {name} is unknown; there are {', '.join(DH_GROUP_NAMES)}") from None
    # RFC 7919: "p = 2^b - 2^{b-64} + {[2^{b-130} e] + X} * 2^64 - 1"; RFC 3526 has the same with pi
    return DHParameters(2**bits - 2 ** (bits - 64) + (scaled(bits - 130) + constant) * 2**64 - 1, 2)


def check_dh_parameters(params: DHParameters, minimum_bits: int, maximum_bits: int) -> None:
    """Check a group that the peer chose; sizes in bits.

    RFC 2246 asks for no check, so what is here is what RFC 5246 §F.1.1.3 advises. Raises
    :class:`~tlsexit.alerts.InsufficientSecurity` for a group that is too small (Logjam),
    :class:`~tlsexit.alerts.IllegalParameter` for one that is too large (the work grows with the cube of the size) or
    impossible. Primality is not tested: that would take longer than the rest of the handshake.
    """
    if params.bits > maximum_bits:
        raise IllegalParameter(f"the DH group has {params.bits} bits, {maximum_bits} at most are accepted")
    if params.bits < minimum_bits:
        raise InsufficientSecurity(f"the DH group has {params.bits} bits, {minimum_bits} at least are needed")
    _check_shape(params)


def _check_shape(params: DHParameters) -> None:
    if params.p % 2 == 0:
        raise IllegalParameter("the DH modulus is even")
    if not 2 <= params.g <= params.p - 2:
        raise IllegalParameter("the DH generator is outside 2..p-2")


def _backend_parameters(params: DHParameters) -> dh.DHParameters | None:
    """Return the group as the backend holds it, or None if it would test the primality of p again and again.

    OpenSSL knows the groups of RFC 3526 and RFC 7919; on another one of 2048 bits it spends 250 ms at every turn, and
    it refuses what is not a safe prime, which old servers do use.
    """
    for name, (bits, _, _) in _GROUPS.items():
        if bits == params.bits and bits >= _SMALLEST_KNOWN_TO_BACKEND and params == dh_group(name):
            return _numbers(params).parameters()
    return None


class DHKeyPair:
    """A Diffie-Hellman key pair for one handshake; make one with :meth:`generate`."""

    __slots__ = ("_secret", "_value", "params")

    def __init__(self, params: DHParameters, secret: dh.DHPrivateKey | int, value: int) -> None:
        self.params = params
        self._secret = secret
        self._value = value

    @classmethod
    def generate(cls, params: DHParameters) -> DHKeyPair:
        """Return a new pair; :class:`~tlsexit.alerts.IllegalParameter` for a group nothing can be computed in."""
        backend = _backend_parameters(params)
        if backend is None:
            # 256 random bits: twice the strength of any group in use
            return cls.from_private(params, int.from_bytes(AESGCM.generate_key(256), "big"))
        key = backend.generate_private_key()
        return cls(params, key, key.public_key().public_numbers().y)

    @classmethod
    def from_private(cls, params: DHParameters, exponent: int) -> DHKeyPair:
        """Return the pair with the secret ``exponent``.

        Python's ``pow`` does not hide the exponent from someone who can time it, so it is to be used only once.
        """
        _check_shape(params)
        value = pow(params.g, exponent, params.p)
        _check_value(value, params)
        return cls(params, exponent, value)

    @property
    def public(self) -> bytes:
        """The public value, big-endian without leading zeros (dh_Ys, dh_Yc)."""
        return _stripped(self._value)

    def agree(self, peer_public: bytes) -> bytes:
        """Return the premaster secret: the agreed value Z without its leading zero bytes (RFC 4346 §8.1.2).

        RFC 2246 leaves the zeros open; every implementation strips them, and TLS 1.1 wrote that down. Raises
        :class:`~tlsexit.alerts.IllegalParameter` for a peer value outside 2..p-2, or a Z outside it.
        """
        y = int.from_bytes(peer_public, "big")
        _check_value(y, self.params)
        if isinstance(self._secret, int):
            z = pow(y, self._secret, self.params.p)
        else:
            try:
                peer = dh.DHPublicNumbers(y, _numbers(self.params)).public_key()
                z = int.from_bytes(self._secret.exchange(peer), "big")
            except ValueError as error:
                raise IllegalParameter("the DH public value is outside the group") from error
        _check_value(z, self.params)
        return _stripped(z)


def _check_value(value: int, params: DHParameters) -> None:
    if not 2 <= value <= params.p - 2:
        raise IllegalParameter("a DH value is outside 2..p-2")


def _stripped(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


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

_BY_NAME: Final = {curve.name: number for number, curve in _WEIERSTRASS.items()}

_UNCOMPRESSED: Final = 4


def curve_of(key: ec.EllipticCurvePublicKey) -> NamedCurve | None:
    """Return the number of the curve that a certificate's key is on; None for a curve that is not one of ours."""
    return _BY_NAME.get(key.curve.name)


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
