"""What is tried with which peer: the table behind the parametrised tests and behind docs/interop.md.

Every (peer, role, suite) is either tried or has a reason in :data:`LACKS`; tests/interop/test_matrix.py checks that
the reasons neither overlap with nor leave gaps in what is tried.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from tests.interop.peers.all import PEERS
from tests.interop.suites import SUITES, Suite


class Role(Enum):
    """Which part the peer plays; tlsexit plays the other."""

    SERVER = "server"
    CLIENT = "client"


class Variant(Enum):
    """What happens besides a handshake and an exchange of data."""

    PLAIN = "plain"
    CLIENT_CERTIFICATE = "client-certificate"
    RESUMPTION = "resumption"
    TICKET = "ticket"
    PEER_RENEGOTIATES = "peer-renegotiates"
    WE_RENEGOTIATE = "we-renegotiate"
    ALPN = "alpn"
    NEXT_PROTOCOL = "next-protocol"
    NO_EXTENDED_MASTER_SECRET = "no-extended-master-secret"
    NO_ENCRYPT_THEN_MAC = "no-encrypt-then-mac"
    TOGETHER = "together"

    @property
    def authenticates(self) -> bool:
        """Whether the client shows a certificate."""
        return self in (Variant.CLIENT_CERTIFICATE, Variant.TOGETHER)

    @property
    def resumes(self) -> bool:
        """Whether a second connection resumes the session of the first."""
        return self in (Variant.RESUMPTION, Variant.TICKET, Variant.TOGETHER)

    @property
    def tickets(self) -> bool:
        """Whether it resumes by ticket."""
        return self in (Variant.TICKET, Variant.TOGETHER)

    @property
    def renegotiates(self) -> bool:
        """Whether there is a second handshake on the connection."""
        return self in (Variant.PEER_RENEGOTIATES, Variant.WE_RENEGOTIATE)


CORE = (0x0001, 0x0002, 0x0004, 0x0005, 0x000A, 0x002F, 0x0035, 0x0016, 0x0033, 0x0039)
"""The suites tried in every variant; all others are tried plain."""


@dataclass(frozen=True, slots=True)
class Case:
    """One conversation with a peer."""

    peer: str
    role: Role
    suite: Suite
    variant: Variant

    def __str__(self) -> str:
        return f"{self.peer}-{self.role.value}-{self.suite}-{self.variant.value}"


@dataclass(frozen=True, slots=True)
class Lack:
    """Suites that a peer does not have, and why."""

    reason: str
    suites: Callable[[Suite], bool]
    roles: tuple[Role, ...] = (Role.SERVER, Role.CLIENT)


@dataclass(frozen=True, slots=True)
class Missing:
    """A variant that is not tried with a peer, and why."""

    reason: str
    variants: tuple[Variant, ...]
    roles: tuple[Role, ...] = (Role.SERVER, Role.CLIENT)


def cipher(*names: str) -> Callable[[Suite], bool]:
    """Suites with one of these bulk ciphers."""
    return lambda suite: suite.cipher in names


def numbered(*numbers: int) -> Callable[[Suite], bool]:
    """Suites with one of these numbers."""
    return lambda suite: suite.number in numbers


def export(suite: Suite) -> bool:
    """40-bit export suites."""
    return suite.export


def dss(suite: Suite) -> bool:
    """Suites with a DSA certificate."""
    return suite.certificate == "dss"


def anonymous(suite: Suite) -> bool:
    """Suites without a certificate."""
    return suite.anonymous


LACKS: dict[str, tuple[Lack, ...]] = {
    "openssl": (
        Lack("OpenSSL 3 has no export, DES or IDEA suites", lambda s: s.export or s.cipher in ("DES_CBC", "IDEA_CBC")),
        Lack("OpenSSL 3 is built without its weak ciphers by default", cipher("RC4_128", "3DES_EDE_CBC")),
    ),
    "gnutls": (
        Lack("GnuTLS 3 has no export suites", export),
        Lack("GnuTLS never had the cipher in a suite", cipher("DES_CBC", "IDEA_CBC", "SEED_CBC")),
    ),
    "nss": (
        Lack("NSS 3 has removed export suites", export),
        Lack("NSS has no anonymous suites", anonymous),
        Lack("NSS never had IDEA", cipher("IDEA_CBC")),
        Lack("NSS has no SEED suite but RSA_WITH_SEED_CBC_SHA", numbered(0x0099, 0x009A)),
    ),
    "mbedtls": (
        Lack("mbedTLS has no anonymous, DSS or export suites", lambda s: s.anonymous or s.export or dss(s)),
        Lack("mbedTLS never had the cipher in a suite", cipher("IDEA_CBC", "SEED_CBC")),
        Lack("Debian builds mbedTLS without NULL, RC4 and DES", cipher("NULL", "RC4_128", "DES_CBC")),
    ),
    "jsse": (
        Lack("JSSE never had the cipher", cipher("RC2_CBC_40", "IDEA_CBC", "CAMELLIA_128_CBC", "CAMELLIA_256_CBC")),
        Lack("JSSE never had SEED", cipher("SEED_CBC")),
        Lack("JSSE sends a group of 2048 bits, which no export suite may have", numbered(0x0017), (Role.SERVER,)),
        Lack("JSSE's trust manager does not know DHE_DSS_EXPORT", numbered(0x0011), (Role.CLIENT,)),
    ),
    "node4": (
        Lack(
            "OpenSSL 1.0.2 wants a 512-bit group for export suites, and Node's server refuses any below 1024",
            lambda s: s.export and s.key_exchange != "RSA",
            (Role.SERVER,),
        ),
    ),
    "tlslite": (
        Lack("tlslite-ng has no export suites", export),
        Lack("tlslite-ng never had the cipher", cipher("DES_CBC", "IDEA_CBC", "SEED_CBC")),
        Lack("tlslite-ng never had Camellia", cipher("CAMELLIA_128_CBC", "CAMELLIA_256_CBC")),
    ),
}
"""By peer, the suites that are not tried. All ciphers of a peer's version that Debian 12 or the registries carry."""


V = Variant
_NO_NPN = Missing("Only OpenSSL 1.0.2 still has next protocol negotiation", (V.NEXT_PROTOCOL,))
_ETM_ONLY = (V.NO_ENCRYPT_THEN_MAC,)
_EMS_ONLY = (V.NO_EXTENDED_MASTER_SECRET,)
_KEYBOARD = "OpenSSL's commands renegotiate at the keyboard only, as tests/interop/test_openssl.py does"

MISSING: dict[str, tuple[Missing, ...]] = {
    "openssl": (_NO_NPN, Missing(_KEYBOARD, (V.PEER_RENEGOTIATES,))),
    "gnutls": (
        _NO_NPN,
        Missing(
            "gnutls-serv has a command to renegotiate, in echo mode, and fails at it whoever the client is",
            (V.PEER_RENEGOTIATES,),
            (Role.SERVER,),
        ),
    ),
    "nss": (
        _NO_NPN,
        Missing("NSS never had encrypt-then-MAC: the other variants are without it", _ETM_ONLY),
        Missing("tstclnt has no option for ALPN", (V.ALPN,), (Role.CLIENT,)),
        Missing("tstclnt has no option to renegotiate", (V.PEER_RENEGOTIATES,), (Role.CLIENT,)),
    ),
    "mbedtls": (_NO_NPN,),
    "jsse": (
        _NO_NPN,
        Missing("JSSE never had encrypt-then-MAC: the other variants are without it", _ETM_ONLY),
    ),
    "node4": (
        Missing("OpenSSL 1.0.2 is older than RFC 7366: the other variants are without it", _ETM_ONLY),
        Missing("OpenSSL 1.0.2 is older than RFC 7627: the other variants are without it", _EMS_ONLY),
        Missing("Node 4 is older than ALPN", (V.ALPN,)),
        Missing("Node 4's client fails before it sends a second hello", (V.PEER_RENEGOTIATES,), (Role.CLIENT,)),
    ),
    "tlslite": (
        _NO_NPN,
        Missing("tlslite-ng has no renegotiation", (V.PEER_RENEGOTIATES, V.WE_RENEGOTIATE)),
    ),
}
"""By peer, the variants that are not tried."""


def missing(peer: str, role: Role, variant: Variant) -> str | None:
    """Why ``variant`` is not tried with a peer in a role, or None."""
    return next((item.reason for item in MISSING[peer] if role in item.roles and variant in item.variants), None)


def lack(peer: str, role: Role, suite: Suite) -> str | None:
    """Why ``suite`` is not tried with a peer in a role, or None."""
    return next((item.reason for item in LACKS[peer] if role in item.roles and item.suites(suite)), None)


def cases(role: Role) -> list[Case]:
    """Everything that is tried with the peers in one role."""
    return [
        Case(peer, role, suite, variant)
        for peer in PEERS
        for suite in SUITES.values()
        if lack(peer, role, suite) is None
        for variant in (Variant if suite.number in CORE else (Variant.PLAIN,))
        if missing(peer, role, variant) is None
    ]


def sample(role: Role) -> list[Case]:
    """A part of it: every variant of each peer once, each with another suite, and every suite with one peer or more."""
    found: dict[tuple[str, Variant], list[Case]] = {}
    for case in cases(role):
        if case.variant is not Variant.PLAIN:
            found.setdefault((case.peer, case.variant), []).append(case)
    chosen = [choices[number % len(choices)] for number, choices in enumerate(found.values())]
    plain: dict[int, list[Case]] = {}
    for case in cases(role):
        if case.variant is Variant.PLAIN:
            plain.setdefault(case.suite.number, []).append(case)
    return chosen + [choices[number % len(choices)] for number, choices in enumerate(plain.values())]


def tried(role: Role) -> list[Case]:
    """What this run tries with the peers in one role: everything, or with TLSEXIT_SAMPLE=1 the sample."""
    return sample(role) if os.environ.get("TLSEXIT_SAMPLE") == "1" else cases(role)


def sharing(role: Role, peers: Iterable[str], numbers: Iterable[int]) -> list[tuple[str, Suite]]:
    """The pairs of a peer and one of its suites in a role."""
    suites = [SUITES[number] for number in numbers]
    return [(peer, suite) for peer in peers for suite in suites if lack(peer, role, suite) is None]
