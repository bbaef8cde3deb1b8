"""The security profile: what one side of a session demands and offers (the product's CFTSSL object)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.crypto.groups import DH_GROUP_NAMES, NamedCurve
from tlsexit.crypto.suites import DEFAULT_SUITES, SUITES
from tlsexit.dnfilter import dn_filter


class Verify(Enum):
    """Whose certificate is demanded."""

    NONE = "none"
    """Server: the client is not asked. Client: whether the server asks is its own affair."""

    OPTIONAL = "optional"
    """Server only: the client is asked; an absent or invalid certificate is tolerated."""

    REQUIRED = "required"
    """Server only: the client must show a valid certificate."""

    ENFORCED = "enforced"
    """Client only: the handshake fails unless the server asks for the client's certificate."""


_BY_DIRECTION: Final = {
    Role.CLIENT: {Verify.NONE, Verify.ENFORCED},
    Role.SERVER: {Verify.NONE, Verify.OPTIONAL, Verify.REQUIRED},
}

_TUPLES: Final = (
    "cipher_suites",
    "root_ca_ids",
    "dn_user",
    "dn_issuer",
    "groups",
    "alpn",
    "npn",
    "server_names",
    "trusted_authorities",
)

_TEXTS: Final = ("root_ca_ids", "dn_user", "dn_issuer", "alpn", "npn", "server_names")
"""Of the tuples, those of text."""

_LONGEST: Final = {"id": 32, "parm": 64, "user_certificate_id": 256, "certificate_file_root": 4096}
"""Characters that an element of text has at most."""

_MAY_BE_EMPTY: Final = frozenset({"parm"})

MAX_TRACE: Final = 255
"""The highest trace level. 0 shows nothing, 1 a diagram of each connection, 2 and more every field of every message."""

_FILTERS: Final = frozenset({"root_ca_ids", "dn_user", "dn_issuer"})

CHANGEABLE: Final = frozenset(
    {"cipher_suites", "verify", "user_certificate_id", "root_ca_ids", "depth", "dn_user", "dn_issuer", "parm"}
)
"""What the exit may change in StartHandshake; everything else is read-only."""

_AUTHORITY_SIZES: Final = {0: range(1), 1: range(20, 21), 2: range(1, 2**16), 3: range(20, 21)}
"""Bytes of a trusted authority's identifier, by its IdentifierType (RFC 6066 §6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One side's demands; use :meth:`client` or :meth:`server` to make one.

    ``cipher_suites`` are suite numbers, favourite first. ``depth`` counts as in the manual: 0 admits only self-signed
    certificates, 1 also those signed by a known root, n up to n-1 intermediates. ``dn_user`` and ``dn_issuer`` are
    alternatives, each a '/'-separated set of attributes (``CN=alice/O=Example``) that the name must contain.
    Sizes of keys and groups are in bits. ``trace`` is the level at which the commands show connections under this
    profile. Raises :class:`LocalError` for values that make no sense.
    """

    direction: Role
    id: str = "default"
    cipher_suites: tuple[int, ...] = DEFAULT_SUITES
    server_preference: bool = False
    verify: Verify = Verify.NONE
    user_certificate_id: str | None = None
    root_ca_ids: tuple[str, ...] = ()
    depth: int = 10
    dn_user: tuple[str, ...] = ()
    dn_issuer: tuple[str, ...] = ()
    certificate_file_root: str | None = None
    parm: str = field(default="")
    trace: int = 0

    server_name: str | None = None
    """The host name a client sends and checks against the server's certificate; None sends and checks nothing."""

    extended_master_secret: bool = True
    """Offer and accept RFC 7627, which closes the triple handshake attack."""

    encrypt_then_mac: bool = True
    """Offer and accept RFC 7366, which closes the padding oracles."""

    groups: tuple[int, ...] = (29, 23, 24, 25)
    """Elliptic curves by their registered numbers, favourite first: x25519, secp256r1, secp384r1, secp521r1."""

    renegotiation: bool = False
    """Accept and start renegotiations, always under RFC 5746; otherwise they are refused with no_renegotiation."""

    extensions: bool = True
    """Client: send extensions. False is for servers that choke on them: RFC 5746 is then signalled by its SCSV."""

    fallback_scsv: bool = False
    """Client: mark the hello as a retry after a failure with a higher version (RFC 7507)."""

    v2_client_hello: bool = False
    """Client: open in the SSL 2.0 format (appendix E), for research on servers. Server: such a hello is accepted anyway
    unless ``accept_v2_client_hello`` is False."""

    accept_v2_client_hello: bool = True

    max_fragment_length: int | None = None
    """Client: ask for records of at most 512, 1024, 2048 or 4096 bytes of plaintext (RFC 6066 §4)."""

    alpn: tuple[str, ...] = ()
    """Application protocols, favourite first (RFC 7301). A server without any ignores what the client offers."""

    npn: tuple[str, ...] = ()
    """Application protocols for peers older than ALPN (draft-agl-tls-nextprotoneg-04): a server's are shown to the
    client, which takes the first of its own that is among them, or else the first of its own. ALPN takes precedence."""

    session_tickets: bool = False
    """Client: ask for and use tickets (RFC 5077). A server hands them out if the configuration can seal them."""

    server_names: tuple[str, ...] = ()
    """Server: the names it serves; another server_name is refused with unrecognized_name. Empty: any name will do."""

    status_request: bool = False
    """Client: ask for a stapled OCSP response (RFC 6066 §8)."""

    signed_certificate_timestamps: bool = False
    """Client: ask for SCTs (RFC 6962 §3.3)."""

    trusted_authorities: tuple[tuple[int, bytes], ...] = ()
    """Client: tell the server which authorities it trusts, as (type, identifier) of trusted_ca_keys (RFC 6066 §6)."""

    psk_identity_hint: bytes = b""
    """Server: sent with PSK suites to help the client choose (RFC 4279 §2)."""

    minimum_rsa_bits: int = 1024
    minimum_dh_bits: int = 1024
    maximum_dh_bits: int = 8192
    dh_group: str = "ffdhe2048"

    @classmethod
    def client(cls, **elements: Any) -> Profile:
        """Return a client profile."""
        return cls(direction=Role.CLIENT, **elements)

    @classmethod
    def server(cls, **elements: Any) -> Profile:
        """Return a server profile; the client's certificate is required unless ``verify`` says otherwise."""
        return cls(**{"direction": Role.SERVER, "verify": Verify.REQUIRED, **elements})

    def __post_init__(self) -> None:
        for name in _TUPLES:
            if not isinstance(getattr(self, name), tuple):
                raise LocalError(f"{name} is a tuple, not {type(getattr(self, name)).__name__}")
        self._check_texts()
        if not self.cipher_suites:
            raise LocalError("a profile needs at least one cipher suite")
        for value in self.cipher_suites:
            if value not in SUITES:
                raise LocalError(f"cipher suite {value:#06x} is not one tlsexit has")
        if self.verify not in _BY_DIRECTION[self.direction]:
            raise LocalError(f"verify={self.verify.value} makes no sense for a {self.direction.value}")
        if type(self.depth) is not int or not 0 <= self.depth <= 10:
            raise LocalError(f"depth is 0 to 10, not {self.depth}")
        if type(self.trace) is not int or not 0 <= self.trace <= MAX_TRACE:
            raise LocalError(f"trace is 0 to {MAX_TRACE}, not {self.trace}")
        if self.max_fragment_length not in (None, 512, 1024, 2048, 4096):
            raise LocalError(f"max_fragment_length is 512, 1024, 2048 or 4096, not {self.max_fragment_length}")
        for kind, protocols in (("ALPN", self.alpn), ("NPN", self.npn)):
            if any(not 1 <= len(name.encode()) <= 255 for name in protocols):
                raise LocalError(f"an {kind} protocol name has 1 to 255 bytes")
            if sum(1 + len(name.encode()) for name in protocols) >= 2**16:
                raise LocalError(f"more {kind} protocol names than the extension holds")
        if self.server_name is not None and not _is_host(self.server_name):
            # RFC 6066 §3: names outside ASCII are sent as A-labels ("xn--...")
            raise LocalError(f"server_name {self.server_name!r} is neither a host name in ASCII nor an address")
        if not self.groups or not set(self.groups) <= set(NamedCurve):
            raise LocalError(f"groups are curves among {', '.join(str(int(curve)) for curve in NamedCurve)}")
        if self.dh_group not in DH_GROUP_NAMES:
            raise LocalError(f"DH group {self.dh_group!r} is unknown; there are {', '.join(DH_GROUP_NAMES)}")
        if any(len(value) not in _AUTHORITY_SIZES.get(kind, ()) for kind, value in self.trusted_authorities):
            raise LocalError("a trusted authority is (0, nothing), (1 or 3, 20 bytes of SHA-1) or (2, a DER name)")
        if sum(3 + len(value) for _, value in self.trusted_authorities) >= 2**16:
            raise LocalError("more trusted authorities than the extension holds")
        if len(self.psk_identity_hint) >= 2**16:
            raise LocalError("a PSK identity hint has at most 65535 bytes")

    def _check_texts(self) -> None:
        for name in _TEXTS:
            if not all(isinstance(item, str) and item for item in getattr(self, name)):
                raise LocalError(f"{name} holds texts, none of them empty")
        for name, most in _LONGEST.items():
            value = getattr(self, name)
            if value is None and name not in ("id", "parm"):
                continue
            if not isinstance(value, str) or not (value or name in _MAY_BE_EMPTY) or len(value) > most:
                raise LocalError(f"{name} has at most {most} characters" if value else f"{name} is not empty")
        if not self.id.isprintable():
            raise LocalError("id has printable characters only")
        for text in (*self.dn_user, *self.dn_issuer):
            dn_filter(text)

    @property
    def demands(self) -> bytes:
        """A digest of what is demanded of the peer: who has met one set of demands has not met another."""
        return _digest(
            (
                self.id,
                self.user_certificate_id,
                self.root_ca_ids,
                self.depth,
                self.dn_user,
                self.dn_issuer,
                self.minimum_rsa_bits,
            )
        )

    def changed(self, changes: Mapping[str, Any]) -> Profile:
        """Return the profile with an exit's StartHandshake changes; :class:`LocalError` for a read-only element."""
        for name in changes:
            if name not in CHANGEABLE:
                known = name in {item.name for item in fields(self)}
                raise LocalError(f"{name} is {'read-only' if known else 'not an element of a profile'}")
            if name in _FILTERS and getattr(self, name) and not changes[name]:
                # empty stands for everybody: a filter that an exit meant to close would stand open
                raise LocalError(f"{name} restricts the peer and cannot be emptied")
        return replace(self, **changes) if changes else self


@lru_cache(maxsize=256)
def _digest(demands: tuple[object, ...]) -> bytes:
    """Return the digest of demands, remembered: every handshake asks, and few profiles differ."""
    return sha256(repr(demands).encode()).digest()[:16]


def _is_host(name: str) -> bool:
    return 1 <= len(name.removesuffix(".")) <= 255 and all("!" <= character <= "~" for character in name)
