"""What the two hellos settle: version, suite and extensions (RFC 2246 §7.4.1, RFC 4366, RFC 5746, RFC 7627, RFC 7366).

Nothing here changes state: the handlers ask what to offer, what was offered and what both sides agree on.
"""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

from tlsexit.alerts import HandshakeFailure, IllegalParameter, ProtocolVersionError, UnsupportedExtension
from tlsexit.constants import EMPTY_RENEGOTIATION_INFO_SCSV, NULL_COMPRESSION, ProtocolVersion, Role
from tlsexit.crypto.suites import SUITES, CipherSuite, Premaster
from tlsexit.handshake import extensions as ext
from tlsexit.handshake.enums import ExtensionType, NameType
from tlsexit.handshake.extensions import Extension
from tlsexit.handshake.hello import ClientHello, ServerHello
from tlsexit.profile import Profile, Verify
from tlsexit.wire import parse

_UNCOMPRESSED: Final = 0
_ELLIPTIC: Final = frozenset({Premaster.ECDH, Premaster.ECDHE_PSK})


@dataclass(frozen=True, slots=True)
class FinishedPair:
    """Both verify_data of a completed handshake, which RFC 5746 binds the next one to, and its order of MAC and cipher,
    which the next one may not weaken (RFC 7366 §3.1)."""

    client: bytes
    server: bytes
    encrypt_then_mac: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiation:
    """What both hellos settled: the SecurityParameters of §6.1 before the master secret, and the extensions.

    ``client_version`` is the one offered, which the premaster secret carries (§7.4.7.1). ``groups`` are the curves
    that the server may choose from.
    """

    suite: CipherSuite
    client_version: int
    client_random: bytes
    server_random: bytes
    session_id: bytes = b""
    groups: tuple[int, ...] = ()
    extended_master_secret: bool = False
    encrypt_then_mac: bool = False
    secure_renegotiation: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOffer:
    """A ClientHello, read: the message and what its extensions mean. ``groups`` None: the client did not say."""

    hello: ClientHello
    previous: FinishedPair | None
    secure_renegotiation: bool
    server_name: str | None
    groups: tuple[int, ...] | None
    uncompressed_points: bool
    extended_master_secret: bool
    encrypt_then_mac: bool

    def extension(self, kind: int) -> bytes | None:
        """Return the body of the client's extension of this kind."""
        return ext.find(self.hello.extensions, kind)


# ------------------------------------------------------------------------------------------------ client


def client_extensions(profile: Profile, previous: FinishedPair | None) -> tuple[Extension, ...]:
    """Return what a client with this profile offers; renegotiation_info is always there (RFC 5746 §3.4, §3.5)."""
    offered = []
    if profile.server_name is not None:
        name = ext.ServerName(NameType.HOST_NAME, profile.server_name.encode("ascii"))
        offered.append(ext.extension(ExtensionType.SERVER_NAME, ext.SERVER_NAME_LIST, (name,)))
    if _any_elliptic(profile):
        offered.append(ext.extension(ExtensionType.SUPPORTED_GROUPS, ext.SUPPORTED_GROUPS, profile.groups))
        offered.append(ext.extension(ExtensionType.EC_POINT_FORMATS, ext.EC_POINT_FORMATS, (_UNCOMPRESSED,)))
    if profile.encrypt_then_mac:
        offered.append(Extension(ExtensionType.ENCRYPT_THEN_MAC, b""))
    if profile.extended_master_secret:
        offered.append(Extension(ExtensionType.EXTENDED_MASTER_SECRET, b""))
    saved = b"" if previous is None else previous.client
    offered.append(ext.extension(ExtensionType.RENEGOTIATION_INFO, ext.RENEGOTIATION_INFO, saved))
    return tuple(offered)


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
    for item in answered:
        if item.extension_type not in requested:
            raise UnsupportedExtension(f"the server answers extension {item.extension_type}, which was not offered")
    _check_bodies(answered, Role.SERVER)
    formats = ext.read(answered, ExtensionType.EC_POINT_FORMATS, ext.EC_POINT_FORMATS)
    if formats is not None and _UNCOMPRESSED not in formats:
        # RFC 4492 §5.1.2: every list holds the uncompressed format
        raise IllegalParameter("the server's point formats do not include uncompressed")
    secure = _server_is_secure(ext.read(answered, ExtensionType.RENEGOTIATION_INFO, ext.RENEGOTIATION_INFO), previous)
    encrypt_then_mac = ext.find(answered, ExtensionType.ENCRYPT_THEN_MAC) is not None
    if encrypt_then_mac and not suite.cipher.is_block:
        # RFC 7366 §3: only for block ciphers. OpenSSL answers it with a NULL cipher too, where both orders are the same
        # bytes; with a key stream they are not.
        if suite.cipher.key_material == 0:
            encrypt_then_mac = False
        else:
            raise IllegalParameter("the server agrees to encrypt_then_mac for a stream cipher")
    _check_not_weakened(previous, suite, encrypt_then_mac)
    return Negotiation(
        suite=suite,
        client_version=offered.client_version,
        client_random=offered.random,
        server_random=hello.random,
        session_id=hello.session_id,
        groups=profile.groups,
        extended_master_secret=ext.find(answered, ExtensionType.EXTENDED_MASTER_SECRET) is not None,
        encrypt_then_mac=encrypt_then_mac,
        secure_renegotiation=secure,
    )


# ------------------------------------------------------------------------------------------------ server


def read_client_hello(hello: ClientHello, previous: FinishedPair | None, profile: Profile) -> ClientOffer:
    """Check the hello for what no choice of suite can mend, and read its extensions."""
    if hello.client_version < ProtocolVersion.TLS_1_0:
        # a higher version is answered with ours (§7.4.1.3); a lower one cannot be (SSL 3.0: RFC 7568)
        raise ProtocolVersionError(f"the client offers version {hello.client_version:#06x} at most")
    if NULL_COMPRESSION not in hello.compression_methods:
        raise IllegalParameter("the client does not offer null compression (§7.4.1.2)")
    offered = hello.extensions or ()
    _check_bodies(offered, Role.CLIENT)
    formats = ext.read(offered, ExtensionType.EC_POINT_FORMATS, ext.EC_POINT_FORMATS)
    return ClientOffer(
        hello=hello,
        previous=previous,
        secure_renegotiation=_client_is_secure(hello, previous),
        server_name=_host_name(ext.read(offered, ExtensionType.SERVER_NAME, ext.SERVER_NAME_LIST)),
        groups=ext.read(offered, ExtensionType.SUPPORTED_GROUPS, ext.SUPPORTED_GROUPS),
        uncompressed_points=formats is None or _UNCOMPRESSED in formats,
        extended_master_secret=ext.find(offered, ExtensionType.EXTENDED_MASTER_SECRET) is not None,
        encrypt_then_mac=ext.find(offered, ExtensionType.ENCRYPT_THEN_MAC) is not None,
    )


def common_suites(offer: ClientOffer, profile: Profile) -> tuple[CipherSuite, ...]:
    """Return the suites both sides have, in the client's order of preference or, by profile, the server's."""
    offered = offer.hello.cipher_suites
    first, second = (profile.cipher_suites, offered) if profile.server_preference else (offered, profile.cipher_suites)
    wanted = frozenset(second)
    common = [SUITES[value] for value in dict.fromkeys(first) if value in wanted and value in SUITES]
    if profile.verify is Verify.REQUIRED:
        # an anonymous suite cannot carry the client's certificate (§7.4.4), so it cannot satisfy the profile
        common = [suite for suite in common if not suite.key_exchange.anonymous]
    if not common_groups(offer, profile):
        # RFC 4492 §4: an ECC suite only if the client's curves and point formats can be honoured
        common = [suite for suite in common if suite.key_exchange.premaster not in _ELLIPTIC]
    return tuple(common)


def common_groups(offer: ClientOffer, profile: Profile) -> tuple[int, ...]:
    """Return the curves both sides have, favourite of the server first; a client that lists none takes any."""
    if not offer.uncompressed_points:
        return ()
    if offer.groups is None:
        return profile.groups
    return tuple(group for group in profile.groups if group in offer.groups)


def settle(
    offer: ClientOffer,
    suite: CipherSuite,
    server_random: bytes,
    session_id: bytes,
    profile: Profile,
    *,
    resuming: bool = False,
) -> tuple[Negotiation, tuple[Extension, ...] | None]:
    """Return what the server's hello settles, and its extensions (None: a hello without extensions)."""
    encrypt_then_mac = offer.encrypt_then_mac and profile.encrypt_then_mac and suite.cipher.is_block
    _check_not_weakened(offer.previous, suite, encrypt_then_mac)
    extended = offer.extended_master_secret and profile.extended_master_secret
    answered = []
    if offer.secure_renegotiation:
        previous = offer.previous
        saved = b"" if previous is None else previous.client + previous.server
        answered.append(ext.extension(ExtensionType.RENEGOTIATION_INFO, ext.RENEGOTIATION_INFO, saved))
    if extended:
        answered.append(Extension(ExtensionType.EXTENDED_MASTER_SECRET, b""))
    if encrypt_then_mac:
        answered.append(Extension(ExtensionType.ENCRYPT_THEN_MAC, b""))
    elliptic = suite.key_exchange.premaster in _ELLIPTIC
    if elliptic and offer.extension(ExtensionType.EC_POINT_FORMATS) is not None and not resuming:
        answered.append(ext.extension(ExtensionType.EC_POINT_FORMATS, ext.EC_POINT_FORMATS, (_UNCOMPRESSED,)))
    negotiated = Negotiation(
        suite=suite,
        client_version=offer.hello.client_version,
        client_random=offer.hello.random,
        server_random=server_random,
        session_id=session_id,
        groups=common_groups(offer, profile),
        extended_master_secret=extended,
        encrypt_then_mac=encrypt_then_mac,
        secure_renegotiation=offer.secure_renegotiation,
    )
    return negotiated, tuple(answered) or None


# ------------------------------------------------------------------------------------------------ extensions


def _any_elliptic(profile: Profile) -> bool:
    return any(SUITES[value].key_exchange.premaster in _ELLIPTIC for value in profile.cipher_suites)


def _check_bodies(extensions: tuple[Extension, ...], sender: Role) -> None:
    """Refuse a known extension whose body is malformed, whether or not it is of any use here."""
    grammars = ext.BODIES[sender]
    for item in extensions:
        grammar = grammars.get(item.extension_type)
        if grammar is not None:
            parse(grammar, item.extension_data, ExtensionType(item.extension_type).name.lower())


def _server_is_secure(answered: bytes | None, previous: FinishedPair | None) -> bool:
    """Client: the server's renegotiation_info must name the handshake before this one (RFC 5746 §3.4, §3.5)."""
    if answered is None:
        if previous is not None:
            raise HandshakeFailure("the server renegotiates without renegotiation_info")
        return False
    expected = b"" if previous is None else previous.client + previous.server
    if not compare_digest(answered, expected):
        raise HandshakeFailure("renegotiation_info does not match the previous handshake")
    return True


def _client_is_secure(hello: ClientHello, previous: FinishedPair | None) -> bool:
    """Server: whether the client signals RFC 5746, by extension or by SCSV (§3.6, §3.7)."""
    signalled = EMPTY_RENEGOTIATION_INFO_SCSV in hello.cipher_suites
    offered = ext.read(hello.extensions, ExtensionType.RENEGOTIATION_INFO, ext.RENEGOTIATION_INFO)
    if previous is not None and (signalled or offered is None):
        raise HandshakeFailure("the client renegotiates without naming the previous handshake")
    if offered is None:
        return signalled
    expected = b"" if previous is None else previous.client
    if not compare_digest(offered, expected):
        raise HandshakeFailure("renegotiation_info does not match the previous handshake")
    return True


def _check_not_weakened(previous: FinishedPair | None, suite: CipherSuite, encrypt_then_mac: bool) -> None:
    if previous is not None and previous.encrypt_then_mac and suite.cipher.is_block and not encrypt_then_mac:
        # RFC 7366 §3.1: a renegotiation may not go back to MAC-then-encrypt
        raise HandshakeFailure("the renegotiation drops encrypt_then_mac")


def _host_name(names: tuple[ext.ServerName, ...] | None) -> str | None:
    """Return the host name of a server_name extension in lower case; other kinds of name are ignored (RFC 6066 §3)."""
    name = None if names is None else ext.host_name(names)
    if name is None:
        return None
    try:
        return name.decode("ascii").lower()
    except UnicodeDecodeError as error:
        raise IllegalParameter("server_name: the host name is not ASCII") from error
