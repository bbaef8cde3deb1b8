"""The premaster secret: what each key exchange puts into its two messages (RFC 2246 §7.4.3, §7.4.7, §8.1).

The shape of the messages follows from :attr:`KeyExchange.premaster`; everything that differs between key exchanges is
here, and the handlers do not branch on them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import md5, sha1
from hmac import compare_digest

from tlsexit.alerts import DecodeError, HandshakeFailure, IllegalParameter, LocalError, UnsupportedCertificate
from tlsexit.config import Config
from tlsexit.crypto.groups import (
    DHKeyPair,
    DHParameters,
    ECDHKeyPair,
    NamedCurve,
    check_dh_parameters,
    dh_group,
)
from tlsexit.crypto.keyops import PublicKey, encrypt
from tlsexit.crypto.suites import KeyExchange, KeyType, Premaster
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.enums import ECCurveType
from tlsexit.handshake.keyexchange import ClientKeyExchange, ServerKeyExchange
from tlsexit.handshake.negotiation import Negotiation
from tlsexit.profile import Profile
from tlsexit.wire import build

ServerParams = kx.ServerDHParams | kx.ServerECDHParams


@dataclass(frozen=True, slots=True)
class Ephemeral:
    """The server's key pair for this handshake, and its parameters in wire form, as they are signed."""

    pair: DHKeyPair | ECDHKeyPair = field(repr=False)
    params: bytes


def signed_digest(algorithm: KeyType, client_random: bytes, server_random: bytes, params: bytes) -> bytes:
    """Return what ServerKeyExchange's signature covers: both randoms and the parameters, digested (§7.4.3)."""
    data = client_random + server_random + params
    digest = sha1(data, usedforsecurity=False).digest()
    return md5(data, usedforsecurity=False).digest() + digest if algorithm is KeyType.RSA else digest


# ------------------------------------------------------------------------------------------------ server


def generate_ephemeral(exchange: KeyExchange, groups: tuple[int, ...], profile: Profile) -> Ephemeral | None:
    """Return a fresh key pair for this handshake, or None if the key exchange has none.

    ``groups`` are the curves both sides have, favourite first. A pair is never used twice (RFC 3268, Raccoon).
    """
    if exchange.premaster is Premaster.DH:
        group = dh_group(profile.dh_group)
        pair = DHKeyPair.generate(group)
        params = kx.ServerDHParams(_number(group.p), _number(group.g), pair.public)
        return Ephemeral(pair, build(kx.SERVER_DH_PARAMS, params))
    if exchange.premaster is Premaster.ECDH:
        curve = NamedCurve(groups[0])
        point = ECDHKeyPair.generate(curve)
        ecdh = kx.ServerECDHParams(ECCurveType.NAMED_CURVE, curve, point.public)
        return Ephemeral(point, build(kx.SERVER_ECDH_PARAMS, ecdh))
    return None


def server_key_exchange(ephemeral: Ephemeral, signature: bytes | None) -> ServerKeyExchange:
    """Return the message; ``signature`` is None for an anonymous key exchange."""
    return kx.build_server_key_exchange(ephemeral.params, signature)


def agree(ephemeral: Ephemeral, message: ClientKeyExchange) -> bytes:
    """Return the premaster secret from the client's public value (§8.1.2, RFC 4492 §5.10)."""
    if isinstance(ephemeral.pair, DHKeyPair):
        return ephemeral.pair.agree(kx.parse_client_key_exchange(kx.CLIENT_DIFFIE_HELLMAN_PUBLIC, message).dh_Yc)
    return ephemeral.pair.agree(kx.parse_client_key_exchange(kx.CLIENT_EC_DIFFIE_HELLMAN_PUBLIC, message).ecdh_Yc)


def encrypted_pre_master_secret(message: ClientKeyExchange, modulus_bytes: int) -> bytes:
    """Return the ciphertext of an RSA ClientKeyExchange.

    Its length is no secret, so one that differs from the modulus may be refused openly (§7.4.7.1): DecodeError.
    """
    ciphertext = kx.parse_client_key_exchange(kx.ENCRYPTED_PRE_MASTER_SECRET, message).pre_master_secret
    if len(ciphertext) != modulus_bytes:
        raise DecodeError(f"ClientKeyExchange: {len(ciphertext)} encrypted bytes for a modulus of {modulus_bytes}")
    return ciphertext


def checked_pre_master_secret(decrypted: bytes, substitute: bytes) -> bytes:
    """Return ``decrypted`` if it is 48 bytes and begins with the version the client offered, else ``substitute``.

    One path and no error, whatever is wrong: a difference that the peer can see is Bleichenbacher's oracle, or that
    of Klima, Pokorny and Rosa for the version (§7.4.7.1, RFC 5246 §7.4.7.1). ``substitute`` begins with the version.
    """
    candidate = decrypted.ljust(len(substitute), b"\0")[: len(substitute)]
    good = (len(decrypted) == len(substitute)) & compare_digest(candidate[:2], substitute[:2])
    return (substitute, candidate)[good]


# ------------------------------------------------------------------------------------------------ client


def read_server_key_exchange(
    exchange: KeyExchange, message: ServerKeyExchange, profile: Profile
) -> tuple[ServerParams, bytes, bytes | None]:
    """Return the server's parameters, checked, their bytes, and the signature over them (None if anonymous)."""
    if exchange.premaster is Premaster.DH:
        params, signed, signature = kx.parse_server_key_exchange(kx.SERVER_DH_PARAMS, message, signed=exchange.signed)
        check_dh_parameters(_group(params), profile.minimum_dh_bits, profile.maximum_dh_bits)
        return params, signed, signature
    ecdh, signed, signature = kx.parse_server_key_exchange(kx.SERVER_ECDH_PARAMS, message, signed=exchange.signed)
    if ecdh.named_curve not in profile.groups:
        raise IllegalParameter(f"the server chose curve {ecdh.named_curve}, which was not offered")
    return ecdh, signed, signature


def client_key_exchange(
    negotiated: Negotiation, leaf_key: PublicKey | None, params: ServerParams | None, config: Config
) -> tuple[ClientKeyExchange, bytes]:
    """Return the message, and the premaster secret it conveys (§7.4.7)."""
    if isinstance(params, kx.ServerDHParams):
        pair = DHKeyPair.generate(_group(params))
        secret = pair.agree(params.dh_Ys)
        public = kx.ClientDiffieHellmanPublic(pair.public)
        return kx.build_client_key_exchange(kx.CLIENT_DIFFIE_HELLMAN_PUBLIC, public), secret
    if isinstance(params, kx.ServerECDHParams):
        point = ECDHKeyPair.generate(NamedCurve(params.named_curve))
        secret = point.agree(params.public)
        ecdh = kx.ClientECDiffieHellmanPublic(point.public)
        return kx.build_client_key_exchange(kx.CLIENT_EC_DIFFIE_HELLMAN_PUBLIC, ecdh), secret
    if leaf_key is None:
        raise HandshakeFailure("there is no key to encrypt the premaster secret with")
    secret = build(kx.PRE_MASTER_SECRET, kx.PreMasterSecret(negotiated.client_version, config.random(46)))
    try:
        ciphertext = encrypt(leaf_key, secret)
    except LocalError as error:
        raise UnsupportedCertificate(str(error)) from error
    encrypted = kx.EncryptedPreMasterSecret(ciphertext)
    return kx.build_client_key_exchange(kx.ENCRYPTED_PRE_MASTER_SECRET, encrypted), secret


def _group(params: kx.ServerDHParams) -> DHParameters:
    return DHParameters(int.from_bytes(params.dh_p, "big"), int.from_bytes(params.dh_g, "big"))


def _number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
