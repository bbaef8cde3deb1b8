"""The server's side of the hellos: reading the offer, choosing a suite, answering extensions (RFC 2246 §7.4.1).

Extensions: as in :mod:`.offer`. A server answers only what was offered (RFC 4366 §2.3), and ignores what it does not
know. On a resumption the extensions that belong to the session are neither read nor answered (RFC 4366 §3).
"""

from __future__ import annotations

from hmac import compare_digest

from tlsexit.alerts import (
    HandshakeFailure,
    IllegalParameter,
    InsufficientSecurity,
    NoApplicationProtocol,
    PeerError,
    ProtocolVersionError,
    UnrecognizedName,
)
from tlsexit.constants import EMPTY_RENEGOTIATION_INFO_SCSV, NULL_COMPRESSION, ProtocolVersion, Role
from tlsexit.crypto.groups import FFDHE_CODE_POINTS, FFDHE_GROUPS, NamedCurve, dh_group
from tlsexit.crypto.suites import SUITES, CipherSuite, Premaster
from tlsexit.exits.calls import Credentials
from tlsexit.handshake import extensions as ext
from tlsexit.handshake.enums import CertificateStatusType, ExtensionType
from tlsexit.handshake.extensions import Extension
from tlsexit.handshake.hello import ClientHello
from tlsexit.handshake.negotiation import (
    ELLIPTIC,
    UNCOMPRESSED,
    ClientOffer,
    FinishedPair,
    Negotiation,
    check_not_weakened,
    read_bodies,
)
from tlsexit.profile import Profile, Verify
from tlsexit.session import Session

_PRINTABLE = bytes(range(0x21, 0x7F))

_ALPN = ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION


def read_client_hello(hello: ClientHello, previous: FinishedPair | None, profile: Profile) -> ClientOffer:
    """Check the hello for what no choice of suite can mend, and read its extensions."""
    if hello.client_version < ProtocolVersion.TLS_1_0:
        # a higher version is answered with ours (§7.4.1.3); a lower one cannot be (SSL 3.0: RFC 7568)
        raise ProtocolVersionError(f"the client offers version {hello.client_version:#06x} at most")
    if NULL_COMPRESSION not in hello.compression_methods:
        raise IllegalParameter("the client does not offer null compression (§7.4.1.2)")
    said = read_bodies(hello.extensions or (), ext.BODIES[Role.CLIENT])
    groups = said.get(ExtensionType.SUPPORTED_GROUPS)
    formats = said.get(ExtensionType.EC_POINT_FORMATS)
    if formats is not None and UNCOMPRESSED not in formats and not set(groups or ()).isdisjoint(NamedCurve):
        # RFC 8422 §5.1.2: "the server MUST abort the handshake and return an illegal_parameter alert"
        raise IllegalParameter("the client's point formats do not include uncompressed")
    code = said.get(ExtensionType.MAX_FRAGMENT_LENGTH)
    status = said.get(ExtensionType.STATUS_REQUEST)
    authorities = said.get(ExtensionType.TRUSTED_CA_KEYS)
    return ClientOffer(
        hello=hello,
        previous=previous,
        secure_renegotiation=_secure_renegotiation(hello, said.get(ExtensionType.RENEGOTIATION_INFO), previous),
        server_name=_host_name(said.get(ExtensionType.SERVER_NAME), profile),
        groups=groups,
        uncompressed_points=formats is None or UNCOMPRESSED in formats,
        extended_master_secret=ExtensionType.EXTENDED_MASTER_SECRET in said,
        encrypt_then_mac=ExtensionType.ENCRYPT_THEN_MAC in said,
        max_fragment_length=None if code is None else 256 << code,
        alpn=said.get(_ALPN) or (),
        ticket=said.get(ExtensionType.SESSION_TICKET),
        status_request=status is not None and status.status_type == CertificateStatusType.OCSP,
        signed_certificate_timestamps=ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP in said,
        trusted_authorities=None
        if authorities is None
        else tuple((item.identifier_type, item.identifier) for item in authorities),
    )


def common_suites(offer: ClientOffer, profile: Profile) -> tuple[CipherSuite, ...]:
    """Return the suites both sides have, in the client's order of preference or, by profile, the server's."""
    offered = offer.hello.cipher_suites
    first, second = (profile.cipher_suites, offered) if profile.server_preference else (offered, profile.cipher_suites)
    wanted = frozenset(second)
    common = [SUITES[value] for value in dict.fromkeys(first) if value in wanted and value in SUITES]
    common = [suite for suite in common if not suite.key_exchange.fixed]
    if profile.verify is Verify.REQUIRED:
        # an anonymous suite cannot carry the client's certificate (§7.4.4), so it cannot satisfy the profile
        common = [suite for suite in common if not suite.key_exchange.anonymous]
        if profile.root_ca_ids or profile.dn_user or profile.dn_issuer:
            # a pre-shared key authenticates, but has no name and no authority
            common = [suite for suite in common if not suite.key_exchange.premaster.psk]
    if chosen_dh_group(offer, profile) is None:
        common = [suite for suite in common if not _with_dh_group(suite)]
    if not common_groups(offer, profile):
        # RFC 4492 §4: an ECC suite only if the client's curves and point formats can be honoured
        common = [suite for suite in common if suite.key_exchange.premaster not in ELLIPTIC]
    return tuple(common)


def nothing_in_common(offer: ClientOffer, profile: Profile) -> PeerError:
    """Return what to answer to a client that has no suite in common with the profile."""
    wanted = frozenset(profile.cipher_suites)
    values = [value for value in offer.hello.cipher_suites if value in wanted]
    if chosen_dh_group(offer, profile) is None and any(_with_dh_group(SUITES[value]) for value in values):
        # RFC 7919 §4: "the server MUST end the connection with a fatal TLS alert of type insufficient_security(71)"
        return InsufficientSecurity("no Diffie-Hellman group in common with the client")
    version = offer.hello.client_version
    hint = f"; it offers version {version:#06x}, perhaps without TLS 1.0" if version > ProtocolVersion.TLS_1_0 else ""
    return HandshakeFailure(f"no cipher suite in common with the client{hint}")


def chosen_dh_group(offer: ClientOffer, profile: Profile) -> str | None:
    """Return the name of the finite-field group to use: the profile's unless the client lists some of RFC 7919.

    Then it is one of those (§4), the profile's if that is among them, or else the smallest that the profile's bounds
    allow; None if there is none, and no suite that needs one may be chosen.
    """
    listed = [value for value in offer.groups or () if value in FFDHE_CODE_POINTS]
    if not listed:
        return profile.dh_group
    names = [FFDHE_GROUPS[value] for value in sorted(listed) if value in FFDHE_GROUPS]
    if profile.dh_group in names:
        return profile.dh_group
    bounds = range(profile.minimum_dh_bits, profile.maximum_dh_bits + 1)
    return next((name for name in names if dh_group(name).bits in bounds), None)


def _with_dh_group(suite: CipherSuite) -> bool:
    """Whether the suite's key exchange takes a group of any size; those of export suites are fixed."""
    exchange = suite.key_exchange
    return exchange.premaster in (Premaster.DH, Premaster.DHE_PSK) and not exchange.export


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
    profile: Profile,
    *,
    server_random: bytes,
    session_id: bytes,
    new_ticket: bool,
    credentials: Credentials | None = None,
    resumed: Session | None = None,
) -> tuple[Negotiation, tuple[Extension, ...] | None]:
    """Return what the server's hello settles, and its extensions (None: a hello without extensions).

    ``credentials`` are what the server shows in a full handshake, ``resumed`` the session of an abbreviated one.
    """
    encrypt_then_mac = offer.encrypt_then_mac and profile.encrypt_then_mac and suite.cipher.is_block
    check_not_weakened(offer.previous, suite, encrypt_then_mac)
    alpn_protocol = _alpn_protocol(offer, profile)
    wants_next = offer.offers(ExtensionType.NEXT_PROTOCOL_NEGOTIATION) and offer.previous is None
    negotiated = Negotiation(
        suite=suite,
        client_version=offer.hello.client_version,
        client_random=offer.hello.random,
        server_random=server_random,
        session_id=session_id,
        groups=common_groups(offer, profile),
        dh_group=chosen_dh_group(offer, profile),
        extended_master_secret=offer.extended_master_secret and profile.extended_master_secret,
        encrypt_then_mac=encrypt_then_mac,
        secure_renegotiation=offer.secure_renegotiation,
        max_fragment_length=offer.max_fragment_length if resumed is None else resumed.max_fragment_length,
        alpn_protocol=alpn_protocol,
        next_protocol=b"" if wants_next and profile.npn and alpn_protocol is None else None,
        new_ticket=new_ticket,
        status_request=offer.status_request and credentials is not None and credentials.ocsp_response is not None,
        sct_list=credentials.sct_list if offer.signed_certificate_timestamps and credentials is not None else (),
    )
    answered = _answers(offer, negotiated, profile)
    if resumed is None:
        answered += _session_answers(offer, negotiated, credentials)
    return negotiated, tuple(answered) or None


def _answers(offer: ClientOffer, negotiated: Negotiation, profile: Profile) -> list[Extension]:
    """Extensions that are settled anew by every handshake, abbreviated ones included."""
    answered = []
    if negotiated.secure_renegotiation:
        before = offer.previous
        answered.append(
            ext.FIRST_HANDSHAKE if before is None else ext.renegotiation_info(before.client + before.server)
        )
    if negotiated.extended_master_secret:
        answered.append(ext.EXTENDED_MASTER_SECRET)
    if negotiated.encrypt_then_mac:
        answered.append(ext.ENCRYPT_THEN_MAC)
    if negotiated.new_ticket:
        answered.append(Extension(ExtensionType.SESSION_TICKET, b""))
    if negotiated.next_protocol is not None:
        names = tuple(name.encode() for name in profile.npn)
        answered.append(ext.extension(ExtensionType.NEXT_PROTOCOL_NEGOTIATION, ext.NEXT_PROTOCOLS, names))
    if negotiated.alpn_protocol is not None:
        answered.append(ext.extension(_ALPN, ext.PROTOCOL_NAME_LIST, (negotiated.alpn_protocol.encode(),)))
    return answered


def _session_answers(offer: ClientOffer, negotiated: Negotiation, credentials: Credentials | None) -> list[Extension]:
    """Extensions that belong to the session: not sent on a resumption (RFC 4366 §3)."""
    answered = []
    if offer.server_name is not None:
        answered.append(Extension(ExtensionType.SERVER_NAME, b""))
    if negotiated.max_fragment_length is not None:
        code = negotiated.max_fragment_length.bit_length() - 9
        answered.append(ext.extension(ExtensionType.MAX_FRAGMENT_LENGTH, ext.MAX_FRAGMENT_LENGTH, code))
    if negotiated.suite.key_exchange.premaster in ELLIPTIC and offer.offers(ExtensionType.EC_POINT_FORMATS):
        answered.append(ext.extension(ExtensionType.EC_POINT_FORMATS, ext.EC_POINT_FORMATS, (UNCOMPRESSED,)))
    if negotiated.status_request:
        answered.append(Extension(ExtensionType.STATUS_REQUEST, b""))
    if negotiated.sct_list:
        kind, grammar = ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP, ext.SIGNED_CERTIFICATE_TIMESTAMP_LIST
        answered.append(ext.extension(kind, grammar, negotiated.sct_list))
    if credentials is not None and credentials.used_trusted_ca_keys and offer.trusted_authorities is not None:
        answered.append(Extension(ExtensionType.TRUSTED_CA_KEYS, b""))
    return answered


def _secure_renegotiation(hello: ClientHello, offered: bytes | None, previous: FinishedPair | None) -> bool:
    """Whether the client signals RFC 5746, by extension or SCSV; it must name the previous handshake (§3.6, §3.7)."""
    signalled = EMPTY_RENEGOTIATION_INFO_SCSV in hello.cipher_suites
    if previous is not None and (signalled or offered is None):
        raise HandshakeFailure("the client renegotiates without naming the previous handshake")
    if offered is None:
        return signalled
    expected = b"" if previous is None else previous.client
    if not compare_digest(offered, expected):
        raise HandshakeFailure("renegotiation_info does not match the previous handshake")
    return True


def _host_name(names: tuple[ext.ServerName, ...] | None, profile: Profile) -> str | None:
    """Return the host name of a server_name extension in lower case; other kinds of name are ignored (RFC 6066 §3)."""
    name = None if names is None else ext.host_name(names)
    if name is None:
        return None
    if name.translate(None, _PRINTABLE):
        # neither letters beyond ASCII, which go as A-labels, nor a NUL for somebody else's code to stop at
        raise IllegalParameter("server_name: the host name is not printable ASCII")
    host = name.decode("ascii").lower()
    if profile.server_names and host not in {served.lower().removesuffix(".") for served in profile.server_names}:
        # RFC 6066 §3 discourages the warning: clients react to it in different ways
        raise UnrecognizedName(f"{host!r} is not a name this server serves")
    return host


def _alpn_protocol(offer: ClientOffer, profile: Profile) -> str | None:
    """Return the first of our protocols that the client has; none in common is fatal (RFC 7301 §3.2)."""
    if not profile.alpn or not offer.alpn:
        return None
    for name in profile.alpn:
        if name.encode() in offer.alpn:
            return name
    raise NoApplicationProtocol("no application protocol in common with the client")
