"""The premaster secret: what each key exchange puts into its two messages (RFC 2246 §7.4.3, §7.4.7, §8.1).

The shape of the messages follows from :attr:`KeyExchange.premaster`; everything that differs between key exchanges is
here, and the handlers do not branch on them. Sources besides RFC 2246: RFC 4492 §5 (elliptic curves), RFC 4279 and
RFC 5489 (pre-shared keys).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import md5, sha1
from hmac import compare_digest
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tlsexit.alerts import (
    DecodeError,
    ExportRestriction,
    HandshakeFailure,
    IllegalParameter,
    LocalError,
    UnsupportedCertificate,
)
from tlsexit.config import Config
from tlsexit.crypto.export import EXPORT_KEY_BITS, temporary_rsa_key
from tlsexit.crypto.groups import (
    DHKeyPair,
    DHParameters,
    ECDHKeyPair,
    NamedCurve,
    check_dh_parameters,
    curve_of,
    dh_group,
)
from tlsexit.crypto.keyops import PublicKey, decrypt, encrypt
from tlsexit.crypto.suites import KeyExchange, KeyType, Premaster
from tlsexit.exits.calls import PreSharedKey
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.enums import ECCurveType
from tlsexit.handshake.keyexchange import ClientKeyExchange, ServerKeyExchange
from tlsexit.handshake.negotiation import Negotiation
from tlsexit.profile import Profile
from tlsexit.values import quicken
from tlsexit.wire import Leaf, build

_SHORTEST_RSA_BITS: Final = 8 * (48 + 11 - 1)
"""A modulus of more bits than this has room for a premaster secret and its padding (§4.7)."""

PublicParams = kx.ServerDHParams | kx.ServerECDHParams | kx.ServerRSAParams
ServerParams = PublicParams | kx.ServerPskHint | kx.ServerDHPskParams | kx.ServerECDHPskParams


@dataclass(frozen=True, slots=True)
class Ephemeral:
    """The server's key for this handshake (None: only a hint is sent), and its parameters in wire form, as signed."""

    pair: DHKeyPair | ECDHKeyPair | RSAPrivateKey | None = field(repr=False)
    params: bytes


def signed_digest(algorithm: KeyType, client_random: bytes, server_random: bytes, params: bytes) -> bytes:
    """Return what ServerKeyExchange's signature covers: both randoms and the parameters, digested (§7.4.3)."""
    data = client_random + server_random + params
    digest = sha1(data, usedforsecurity=False).digest()
    return md5(data, usedforsecurity=False).digest() + digest if algorithm is KeyType.RSA else digest


def with_pre_shared_key(other_secret: bytes, key: bytes) -> bytes:
    """Return the premaster secret of a PSK suite: both parts, each behind its 2-byte length (RFC 4279 §2)."""
    return len(other_secret).to_bytes(2, "big") + other_secret + len(key).to_bytes(2, "big") + key


# ------------------------------------------------------------------------------------------------ server


def generate_ephemeral(
    exchange: KeyExchange,
    groups: tuple[int, ...],
    own_key: PublicKey | None,
    profile: Profile,
    config: Config,
    *,
    finite_field: str | None = None,
) -> Ephemeral | None:
    """Return a fresh key for this handshake, or None if the server has nothing to say in ServerKeyExchange.

    ``groups`` are the curves both sides have, favourite first; ``finite_field`` is the name of another group than the
    profile's. A Diffie-Hellman pair is never used twice (RFC 3268, Raccoon); a temporary RSA key is the configuration's
    affair.
    """
    premaster = exchange.premaster
    if premaster in (Premaster.DH, Premaster.DHE_PSK):
        group = dh_group("export512" if exchange.export else finite_field or profile.dh_group)
        pair = DHKeyPair.generate(group)
        dh = kx.ServerDHParams(_bytes(group.p), _bytes(group.g), pair.public)
        if premaster is Premaster.DH:
            return Ephemeral(pair, build(kx.SERVER_DH_PARAMS, dh))
        hinted = kx.ServerDHPskParams(profile.psk_identity_hint, dh)
        return Ephemeral(pair, build(kx.SERVER_DH_PSK_PARAMS, hinted))
    if premaster in (Premaster.ECDH, Premaster.ECDHE_PSK):
        curve = NamedCurve(groups[0])
        point = ECDHKeyPair.generate(curve)
        ecdh = kx.ServerECDHParams(ECCurveType.NAMED_CURVE, curve, point.public)
        if premaster is Premaster.ECDH:
            return Ephemeral(point, build(kx.SERVER_ECDH_PARAMS, ecdh))
        return Ephemeral(
            point, build(kx.SERVER_ECDH_PSK_PARAMS, kx.ServerECDHPskParams(profile.psk_identity_hint, ecdh))
        )
    if exchange is KeyExchange.RSA_EXPORT and _exceeds_export(own_key):
        key = temporary_rsa_key(config.random) if config.temporary_rsa_key is None else config.temporary_rsa_key()
        numbers = key.public_key().public_numbers()
        rsa = kx.ServerRSAParams(_bytes(numbers.n), _bytes(numbers.e))
        return Ephemeral(key, build(kx.SERVER_RSA_PARAMS, rsa))
    if premaster.psk and profile.psk_identity_hint:
        return Ephemeral(None, build(kx.SERVER_PSK_HINT, kx.ServerPskHint(profile.psk_identity_hint)))
    return None


def server_key_exchange(ephemeral: Ephemeral, signature: bytes | None) -> ServerKeyExchange:
    """Return the message; ``signature`` is None where the key exchange has none."""
    return kx.build_server_key_exchange(ephemeral.params, signature)


@dataclass(frozen=True, slots=True)
class ClientPublic:
    """A ClientKeyExchange, read: a public value or a ciphertext, and in a PSK suite the identity of the key."""

    value: bytes = b""
    psk_identity: bytes = b""


def read_client_key_exchange(exchange: KeyExchange, message: ClientKeyExchange) -> ClientPublic:
    """Return what the body holds in this key exchange."""
    match exchange.premaster:
        case Premaster.DH:
            return ClientPublic(kx.parse_client_key_exchange(kx.CLIENT_DIFFIE_HELLMAN_PUBLIC, message).dh_Yc)
        case Premaster.ECDH:
            return ClientPublic(kx.parse_client_key_exchange(kx.CLIENT_EC_DIFFIE_HELLMAN_PUBLIC, message).ecdh_Yc)
        case Premaster.RSA:
            return ClientPublic(kx.parse_client_key_exchange(kx.ENCRYPTED_PRE_MASTER_SECRET, message).pre_master_secret)
        case Premaster.PSK:
            return ClientPublic(psk_identity=kx.parse_client_key_exchange(kx.CLIENT_PSK_IDENTITY, message).psk_identity)
        case Premaster.DHE_PSK:
            dh = kx.parse_client_key_exchange(kx.CLIENT_DH_PSK, message)
            return ClientPublic(dh.public.dh_Yc, dh.psk_identity)
        case Premaster.ECDHE_PSK:
            ecdh = kx.parse_client_key_exchange(kx.CLIENT_ECDH_PSK, message)
            return ClientPublic(ecdh.public.ecdh_Yc, ecdh.psk_identity)
        case Premaster.RSA_PSK:
            rsa = kx.parse_client_key_exchange(kx.CLIENT_RSA_PSK, message)
            return ClientPublic(rsa.encrypted.pre_master_secret, rsa.psk_identity)


def agree(ephemeral: Ephemeral | None, public: ClientPublic, psk: bytes | None) -> bytes:
    """Return the premaster secret of a key exchange that needs no private key of a certificate (§8.1.2)."""
    pair = None if ephemeral is None else ephemeral.pair
    if isinstance(pair, (DHKeyPair, ECDHKeyPair)):
        secret = pair.agree(public.value)
        return secret if psk is None else with_pre_shared_key(secret, psk)
    if psk is None:
        raise HandshakeFailure("the key exchange has no key on the server's side")
    # RFC 4279 §2: "if the PSK is N octets long, concatenate a uint16 with the value N, N zero octets, ..."
    return with_pre_shared_key(bytes(len(psk)), psk)


def decrypt_with_temporary_key(key: RSAPrivateKey, ciphertext: bytes) -> bytes:
    """Return what was encrypted to a temporary key, ``b""`` if nothing comes of it: the caller goes on regardless."""
    try:
        return decrypt(key, ciphertext)
    except ValueError:
        return b""


def check_ciphertext_length(ciphertext: bytes, key: PublicKey | RSAPublicKey) -> None:
    """A ciphertext is as long as the modulus; its length is no secret, so it may be refused openly (§7.4.7.1)."""
    if not isinstance(key, RSAPublicKey):
        raise HandshakeFailure("the key exchange needs an RSA key")
    modulus_bytes = (key.key_size + 7) // 8
    if len(ciphertext) != modulus_bytes:
        raise DecodeError(f"ClientKeyExchange: {len(ciphertext)} encrypted bytes for a modulus of {modulus_bytes}")


def checked_pre_master_secret(decrypted: bytes, substitute: bytes) -> bytes:
    """Return ``decrypted`` if it is 48 bytes and begins with the version the client offered, else ``substitute``.

    One path and no error, whatever is wrong: a difference that the peer can see is Bleichenbacher's oracle, or that
    of Klima, Pokorny and Rosa for the version (§7.4.7.1, RFC 5246 §7.4.7.1). ``substitute`` begins with the version.
    """
    candidate = decrypted.ljust(len(substitute), b"\0")[: len(substitute)]
    good = (len(decrypted) == len(substitute)) & compare_digest(candidate[:2], substitute[:2])
    return (substitute, candidate)[good]


# ------------------------------------------------------------------------------------------------ client

SERVER_GRAMMARS: Final[Mapping[Premaster, Leaf[ServerParams]]] = {
    Premaster.RSA: kx.SERVER_RSA_PARAMS,
    Premaster.DH: kx.SERVER_DH_PARAMS,
    Premaster.ECDH: kx.SERVER_ECDH_PARAMS,
    Premaster.PSK: kx.SERVER_PSK_HINT,
    Premaster.RSA_PSK: kx.SERVER_PSK_HINT,
    Premaster.DHE_PSK: kx.SERVER_DH_PSK_PARAMS,
    Premaster.ECDHE_PSK: kx.SERVER_ECDH_PSK_PARAMS,
}
"""The grammar of the parameters in ServerKeyExchange, by how the premaster secret comes about."""


def needs_server_key_exchange(exchange: KeyExchange, leaf_key: PublicKey | None) -> bool:
    """Whether ServerKeyExchange must come: always with DH, and in RSA_EXPORT beside a longer key (§7.4.3)."""
    return exchange.server_key_exchange or (exchange is KeyExchange.RSA_EXPORT and _exceeds_export(leaf_key))


def read_server_key_exchange(
    exchange: KeyExchange, message: ServerKeyExchange, profile: Profile
) -> tuple[ServerParams, bytes, bytes | None]:
    """Return the server's parameters, checked, their bytes, and the signature over them (None if there is none)."""
    grammar = SERVER_GRAMMARS[exchange.premaster]
    params, signed, signature = kx.parse_server_key_exchange(grammar, message, signed=exchange.signed)
    public = _public_params(params)
    if isinstance(public, kx.ServerDHParams):
        _check_group(_group(public), exchange, profile)
    elif isinstance(public, kx.ServerECDHParams) and public.named_curve not in profile.groups:
        raise IllegalParameter(f"the server chose curve {public.named_curve}, which was not offered")
    elif isinstance(public, kx.ServerRSAParams):
        _check_temporary_key(_number(public.rsa_modulus))
    return params, signed, signature


def hint(params: ServerParams | None) -> bytes:
    """Return the server's PSK identity hint, empty if it gave none."""
    if isinstance(params, (kx.ServerPskHint, kx.ServerDHPskParams, kx.ServerECDHPskParams)):
        return params.psk_identity_hint
    return b""


def client_key_exchange(
    negotiated: Negotiation,
    leaf_key: PublicKey | None,
    params: ServerParams | None,
    psk: PreSharedKey | None,
    config: Config,
) -> tuple[ClientKeyExchange, bytes]:
    """Return the message, and the premaster secret it conveys (§7.4.7)."""
    public = _public_params(params)
    if negotiated.suite.key_exchange.fixed:
        return _agreed_with_certificate(leaf_key, negotiated.groups)
    if isinstance(public, kx.ServerDHParams):
        pair = DHKeyPair.generate(_group(public))
        secret = pair.agree(public.dh_Ys)
        dh = kx.ClientDiffieHellmanPublic(pair.public)
        if psk is None:
            return kx.build_client_key_exchange(kx.CLIENT_DIFFIE_HELLMAN_PUBLIC, dh), secret
        message = kx.build_client_key_exchange(kx.CLIENT_DH_PSK, kx.ClientDHPsk(psk.identity, dh))
    elif isinstance(public, kx.ServerECDHParams):
        point = ECDHKeyPair.generate(NamedCurve(public.named_curve))
        secret = point.agree(public.public)
        ecdh = kx.ClientECDiffieHellmanPublic(point.public)
        if psk is None:
            return kx.build_client_key_exchange(kx.CLIENT_EC_DIFFIE_HELLMAN_PUBLIC, ecdh), secret
        message = kx.build_client_key_exchange(kx.CLIENT_ECDH_PSK, kx.ClientECDHPsk(psk.identity, ecdh))
    elif psk is not None and leaf_key is None:
        secret = bytes(len(psk.key))
        message = kx.build_client_key_exchange(kx.CLIENT_PSK_IDENTITY, kx.ClientPskIdentity(psk.identity))
    else:
        key = _temporary_key(public) if isinstance(public, kx.ServerRSAParams) else leaf_key
        encrypted, secret = _encrypted_pre_master_secret(negotiated, key, config)
        if psk is None:
            return kx.build_client_key_exchange(kx.ENCRYPTED_PRE_MASTER_SECRET, encrypted), secret
        message = kx.build_client_key_exchange(kx.CLIENT_RSA_PSK, kx.ClientRSAPsk(psk.identity, encrypted))
    return message, with_pre_shared_key(secret, psk.key)


def _agreed_with_certificate(leaf_key: PublicKey | None, groups: tuple[int, ...]) -> tuple[ClientKeyExchange, bytes]:
    """Return the message and secret of an agreement with the certificate's own key (RFC 4492 §2.1, §5.7)."""
    if not isinstance(leaf_key, EllipticCurvePublicKey) or (curve := curve_of(leaf_key)) is None or curve not in groups:
        # RFC 4492 §5.3: the client's curves are a condition on the certificate
        raise UnsupportedCertificate("the certificate's key is on a curve that was not offered")
    point = ECDHKeyPair.generate(curve)
    secret = point.agree(leaf_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
    message = kx.ClientECDiffieHellmanPublic(point.public)
    return kx.build_client_key_exchange(kx.CLIENT_EC_DIFFIE_HELLMAN_PUBLIC, message), secret


def _encrypted_pre_master_secret(
    negotiated: Negotiation, key: PublicKey | None, config: Config
) -> tuple[kx.EncryptedPreMasterSecret, bytes]:
    if key is None:
        raise HandshakeFailure("there is no key to encrypt the premaster secret with")
    secret = build(kx.PRE_MASTER_SECRET, kx.PreMasterSecret(negotiated.client_version, config.random(46)))
    try:
        return kx.EncryptedPreMasterSecret(encrypt(key, secret)), secret
    except LocalError as error:
        raise UnsupportedCertificate(str(error)) from error


def _public_params(params: ServerParams | None) -> PublicParams | None:
    if isinstance(params, (kx.ServerDHPskParams, kx.ServerECDHPskParams)):
        return params.params
    return None if isinstance(params, kx.ServerPskHint) else params


def _check_group(group: DHParameters, exchange: KeyExchange, profile: Profile) -> None:
    if not exchange.export:
        check_dh_parameters(group, profile.minimum_dh_bits, profile.maximum_dh_bits)
        return
    if group.bits > EXPORT_KEY_BITS:
        raise ExportRestriction(f"a group of {group.bits} bits in an export suite")
    check_dh_parameters(group, EXPORT_KEY_BITS, EXPORT_KEY_BITS)


def _exceeds_export(key: PublicKey | None) -> bool:
    return isinstance(key, RSAPublicKey) and key.key_size > EXPORT_KEY_BITS


def _check_temporary_key(modulus: int) -> None:
    if modulus.bit_length() > EXPORT_KEY_BITS:
        raise ExportRestriction("the server's temporary RSA key is longer than 512 bits")
    if modulus.bit_length() <= _SHORTEST_RSA_BITS or modulus % 2 == 0:
        raise IllegalParameter("the server's temporary RSA key is unusable")


def _temporary_key(params: kx.ServerRSAParams) -> RSAPublicKey:
    try:
        return RSAPublicNumbers(_number(params.rsa_exponent), _number(params.rsa_modulus)).public_key()
    except ValueError as error:
        raise IllegalParameter("the server's temporary RSA key is unusable") from error


def _group(params: kx.ServerDHParams) -> DHParameters:
    return DHParameters(_number(params.dh_p), _number(params.dh_g))


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def _bytes(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


quicken(__name__)
