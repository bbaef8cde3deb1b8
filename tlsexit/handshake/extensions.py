"""Hello extensions (RFC 4366 §2): the list, and the body of each extension known here.

A hello keeps extensions as raw :class:`Extension` values, so that unknown ones survive and are ignored (§2.3). A body
has two grammars where client and server differ; handlers read one with::

    names = read(hello.extensions, ExtensionType.SERVER_NAME, SERVER_NAME_LIST)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Final, TypeVar

from tlsexit.alerts import IllegalParameter
from tlsexit.constants import Role
from tlsexit.exits.forms import DISTINGUISHED_NAME
from tlsexit.handshake.enums import CertificateStatusType, ExtensionType, IdentifierType, NameType
from tlsexit.values import quicken
from tlsexit.wire import (
    Enumerated,
    Fixed,
    Leaf,
    Message,
    Opaque,
    Rest,
    RestOf,
    Uint,
    Variant,
    Vector,
    WireError,
    build,
    parse,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension as it stands in a hello (RFC 4366 §2.3)."""

    extension_type: int
    extension_data: bytes


EXTENSION = Message(
    Extension,
    # ExtensionType extension_type;
    extension_type=Uint(2),
    # opaque extension_data<0..2^16-1>;
    extension_data=Opaque(0, 2**16 - 1),
)


class _ExtensionList(Vector[Extension]):
    """A vector of extensions, no two of one type.

    RFC 4366 §2.3: "There MUST NOT be more than one extension of the same type." It names no alert; illegal_parameter,
    as OpenSSL answers, since the bytes themselves are well formed. Only a peer's list is checked.

    Clients of one kind send the same list every time, so that short ones are remembered.
    """

    key = attrgetter("extension_type")

    def decode(self, data: bytes, offset: int, end: int) -> tuple[tuple[Extension, ...], int]:
        start, stop = self.span(data, offset, end)
        read = remembered_list if stop - start <= _SHORT else _extension_list
        return read(bytes(data[start:stop])), stop


_SHORT: Final = 128
"""Longest list, or body, of extensions that is remembered, in bytes: what peers make us keep has a bound.

Hardly any ticket is that short: a list with one comes once, and would only push out others.
"""


def _extension_list(data: bytes) -> tuple[Extension, ...]:
    extensions, _ = _EACH.decode(data, 0, len(data))
    check_unique(extensions)
    return extensions


_EACH: Final = RestOf(EXTENSION)

remembered_list: Final = lru_cache(maxsize=128)(_extension_list)


# Extension extensions<0..2^16-1>;
EXTENSIONS = _ExtensionList(EXTENSION, 0, 2**16 - 1)


def check_unique(extensions: Iterable[Extension]) -> None:
    """Raise :class:`WireError`, an illegal_parameter, if a type appears twice (RFC 4366 §2.3)."""
    types = [extension.extension_type for extension in extensions]
    if len(types) == len(set(types)):
        return
    seen = set[int]()
    for kind in types:
        if kind in seen:
            raise WireError(f"extension {kind} appears twice", alert=IllegalParameter)
        seen.add(kind)


def find(extensions: Iterable[Extension] | None, extension_type: int) -> bytes | None:
    """Return the body of the extension of that type; None if it is absent, as when there is no list at all."""
    for extension in extensions or ():
        if extension.extension_type == extension_type:
            return extension.extension_data
    return None


def read(extensions: Iterable[Extension] | None, extension_type: ExtensionType, grammar: Leaf[T]) -> T | None:
    """Return the parsed body of the extension of that type; None if it is absent.

    Raises :class:`~tlsexit.alerts.DecodeError` or :class:`~tlsexit.alerts.IllegalParameter` for a body that does not
    match. Not for a grammar whose value may itself be None.
    """
    body = find(extensions, extension_type)
    return None if body is None else parse(grammar, body, extension_type.name.lower())


def read_body(grammar: Leaf[T], data: bytes, name: str) -> T:
    """As :func:`~tlsexit.wire.parse`, short bodies remembered."""
    value: T = (remembered_body if len(data) <= _SHORT else parse)(grammar, data, name)
    return value


remembered_body: Final = lru_cache(maxsize=512)(parse)


def extension(extension_type: ExtensionType, grammar: Leaf[T], value: T) -> Extension:
    """Return the extension of that type with ``value`` as its body."""
    return Extension(extension_type, build(grammar, value, extension_type.name.lower()))


# ------------------------------------------------------------------------------------------------ bodies

# The extension says all by being there: RFC 7366 §2, RFC 7627 §5.1, and a server's answer to several others.
EMPTY = Fixed(0)


@dataclass(frozen=True, slots=True)
class ServerName:
    """One name of the server (RFC 6066 §3): for host_name, ASCII without a trailing dot."""

    name_type: int
    name: bytes


SERVER_NAME = Variant(
    ServerName,
    # NameType name_type;
    Uint(1),
    # select (name_type) { case host_name: HostName; } name; opaque HostName<1..2^16-1>;
    {NameType.HOST_NAME: Opaque(1, 2**16 - 1)},
    # "the data structures associated with additional NameTypes MUST begin with a 16-bit length field"
    default=Opaque(0, 2**16 - 1),
)

# ServerName server_name_list<1..2^16-1>
SERVER_NAME_LIST = Vector(SERVER_NAME, 1, 2**16 - 1)


def host_name(names: Iterable[ServerName]) -> bytes | None:
    """Return the host_name among ``names``, None if there is none.

    Raises :class:`IllegalParameter` if any type is named twice (RFC 6066 §3: "MUST NOT contain more than one name of
    the same name_type").
    """
    by_type: dict[int, bytes] = {}
    for name in names:
        if name.name_type in by_type:
            raise IllegalParameter(f"server_name: two names of type {name.name_type}")
        by_type[name.name_type] = name.name
    return by_type.get(NameType.HOST_NAME)


# enum { 2^9(1), 2^10(2), 2^11(3), 2^12(4), (255) } MaxFragmentLength; (RFC 6066 §4)
MAX_FRAGMENT_LENGTH = Enumerated(1, {1, 2, 3, 4})


@dataclass(frozen=True, slots=True)
class TrustedAuthority:
    """One CA that the client trusts (RFC 6066 §6): a SHA-1 hash, a DER Name, or nothing, by ``identifier_type``."""

    identifier_type: int
    identifier: bytes


# opaque SHA1Hash[20];
SHA1_HASH = Fixed(20)

TRUSTED_AUTHORITY = Variant(
    TrustedAuthority,
    # IdentifierType identifier_type;
    Uint(1),
    # select (identifier_type) { case pre_agreed: struct {}; case key_sha1_hash: SHA1Hash;
    #     case x509_name: DistinguishedName; case cert_sha1_hash: SHA1Hash; } identifier;
    {
        IdentifierType.PRE_AGREED: EMPTY,
        IdentifierType.KEY_SHA1_HASH: SHA1_HASH,
        IdentifierType.X509_NAME: DISTINGUISHED_NAME,
        IdentifierType.CERT_SHA1_HASH: SHA1_HASH,
    },
)

# TrustedAuthority trusted_authorities_list<0..2^16-1>;
TRUSTED_AUTHORITIES = Vector(TRUSTED_AUTHORITY, 0, 2**16 - 1)


@dataclass(frozen=True, slots=True)
class OCSPStatusRequest:
    """Which OCSP responders the client trusts, and extensions for the request, all DER (RFC 6066 §8)."""

    responder_id_list: tuple[bytes, ...] = ()
    request_extensions: bytes = b""


OCSP_STATUS_REQUEST = Message(
    OCSPStatusRequest,
    # ResponderID responder_id_list<0..2^16-1>; opaque ResponderID<1..2^16-1>;
    responder_id_list=Vector(Opaque(1, 2**16 - 1), 0, 2**16 - 1),
    # Extensions request_extensions; opaque Extensions<0..2^16-1>;
    request_extensions=Opaque(0, 2**16 - 1),
)


@dataclass(frozen=True, slots=True)
class CertificateStatusRequest:
    """The wish for a CertificateStatus (RFC 6066 §8); ``request`` is bytes for a status type unknown here."""

    status_type: int
    request: OCSPStatusRequest | bytes


CERTIFICATE_STATUS_REQUEST = Variant(
    CertificateStatusRequest,
    # CertificateStatusType status_type;
    Uint(1),
    # select (status_type) { case ocsp: OCSPStatusRequest; } request;
    {CertificateStatusType.OCSP: OCSP_STATUS_REQUEST},
    # a kind of request to be ignored, not an error
    default=Rest(),
)

# NamedCurve elliptic_curve_list<1..2^16-1> (RFC 4492 §5.1.1)
SUPPORTED_GROUPS = Vector(Uint(2), 1, 2**16 - 1)

# ECPointFormat ec_point_format_list<1..2^8-1> (RFC 4492 §5.1.2)
EC_POINT_FORMATS = Vector(Uint(1), 1, 2**8 - 1)

# ProtocolName protocol_name_list<2..2^16-1>; opaque ProtocolName<1..2^8-1>; (RFC 7301 §3.1; a server's has one entry)
PROTOCOL_NAME_LIST = Vector(Opaque(1, 2**8 - 1), 2, 2**16 - 1)

# SerializedSCT sct_list<1..2^16-1>; opaque SerializedSCT<1..2^16-1>; (RFC 6962 §3.3, from the server)
SIGNED_CERTIFICATE_TIMESTAMP_LIST = Vector(Opaque(1, 2**16 - 1), 1, 2**16 - 1)

# opaque protocol_name<1..255>, one behind the other up to the end (draft-agl-tls-nextprotoneg-04 §3.1, from the server)
NEXT_PROTOCOLS = RestOf(Opaque(1, 2**8 - 1))

# The ticket itself: RFC 5077 appendix A dropped the inner length that RFC 4507 had.
SESSION_TICKET = Rest()

# opaque renegotiated_connection<0..255>; (RFC 5746 §3.2)
RENEGOTIATION_INFO = Opaque(0, 255)


def renegotiation_info(renegotiated_connection: bytes) -> Extension:
    """Return the extension that names the handshake before, by its verify_data; empty in a first one."""
    return extension(ExtensionType.RENEGOTIATION_INFO, RENEGOTIATION_INFO, renegotiated_connection)


# what nearly every hello has
FIRST_HANDSHAKE: Final = renegotiation_info(b"")
ENCRYPT_THEN_MAC: Final = Extension(ExtensionType.ENCRYPT_THEN_MAC, b"")
EXTENDED_MASTER_SECRET: Final = Extension(ExtensionType.EXTENDED_MASTER_SECRET, b"")

_CLIENT: Final[Mapping[int, Leaf[object]]] = {
    ExtensionType.SERVER_NAME: SERVER_NAME_LIST,
    ExtensionType.MAX_FRAGMENT_LENGTH: MAX_FRAGMENT_LENGTH,
    ExtensionType.TRUSTED_CA_KEYS: TRUSTED_AUTHORITIES,
    ExtensionType.STATUS_REQUEST: CERTIFICATE_STATUS_REQUEST,
    ExtensionType.SUPPORTED_GROUPS: SUPPORTED_GROUPS,
    ExtensionType.EC_POINT_FORMATS: EC_POINT_FORMATS,
    ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: PROTOCOL_NAME_LIST,
    ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP: EMPTY,
    ExtensionType.ENCRYPT_THEN_MAC: EMPTY,
    ExtensionType.EXTENDED_MASTER_SECRET: EMPTY,
    ExtensionType.SESSION_TICKET: SESSION_TICKET,
    ExtensionType.NEXT_PROTOCOL_NEGOTIATION: EMPTY,
    ExtensionType.RENEGOTIATION_INFO: RENEGOTIATION_INFO,
}

BODIES: Final[Mapping[Role, Mapping[int, Leaf[object]]]] = {
    Role.CLIENT: _CLIENT,
    Role.SERVER: {
        **_CLIENT,
        ExtensionType.SERVER_NAME: EMPTY,
        ExtensionType.TRUSTED_CA_KEYS: EMPTY,
        ExtensionType.STATUS_REQUEST: EMPTY,
        ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP: SIGNED_CERTIFICATE_TIMESTAMP_LIST,
        ExtensionType.SESSION_TICKET: EMPTY,
        ExtensionType.NEXT_PROTOCOL_NEGOTIATION: NEXT_PROTOCOLS,
    },
}
"""The grammar of each known body, by who sends the hello it is in."""

quicken(__name__)
