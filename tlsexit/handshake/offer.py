"""The client's side of the hellos: what to offer, and whether the server stayed within it (RFC 2246 §7.4.1).

Extensions: RFC 6066 (server_name, max_fragment_length, trusted_ca_keys, status_request), RFC 4492, RFC 5077, RFC 5746,
RFC 6962, RFC 7301, RFC 7366, RFC 7627, and next protocol negotiation (draft-agl-tls-nextprotoneg-04).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from hmac import compare_digest
from ipaddress import ip_address
from typing import Any

from tlsexit.alerts import HandshakeFailure, IllegalParameter, ProtocolVersionError, UnsupportedExtension
from tlsexit.constants import (
    EMPTY_RENEGOTIATION_INFO_SCSV,
    FALLBACK_SCSV,
    NULL_COMPRESSION,
    ProtocolVersion,
    Role,
)
from tlsexit.crypto.suites import SUITES, CipherSuite
from tlsexit.handshake import extensions as ext
from tlsexit.handshake.enums import CertificateStatusType, ExtensionType, NameType
from tlsexit.handshake.extensions import Extension
from tlsexit.handshake.hello import ClientHello, ServerHello
from tlsexit.handshake.negotiation import (
    ELLIPTIC,
    UNCOMPRESSED,
    FinishedPair,
    Negotiation,
    check_not_weakened,
    read_bodies,
)
from tlsexit.profile import Profile
from tlsexit.session import Session

_LENGTH_CODES = {512: 1, 1024: 2, 2048: 3, 4096: 4}


def offered_suites(profile: Profile, previous: FinishedPair | None, session: Session | None) -> tuple[int, ...]:
    """Return the profile's suites and the signalling values that belong behind them."""
    suites = profile.cipher_suites
    if not profile.extensions and previous is None:
        suites += (EMPTY_RENEGOTIATION_INFO_SCSV,)
    # RFC 7507 §4: a client that resumes at the session's version knows that it is no fallback
    return (*suites, FALLBACK_SCSV) if profile.fallback_scsv and session is None else suites


def client_extensions(
    profile: Profile, previous: FinishedPair | None, session: Session | None
) -> tuple[Extension, ...] | None:
    """Return what a client with this profile offers; None for a hello without extensions.

    renegotiation_info is there whenever anything is, and in a renegotiation always (RFC 5746 §3.4, §3.5).
    """
    renegotiation_info = ext.FIRST_HANDSHAKE if previous is None else ext.renegotiation_info(previous.client)
    if not profile.extensions:
        return None if previous is None else (renegotiation_info,)
    offered = []
    if profile.server_name is not None and not _is_address(profile.server_name):
        offered.append(_server_name(profile.server_name))
    if profile.max_fragment_length is not None:
        code = _LENGTH_CODES[profile.max_fragment_length]
        offered.append(ext.extension(ExtensionType.MAX_FRAGMENT_LENGTH, ext.MAX_FRAGMENT_LENGTH, code))
    if profile.trusted_authorities:
        authorities = tuple(ext.TrustedAuthority(*item) for item in profile.trusted_authorities)
        offered.append(ext.extension(ExtensionType.TRUSTED_CA_KEYS, ext.TRUSTED_AUTHORITIES, authorities))
    if profile.status_request:
        wish = ext.CertificateStatusRequest(CertificateStatusType.OCSP, ext.OCSPStatusRequest())
        offered.append(ext.extension(ExtensionType.STATUS_REQUEST, ext.CERTIFICATE_STATUS_REQUEST, wish))
    if any(SUITES[value].key_exchange.premaster in ELLIPTIC for value in profile.cipher_suites):
        # RFC 4492 §4: a client without ECC suites sends neither
        offered.append(ext.extension(ExtensionType.SUPPORTED_GROUPS, ext.SUPPORTED_GROUPS, profile.groups))
        offered.append(ext.extension(ExtensionType.EC_POINT_FORMATS, ext.EC_POINT_FORMATS, (UNCOMPRESSED,)))
    if profile.alpn:
        names = tuple(name.encode() for name in profile.alpn)
        kind = ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION
        offered.append(ext.extension(kind, ext.PROTOCOL_NAME_LIST, names))
    if profile.signed_certificate_timestamps:
        offered.append(Extension(ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP, b""))
    if profile.npn and previous is None:
        # §3: "renegotiations on the same connection MUST NOT include" it
        offered.append(Extension(ExtensionType.NEXT_PROTOCOL_NEGOTIATION, b""))
    if profile.encrypt_then_mac:
        offered.append(ext.ENCRYPT_THEN_MAC)
    if profile.extended_master_secret:
        offered.append(ext.EXTENDED_MASTER_SECRET)
    if profile.session_tickets:
        offered.append(Extension(ExtensionType.SESSION_TICKET, session.ticket if session else b""))
    return (*offered, renegotiation_info)


@lru_cache(maxsize=256)
def _server_name(name: str) -> Extension:
    """Return server_name for a host; remembered, as whoever comes back to a server sends the same."""
    host = ext.ServerName(NameType.HOST_NAME, name.removesuffix(".").encode("ascii"))
    return ext.extension(ExtensionType.SERVER_NAME, ext.SERVER_NAME_LIST, (host,))


def in_v2_format(hello: ClientHello) -> ClientHello:
    """Return what is left of a hello in SSL 2.0 format: no extensions, no session id, RFC 5746 signalled by SCSV."""
    suites = tuple(dict.fromkeys((*hello.cipher_suites, EMPTY_RENEGOTIATION_INFO_SCSV)))
    return replace(hello, session_id=b"", cipher_suites=suites, extensions=None)


def accept_server_hello(
    hello: ServerHello, offered: ClientHello, profile: Profile, previous: FinishedPair | None
) -> Negotiation:
    """Check that the server stayed within the offer (§7.4.1.3), and return what is settled."""
    if hello.server_version != ProtocolVersion.TLS_1_0:
        raise ProtocolVersionError(f"the server chose version {hello.server_version:#06x}; tlsexit speaks TLS 1.0 only")
    suite = SUITES.get(hello.cipher_suite)
    if suite is None or hello.cipher_suite not in offered.cipher_suites:
        raise IllegalParameter(f"the server chose suite {hello.cipher_suite:#06x}, which was not offered")
    if hello.compression_method != NULL_COMPRESSION:
        raise IllegalParameter(f"the server chose compression {hello.compression_method}, which was not offered")
    answered = hello.extensions or ()
    requested = {item.extension_type for item in offered.extensions or ()}
    if EMPTY_RENEGOTIATION_INFO_SCSV in offered.cipher_suites:
        requested.add(ExtensionType.RENEGOTIATION_INFO)
    for item in answered:
        if item.extension_type not in requested:
            raise UnsupportedExtension(f"the server answers extension {item.extension_type}, which was not offered")
    said = read_bodies(answered, ext.BODIES[Role.SERVER])
    formats = said.get(ExtensionType.EC_POINT_FORMATS)
    if formats is not None and UNCOMPRESSED not in formats:
        # RFC 4492 §5.1.2: every list holds the uncompressed format
        raise IllegalParameter("the server's point formats do not include uncompressed")
    encrypt_then_mac = _encrypt_then_mac(said, suite)
    check_not_weakened(previous, suite, encrypt_then_mac)
    timestamps = ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP
    return Negotiation(
        suite=suite,
        client_version=offered.client_version,
        client_random=offered.random,
        server_random=hello.random,
        session_id=hello.session_id,
        groups=profile.groups,
        extended_master_secret=ExtensionType.EXTENDED_MASTER_SECRET in said,
        encrypt_then_mac=encrypt_then_mac,
        secure_renegotiation=_secure_renegotiation(said, previous),
        max_fragment_length=_max_fragment_length(said, profile),
        alpn_protocol=_alpn_protocol(said, profile),
        next_protocol=_next_protocol(said, profile),
        new_ticket=ExtensionType.SESSION_TICKET in said,
        status_request=ExtensionType.STATUS_REQUEST in said,
        sct_list=said.get(timestamps) or (),
    )


def _encrypt_then_mac(said: Mapping[int, Any], suite: CipherSuite) -> bool:
    if ExtensionType.ENCRYPT_THEN_MAC not in said:
        return False
    if suite.cipher.key_material and not suite.cipher.is_block:
        # RFC 7366 §3: "MUST NOT" with a stream cipher. OpenSSL answers it with a NULL cipher too, where both orders are
        # the same bytes; with a key stream they are not.
        raise IllegalParameter("the server agrees to encrypt_then_mac for a stream cipher")
    return suite.cipher.is_block


def _secure_renegotiation(said: Mapping[int, Any], previous: FinishedPair | None) -> bool:
    """Whether the server supports RFC 5746; its extension must name the handshake before this one (§3.4, §3.5)."""
    value = said.get(ExtensionType.RENEGOTIATION_INFO)
    if value is None:
        if previous is not None:
            raise HandshakeFailure("the server renegotiates without renegotiation_info")
        return False
    expected = b"" if previous is None else previous.client + previous.server
    if not compare_digest(value, expected):
        raise HandshakeFailure("renegotiation_info does not match the previous handshake")
    return True


def _max_fragment_length(said: Mapping[int, Any], profile: Profile) -> int | None:
    code = said.get(ExtensionType.MAX_FRAGMENT_LENGTH)
    if code is None:
        return None
    if profile.max_fragment_length is None or code != _LENGTH_CODES[profile.max_fragment_length]:
        # RFC 6066 §4: "MUST abort the handshake with an "illegal_parameter" alert"
        raise IllegalParameter("the server answers another max_fragment_length than was asked for")
    return profile.max_fragment_length


def _alpn_protocol(said: Mapping[int, Any], profile: Profile) -> str | None:
    names = said.get(ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION)
    if names is None:
        return None
    chosen = [name for name in profile.alpn if name.encode() == names[0]]
    if len(names) != 1 or not chosen:
        # RFC 7301 §3.1: exactly one, of those offered
        raise IllegalParameter("the server's ALPN answer is not one of the protocols offered")
    return chosen[0]


def _next_protocol(said: Mapping[int, Any], profile: Profile) -> bytes | None:
    """Return what the client will speak: the first of its own that the server has, or else the first of its own."""
    listed = said.get(ExtensionType.NEXT_PROTOCOL_NEGOTIATION)
    if listed is None:
        return None
    if ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION in said:
        raise IllegalParameter("the server answers with ALPN and with next protocol negotiation")
    own = [name.encode() for name in profile.npn]
    return next((name for name in own if name in listed), own[0])


def _is_address(name: str) -> bool:
    """Whether ``name`` is an IP address, which is checked but never sent (RFC 6066 §3)."""
    bare = name.removeprefix("[").removesuffix("]")
    if not (":" in bare or bare[-1:].isdigit()):  # spares most names a failed parse
        return False
    try:
        ip_address(bare)
    except ValueError:
        return False
    return True
