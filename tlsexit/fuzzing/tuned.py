"""Strategies for values that make sense together: what clients and servers really send.

:func:`~tlsexit.fuzzing.from_grammar` gives every legal value the same chance, so that a server refuses nearly all of
them at the first look. The values here get past the hello.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tlsexit.constants import EMPTY_RENEGOTIATION_INFO_SCSV, FALLBACK_SCSV, ProtocolVersion, Role
from tlsexit.crypto.groups import NamedCurve
from tlsexit.crypto.suites import SUITES, CipherSuite, KeyType, Premaster
from tlsexit.fuzzing.grammars import from_grammar
from tlsexit.fuzzing.layout import CLIENT_KEYS
from tlsexit.fuzzing.structures import MESSAGES
from tlsexit.handshake import extensions as ext
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.agreement import SERVER_GRAMMARS
from tlsexit.handshake.certificate import SIGNATURE, Certificate
from tlsexit.handshake.enums import ExtensionType, NameType
from tlsexit.handshake.extensions import BODIES, Extension
from tlsexit.handshake.hello import ClientHello, ServerHello
from tlsexit.handshake.keyexchange import ClientKeyExchange, ServerKeyExchange
from tlsexit.policy.throwaway import generate_key, throwaway_authority
from tlsexit.wire import build

GREASE: Final = tuple(0x0A0A + 0x1010 * n for n in range(16))
"""Numbers that nobody may ever give a meaning (RFC 8701), for suites, extensions and groups."""

VERSIONS: Final = (0x0301, 0x0302, 0x0303)
"""What clients that still accept TLS 1.0 offer."""

randoms: Final = st.binary(min_size=32, max_size=32)


def messages() -> SearchStrategy[Any]:
    """Return a strategy for any handshake message that is legal on the wire."""
    return st.one_of(*(from_grammar(structure.grammar) for structure in MESSAGES))


# ------------------------------------------------------------------------------------------------ suites


def suites(*, certificate: KeyType | None = None, premaster: Premaster | None = None) -> SearchStrategy[CipherSuite]:
    """Return a strategy for cipher suites that authenticate with that kind of key and agree on a secret that way."""
    fitting = [
        suite
        for suite in SUITES.values()
        if (certificate is None or suite.key_exchange.certificate is certificate)
        and (premaster is None or suite.key_exchange.premaster is premaster)
    ]
    return st.sampled_from(fitting)


def server_key_exchanges(suite: int) -> SearchStrategy[ServerKeyExchange]:
    """Return a strategy for messages of the form that ``suite`` calls for (§7.4.3); the signature is made up."""
    exchange = SUITES[suite].key_exchange
    grammar = SERVER_GRAMMARS[exchange.premaster]
    params = from_grammar(grammar).map(lambda value: build(grammar, value))
    signature = from_grammar(SIGNATURE) if exchange.signed else st.none()
    return st.builds(kx.build_server_key_exchange, params, signature)


def client_key_exchanges(suite: int) -> SearchStrategy[ClientKeyExchange]:
    """Return a strategy for messages of the form that ``suite`` calls for (§7.4.7)."""
    grammar = CLIENT_KEYS[SUITES[suite].key_exchange.premaster]
    return from_grammar(grammar).map(lambda value: kx.build_client_key_exchange(grammar, value))


# ------------------------------------------------------------------------------------------------ certificates


@cache
def _issued(kind: KeyType) -> tuple[bytes, ...]:
    """A leaf, an intermediate and a root, all made once."""
    root = throwaway_authority("fuzzed root")
    middle = root.authority("fuzzed intermediate")
    leaf = middle.issue("localhost", key=generate_key(kind), hosts=("localhost",))
    return (*leaf.chain, root.certificate.public_bytes(Encoding.DER))


def chains(kind: KeyType = KeyType.RSA) -> SearchStrategy[Certificate]:
    """Return a strategy for chains of real certificates: leaf first, with or without those above it."""
    return st.integers(1, 3).map(lambda length: Certificate(_issued(kind)[:length]))


# ------------------------------------------------------------------------------------------------ hellos

_HOSTS = st.sampled_from([b"localhost", b"server.example", b"a.b.c.d.example", b"xn--bcher-kva.example"])


def _body(kind: ExtensionType, role: Role) -> SearchStrategy[bytes]:
    """Return a strategy for the body of an extension as this role sends it."""
    grammar = BODIES[role][kind]
    values: SearchStrategy[Any]
    if kind is ExtensionType.SERVER_NAME and role is Role.CLIENT:
        values = _HOSTS.map(lambda host: (ext.ServerName(NameType.HOST_NAME, host),))
    elif kind is ExtensionType.SUPPORTED_GROUPS:
        values = st.lists(st.sampled_from([*NamedCurve, *GREASE]), min_size=1, unique=True).map(tuple)
    elif kind is ExtensionType.EC_POINT_FORMATS:
        values = st.sampled_from([(0,), (0, 1), (0, 1, 2)])
    elif kind is ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION:
        names = st.sampled_from([b"h2", b"http/1.1", b"imap"])
        values = st.lists(names, min_size=1, max_size=3 if role is Role.CLIENT else 1, unique=True).map(tuple)
    elif kind is ExtensionType.RENEGOTIATION_INFO or (kind is ExtensionType.SESSION_TICKET and role is Role.CLIENT):
        values = st.just(b"")
    else:
        values = from_grammar(grammar, few=2)
    return values.map(lambda value: build(grammar, value))


def _extensions(role: Role, allowed: tuple[int, ...] = tuple(ExtensionType)) -> SearchStrategy[tuple[Extension, ...]]:
    known = [
        st.builds(Extension, st.just(int(kind)), _body(kind, role)) for kind in ExtensionType if int(kind) in allowed
    ]
    unknown = st.builds(Extension, st.sampled_from(GREASE), st.binary(max_size=8))
    choices = (*known, unknown) if role is Role.CLIENT else tuple(known)
    if not choices:
        return st.just(())
    return st.lists(st.one_of(*choices), max_size=8, unique_by=lambda item: item.extension_type).map(tuple)


def client_hellos(*must_offer: int) -> SearchStrategy[ClientHello]:
    """Return a strategy for hellos as clients send them; the suites ``must_offer`` are always among those offered."""
    others = st.lists(
        st.sampled_from([*SUITES, *GREASE, EMPTY_RENEGOTIATION_INFO_SCSV, FALLBACK_SCSV]), max_size=12, unique=True
    )
    offered = others.flatmap(lambda more: st.permutations(list(dict.fromkeys((*must_offer, *more))))).map(tuple)
    return st.builds(
        ClientHello,
        client_version=st.sampled_from(VERSIONS),
        random=randoms,
        session_id=st.just(b"") | randoms,
        cipher_suites=offered.filter(bool) if not must_offer else offered,
        compression_methods=st.sampled_from([(0,), (1, 0)]),
        extensions=st.none() | _extensions(Role.CLIENT),
    )


def server_hellos(hello: ClientHello) -> SearchStrategy[ServerHello]:
    """Return a strategy for answers to ``hello`` that stay within what it offers.

    Raises :class:`ValueError` if it offers no suite that tlsexit knows.
    """
    offered = [suite for suite in hello.cipher_suites if suite in SUITES]
    if not offered:
        raise ValueError("the hello offers no suite that can be chosen")
    asked = tuple(item.extension_type for item in hello.extensions or ())
    return st.builds(
        ServerHello,
        server_version=st.just(int(ProtocolVersion.TLS_1_0)),
        random=randoms,
        session_id=st.just(b"") | randoms,
        cipher_suite=st.sampled_from(offered),
        compression_method=st.just(0),
        extensions=st.none() | _extensions(Role.SERVER, asked) if asked else st.none(),
    )
