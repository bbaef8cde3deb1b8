"""One tlsexit end of a test connection, ready to talk: profile, built-in PKI and keys that fit the cipher suite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.support.grammar import legal, phases
from tests.support.pair import End, make_end, pump
from tests.support.pki import Pki, pki
from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES, KeyType
from tlsexit.drivers.drive import Pki as Answerer
from tlsexit.profile import Profile, Verify
from tlsexit.session import Session

RSA: Final = 0x002F  # TLS_RSA_WITH_AES_128_CBC_SHA
DHE_RSA: Final = 0x0033  # TLS_DHE_RSA_WITH_AES_128_CBC_SHA
DHE_DSS: Final = 0x0013  # TLS_DHE_DSS_WITH_3DES_EDE_CBC_SHA, the one RFC 2246 §9 makes mandatory
DH_ANON: Final = 0x0034  # TLS_DH_anon_WITH_AES_128_CBC_SHA
ECDHE_RSA: Final = 0xC013  # TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA
ECDHE_ECDSA: Final = 0xC009  # TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA
RSA_RC4: Final = 0x0005  # TLS_RSA_WITH_RC4_128_SHA
RSA_NULL: Final = 0x0002  # TLS_RSA_WITH_NULL_SHA


def certificates(suite: int) -> Pki:
    """The certificates whose keys the suite's key exchange needs; RSA where it needs none."""
    return pki(SUITES[suite].key_exchange.certificate or KeyType.RSA)


def client_end(
    suite: int = RSA,
    *more: int,
    exits: object = None,
    builtin: Answerer | None = None,
    session: Session | None = None,
    config: Mapping[str, Any] | None = None,
    **profile: Any,
) -> End:
    """A started client that offers these suites."""
    return make_end(
        Profile.client(cipher_suites=(suite, *more), **profile),
        builtin or certificates(suite).builtin(Role.CLIENT),
        exits,
        session=session,
        **(config or {}),
    )


def server_end(
    suite: int = RSA,
    *more: int,
    exits: object = None,
    builtin: Answerer | None = None,
    config: Mapping[str, Any] | None = None,
    **profile: Any,
) -> End:
    """A started server that has these suites and, unless told otherwise, does not ask for a certificate."""
    return make_end(
        Profile.server(**{"cipher_suites": (suite, *more), "verify": Verify.NONE, **profile}),
        builtin or certificates(suite).builtin(Role.SERVER),
        exits,
        **(config or {}),
    )


def handshake(client: End, server: End, *, size: int | None = None) -> None:
    """Run a handshake that must succeed."""
    pump(client, server, size=size)
    for end in (client, server):
        assert end.connection.established, end.connection.error


def check_phases(end: End) -> None:
    """Whatever happened at this end, the phases asked form a sequence that the exit's description allows."""
    asked = phases(end.seen)
    assert legal(end.connection.role, asked, over=end.connection.closed), asked
