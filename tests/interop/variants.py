"""What each variant of a conversation asks of both sides, and what must have come of it."""

from __future__ import annotations

from typing import Any, Final

from tests.interop.engine import Result
from tests.interop.matrix import Case, Role, Variant, missing
from tlsexit.exits.context import Authentication
from tlsexit.handshake.enums import ExtensionType

HTTP: Final = "http/1.1"
PROTOCOLS: Final = ("spdy/3", HTTP)

WITHOUT_EXTENDED_MASTER_SECRET: Final = {"node4"}
WITHOUT_ENCRYPT_THEN_MAC: Final = {"nss", "jsse", "node4"}
"""Peers that are older than RFC 7627 and RFC 7366, or never had them."""


def our_elements(case: Case) -> dict[str, Any]:
    """The elements of tlsexit's profile, in either role."""
    match case.variant:
        case Variant.PEER_RENEGOTIATES | Variant.WE_RENEGOTIATE:
            return {"renegotiation": True}
        case Variant.ALPN | Variant.TOGETHER:
            return {"alpn": PROTOCOLS}
        case Variant.NEXT_PROTOCOL:
            return {"npn": PROTOCOLS}
        case Variant.NO_EXTENDED_MASTER_SECRET:
            return {"extended_master_secret": False}
        case Variant.NO_ENCRYPT_THEN_MAC:
            return {"encrypt_then_mac": False}
    return {}


def their_features(case: Case) -> dict[str, Any]:
    """The features of the peer, as :class:`~tests.interop.peers.base.Peer` takes them."""
    match case.variant:
        case Variant.PEER_RENEGOTIATES:
            return {"renegotiate": True}
        case Variant.ALPN | Variant.TOGETHER if _has_alpn(case):
            return {"alpn": HTTP}
        case Variant.NEXT_PROTOCOL:
            return {"npn": HTTP}
    return {}


def check_agreement(case: Case, result: Result) -> None:
    """What tlsexit says of a connection is what the variant stands for, and what this peer can do otherwise."""
    context, variant = result.context, case.variant
    assert context.cipher_suite == case.suite.number
    if variant.authenticates or _asks_for_a_certificate(case):
        authentication = Authentication.BOTH
    else:
        authentication = Authentication.ANONYMOUS if case.suite.anonymous else Authentication.SERVER
    assert context.authentication is authentication
    assert context.handshake_count == (2 if variant.renegotiates else 1)
    alpn = variant in (Variant.ALPN, Variant.TOGETHER) and _has_alpn(case)
    assert context.alpn_protocol == (HTTP if alpn else None)
    assert context.next_protocol == (HTTP if variant is Variant.NEXT_PROTOCOL else None)
    extended = case.peer not in WITHOUT_EXTENDED_MASTER_SECRET and variant is not Variant.NO_EXTENDED_MASTER_SECRET
    assert context.extended_master_secret is extended
    after = case.peer not in WITHOUT_ENCRYPT_THEN_MAC and variant is not Variant.NO_ENCRYPT_THEN_MAC
    if case.suite.cipher.endswith("CBC"):
        # with a stream cipher it has no meaning, though OpenSSL agrees to it with NULL
        assert (ExtensionType.ENCRYPT_THEN_MAC in result.agreed) is after


def _has_alpn(case: Case) -> bool:
    return missing(case.peer, case.role, Variant.ALPN) is None


def _asks_for_a_certificate(case: Case) -> bool:
    """Whether the server wants one in its second handshake: selfserv has no other reason to renegotiate."""
    return (case.peer, case.role, case.variant) == ("nss", Role.SERVER, Variant.PEER_RENEGOTIATES)
