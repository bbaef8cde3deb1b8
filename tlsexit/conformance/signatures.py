"""What a target has signed and encrypted, looked at with its keys and the probe's (RFC 2246 §4.7)."""

from __future__ import annotations

from hashlib import md5, sha1

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.dsa import DSAPublicKey
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA1

from tlsexit.conformance.talk import Talk
from tlsexit.constants import ContentType, Role
from tlsexit.events import MessageSeen
from tlsexit.handshake import agreement
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.certificate import CertificateVerify
from tlsexit.handshake.hello import ClientHello, HelloRequest
from tlsexit.handshake.keyexchange import ServerKeyExchange
from tlsexit.puppet import Puppet


def signed_by_target(talk: Talk) -> tuple[bytes, bytes] | None:
    """Return what the target's last signature ought to cover, and the signature; None if it has signed nothing.

    A server signs its key exchange, a client with a certificate the handshake.
    """
    puppet = talk.puppet
    if puppet.role is Role.CLIENT:
        return _server_key_exchange(puppet)
    found = [item for item in puppet.messages if isinstance(item, CertificateVerify)]
    return (messages_before(puppet, CertificateVerify), found[-1].signature) if found else None


def _server_key_exchange(puppet: Puppet) -> tuple[bytes, bytes] | None:
    found = [item for item in puppet.messages if isinstance(item, ServerKeyExchange)]
    if not found or not puppet.exchange.signed:
        return None
    grammar = agreement.SERVER_GRAMMARS[puppet.exchange.premaster]
    _, encoded, signature = kx.parse_server_key_exchange(grammar, found[-1], signed=True)
    return b"".join(puppet.randoms) + encoded, signature or b""


def messages_before(puppet: Puppet, kind: type) -> bytes:
    """Return all messages of the last handshake before one of this class, headers included, without HelloRequest."""
    raw = b""
    for entry in puppet.talk:
        seen = entry.seen
        if not isinstance(seen, MessageSeen) or seen.content_type is not ContentType.HANDSHAKE:
            continue
        if isinstance(seen.message, kind):
            break
        if isinstance(seen.message, ClientHello):
            raw = b""
        if not isinstance(seen.message, HelloRequest):
            raw += seen.raw
    return raw


def recovered(key: RSAPublicKey, signature: bytes) -> bytes:
    """Return the block under an RSA signature, as long as the modulus."""
    numbers = key.public_numbers()
    return pow(int.from_bytes(signature, "big"), numbers.e, numbers.n).to_bytes((key.key_size + 7) // 8, "big")


def decrypted(key: RSAPrivateKey, ciphertext: bytes) -> bytes:
    """Return the block inside an RSA ciphertext, padding and all."""
    numbers = key.private_numbers()
    value = pow(int.from_bytes(ciphertext, "big"), numbers.d, numbers.public_numbers.n)
    return value.to_bytes((key.key_size + 7) // 8, "big")


def signature_is_right(talk: Talk) -> str | None:
    """The signature has the form of its kind of key, and covers what it ought to."""
    found = signed_by_target(talk)
    if found is None:
        return "the target has signed nothing"
    covered, signature = found
    key = talk.puppet.peer_key
    if isinstance(key, RSAPublicKey):
        return _rsa(key, md5(covered).digest() + sha1(covered).digest(), signature)
    try:
        if isinstance(key, DSAPublicKey):
            key.verify(signature, sha1(covered).digest(), Prehashed(SHA1()))
        elif isinstance(key, EllipticCurvePublicKey):
            key.verify(signature, sha1(covered).digest(), ECDSA(Prehashed(SHA1())))
    except InvalidSignature:
        return "the signature is not a DER sequence of r and s over the SHA-1 of what it should cover"
    return None


def _rsa(key: RSAPublicKey, digests: bytes, signature: bytes) -> str | None:
    """§4.7: block type 1, filled with FF, and 36 bytes of digests without a DigestInfo."""
    size = (key.key_size + 7) // 8
    if len(signature) != size:
        return f"the signature has {len(signature)} bytes, the modulus {size}"
    block = recovered(key, signature)
    if block != b"\0\x01" + b"\xff" * (size - 3 - len(digests)) + b"\0" + digests:
        return "under the signature is not 00 01 FF..FF 00 and MD5 and SHA-1 of what it should cover"
    return None
