"""What the two hellos settle, as values (RFC 2246 §7.4.1); :mod:`.offer` and :mod:`.choice` say how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tlsexit.alerts import HandshakeFailure
from tlsexit.crypto.suites import CipherSuite, Premaster
from tlsexit.handshake import extensions as ext
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension
from tlsexit.handshake.hello import ClientHello
from tlsexit.values import quicken
from tlsexit.wire import Leaf

UNCOMPRESSED: Final = 0
"""The point format that everybody has (RFC 4492 §5.1.2)."""

ELLIPTIC: Final = frozenset({Premaster.ECDH, Premaster.ECDHE_PSK})
"""Key exchanges that need a curve in common."""


@dataclass(frozen=True, slots=True)
class FinishedPair:
    """Both verify_data of a completed handshake, which RFC 5746 binds the next one to, and its order of MAC and cipher,
    which the next one may not weaken (RFC 7366 §3.1)."""

    client: bytes
    server: bytes
    encrypt_then_mac: bool = False


@dataclass(frozen=True, slots=True)
class SecurityParameters:
    """What everything else is derived from (§6.1); kept while the connection lives, for exporters (RFC 5705)."""

    master_secret: bytes = field(repr=False)
    client_random: bytes
    server_random: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiation:
    """What both hellos settled: the SecurityParameters of §6.1 before the master secret, and the extensions.

    ``client_version`` is the one offered, which the premaster secret carries (§7.4.7.1). ``groups`` are the curves
    that the server may choose from, ``dh_group`` names its finite-field group. ``previous_leaf`` is the server's
    certificate in the handshake that a renegotiation follows. ``new_ticket``: the server will send NewSessionTicket
    (RFC 5077 §3.2). ``next_protocol``: the client will send NextProtocol, with this choice; a server does not know it
    yet.
    """

    suite: CipherSuite
    client_version: int
    client_random: bytes
    server_random: bytes
    session_id: bytes = b""
    groups: tuple[int, ...] = ()
    dh_group: str | None = None
    extended_master_secret: bool = False
    encrypt_then_mac: bool = False
    secure_renegotiation: bool = False
    max_fragment_length: int | None = None
    alpn_protocol: str | None = None
    new_ticket: bool = False
    next_protocol: bytes | None = None
    status_request: bool = False
    sct_list: tuple[bytes, ...] = ()
    previous_leaf: bytes | None = None

    def security_parameters(self, master_secret: bytes) -> SecurityParameters:
        """Return the parameters of the connection now that the master secret is there."""
        return SecurityParameters(master_secret, self.client_random, self.server_random)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOffer:
    """A ClientHello, read: the message and what its extensions mean.

    ``groups`` None: the client did not say. ``ticket`` None: it does not support tickets; empty: it has none yet.
    """

    hello: ClientHello
    previous: FinishedPair | None
    secure_renegotiation: bool
    server_name: str | None
    groups: tuple[int, ...] | None
    uncompressed_points: bool
    extended_master_secret: bool
    encrypt_then_mac: bool
    max_fragment_length: int | None
    alpn: tuple[bytes, ...]
    ticket: bytes | None
    status_request: bool
    signed_certificate_timestamps: bool
    trusted_authorities: tuple[tuple[int, bytes], ...] | None

    def offers(self, kind: ExtensionType) -> bool:
        """Whether the client sent an extension of this kind."""
        return ext.find(self.hello.extensions, kind) is not None


_NAMES: Final = {int(kind): kind.name.lower() for kind in ExtensionType}


def read_bodies(extensions: tuple[Extension, ...], grammars: Mapping[int, Leaf[object]]) -> dict[int, Any]:
    """Return what each known extension says, by its type.

    One whose body is malformed is refused, whether or not it is of any use here.
    """
    bodies: dict[int, Any] = {}
    for item in extensions:
        grammar = grammars.get(item.extension_type)
        if grammar is not None:
            bodies[item.extension_type] = ext.read_body(grammar, item.extension_data, _NAMES[item.extension_type])
    return bodies


def check_not_weakened(previous: FinishedPair | None, suite: CipherSuite, encrypt_then_mac: bool) -> None:
    """A renegotiation may not go back to MAC-then-encrypt (RFC 7366 §3.1)."""
    if previous is not None and previous.encrypt_then_mac and suite.cipher.is_block and not encrypt_then_mac:
        raise HandshakeFailure("the renegotiation drops encrypt_then_mac")


quicken(__name__)
