"""What a target has been found to be able to do, and what a probe wants of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES, CipherSuite, KeyExchange, KeyType, Premaster
from tlsexit.handshake.enums import ExtensionType


@dataclass(frozen=True)
class Capabilities:
    """What asking has shown, see :mod:`tlsexit.conformance.discovery`.

    ``suites`` are those that the target and the puppet both have, favourite first; ``offered`` is what a client lists,
    known or not. ``extensions`` are the types that the target answers, or offers. ``certificate``: whether a server
    asks the client for one (``none``, ``optional``, ``required``), whether a client that is asked shows one (``none``,
    ``shown``). ``renegotiation``: what becomes of a handshake that the puppet starts on a connection (``accepted``,
    ``refused``, ``ignored``, ``closed``); ``hello_request`` whether a server starts one by itself after a request.
    ``application`` is what the target answers to a request, or what a client sends. ``authority`` is whether there is
    a key to issue certificates with that the target trusts. ``highest_version`` is the highest it negotiates, or
    offers. ``parallel`` is whether it serves several connections at the same time,
    ``handshake_seconds`` how long an honest handshake takes.
    """

    tests: Role
    suites: tuple[int, ...] = ()
    offered: tuple[int, ...] = ()
    extensions: frozenset[int] = frozenset()
    compressions: tuple[int, ...] = (0,)
    certificate: str = "none"
    resumes_by_id: bool = False
    resumes_by_ticket: bool = False
    renegotiation: str = "refused"
    hello_request: bool = False
    application: bytes | None = None
    authority: bool = False
    v2_hello: bool = False
    parallel: bool = True
    highest_version: int = 0x0301
    server_names: tuple[bytes, ...] = ()
    handshake_seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def key_types(self) -> frozenset[KeyType]:
        """The kinds of key that a server's certificates have, or that a client takes."""
        kinds = (SUITES[value].key_exchange.certificate for value in self.suites)
        return frozenset(kind for kind in kinds if kind is not None)


@dataclass(frozen=True)
class Need:
    """One precondition; ``missing`` says what is lacking where ``met`` is not."""

    missing: str
    met: Callable[[Capabilities], bool]

    def lacks(self, capabilities: Capabilities) -> str | None:
        """Return what is lacking, None if nothing is."""
        return None if self.met(capabilities) else self.missing


@dataclass(frozen=True)
class SuiteChoice:
    """A kind of cipher suite. A field that is None does not matter.

    Export suites are chosen only by a choice that asks for them, and so are anonymous ones.
    """

    name: str
    premaster: tuple[Premaster, ...] | None = None
    exchange: tuple[KeyExchange, ...] | None = None
    key: KeyType | None = None
    block: bool | None = None
    block_size: int | None = None
    cipher: str | None = None
    mac: str | None = None
    export: bool = False
    anonymous: bool = False
    values: tuple[int, ...] | None = None

    def fits(self, suite: CipherSuite) -> bool:
        """Whether a suite is of this kind."""
        exchange, cipher = suite.key_exchange, suite.cipher
        if self.values is not None:
            return suite.value in self.values
        return (
            exchange.export == self.export
            and exchange.anonymous == self.anonymous
            and not exchange.premaster.psk
            and not exchange.fixed
            and (self.premaster is None or exchange.premaster in self.premaster)
            and (self.exchange is None or exchange in self.exchange)
            and (self.key is None or exchange.certificate is self.key)
            and (self.block is None or cipher.is_block == self.block)
            and (self.block_size is None or cipher.block_size == self.block_size)
            and (self.cipher is None or cipher.name == self.cipher)
            and (self.mac is None or suite.mac.name == self.mac)
        )

    def choose(self, capabilities: Capabilities) -> int | None:
        """Return the favourite suite of this kind that the target has, None if there is none."""
        return next(iter(self.all(capabilities)), None)

    def all(self, capabilities: Capabilities) -> tuple[int, ...]:
        """Return every suite of this kind that the target has."""
        return tuple(value for value in capabilities.suites if self.fits(SUITES[value]))

    def lacks(self, capabilities: Capabilities) -> str | None:
        """Return what is lacking, None if there is such a suite."""
        return None if self.all(capabilities) else f"the target has no suite with {self.name}"


ANY: Final = SuiteChoice("authentication")
RSA: Final = SuiteChoice("RSA key exchange", premaster=(Premaster.RSA,))
DHE: Final = SuiteChoice("signed ephemeral Diffie-Hellman", premaster=(Premaster.DH,))
DHE_RSA: Final = SuiteChoice("DHE_RSA", exchange=(KeyExchange.DHE_RSA,))
DHE_DSS: Final = SuiteChoice("DHE_DSS", exchange=(KeyExchange.DHE_DSS,))
ECDHE: Final = SuiteChoice("signed ephemeral ECDH", premaster=(Premaster.ECDH,))
ECDHE_RSA: Final = SuiteChoice("ECDHE_RSA", exchange=(KeyExchange.ECDHE_RSA,))
ECDHE_ECDSA: Final = SuiteChoice("ECDHE_ECDSA", exchange=(KeyExchange.ECDHE_ECDSA,))
EPHEMERAL: Final = SuiteChoice("a signed ServerKeyExchange", premaster=(Premaster.DH, Premaster.ECDH))
ANONYMOUS: Final = SuiteChoice("anonymous Diffie-Hellman", exchange=(KeyExchange.DH_ANON,), anonymous=True)
RSA_EXPORT: Final = SuiteChoice("RSA_EXPORT", exchange=(KeyExchange.RSA_EXPORT,), export=True)
DHE_EXPORT: Final = SuiteChoice(
    "DHE_EXPORT", exchange=(KeyExchange.DHE_RSA_EXPORT, KeyExchange.DHE_DSS_EXPORT), export=True
)
CBC: Final = SuiteChoice("a block cipher", block=True)
CBC_8: Final = SuiteChoice("a block cipher of 8-byte blocks", block_size=8)
CBC_16: Final = SuiteChoice("a block cipher of 16-byte blocks", block_size=16)
STREAM: Final = SuiteChoice("a stream cipher or none", block=False)
RC4: Final = SuiteChoice("RC4", cipher="RC4_128")
NULL: Final = SuiteChoice("no encryption", cipher="NULL")
MD5_MAC: Final = SuiteChoice("an MD5 MAC", mac="MD5")
SHA_MAC: Final = SuiteChoice("a SHA-1 MAC", mac="SHA")


def extension(kind: ExtensionType) -> Need:
    """The target answers, or offers, this extension."""
    name = kind.name.lower()
    return Need(f"the target does not take part in {name}", lambda found: kind in found.extensions)


APPLICATION: Final = Need("the target says nothing over the connection", lambda found: found.application is not None)
ASKS: Final = Need("the server asks for no certificate", lambda found: found.certificate in ("optional", "required"))
ASKS_NOT: Final = Need("the server asks for a certificate", lambda found: found.certificate == "none")
OPTIONAL: Final = Need("no certificate is optional here", lambda found: found.certificate == "optional")
REQUIRED: Final = Need("the server does not insist on a certificate", lambda found: found.certificate == "required")
SHOWS: Final = Need("the client has no certificate to show", lambda found: found.certificate == "shown")
SHOWS_NOT: Final = Need("the client shows a certificate", lambda found: found.certificate == "none")
RESUMES: Final = Need("the target resumes no session by its id", lambda found: found.resumes_by_id)
TICKETS: Final = Need("the target resumes no session by a ticket", lambda found: found.resumes_by_ticket)
RENEGOTIATES: Final = Need("the target does not renegotiate", lambda found: found.renegotiation == "accepted")
RENEGOTIATES_NOT: Final = Need("the target renegotiates", lambda found: found.renegotiation != "accepted")
HELLO_REQUEST: Final = Need("the server sends no HelloRequest by itself", lambda found: found.hello_request)
AUTHORITY: Final = Need("there is no authority's key to issue certificates with", lambda found: found.authority)
DEFLATE: Final = Need("the target does not compress", lambda found: 1 in found.compressions)
V2_HELLO: Final = Need("the target knows no hello in SSL 2.0 format", lambda found: found.v2_hello)
PARALLEL: Final = Need("the server takes one connection after the other", lambda found: found.parallel)
ONLY_TLS_1_0: Final = Need("the target has a later version, too", lambda found: found.highest_version <= 0x0301)
LATER_VERSIONS: Final = Need("the target has no later version", lambda found: found.highest_version > 0x0301)
EXTENDED_MASTER_SECRET: Final = extension(ExtensionType.EXTENDED_MASTER_SECRET)
ENCRYPT_THEN_MAC: Final = extension(ExtensionType.ENCRYPT_THEN_MAC)
RENEGOTIATION_INFO: Final = extension(ExtensionType.RENEGOTIATION_INFO)
SERVER_NAME: Final = extension(ExtensionType.SERVER_NAME)
MAX_FRAGMENT_LENGTH: Final = extension(ExtensionType.MAX_FRAGMENT_LENGTH)
ALPN: Final = extension(ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION)
SESSION_TICKET: Final = extension(ExtensionType.SESSION_TICKET)
STATUS_REQUEST: Final = extension(ExtensionType.STATUS_REQUEST)
