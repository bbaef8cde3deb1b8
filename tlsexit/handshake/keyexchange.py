"""ServerKeyExchange (RFC 2246 §7.4.3) and ClientKeyExchange (§7.4.7), and the forms that their bodies take.

What a body looks like follows from the negotiated suite and is not said on the wire (§4.6.1). The messages therefore
carry their body as it came, and the handler picks one of the grammars below.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from tlsexit.alerts import DecodeError
from tlsexit.handshake.certificate import SIGNATURE
from tlsexit.handshake.enums import ECCurveType, HandshakeType
from tlsexit.values import quicken
from tlsexit.wire import Enumerated, Fixed, Leaf, Message, Opaque, Rest, Uint, build, parse, parse_prefix

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class ServerKeyExchange:
    """The server's ephemeral parameters; :func:`parse_server_key_exchange` reads ``body`` (§7.4.3)."""

    handshake_type: ClassVar[HandshakeType] = HandshakeType.SERVER_KEY_EXCHANGE
    section: ClassVar[str] = "7.4.3"

    body: bytes


# select (KeyExchangeAlgorithm) { ... } ServerKeyExchange;
SERVER_KEY_EXCHANGE = Message(ServerKeyExchange, body=Rest())


@dataclass(frozen=True, slots=True)
class ClientKeyExchange:
    """The client's half of the key exchange, read by :func:`parse_client_key_exchange` (§7.4.7)."""

    handshake_type: ClassVar[HandshakeType] = HandshakeType.CLIENT_KEY_EXCHANGE
    section: ClassVar[str] = "7.4.7"

    body: bytes


# select (KeyExchangeAlgorithm) { ... } exchange_keys;
CLIENT_KEY_EXCHANGE = Message(ClientKeyExchange, body=Rest())


# ------------------------------------------------------------------------------------------------ server


@dataclass(frozen=True, slots=True)
class ServerRSAParams:
    """A temporary RSA key, big-endian numbers (§7.4.3); only the export suites have one."""

    rsa_modulus: bytes
    rsa_exponent: bytes


SERVER_RSA_PARAMS = Message(
    ServerRSAParams,
    # opaque rsa_modulus<1..2^16-1>;
    rsa_modulus=Opaque(1, 2**16 - 1),
    # opaque rsa_exponent<1..2^16-1>;
    rsa_exponent=Opaque(1, 2**16 - 1),
)


@dataclass(frozen=True, slots=True)
class ServerDHParams:
    """An ephemeral Diffie-Hellman group and public value, big-endian numbers (§7.4.3)."""

    dh_p: bytes
    dh_g: bytes
    dh_Ys: bytes


SERVER_DH_PARAMS = Message(
    ServerDHParams,
    # opaque dh_p<1..2^16-1>;
    dh_p=Opaque(1, 2**16 - 1),
    # opaque dh_g<1..2^16-1>;
    dh_g=Opaque(1, 2**16 - 1),
    # opaque dh_Ys<1..2^16-1>;
    dh_Ys=Opaque(1, 2**16 - 1),
)


@dataclass(frozen=True, slots=True)
class ServerECDHParams:
    """A named curve and the server's point on it (RFC 4492 §5.4); ``curve_type`` is always named_curve."""

    curve_type: int
    named_curve: int
    public: bytes


SERVER_ECDH_PARAMS = Message(
    ServerECDHParams,
    # ECCurveType curve_type; explicit curves have another form and are refused with illegal_parameter
    curve_type=Enumerated(1, {ECCurveType.NAMED_CURVE}),
    # NamedCurve namedcurve; enum { ..., (0xFFFF) } NamedCurve;
    named_curve=Uint(2),
    # ECPoint public; struct { opaque point<1..2^8-1>; } ECPoint;
    public=Opaque(1, 2**8 - 1),
)


@dataclass(frozen=True, slots=True)
class ServerPskHint:
    """A hint at which pre-shared key to use, for PSK and RSA_PSK (RFC 4279 §2, §4)."""

    psk_identity_hint: bytes


# opaque psk_identity_hint<0..2^16-1>;
PSK_IDENTITY_HINT = Opaque(0, 2**16 - 1)

SERVER_PSK_HINT = Message(ServerPskHint, psk_identity_hint=PSK_IDENTITY_HINT)


@dataclass(frozen=True, slots=True)
class ServerDHPskParams:
    """The hint and the parameters of DHE_PSK (RFC 4279 §3); never signed."""

    psk_identity_hint: bytes
    params: ServerDHParams


SERVER_DH_PSK_PARAMS = Message(
    ServerDHPskParams,
    psk_identity_hint=PSK_IDENTITY_HINT,
    # ServerDHParams params;
    params=SERVER_DH_PARAMS,
)


@dataclass(frozen=True, slots=True)
class ServerECDHPskParams:
    """The hint and the parameters of ECDHE_PSK (RFC 5489 §2); never signed."""

    psk_identity_hint: bytes
    params: ServerECDHParams


SERVER_ECDH_PSK_PARAMS = Message(
    ServerECDHPskParams,
    psk_identity_hint=PSK_IDENTITY_HINT,
    # ServerECDHParams params;
    params=SERVER_ECDH_PARAMS,
)


def parse_server_key_exchange(
    grammar: Leaf[P], message: ServerKeyExchange, *, signed: bool
) -> tuple[P, bytes, bytes | None]:
    """Return the parameters, their bytes exactly as received, and the signature over them (§7.4.3).

    The bytes are what the signature covers, after the two randoms. ``signed`` says whether the suite has a signature;
    without one the message ends with the parameters, not even a length follows, and None is returned in its place.
    Raises :class:`~tlsexit.alerts.DecodeError` for anything missing or left over.
    """
    params, used = parse_prefix(grammar, message.body, "ServerKeyExchange")
    rest = message.body[used:]
    if signed:
        # select (SignatureAlgorithm) { ... } Signature;
        return params, message.body[:used], parse(SIGNATURE, rest, "ServerKeyExchange.signed_params")
    if rest:
        raise DecodeError(f"ServerKeyExchange: {len(rest)} bytes left over")
    return params, message.body, None


def build_server_key_exchange(params: bytes, signature: bytes | None) -> ServerKeyExchange:
    """Return the message with parameters in wire form, as they were signed; ``signature`` is None if there is none."""
    if signature is None:
        return ServerKeyExchange(params)
    return ServerKeyExchange(params + build(SIGNATURE, signature, "ServerKeyExchange.signed_params"))


# ------------------------------------------------------------------------------------------------ client


@dataclass(frozen=True, slots=True)
class PreMasterSecret:
    """The 48 bytes that an RSA client encrypts (§7.4.7.1); the version is the one its ClientHello offered."""

    client_version: int
    random: bytes = field(repr=False)


PRE_MASTER_SECRET = Message(
    PreMasterSecret,
    # ProtocolVersion client_version;
    client_version=Uint(2),
    # opaque random[46];
    random=Fixed(46),
)


@dataclass(frozen=True, slots=True)
class EncryptedPreMasterSecret:
    """The RSA ciphertext of a :class:`PreMasterSecret` (§7.4.7.1)."""

    pre_master_secret: bytes


ENCRYPTED_PRE_MASTER_SECRET = Message(
    EncryptedPreMasterSecret,
    # public-key-encrypted PreMasterSecret pre_master_secret; which is opaque <0..2^16-1> (§4.7)
    pre_master_secret=Opaque(0, 2**16 - 1),
)


@dataclass(frozen=True, slots=True)
class ClientDiffieHellmanPublic:
    """The client's public value, a big-endian number (§7.4.7.2).

    Only the explicit form: the implicit one, an empty body, needs a Diffie-Hellman client certificate.
    """

    dh_Yc: bytes


CLIENT_DIFFIE_HELLMAN_PUBLIC = Message(
    ClientDiffieHellmanPublic,
    # opaque dh_Yc<1..2^16-1>;
    dh_Yc=Opaque(1, 2**16 - 1),
)


@dataclass(frozen=True, slots=True)
class ClientECDiffieHellmanPublic:
    """The client's point (RFC 4492 §5.7), only the explicit form."""

    ecdh_Yc: bytes


CLIENT_EC_DIFFIE_HELLMAN_PUBLIC = Message(
    ClientECDiffieHellmanPublic,
    # ECPoint ecdh_Yc; struct { opaque point<1..2^8-1>; } ECPoint;
    ecdh_Yc=Opaque(1, 2**8 - 1),
)


@dataclass(frozen=True, slots=True)
class ClientPskIdentity:
    """Which pre-shared key the client uses (RFC 4279 §2)."""

    psk_identity: bytes


# opaque psk_identity<0..2^16-1>;
PSK_IDENTITY = Opaque(0, 2**16 - 1)

CLIENT_PSK_IDENTITY = Message(ClientPskIdentity, psk_identity=PSK_IDENTITY)


@dataclass(frozen=True, slots=True)
class ClientDHPsk:
    """Identity and public value of DHE_PSK (RFC 4279 §3)."""

    psk_identity: bytes
    public: ClientDiffieHellmanPublic


CLIENT_DH_PSK = Message(
    ClientDHPsk,
    psk_identity=PSK_IDENTITY,
    # ClientDiffieHellmanPublic public;
    public=CLIENT_DIFFIE_HELLMAN_PUBLIC,
)


@dataclass(frozen=True, slots=True)
class ClientECDHPsk:
    """Identity and point of ECDHE_PSK (RFC 5489 §2)."""

    psk_identity: bytes
    public: ClientECDiffieHellmanPublic


CLIENT_ECDH_PSK = Message(
    ClientECDHPsk,
    psk_identity=PSK_IDENTITY,
    # ClientECDiffieHellmanPublic public;
    public=CLIENT_EC_DIFFIE_HELLMAN_PUBLIC,
)


@dataclass(frozen=True, slots=True)
class ClientRSAPsk:
    """Identity and encrypted premaster secret of RSA_PSK (RFC 4279 §4)."""

    psk_identity: bytes
    encrypted: EncryptedPreMasterSecret


CLIENT_RSA_PSK = Message(
    ClientRSAPsk,
    psk_identity=PSK_IDENTITY,
    # EncryptedPreMasterSecret;
    encrypted=ENCRYPTED_PRE_MASTER_SECRET,
)


def parse_client_key_exchange(grammar: Leaf[P], message: ClientKeyExchange) -> P:
    """Return what the body holds; :class:`~tlsexit.alerts.DecodeError` if it does not match (§7.4.7)."""
    return parse(grammar, message.body, "ClientKeyExchange")


def build_client_key_exchange(grammar: Leaf[P], value: P) -> ClientKeyExchange:
    """Return the message that holds ``value``."""
    return ClientKeyExchange(build(grammar, value, "ClientKeyExchange"))


quicken(__name__)
