"""Public-key operations: digitally-signed and public-key-encrypted (RFC 2246 §4.7).

Everything is signed as a digest that the caller has computed: for RSA the 36 bytes MD5 || SHA-1, for DSA and ECDSA the
20 bytes SHA-1.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.dsa import DSAPrivateKey, DSAPublicKey
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed
from cryptography.hazmat.primitives.hashes import SHA1

from tlsexit.alerts import DecryptError, LocalError
from tlsexit.crypto.suites import KeyType

PrivateKey: TypeAlias = RSAPrivateKey | DSAPrivateKey | EllipticCurvePrivateKey
"""A private key TLS 1.0 can use; good for ``isinstance``."""

PublicKey: TypeAlias = RSAPublicKey | DSAPublicKey | EllipticCurvePublicKey
"""A public key TLS 1.0 can use; good for ``isinstance``."""

DIGEST_LENGTHS: Final = {KeyType.RSA: 36, KeyType.DSA: 20, KeyType.EC: 20}
"""Length of what is signed, in bytes: MD5 || SHA-1 for RSA, SHA-1 for the others (§4.7)."""

_SHA1_DIGEST: Final = Prehashed(SHA1())


def key_type(key: object) -> KeyType:
    """Return what kind of key this is, public or private; :class:`LocalError` for one TLS 1.0 cannot use."""
    kind = _KIND_BY_CLASS.get(type(key))
    if kind is None:
        kind = _KIND_BY_CLASS[type(key)] = _kind_of(key)
    return kind


def _kind_of(key: object) -> KeyType:
    if isinstance(key, (RSAPublicKey, RSAPrivateKey)):
        return KeyType.RSA
    if isinstance(key, (DSAPublicKey, DSAPrivateKey)):
        return KeyType.DSA
    if isinstance(key, (EllipticCurvePublicKey, EllipticCurvePrivateKey)):
        return KeyType.EC
    raise LocalError(f"{type(key).__name__} is not a kind of key TLS 1.0 can use")


# abstract base classes take long to ask, so each class of the library is asked about once
_KIND_BY_CLASS: Final[dict[type, KeyType]] = {}


def sign(key: PrivateKey, data: bytes) -> bytes:
    """Return the signature over the digest ``data``: as long as the modulus for RSA, DER for DSA and ECDSA.

    Raises :class:`LocalError` if ``data`` is not as long as this kind of key signs, or if the key is too short for it.
    """
    kind = key_type(key)
    if len(data) != DIGEST_LENGTHS[kind]:
        raise LocalError(f"{kind.value} signs {DIGEST_LENGTHS[kind]} bytes here, not {len(data)}")
    if isinstance(key, RSAPrivateKey):
        try:
            # "a PKCS #1 block type 1" straight around the digests, without the DigestInfo of later versions
            return key.sign(data, PKCS1v15(), NoDigestInfo())
        except ValueError as error:
            raise LocalError(f"an RSA key of {key.key_size} bits cannot sign {len(data)} bytes") from error
    if isinstance(key, DSAPrivateKey):
        return key.sign(data, _SHA1_DIGEST)
    return key.sign(data, ECDSA(_SHA1_DIGEST))


def verify(key: PublicKey, signature: bytes, data: bytes) -> None:
    """Check that ``signature`` is over the digest ``data``; :class:`~tlsexit.alerts.DecryptError` if it is not."""
    try:
        if isinstance(key, RSAPublicKey):
            if len(signature) != (key.key_size + 7) // 8:
                # RFC 8017 §8.2.2: exactly as long as the modulus; the library takes a missing leading zero for granted
                raise DecryptError("the signature is not as long as the modulus")
            # `verify` is not meant for bare digests: recover what was signed, then compare
            if key.recover_data_from_signature(signature, PKCS1v15(), NoDigestInfo()) != data:
                raise DecryptError("the signature is over something else")
        elif isinstance(key, DSAPublicKey):
            key.verify(signature, data, _SHA1_DIGEST)
        else:
            key.verify(signature, data, ECDSA(_SHA1_DIGEST))
    except (InvalidSignature, ValueError) as error:
        raise DecryptError("the signature does not verify") from error


def encrypt(key: PublicKey, data: bytes) -> bytes:
    """Return ``data`` encrypted as PKCS #1 block type 2 (§4.7): as many bytes as the modulus has.

    Raises :class:`LocalError` if the key is not RSA, or too short for ``data``.
    """
    if not isinstance(key, RSAPublicKey):
        raise LocalError(f"{key_type(key).value} keys cannot encrypt")
    try:
        return key.encrypt(data, PKCS1v15())
    except ValueError as error:
        raise LocalError(f"an RSA key of {key.key_size} bits cannot encrypt {len(data)} bytes") from error


def decrypt(key: PrivateKey, ciphertext: bytes) -> bytes:
    """Return what was encrypted with :func:`encrypt`.

    Raises :class:`LocalError` if the key is not RSA, ValueError if the block does not decrypt. Backends with implicit
    rejection return random bytes instead of failing; the caller must hide the difference (§7.4.7.1).
    """
    if not isinstance(key, RSAPrivateKey):
        raise LocalError(f"{key_type(key).value} keys cannot decrypt")
    return key.decrypt(ciphertext, PKCS1v15())
